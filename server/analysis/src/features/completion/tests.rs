use super::*;
use crate::schema::TableSchema;
use crate::schema::{Column, DataType, Mode, TableKind, TableNotes, TableReference};

fn snapshot() -> CatalogSnapshot {
    let column = |name: &str, data_type: DataType, mode: Mode, fields: Vec<Column>| Column {
        name: name.to_owned(),
        data_type,
        mode,
        description: format!("about {name}"),
        fields,
    };
    let plain = |name: &str| column(name, DataType::String, Mode::Nullable, Vec::new());
    let table = |name: &str, columns: Vec<Column>| TableSchema {
        reference: TableReference {
            project: "my-project".into(),
            dataset: "shop".into(),
            table: name.into(),
        },
        kind: TableKind::Table,
        description: String::new(),
        columns,
        primary_key: Vec::new(),
        foreign_keys: Vec::new(),
        partitioning: None,
        clustering: Vec::new(),
        num_rows: None,
        num_bytes: None,
        notes: TableNotes::default(),
    };
    let items = column(
        "items",
        DataType::Struct,
        Mode::Repeated,
        vec![plain("sku"), plain("price")],
    );
    let address = column(
        "address",
        DataType::Struct,
        Mode::Nullable,
        vec![plain("street"), plain("city")],
    );
    CatalogSnapshot::new(
        None,
        [
            table("orders", vec![plain("id"), plain("customer_id"), items]),
            table("customers", vec![plain("id"), plain("name"), address]),
        ],
        [],
    )
}

/// Labels at `$0`, without functions and keywords.
fn labels(marked: &str) -> Vec<String> {
    let offset = marked.find("$0").unwrap();
    let text = marked.replace("$0", "");
    complete(&text, offset, &snapshot())
        .into_iter()
        .filter(|i| !matches!(i.kind, CompletionKind::Function | CompletionKind::Keyword))
        .map(|i| i.label)
        .collect()
}

#[test]
fn tables_after_from() {
    assert_eq!(labels("SELECT * FROM $0"), ["shop.customers", "shop.orders"]);
    assert_eq!(labels("SELECT * FROM shop.o$0"), ["orders"]);
    assert_eq!(
        labels("SELECT * FROM shop.orders o JOIN cust$0"),
        ["shop.customers"]
    );
    assert_eq!(labels("SELECT * FROM my-project.$0"), ["shop"]);
    assert_eq!(
        labels("SELECT * FROM `my-project.shop.$0`"),
        ["customers", "orders"]
    );
    assert_eq!(
        labels("WITH mine AS (SELECT 1 AS x) SELECT * FROM mi$0"),
        ["mine"]
    );
    assert_eq!(labels("INSERT INTO $0"), ["shop.customers", "shop.orders"]);
}

#[test]
fn columns_in_scope() {
    assert_eq!(
        labels("SELECT $0 FROM shop.customers"),
        ["address", "id", "name", "customers"]
    );
    assert_eq!(labels("SELECT a$0, FROM shop.customers WHERE"), ["address"]);
    assert_eq!(labels("SELECT name FROM shop.customers WHERE na$0"), ["name"]);
    assert_eq!(
        labels("SELECT x FROM shop.orders o JOIN shop.customers c ON o.customer_id = c.$0"),
        ["address", "id", "name"]
    );
    assert_eq!(
        labels("SELECT i$0 FROM shop.orders o JOIN shop.customers c ON TRUE")[..2],
        ["c.id", "customer_id"]
    );
    assert_eq!(
        labels("WITH m AS (SELECT id AS key FROM shop.orders)\nSELECT m.$0 FROM m"),
        ["key"]
    );
    assert_eq!(labels("SELECT (SELECT na$0 FROM shop.customers"), ["name"]);
}

#[test]
fn pseudo_columns_where_they_are() {
    let catalog = r#"[
        {"tableReference": {"projectId": "p", "datasetId": "web", "tableId": "hits_*"},
         "schema": {"fields": [{"name": "url", "type": "STRING"}]}},
        {"tableReference": {"projectId": "p", "datasetId": "web", "tableId": "raw"},
         "timePartitioning": {"type": "DAY"}, "schema": {"fields": [{"name": "line", "type": "STRING"}]}},
        {"tableReference": {"projectId": "p", "datasetId": "web", "tableId": "files"}, "type": "EXTERNAL",
         "schema": {"fields": [{"name": "line", "type": "STRING"}]}}]"#;
    let (tables, routines, _) = crate::schema::read_resources(catalog);
    let snapshot = CatalogSnapshot::new(None, tables, routines);
    for (text, expected) in [
        ("SELECT _ FROM `web.hits_*`", &["_TABLE_SUFFIX"][..]),
        ("SELECT _ FROM web.hits_20240101", &[]),
        ("SELECT _ FROM web.raw", &["_PARTITIONDATE", "_PARTITIONTIME"]),
        ("SELECT _ FROM web.files", &["_FILE_NAME"]),
    ] {
        let items = complete(text, "SELECT _".len(), &snapshot).into_iter();
        let mut columns: Vec<String> = items
            .filter(|i| i.kind == CompletionKind::Column)
            .map(|i| i.label)
            .collect();
        columns.sort();
        assert_eq!(columns, expected, "{text}");
    }
}

#[test]
fn fields_of_structs_and_arrays() {
    assert_eq!(
        labels("SELECT address.$0 FROM shop.customers"),
        ["city", "street"]
    );
    assert_eq!(
        labels("SELECT c.address.st$0 FROM shop.customers AS c"),
        ["street"]
    );
    assert_eq!(
        labels("SELECT i.$0 FROM shop.orders AS o, UNNEST(o.items) AS i"),
        ["price", "sku"]
    );
    assert_eq!(
        labels("SELECT 1 FROM shop.orders AS o, o.$0"),
        ["customer_id", "id", "items"]
    );
}

#[test]
fn nothing_in_comments_and_strings() {
    assert_eq!(labels("-- how many $0"), Vec::<String>::new());
    assert_eq!(labels("SELECT 'a$0b'"), Vec::<String>::new());
    assert!(complete("", 0, &snapshot()).iter().any(|i| i.label == "SELECT"));
}

#[test]
fn the_typed_name_is_replaced() {
    let items = complete("SELECT na FROM shop.customers", 9, &snapshot());
    let name = items.iter().find(|i| i.label == "name").unwrap();
    assert_eq!(
        (name.replace.clone(), name.insert.as_str(), name.detail.as_str()),
        (7..9, "name", "STRING")
    );
    assert_eq!(name.documentation, "shop.customers: about name");
}

#[test]
fn any_offset_of_any_text_is_fine() {
    let text = "WITH a AS (SELECT é, '日' FROM `p.d.t` WHERE x = [1, 2) SELECT a. FROM ((( -- c\n{{ x }} ;; FROM a JOIN";
    for offset in 0..=text.len() + 2 {
        let _ = complete(text, offset, &snapshot());
    }
}
