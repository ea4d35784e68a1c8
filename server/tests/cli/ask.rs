//! `bigquill ask` and `complete`, as far as no real model is needed.

use super::{Place, fixture};

#[test]
fn without_tables_there_is_nothing_to_ask_about() {
    let place = Place::new();
    let run = place.run(&["ask", "how many customers?"]).expect(2);
    assert!(run.stderr.contains("--catalog"), "{}", run.stderr);
}

#[test]
fn a_file_without_open_questions_needs_no_model() {
    let place = Place::new();
    let text =
        "-- Copyright 2026 Example\n-- how many customers are there?\nSELECT COUNT(*) FROM shop.customers;\n";
    place.write("done.sql", text);
    let run = place
        .run(&[
            "complete",
            "done.sql",
            "--write",
            "--catalog",
            &fixture("catalogs/shop.json"),
        ])
        .expect(0);
    assert!(run.stderr.contains("no open question"), "{}", run.stderr);
    assert_eq!(
        std::fs::read_to_string(place.path("done.sql")).expect("text"),
        text
    );
}
