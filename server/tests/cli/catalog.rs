//! Catalog files: broken lines, and `bigquill catalog import`.

use super::{Place, fixture};

#[test]
fn a_broken_line_is_named_and_the_rest_is_used() {
    let place = Place::new();
    place.write(
        "tables.jsonl",
        "{\"tableReference\": {\"datasetId\": \"d\", \"tableId\": \"a\"}, \"schema\": {\"fields\": [{\"name\": \"x\", \"type\": \"INTEGER\"}]}}\n\
         {\"tableReference\": {\"datasetId\": \"d\", \"tableId\": \"b\"\n\
         {\"tableReference\": {\"datasetId\": \"d\", \"tableId\": \"c\"}, \"schema\": {\"fields\": [{\"name\": \"y\", \"type\": \"INTEGER\"}]}}\n",
    );
    place.write("q.sql", "SELECT a.x, c.y FROM d.a CROSS JOIN d.c;\n");
    let run = place
        .run(&["check", "q.sql", "--catalog", "tables.jsonl"])
        .expect(0);
    let messages: Vec<_> = run
        .stderr
        .lines()
        .filter(|l| l.contains("tables.jsonl"))
        .collect();
    assert_eq!(messages.len(), 1, "{}", run.stderr);
    assert!(
        messages[0].contains("tables.jsonl:2: not JSON here"),
        "{}",
        messages[0]
    );
}

#[test]
fn a_catalog_that_is_missing_stops_the_command() {
    let place = Place::new();
    place.write("q.sql", "SELECT 1;\n");
    let run = place
        .run(&["check", "q.sql", "--catalog", "missing.json"])
        .expect(2);
    assert!(
        run.stderr.contains("missing.json: there is no such catalog file"),
        "{}",
        run.stderr
    );
}

#[test]
fn imported_catalogs_serve_the_check() {
    let place = Place::new();
    place.write(
        "all.jsonl",
        r#"{"name": "library", "foreign_keys": [["loans.book_id", "books.id"]], "tables": [{"dataset": "lib", "table": "books", "description": "", "fields": [{"name": "id", "type": "INT64"}, {"name": "title", "type": "STRING"}]}, {"dataset": "lib", "table": "loans", "fields": [{"name": "book_id", "type": "INT64"}]}]}
{"name": "empty", "tables": []}
"#,
    );
    let run = place
        .run(&["catalog", "import", "all.jsonl", "--out", "out", "--gzip"])
        .expect(0);
    assert!(
        run.stdout.contains("2 catalogs with 2 tables and 0 routines"),
        "{}",
        run.stdout
    );
    let input = r#"{"id": 1, "sql": "SELECT b.title FROM lib.loans AS l JOIN lib.books AS b ON l.book_id = b.id", "catalog": "library"}
{"id": 2, "sql": "SELECT titel FROM lib.books", "catalog": "library"}
"#;
    let run = place
        .run_with(&["check", "--jsonl", "-", "--catalogs", "out"], input)
        .expect(1);
    let ok: Vec<_> = run.lines().iter().map(|l| l["ok"].as_bool()).collect();
    assert_eq!(ok, [Some(true), Some(false)]);
}

#[test]
fn what_cannot_be_imported_is_named() {
    let place = Place::new();
    place.write(
        "bad.jsonl",
        "{\"name\": \"a\", \"tables\": [{\"dataset\": \"d\"}]}\noops\n",
    );
    let run = place
        .run(&["catalog", "import", "bad.jsonl", "--out", "out"])
        .expect(1);
    assert!(
        run.stderr
            .contains("bad.jsonl:1: catalog a: a table without `table`"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("bad.jsonl:2: not JSON"), "{}", run.stderr);
    place
        .run(&["catalog", "import", "missing.jsonl", "--out", "out"])
        .expect(2);
}

#[test]
fn doctor_tells_files_tables_and_faults() {
    let place = Place::new();
    std::fs::copy(fixture("catalogs/shop.json"), place.path("shop.json")).expect("copy");
    place.write("more.json", "{\"oops\": 1}");
    place.write(
        "bigquill.toml",
        "catalog = ['shop.json', 'more.json']\ndevise = 'cpu'\n",
    );
    let run = place.run(&["doctor"]).expect(1);
    for part in [
        "bigquill.toml:2: there is no setting `devise`; did you mean `device`?",
        "shop.json",
        "5 tables, 1 routines; default project acme-analytics",
        "more.json:1: neither a table",
        "no application default credentials",
        "bigquill model pull",
        "cores",
    ] {
        assert!(
            run.stdout.contains(part),
            "{part:?} is missing in\n{}",
            run.stdout
        );
    }
}
