//! Questions and queries made from a catalog, with GoogleSQL's word on each.

use std::path::Path;
use std::process::Output;

use super::run::{Place, stderr};

/// A catalog of the repository.
fn catalog() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogs");
    folder.join("help_desk.jsonl").display().to_string()
}

fn synthesize(place: &Place, words: &str) -> Output {
    let models = std::env::var_os("BIGQUILL_TEST_MODELS");
    let models = models.expect("BIGQUILL_TEST_MODELS names the folder of models: run ./test, which sets it");
    // The store is the folder above.
    let cache = Path::new(&models).parent().expect("a folder above");
    place
        .command(&format!("data synthesize {words}"))
        .env("BIGQUILL_CACHE", cache)
        .output()
        .unwrap()
}

#[test]
fn what_is_made_is_accepted_and_goes_on_after_a_cut() {
    let place = Place::new();
    let words = format!("--catalog {} --count 60 --seed 3 --out made.jsonl", catalog());
    let output = synthesize(&place, &words);
    assert!(output.status.success(), "{}", stderr(&output));
    let made = std::fs::read_to_string(place.path("made.jsonl")).unwrap();
    assert_eq!(made.lines().count(), 60);
    let inspect = "data inspect --model tiny.gguf --data made.jsonl";
    let said = place.run(&format!("{inspect} --catalogs {}", catalog()));
    // The tiny model takes none of them in, but all are read and hold against the catalog.
    assert!(
        said.contains("of 60 examples (0 twice") && said.contains(" 0 refused by the check"),
        "{said}"
    );
    // Cut, and gone on with, it ends as the one that was not cut.
    let half: String = made.lines().take(25).map(|line| format!("{line}\n")).collect();
    place.write("made.jsonl", &half);
    let output = synthesize(&place, &format!("{words} --resume"));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(place.path("made.jsonl")).unwrap(), made);
}

#[test]
fn a_catalog_without_tables_is_told() {
    let place = Place::new();
    place.write("none.json", "[]");
    let output = synthesize(&place, "--catalog none.json --out made.jsonl");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("the catalog has no table"),
        "{}",
        stderr(&output)
    );
    assert!(!place.path("made.jsonl").exists());
}

#[test]
fn queries_run_in_no_bigquery() {
    let place = Place::new();
    let words = format!(
        "--catalog {} --out made.jsonl --run-on https://bigquery.googleapis.com",
        catalog()
    );
    let output = synthesize(&place, &words);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("never in BigQuery itself"),
        "{}",
        stderr(&output)
    );
    assert!(!place.path("made.jsonl").exists());
}
