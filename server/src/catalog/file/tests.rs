use std::io::Write;

use super::*;

const ORDERS: &str = r#"{"tableReference": {"projectId": "p", "datasetId": "shop", "tableId": "orders"}, "schema": {"fields": [{"name": "id", "type": "INTEGER"}]}}"#;
const USERS: &str = r#"{"tableReference": {"projectId": "p", "datasetId": "shop", "tableId": "users"}, "schema": {"fields": [{"name": "name", "type": "STRING"}]}}"#;

fn names(tables: &[TableSchema]) -> Vec<&str> {
    tables.iter().map(|t| t.reference.table.as_str()).collect()
}

fn open(paths: &[&Path]) -> FileCatalog {
    let patterns: Vec<String> = paths.iter().map(|p| p.to_string_lossy().into_owned()).collect();
    FileCatalog::open(&patterns, None)
}

#[test]
fn one_object_lines_and_arrays_are_read() {
    let pretty =
        serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(ORDERS).expect("JSON"))
            .expect("JSON");
    for text in [
        format!("{ORDERS}\n{USERS}\n"),
        format!("[{ORDERS}, {USERS}]"),
        format!("\u{feff}[\n{pretty},\n{USERS}\n]\n"),
        format!("{pretty}\n{USERS}"),
    ] {
        let (tables, _, errors) = read_catalog_text(&text);
        assert_eq!(names(&tables), ["orders", "users"], "{text}");
        assert_eq!(errors, []);
    }
}

#[test]
fn a_broken_line_is_one_message_and_the_rest_is_read() {
    let (tables, _, errors) = read_catalog_text(&format!("{ORDERS}\n{{\"tableReference\": \n{USERS}\n"));
    assert_eq!(names(&tables), ["orders", "users"]);
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].0, Some(2));
    assert!(errors[0].1.contains("not JSON here (EOF"), "{errors:?}");

    let (tables, _, errors) =
        read_catalog_text(&format!("[\n{ORDERS},\n{{\"tableReference\": oops}},\n{USERS}]"));
    assert_eq!(names(&tables), ["orders", "users"]);
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].0, Some(3));
}

#[test]
fn what_is_no_resource_is_told() {
    let (tables, _, errors) = read_catalog_text(&format!("{ORDERS}\n{{\"name\": 1}}\n"));
    assert_eq!(names(&tables), ["orders"]);
    assert_eq!(errors[0].0, Some(2));
    assert!(errors[0].1.contains("tableReference"));
}

#[test]
fn a_text_that_is_no_catalog_is_one_message() {
    let (tables, routines, errors) = read_catalog_text("id,name\n1,a\n2,b\n");
    assert!(tables.is_empty() && routines.is_empty());
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[test]
fn a_changed_file_is_read_again_and_an_unchanged_one_is_not() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("a.json");
    std::fs::write(&path, ORDERS).expect("write");
    let catalog = open(&[&path]);
    assert_eq!(catalog.current().tables().count(), 1);
    assert!(!catalog.refresh());
    std::fs::write(&path, format!("{ORDERS}\n{USERS}")).expect("write");
    assert!(catalog.refresh());
    assert_eq!(catalog.current().tables().count(), 2);
    assert_eq!(catalog.current().default_project.as_deref(), Some("p"));
    assert!(catalog.current().read_at.is_some());
    std::fs::remove_file(&path).expect("remove");
    assert!(catalog.refresh());
    assert!(catalog.current().is_empty());
    assert!(
        catalog.problems()[0]
            .to_string()
            .contains("there is no such catalog file")
    );
}

#[test]
fn patterns_and_gzip() {
    let folder = tempfile::tempdir().expect("folder");
    let gz = folder.path().join("b.json.gz");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(USERS.as_bytes()).expect("gzip");
    let bytes = encoder.finish().expect("gzip");
    std::fs::write(&gz, &bytes).expect("write");
    std::fs::write(folder.path().join("a.json"), ORDERS).expect("write");
    let catalog = open(&[
        &folder.path().join("*.json*"),
        &gz,
        &folder.path().join("none*.json"),
    ]);
    let snapshot = catalog.current();
    let tables: Vec<_> = snapshot.tables().map(|t| t.reference.table.clone()).collect();
    assert_eq!(tables, ["orders", "users"]);
    assert_eq!(catalog.files().len(), 2);
    assert_eq!(catalog.problems().len(), 1);
    assert!(catalog.problems()[0].message.contains("no catalog file matches"));

    std::fs::write(&gz, &bytes[..bytes.len() / 2]).expect("write");
    assert!(catalog.refresh());
    assert!(
        catalog
            .problems()
            .iter()
            .any(|p| p.message.contains("not a whole gzip file"))
    );
}

#[tokio::test]
async fn the_trait_answers_from_the_files() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("a.json");
    std::fs::write(&path, format!("{ORDERS}\n{USERS}")).expect("write");
    let catalog = open(&[&path]);
    let dataset = |name: &str| DatasetReference {
        project: String::new(),
        dataset: name.to_owned(),
    };
    let tables = catalog.tables(&dataset("shop")).await.expect("tables");
    assert_eq!(tables.len(), 2);
    assert!(matches!(
        catalog.tables(&dataset("other")).await,
        Err(CatalogError::NotFound(_))
    ));
    let schema = catalog.schema(&tables[0]).await.expect("schema").expect("table");
    assert_eq!(schema.columns[0].name, "id");
    assert_eq!(catalog.snapshot().await.expect("snapshot").tables().count(), 2);

    let missing = open(&[&folder.path().join("missing.json")]);
    assert!(matches!(
        missing.snapshot().await,
        Err(CatalogError::Unavailable(_))
    ));
}
