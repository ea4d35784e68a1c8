//! What is read, what is refused and how it is said, and what a model is shown.

use std::path::PathBuf;
use std::sync::LazyLock;

use super::*;
use crate::decoder::Architecture;
use crate::gguf::{Gguf, Quantization};
use crate::testing::{TINY_END, TinyModel};
use crate::tokenizer::Tokenizer;

static TINY: LazyLock<Tokenizer> = LazyLock::new(|| {
    let model = TinyModel {
        architecture: Architecture::Qwen2,
        quantization: Quantization::Q8_0,
        seed: 1,
        tied: true,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    std::fs::write(&path, model.writer().to_bytes()).unwrap();
    Tokenizer::from_gguf(&Gguf::open(&path).unwrap()).unwrap()
});

const CATALOG: &str = r#"{"name": "shop", "foreign_keys": [["orders.customer", "customers.id"]],
    "primary_keys": ["customers.id"], "tables": [
    {"dataset": "shop", "table": "Orders", "description": "", "fields": [
        {"name": "Id", "type": "INT64", "mode": "NULLABLE", "description": ""},
        {"name": "Customer", "type": "INT64", "mode": "NULLABLE", "description": ""}]},
    {"dataset": "shop", "table": "Customers", "description": "", "fields": [
        {"name": "Id", "type": "INT64", "mode": "NULLABLE", "description": ""}]}]}"#;

fn write(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn read_text(text: &str) -> Result<Vec<Example>, DataError> {
    let (_folder, path) = write("data.jsonl", text);
    let (_folder, catalog) = write("catalogs.jsonl", &CATALOG.replace('\n', " "));
    read(&path, &Catalogs::read(&[catalog]).unwrap())
}

fn preparer() -> Preparer<'static> {
    Preparer {
        tokenizer: &TINY,
        budget: 1000,
        max_tokens: 2000,
        answer_tables: true,
    }
}

/// What the model is shown and what it learns of the only line.
fn shown(text: &str) -> (String, String) {
    let preparation = preparer().prepare(&read_text(text).unwrap()).unwrap();
    let [example] = preparation.examples.as_slice() else {
        panic!("one example is expected")
    };
    let (prompt, answer) = example.sequence.tokens.split_at(example.sequence.prompt);
    assert_eq!(answer.last(), Some(&TINY_END));
    (TINY.decode(prompt), TINY.decode(answer))
}

const MESSAGES: &str = r#"{"prompt": [{"role": "user", "content": "How many?"}],
    "completion": [{"role": "assistant", "content": "SELECT 1"}]}"#;

#[test]
fn every_form_gives_prompt_and_completion() {
    let chat = ("user\nHow many?\nassistant\n".to_owned(), "SELECT 1".to_owned());
    assert_eq!(shown(&MESSAGES.replace('\n', " ")), chat);
    let messages = r#"{"messages": [{"role": "user", "content": "How many?"}, {"role": "assistant", "content": "SELECT 1"}]}"#;
    assert_eq!(shown(messages), chat);
    let rendered = r#"{"prompt": "<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n", "completion": "SELECT 1<|im_end|>"}"#;
    assert_eq!(shown(rendered), chat);
    let (prompt, answer) = shown(
        r#"{"question": "How many orders?", "catalog": "shop", "bigquery_sql": "SELECT 1", "evidence": "none"}"#,
    );
    assert_eq!(answer, "SELECT 1");
    assert_eq!(
        prompt,
        "system\nYou translate questions into BigQuery SQL. Answer with one query and nothing else.\n\
         user\nTables:\n- shop.Orders: Id INT64, Customer INT64\n- shop.Customers: Id INT64\n\
         Joins: Orders.Customer = Customers.Id\nEvidence: none\nQuestion: How many orders?\nassistant\n"
    );
}

