use bigquill_analysis::schema::CatalogSnapshot;

use super::*;
use crate::catalog::read_catalog_text;

fn snapshot(catalog: &ImportedCatalog) -> CatalogSnapshot {
    let text = Value::from(catalog.resources.clone()).to_string();
    let (tables, routines, errors) = read_catalog_text(&text);
    assert_eq!(errors, []);
    CatalogSnapshot::new(None, tables, routines)
}

#[test]
fn a_text_to_sql_catalog_keeps_types_keys_and_shards() {
    let text = r#"{"name": "shop", "primary_keys": ["users.id"], "foreign_keys": [["Orders.user_id", "users.id"], ["x.y", "z.w"]], "tables": [{"dataset": "d", "table": "users", "description": "people", "fields": [{"name": "id", "type": "INT64", "mode": "NULLABLE", "description": "key"}]}, {"dataset": "d", "table": "orders", "description": "", "fields": [{"name": "user_id", "type": "INT64"}, {"name": "items", "type": "RECORD", "mode": "REPEATED", "fields": [{"name": "sku", "type": "STRING"}]}]}, {"project": "public", "dataset": "ga4", "table": "events_*", "shards": ["20210101"], "fields": []}]}
{"name": "two", "tables": [{"dataset": "d", "fields": []}]}
"#;
    let mut problems = Vec::new();
    let catalogs = read(text, Path::new("x/all.jsonl.gz"), &mut problems);
    assert_eq!(
        catalogs.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
        ["shop", "two"]
    );
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("x/all.jsonl.gz:1: catalog shop: the foreign key"));
    assert!(problems[1].starts_with("x/all.jsonl.gz:2: catalog two: a table without `table`"));

    let snapshot = snapshot(&catalogs[0]);
    let tables: Vec<_> = snapshot.tables().collect();
    assert_eq!(tables[0].description, "people");
    assert_eq!(tables[0].primary_key, ["id"]);
    assert_eq!(tables[1].columns[1].sql_type(), "ARRAY<STRUCT<sku STRING>>");
    assert_eq!(tables[1].foreign_keys[0].table, tables[0].reference);
    assert_eq!(
        tables[1].foreign_keys[0].columns,
        [("user_id".to_owned(), "id".to_owned())]
    );
    assert_eq!(tables[2].reference.to_string(), "public.ga4.events_*");
}

#[test]
fn an_analyzer_catalog_keeps_routines_and_its_project() {
    let text = r#"{"defaultProject": "p", "tables": [{"dataset": "d", "table": "t", "timePartitioning": {"type": "DAY"}, "schema": {"fields": [{"name": "a", "type": "INTEGER"}]}}],
      "routines": [{"dataset": "udf", "routine": "f", "arguments": [{"name": "x", "type": "ANY TYPE"}, {"name": "y", "type": "STRING", "mode": "REPEATED"}], "returns": {"type": "RECORD", "fields": [{"name": "n", "type": "INTEGER"}]}}]}"#;
    let catalogs = read(text, Path::new("etl.json.gz"), &mut Vec::new());
    assert_eq!(catalogs[0].name, "etl");
    let snapshot = snapshot(&catalogs[0]);
    assert_eq!(snapshot.default_project.as_deref(), Some("p"));
    let table = snapshot.tables().next().expect("a table");
    assert_eq!(table.partitioning.as_ref().map(|p| p.kind.as_str()), Some("DAY"));
    let routine = snapshot.routines().next().expect("a routine");
    assert_eq!(routine.reference.to_string(), "p.udf.f");
    assert_eq!(routine.arguments[0].data_type, None);
    assert_eq!(routine.arguments[1].data_type.as_deref(), Some("ARRAY<STRING>"));
    assert_eq!(routine.return_type.as_deref(), Some("STRUCT<n INT64>"));
}

#[test]
fn a_broken_line_and_a_name_that_leaves_the_folder_are_left_out() {
    let folder = tempfile::tempdir().expect("folder");
    let source = folder.path().join("all.jsonl");
    std::fs::write(
        &source,
        "{\"name\": \"../up\", \"tables\": []}\n{\"name\": \n{\"name\": \"empty\", \"tables\": []}\n",
    )
    .expect("write");
    let missing = folder.path().join("missing.json");
    let out = folder.path().join("out");
    let report = import(&[source, missing], &out, true).expect("import");
    assert_eq!(report.files, [out.join("empty.json.gz")]);
    assert_eq!(report.problems.len(), 3, "{:?}", report.problems);
    let (tables, _, errors) = read_catalog_text(&read_text(&report.files[0]).expect("text"));
    assert!(tables.is_empty() && errors.is_empty());
}
