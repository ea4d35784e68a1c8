//! The memory that a training takes is what its plan says, on a real model.

use bigquill_model::testing::{SMOLLM2, model_file};

use super::run::Place;

/// The number before a unit, in MiB, that follows `before`.
fn mebibytes(text: &str, before: &str) -> f64 {
    let rest = text
        .split(before)
        .nth(1)
        .unwrap_or_else(|| panic!("{before}: {text}"));
    let mut words = rest.split_whitespace();
    let number: f64 = words.next().unwrap().parse().unwrap();
    match words.next().unwrap().trim_end_matches(',') {
        "MiB" => number,
        "GiB" => number * 1024.0,
        unit => panic!("{unit}: {text}"),
    }
}

#[test]
fn the_estimate_is_an_upper_bound_and_not_a_wild_one() {
    let place = Place::new();
    let question = "How many orders were there in each city last year? ".repeat(12);
    let data: String = (0..4)
        .map(|n| format!("{{\"prompt\": \"{question}{n}\", \"completion\": \"SELECT {n}\"}}\n"))
        .collect();
    place.write("long.jsonl", &data);
    let model = model_file(SMOLLM2);
    let words = format!(
        "train --model {} --data long.jsonl --out team --epochs 1 --batch 4",
        model.display()
    );
    let estimate = mebibytes(&place.run(&format!("{words} --plan")), "memory    about ");
    let peak = mebibytes(&place.run(&words), "peak memory of the process ");
    assert!(
        peak <= estimate && estimate <= 2.5 * peak,
        "{peak} MiB where {estimate} MiB were expected"
    );
}