#[test]
fn messages_never_become_control_tokens_and_rendered_text_does() {
    let said = r#"{"prompt": [{"role": "user", "content": "<|im_end|>"}], "completion": "x"}"#;
    assert!(shown(said).0.contains("<|im_end|>"));
    let rendered = r#"{"prompt": "<|im_end|>", "completion": "x"}"#;
    assert_eq!(shown(rendered).0, "");
}

#[test]
fn a_preference_has_two_answers_to_one_prompt() {
    let text = r#"{"prompt": "Q", "chosen": "SELECT 1", "rejected": [{"role": "assistant", "content": "SELECT 2"}]}"#;
    let preparation = preparer().prepare(&read_text(text).unwrap()).unwrap();
    let [preference] = preparation.preferences().unwrap().try_into().unwrap();
    let Preference { chosen, rejected } = preference;
    assert_eq!(chosen.prompt, rejected.prompt);
    assert_eq!(chosen.tokens[..chosen.prompt], rejected.tokens[..rejected.prompt]);
    assert_eq!(TINY.decode(&chosen.tokens), "QSELECT 1");
    assert_eq!(TINY.decode(&rejected.tokens), "QSELECT 2");
    let error = preparation.completions().unwrap_err();
    assert!(error.to_string().contains("--preference"), "{error}");
}

#[test]
fn a_broken_line_is_named_with_its_number() {
    let mut lines = vec![MESSAGES.replace('\n', " "); 20];
    lines[16] = r#"{"prompt": "half a li"#.to_owned();
    lines[18] = "{}".to_owned();
    let error = read_text(&lines.join("\n")).unwrap_err().to_string();
    assert!(error.contains("data.jsonl:17: this is no JSON object"), "{error}");
    assert!(
        error.ends_with("mend the line or take it out (1 more cannot be read)"),
        "{error}"
    );
}

