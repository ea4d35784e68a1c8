//! Learning from the store of accepted completions.

use bigquill_model::corpus::{Completion, Corpus, Outcome, PromptMessage};

use super::run::Place;

/// A store with completions of these outcomes; what was edited became another number.
fn store(place: &Place, name: &str, outcomes: &[Outcome]) {
    let store = Corpus::open(&place.path(name)).unwrap();
    for (n, outcome) in outcomes.iter().enumerate() {
        let completion = Completion {
            question: format!("Q{n}"),
            prompt: vec![PromptMessage {
                role: "user".to_owned(),
                content: format!("Q{n}"),
            }],
            tables: Vec::new(),
            generated: format!("SELECT {n}"),
            kept: (*outcome == Outcome::Edited).then(|| format!("SELECT {n}{n}")),
            outcome: *outcome,
            proved_by: None,
            model: "tiny".to_owned(),
            adapter: None,
            offered_at: 0,
        };
        store.add(&completion).unwrap();
    }
}

#[test]
fn what_was_wanted_is_learned() {
    let place = Place::new();
    let outcomes = [
        Outcome::Accepted,
        Outcome::Shown,
        Outcome::Edited,
        Outcome::Rejected,
    ];
    store(&place, "accepted.sqlite", &outcomes);
    let said = place.run("data inspect --model tiny.gguf --data accepted.sqlite");
    for part in [
        "2 of 2 examples",
        "=== accepted.sqlite:1: ",
        "Q0<|im_end|>",
        "--- learned\nSELECT 0<",
        "=== accepted.sqlite:3: ",
        "--- learned\nSELECT 22<",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let plan = "train --model tiny.gguf --out team --plan --data";
    let said = place.run(&format!("{plan} accepted.sqlite data.jsonl"));
    // Q0 is in both.
    assert!(said.contains("9 of 10 examples (1 twice"), "{said}");
    let said = place.run(&format!("{plan} accepted.sqlite --preference"));
    assert!(said.contains("1 of 1 examples"), "{said}");
    // By its name, from where the variable says.
    let mut named = place.command(&format!("{plan} accepted"));
    let output = named
        .env("BIGQUILL_STORE_FILE", place.path("accepted.sqlite"))
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("2 of 2 examples"),
        "{output:?}"
    );
}

#[test]
fn what_no_longer_holds_is_left_out_and_named() {
    let place = Place::new();
    let store = Corpus::open(&place.path("accepted.sqlite")).unwrap();
    for sql in [
        "SELECT id FROM shop.orders",
        "SELECT gone FROM shop.orders",
        "SELECT id FROM shop.orders WHERE (",
    ] {
        let completion = Completion {
            question: sql.to_owned(),
            prompt: vec![PromptMessage {
                role: "user".to_owned(),
                content: sql.to_owned(),
            }],
            tables: vec!["shop.orders".to_owned()],
            generated: sql.to_owned(),
            kept: None,
            outcome: Outcome::Accepted,
            proved_by: None,
            model: "tiny".to_owned(),
            adapter: None,
            offered_at: 0,
        };
        store.add(&completion).unwrap();
    }
    let inspect = "data inspect --model tiny.gguf --data accepted.sqlite";
    let said = place.run(inspect);
    assert!(said.contains("2 of 3 examples"), "{said}");
    assert!(said.contains("accepted.sqlite:3: "), "{said}");
    let table = r#"{"tableReference": {"projectId": "p", "datasetId": "shop", "tableId": "orders"},
        "schema": {"fields": [{"name": "id", "type": "INTEGER"}]}}"#;
    std::fs::write(place.path("now.json"), format!("[{table}]")).unwrap();
    let said = place.run(&format!("{inspect} --current-catalog now.json"));
    assert!(said.contains("1 of 3 examples"), "{said}");
    assert!(
        said.contains("accepted.sqlite:2: ") && said.contains("gone"),
        "{said}"
    );
}

#[test]
fn a_store_without_anything_to_learn_is_told() {
    let place = Place::new();
    store(&place, "shown.db", &[Outcome::Shown, Outcome::Accepted]);
    let plan = "train --model tiny.gguf --out team --plan --data";
    let error = place.fail(&format!("{plan} shown.db --preference"));
    assert!(
        error.contains("shown.db: no completion in it was edited"),
        "{error}"
    );
    let error = place.fail(&format!("{plan} nowhere.sqlite"));
    assert!(
        error.contains("nowhere.sqlite: nothing was kept yet; set `store_accepted = true`"),
        "{error}"
    );
    assert!(!place.path("nowhere.sqlite").exists());
}
