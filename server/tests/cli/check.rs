//! `bigquill check` on files.

use serde_json::json;

use super::{Place, fixture};

/// An emoji, two UTF-16 units wide, and an accent before the misspelled `contry`.
const MISSPELLED: &str = "-- fine\nSELECT 1;\n\nSELECT '😀é', c.contry\nFROM shop.customers AS c\n";

fn place() -> (Place, String) {
    let place = Place::new();
    place.write("report.sql", MISSPELLED);
    (place, fixture("catalogs/shop.json"))
}

#[test]
fn text_shows_the_line_a_caret_and_the_right_name() {
    let (place, catalog) = place();
    let run = place
        .run(&["check", "report.sql", "--catalog", &catalog])
        .expect(1);
    assert!(run.stdout.contains("error[unknown-column]"), "{}", run.stdout);
    assert!(run.stdout.contains("--> report.sql:4:16"), "{}", run.stdout);
    assert!(run.stdout.contains("SELECT '😀é', c.contry"), "{}", run.stdout);
    assert!(run.stdout.contains("^^^^^^"), "{}", run.stdout);
    assert!(run.stdout.contains("country"), "{}", run.stdout);
    assert!(run.stderr.contains("1 finding, 1 file"), "{}", run.stderr);
}

#[test]
fn json_counts_from_0_in_utf_16() {
    let (place, catalog) = place();
    let run = place
        .run(&["check", "report.sql", "--catalog", &catalog, "--format", "json"])
        .expect(1);
    let line = &run.lines()[0];
    assert_eq!(line["file"], "report.sql");
    assert_eq!(line["ok"], false);
    let finding = &line["diagnostics"][0];
    assert_eq!(finding["code"], "unknown-column");
    assert_eq!(finding["severity"], "error");
    assert_eq!(finding["start"], json!({"line": 3, "character": 16}));
    assert_eq!(finding["end"], json!({"line": 3, "character": 22}));
    assert!(
        finding["message"].as_str().is_some_and(|m| m.contains("country")),
        "{finding}"
    );
}

#[test]
fn sarif_has_place_rule_and_fix() {
    let (place, catalog) = place();
    let run = place
        .run(&["check", "report.sql", "--catalog", &catalog, "--format", "sarif"])
        .expect(1);
    let log: serde_sarif::sarif::Sarif = serde_json::from_str(&run.stdout).expect("SARIF");
    let run = &log.runs[0];
    assert_eq!(run.column_kind, Some(json!("utf16CodeUnits")));
    assert_eq!(
        run.tool.driver.rules.as_ref().map(|r| r[0].id.as_str()),
        Some("unknown-column")
    );
    let result = &run.results.as_ref().expect("results")[0];
    let place = result.locations.as_ref().expect("locations")[0]
        .physical_location
        .as_ref()
        .expect("place");
    let uri = place.artifact_location.as_ref().and_then(|a| a.uri.as_deref());
    assert_eq!(uri, Some("report.sql"));
    let region = place.region.as_ref().expect("region");
    assert_eq!(
        (
            region.start_line,
            region.start_column,
            region.end_line,
            region.end_column
        ),
        (Some(4), Some(17), Some(4), Some(23))
    );
    let fix = &result.fixes.as_ref().expect("fixes")[0];
    let replacement = &fix.artifact_changes[0].replacements[0];
    let inserted = replacement
        .inserted_content
        .as_ref()
        .and_then(|c| c.text.as_deref());
    assert_eq!(inserted, Some("country"));
}

#[test]
fn a_clean_file_ends_with_0_and_a_missing_one_with_2() {
    let (place, catalog) = place();
    place.write("clean.sql", "SELECT name FROM shop.customers;\n");
    let run = place
        .run(&["check", "clean.sql", "--catalog", &catalog])
        .expect(0);
    assert_eq!(run.stdout, "");
    let run = place
        .run(&["check", "missing.sql", "report.sql", "--catalog", &catalog])
        .expect(2);
    assert!(
        run.stderr.contains("missing.sql cannot be read"),
        "{}",
        run.stderr
    );
    assert!(
        run.stdout.contains("report.sql:4:16"),
        "the other file is checked: {}",
        run.stdout
    );
}

#[test]
fn standard_input_is_a_file_too() {
    let (place, catalog) = place();
    let run = place
        .run_with(
            &["check", "-", "--catalog", &catalog, "--format", "json"],
            MISSPELLED,
        )
        .expect(1);
    assert_eq!(run.lines()[0]["diagnostics"][0]["start"]["line"], 3);
}

#[test]
fn the_nearest_bigquill_toml_names_the_catalog() {
    let (place, catalog) = place();
    std::fs::copy(catalog, place.path("shop.json")).expect("copy");
    place.write("bigquill.toml", "catalog = 'shop.json'\n");
    place.write("deep/er/report.sql", MISSPELLED);
    let run = place
        .run(&["check", "deep/er/report.sql", "--format", "json"])
        .expect(1);
    assert_eq!(run.lines()[0]["diagnostics"][0]["code"], "unknown-column");
}

#[test]
fn without_a_catalog_only_the_grammar_is_checked_and_that_is_said() {
    let (place, _) = place();
    let run = place.run(&["check", "report.sql"]).expect(0);
    assert!(
        run.stderr.contains("only the grammar is checked"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_reader_that_stops_is_no_error() {
    let (place, catalog) = place();
    let many = MISSPELLED.repeat(2000);
    place.write("many.sql", many);
    let mut command = place.command(&["check", "many.sql", "--catalog", &catalog]);
    let mut child = command.spawn().expect("bigquill starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("bigquill ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        !stderr.contains("pipe") && !stderr.contains("panicked"),
        "{stderr}"
    );
}
