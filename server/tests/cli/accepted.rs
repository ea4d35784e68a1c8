//! `bigquill accepted`: what was kept, seen and forgotten from the command line.

use bigquill_model::corpus::{Completion, Corpus, Outcome, PromptMessage, now};

use super::Place;

/// A place with three completions, of which the newest was edited.
fn place() -> Place {
    let place = Place::new();
    place.write("bigquill.toml", "store_file = 'kept/accepted.sqlite'\n");
    let store = Corpus::open(&place.path("kept/accepted.sqlite")).expect("a store");
    let hour = 3_600_000;
    for (question, outcome, kept, hours) in [
        ("how many?", Outcome::Accepted, None, 72),
        ("which ones?", Outcome::Shown, None, 2),
        ("whose?", Outcome::Edited, Some("SELECT 2".to_owned()), 1),
    ] {
        let completion = Completion {
            question: question.to_owned(),
            prompt: vec![PromptMessage {
                role: "user".to_owned(),
                content: format!("Tables:\n- shop.orders: id INT64\nQuestion: {question}"),
            }],
            tables: vec!["shop.orders".to_owned()],
            generated: "SELECT 1".to_owned(),
            kept,
            outcome,
            proved_by: Some("googlesql".to_owned()),
            model: "qwen".to_owned(),
            adapter: Some("team@1a2b3c4d".to_owned()),
            offered_at: now() - hours * hour,
        };
        store.add(&completion).expect("added");
    }
    place
}

#[test]
fn what_was_kept_is_listed_shown_and_counted() {
    let place = place();
    let list = place.run(&["accepted", "list"]).expect(0).stdout;
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], "    3  edited    1 hour ago      whose?");
    let edited = place.run(&[
        "accepted",
        "list",
        "--outcome",
        "accepted,edited",
        "--format",
        "json",
        "--limit",
        "1",
    ]);
    assert_eq!(edited.expect(0).lines()[0]["kept"], "SELECT 2");
    let shown = place.run(&["accepted", "show", "3"]).expect(0).stdout;
    assert!(
        shown.contains("by qwen with team@1a2b3c4d, proved by googlesql\n"),
        "{shown}"
    );
    assert!(
        shown.contains("--- user\nTables:\n- shop.orders: id INT64\nQuestion: whose?\n"),
        "{shown}"
    );
    assert!(
        shown.contains("--- offered\nSELECT 1\n--- kept\nSELECT 2\n"),
        "{shown}"
    );
    assert!(
        place
            .run(&["accepted", "show", "9"])
            .expect(1)
            .stderr
            .contains("no completion 9")
    );
    let stats = place
        .run(&["accepted", "stats", "--format", "json"])
        .expect(0)
        .lines();
    assert_eq!(
        (&stats[0]["accepted"], &stats[0]["edited"], &stats[0]["shown"]),
        (&1.into(), &1.into(), &1.into())
    );
}

#[test]
fn what_was_kept_goes_out_and_comes_in() {
    let place = place();
    let run = place.run(&["accepted", "export", "--out", "out.jsonl"]).expect(0);
    assert_eq!(run.stdout, "2 completions of 3 in out.jsonl\n");
    let pairs = place
        .run(&["accepted", "export", "--preferences"])
        .expect(0)
        .lines();
    assert_eq!(pairs[0]["chosen"][0]["content"], "SELECT 2");
    assert_eq!(pairs[0]["rejected"][0]["content"], "SELECT 1");
    let import = ["accepted", "import", "out.jsonl", "--store", "other/store.sqlite"];
    let first = place.run(&import).expect(0).stdout;
    assert!(first.starts_with("2 completions read, 2 of them new"), "{first}");
    let second = place.run(&import).expect(0).stdout;
    assert!(
        second.starts_with("2 completions read, 0 of them new"),
        "{second}"
    );
    place.write(
        "broken.jsonl",
        "{\"prompt\": [{\"role\": \"user\", \"content\": \"q\"}], \"completion\": \"x\"}\n{\n",
    );
    let broken = place.run(&["accepted", "import", "broken.jsonl"]).expect(2);
    assert!(broken.stderr.contains("broken.jsonl:2: "), "{}", broken.stderr);
    assert_eq!(
        place.run(&["accepted", "list"]).expect(0).stdout.lines().count(),
        3,
        "nothing of it is taken"
    );
}

#[test]
fn what_was_kept_is_forgotten() {
    let place = place();
    for (arguments, removed) in [
        (&["--table", "shop.customers"][..], 0),
        (&["--older-than", "2d"], 1),
        (&["2"], 1),
        (&["--all"], 1),
    ] {
        let run = place
            .run(&[&["accepted", "forget"], arguments].concat())
            .expect(i32::from(removed == 0));
        assert_eq!(run.stdout, format!("{removed} forgotten\n"), "{arguments:?}");
    }
    place.run(&["accepted", "list"]).expect(1);
    place.run(&["accepted", "forget"]).expect(2);
    let wrong = place.run(&["accepted", "forget", "--older-than", "90"]).expect(2);
    assert!(
        wrong.stderr.contains("a number with h, d or w"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn to_look_makes_no_store() {
    let place = Place::new();
    place.write("bigquill.toml", "store_file = 'kept/accepted.sqlite'\n");
    let run = place.run(&["accepted", "stats"]).expect(1);
    assert!(
        run.stderr.contains("nothing was kept") && run.stderr.contains("store_accepted = true"),
        "{}",
        run.stderr
    );
    assert!(!place.path("kept").exists());
}