#[test]
fn what_is_wrong_with_a_line_is_told() {
    for (line, what) in [
        ("{}", "it has none of: prompt with completion"),
        (r#"{"prompt": "q", "completion": " "}"#, "`completion` is empty"),
        (
            r#"{"prompt": "q", "chosen": "a", "rejected": "a"}"#,
            "are the same",
        ),
        (r#"{"prompt": 7, "completion": "a"}"#, "neither text nor messages"),
        (r#"{"prompt": [], "completion": "a"}"#, "`prompt` has no message"),
        (
            r#"{"prompt": [{"role": "tool", "content": "x"}], "completion": "a"}"#,
            "the role \"tool\"",
        ),
        (
            r#"{"messages": [{"role": "user", "content": "x"}]}"#,
            "does not end with the assistant's message",
        ),
        (
            r#"{"messages": [{"role": "assistant", "content": "x"}]}"#,
            "nothing before",
        ),
        (
            r#"{"question": "q", "catalog": "else", "bigquery_sql": "s"}"#,
            "there is no catalog else; name its file with --catalogs",
        ),
    ] {
        let error = read_text(line).unwrap_err().to_string();
        assert!(error.contains(what), "{line}: {error}");
        assert!(error.contains("data.jsonl:1: "), "{error}");
    }
    let error = read_text("\n\n").unwrap_err();
    assert!(error.to_string().contains("has no example"), "{error}");
    let error = read(&PathBuf::from("/nowhere.jsonl"), &Catalogs::default()).unwrap_err();
    assert!(matches!(error, DataError::Read { .. }), "{error}");
}

#[test]
fn what_is_written_for_trl_reads_back_to_the_same_tokens() {
    let question = r#"{"question": "How many <|im_end|>?", "catalog": "shop", "bigquery_sql": "SELECT 1"}"#;
    let preference = r#"{"prompt": [{"role": "user", "content": "q"}], "chosen": "a", "rejected": "b"}"#;
    let rendered = r#"{"prompt": "<|im_start|>q", "completion": "SELECT 1"}"#;
    let text = [question, &MESSAGES.replace('\n', " "), preference, rendered].join("\n");
    let examples = read_text(&text).unwrap();
    let written: Vec<String> = examples.iter().map(|e| trl(&preparer(), e).to_string()).collect();
    let read = read_text(&written.join("\n")).unwrap();
    let tokens = |examples: &[Example]| -> Vec<(crate::train::Sequence, Option<crate::train::Sequence>)> {
        let prepared = preparer().prepare(examples).unwrap().examples;
        prepared.into_iter().map(|e| (e.sequence, e.rejected)).collect()
    };
    assert_eq!(tokens(&examples).len(), 4);
    assert_eq!(tokens(&read), tokens(&examples));
}

#[test]
fn the_tables_of_an_answer_stay_in_a_prompt_that_is_learned_from() {
    let line = r#"{"question": "How many customers?", "catalog": "shop", "bigquery_sql": "SELECT MAX(Customer) FROM shop.Orders"}"#;
    let example = &read_text(line).unwrap()[0];
    let shown = |answer_tables| {
        let preparer = Preparer {
            budget: 150,
            answer_tables,
            ..preparer()
        };
        preparer.chat(example).unwrap().messages.pop().unwrap().content
    };
    assert!(!shown(false).contains("shop.Orders"), "{}", shown(false));
    assert!(
        shown(true).contains("shop.Orders: Id INT64, Customer INT64"),
        "{}",
        shown(true)
    );
}

#[test]
fn doubles_and_long_ones_are_left_out_and_counted() {
    let line = |n: usize| format!(r#"{{"prompt": "q{n}", "completion": "{}"}}"#, "x".repeat(n));
    let text = [line(1), line(2), line(1), line(30)].join("\n");
    let preparer = Preparer {
        max_tokens: 20,
        ..preparer()
    };
    let preparation = preparer.prepare(&read_text(&text).unwrap()).unwrap();
    assert_eq!((preparation.read, preparation.duplicates), (4, 1));
    assert_eq!(preparation.completions().unwrap().len(), 2);
    let [dropped] = preparation.too_long.as_slice() else {
        panic!("one is too long")
    };
    // Three letters of the prompt, thirty of the answer, the end.
    assert_eq!((dropped.place.line, dropped.why.as_str()), (4, "34 tokens"));
}

#[test]
fn a_catalog_that_is_none_is_named() {
    let (_folder, path) = write("broken.jsonl", "\n{\"name\": 1}\n");
    let error = Catalogs::read(&[path]).unwrap_err().to_string();
    assert!(error.contains("broken.jsonl:2: this is no catalog"), "{error}");
}

/// A table as `bigquill catalog sync` and `bq show --format=json` write it.
const RESOURCE: &str = r#"{"kind": "bigquery#table", "tableReference": {"projectId": "p", "datasetId": "d", "tableId": "T"},
    "type": "TABLE", "schema": {"fields": [{"name": "Id", "type": "INTEGER", "mode": "REQUIRED"},
    {"name": "Tags", "type": "STRING", "mode": "REPEATED", "description": "new or old"}]}}"#;

#[test]
fn a_file_of_tables_is_one_catalog_that_is_called_like_it() {
    let table = RESOURCE.replace('\n', " ");
    let other = table.replace("\"T\"", "\"U\"");
    let routine = r#"{"routineReference": {"projectId": "p", "datasetId": "d", "routineId": "f"},
        "routineType": "SCALAR_FUNCTION", "returnType": {"typeKind": "INT64"}}"#
        .replace('\n', " ");
    for (file, text, tables) in [
        ("team.catalog.jsonl", format!("{table}\n{other}\n{routine}\n"), 2),
        ("team.jsonl", format!("\u{feff}{routine}\n\n{table}\n"), 1),
        ("team.json", format!("[{table},\n {other}]"), 2),
        ("team", RESOURCE.to_owned(), 1),
    ] {
        let (_folder, path) = write(file, &text);
        let catalogs = Catalogs::read(&[path]).unwrap();
        let [(name, snapshot)] = catalogs.iter().collect::<Vec<_>>()[..] else {
            panic!("{file} is one catalog")
        };
        assert_eq!((name, snapshot.tables().count()), ("team", tables), "{file}");
        assert_eq!(snapshot.default_project.as_deref(), Some("p"), "{file}");
        let read = snapshot.tables().next().unwrap();
        assert_eq!(read.columns[1].description, "new or old", "{file}");
    }
    // Of a named catalog the tables may have that form, too.
    let named =
        format!("{{\"name\": \"shop\", \"tables\": [{table}]}}\n{{\"name\": \"other\", \"tables\": []}}\n");
    let (_folder, path) = write("team.jsonl", &named);
    let catalogs = Catalogs::read(&[path]).unwrap();
    let names: Vec<&str> = catalogs.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["other", "shop"]);
}

#[test]
fn a_table_that_cannot_be_read_is_named() {
    let broken = RESOURCE.replace('\n', " ").replace("\"datasetId\": \"d\", ", "");
    let text = format!("{}\n{broken}\n", RESOURCE.replace('\n', " "));
    let (_folder, path) = write("team.jsonl", &text);
    let error = Catalogs::read(&[path]).unwrap_err().to_string();
    assert!(error.contains("team.jsonl:2: "), "{error}");
}

#[test]
fn answers_that_bigquery_would_refuse_are_left_out_with_the_reason() {
    let line = |sql: &str| format!(r#"{{"question": "{sql}", "catalog": "shop", "bigquery_sql": "{sql}"}}"#);
    let text = [
        line("SELECT COUNT(*) FROM shop.Orders"),
        line("SELECT Gone FROM shop.Orders"),
        line("SELECT Id FROM shop.Gone"),
    ];
    let preparation = preparer().prepare(&read_text(&text.join("\n")).unwrap()).unwrap();
    assert_eq!((preparation.read, preparation.examples.len()), (3, 1));
    let refused: Vec<(usize, bool)> = preparation
        .refused
        .iter()
        .map(|dropped| (dropped.place.line, dropped.why.contains("Gone")))
        .collect();
    assert_eq!(refused, [(2, true), (3, true)]);
}

#[test]
fn no_table_is_both_learned_and_measured() {
    // Twelve examples over tables in a chain of two each, and four that show none.
    let table = |n: usize| format!("- d.t{n}: a INT64");
    let chat = |n: usize, tables: &str| {
        let content = format!("Tables:\n{tables}\nQuestion: {n}");
        serde_json::json!({"prompt": [{"role": "user", "content": content}], "completion": "x"}).to_string()
    };
    let mut lines: Vec<String> = (0..12)
        .map(|n| chat(n, &format!("{}\n{}", table(n / 2 * 2), table(n / 2 * 2 + n % 2))))
        .collect();
    lines.extend((12..16).map(|n| chat(n, "")));
    let mut learned = preparer()
        .prepare(&read_text(&lines.join("\n")).unwrap())
        .unwrap();
    let held = hold_out(&mut learned, 0.4, 1);
    let tables = |preparation: &Preparation| -> std::collections::HashSet<String> {
        preparation
            .examples
            .iter()
            .flat_map(|e| e.tables.clone())
            .collect()
    };
    assert_eq!(learned.examples.len() + held.examples.len(), 16);
    assert!((4..=8).contains(&held.examples.len()), "{}", held.examples.len());
    assert!(!tables(&learned).is_empty() && !tables(&held).is_empty());
    assert!(tables(&learned).is_disjoint(&tables(&held)));
    let mut again = preparer()
        .prepare(&read_text(&lines.join("\n")).unwrap())
        .unwrap();
    let again_held = hold_out(&mut again, 0.4, 1);
    let lines_of = |preparation: &Preparation| -> Vec<usize> {
        preparation
            .examples
            .iter()
            .map(|example| example.place.line)
            .collect()
    };
    assert_eq!(lines_of(&again_held), lines_of(&held));
    let mut none = again.clone();
    assert!(hold_out(&mut none, 0.0, 1).examples.is_empty());
}
