//! Questions and queries made from a catalog, with GoogleSQL's word on each.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use super::run::{Place, names, stderr};

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
fn it_goes_on_only_with_what_the_pairs_were_made_from() {
    let place = Place::new();
    let text = std::fs::read_to_string(catalog()).unwrap();
    place.write("desk.jsonl", &text);
    let words = "--catalog desk.jsonl --count 10 --seed 3 --out made.jsonl";
    let output = synthesize(&place, words);
    assert!(output.status.success(), "{}", stderr(&output));
    let made = std::fs::read_to_string(place.path("made.jsonl")).unwrap();
    let refused = |words: &str, why: &str| {
        let output = synthesize(&place, &format!("{words} --resume"));
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
        assert_eq!(std::fs::read_to_string(place.path("made.jsonl")).unwrap(), made);
    };
    let otherwise = words.replace("--seed 3", "--seed 4");
    refused(&otherwise, "made.jsonl was made with seed 3 where it is 4 now");
    place.write("weights.toml", "[shapes]\nrows = 0\n");
    refused(&format!("{words} --weights weights.toml"), "made with weights ");
    let more = format!("{words} --catalog {}", catalog());
    refused(&more, "made with catalog help_desk absent where it is ");
    place.write("desk.jsonl", &text.replacen("description", "note", 1));
    refused(words, "made with catalog desk ");
    std::fs::remove_file(place.path("made.settings.json")).unwrap();
    refused(words, "made.settings.json is missing");
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

fn column(name: &str, of: &str) -> Value {
    json!({ "name": name, "type": of })
}

fn records(name: &str, mode: &str, fields: &[Value]) -> Value {
    json!({ "name": name, "type": "RECORD", "mode": mode, "fields": fields })
}

fn table(name: &str, fields: &[Value]) -> Value {
    json!({ "dataset": "d", "table": name, "fields": fields })
}

/// Records in records, so deep.
fn nested(mode: &str, depth: usize) -> Vec<Value> {
    let mut fields = vec![column("label", "STRING")];
    for level in (1..=depth).rev() {
        let inner = records(&format!("level_{level}"), mode, &fields);
        fields = vec![inner, column(&format!("amount_{level}"), "INTEGER")];
    }
    fields
}

/// Catalogs that no one would wish for, each with whether many different things can be asked about it.
fn odd_catalogs() -> Vec<(&'static str, bool, Vec<Value>)> {
    let wide: Vec<Value> = (0..1000)
        .map(|n| column(&format!("metric_{n}"), ["STRING", "FLOAT"][n % 2]))
        .collect();
    let items = [column("товар", "STRING"), column("цена", "FLOAT")];
    let reserved = "group select from where by all and array as case desc end exists for having hash if in interval into join \
        limit like no not null of on or order over partition range rows set some then to union using when window with";
    let types = ["STRING", "INTEGER", "NUMERIC", "TIMESTAMP", "BOOLEAN", "DATE"];
    let reserved = reserved.split_whitespace().zip(types.into_iter().cycle());
    let reserved: Vec<Value> = reserved.map(|(name, of)| column(name, of)).collect();
    vec![
        (
            "one_key",
            false,
            vec![table("things", &[column("id", "INTEGER")])],
        ),
        (
            "one_time",
            true,
            vec![table("visits", &[column("visited_at", "TIMESTAMP")])],
        ),
        ("thousand", true, vec![table("wide", &wide)]),
        (
            "cyrillic",
            true,
            vec![table(
                "заказы",
                &[
                    column("город", "STRING"),
                    column("сумма", "NUMERIC"),
                    column("скидка", "NUMERIC"),
                    column("создан", "TIMESTAMP"),
                    records("позиции", "REPEATED", &items),
                ],
            )],
        ),
        (
            "chinese",
            true,
            vec![table(
                "订单",
                &[
                    column("城市", "STRING"),
                    column("金额", "NUMERIC"),
                    column("日期", "DATE"),
                ],
            )],
        ),
        (
            "greek_and_french",
            true,
            vec![
                table(
                    "παραγγελίες",
                    &[column("πόλη", "STRING"), column("ποσό", "NUMERIC")],
                ),
                table(
                    "commandes",
                    &[column("libellé", "STRING"), column("montant_payé", "NUMERIC")],
                ),
            ],
        ),
        (
            "reserved",
            true,
            vec![
                table("select", &reserved),
                table(
                    "order",
                    &[
                        column("order", "INTEGER"),
                        column("group", "STRING"),
                        column("from", "DATE"),
                    ],
                ),
            ],
        ),
        (
            "marks",
            true,
            vec![table(
                "my-table",
                &[
                    column("order id", "INTEGER"),
                    column("a`b", "STRING"),
                    column("_", "STRING"),
                ],
            )],
        ),
        ("structs", true, vec![table("nested", &nested("NULLABLE", 10))]),
        ("lists", true, vec![table("nested", &nested("REPEATED", 10))]),
        (
            "unasked",
            false,
            vec![table(
                "files",
                &[
                    column("content", "BYTES"),
                    column("place", "GEOGRAPHY"),
                    column("tags", "JSON"),
                ],
            )],
        ),
    ]
}

#[test]
fn odd_catalogs_are_asked_about_in_sql_that_holds() {
    let place = Place::new();
    let catalogs = odd_catalogs();
    let lines: Vec<String> = catalogs
        .iter()
        .map(|(name, _, tables)| json!({ "name": name, "tables": tables }).to_string())
        .collect();
    place.write("odd.jsonl", &lines.join("\n"));
    let each = 12;
    let words = format!(
        "--catalog odd.jsonl --count {} --out made.jsonl",
        each * catalogs.len()
    );
    let output = synthesize(&place, &words);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = std::fs::read_to_string(place.path("made.jsonl")).unwrap();
    let made: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (name, many, _) in &catalogs {
        let of_catalog: Vec<&Value> = made.iter().filter(|pair| pair["catalog"] == *name).collect();
        assert!(
            of_catalog.len() == each || !many && !of_catalog.is_empty(),
            "{name}: {of_catalog:?}"
        );
        for pair in of_catalog {
            let question = pair["question"].as_str().unwrap();
            // No English endings behind other scripts, no hole where a noun should stand.
            let ending = question
                .split_whitespace()
                .any(|word| word.ends_with('s') && word.chars().any(|c| c.is_alphabetic() && c > '\u{24f}'));
            assert!(
                !ending && !question.contains("  ") && !question.contains(" ,"),
                "{pair}"
            );
        }
    }
    let inspect = "data inspect --model tiny.gguf --data made.jsonl --catalogs odd.jsonl";
    let said = place.run(inspect);
    assert!(said.contains(" 0 refused by the check"), "{said}");
}

#[test]
fn tables_that_nothing_can_be_asked_about_are_told() {
    let place = Place::new();
    let said = |tables: &[Value]| {
        let line = json!({ "name": "odd", "tables": tables }).to_string();
        place.write("odd.jsonl", &line);
        let output = synthesize(&place, "--catalog odd.jsonl --count 5 --out made.jsonl");
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(names(&place.path(".")), ["data.jsonl", "odd.jsonl", "tiny.gguf"]);
        stderr(&output)
    };
    assert!(said(&[]).contains("the catalog has no table"));
    assert!(said(&[table("void", &[])]).contains("nothing can be asked"));
    let hollow = said(&[table("hollow", &[records("inner", "NULLABLE", &[])])]);
    assert!(
        hollow.contains("no query that can be asked about these tables holds"),
        "{hollow}"
    );
}
