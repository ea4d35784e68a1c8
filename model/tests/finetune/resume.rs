//! A run that is killed goes on where it was, bit for bit.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use super::run::{Place, names};

/// With dropout and a best epoch, for both must come back too.
const RUN: &str = "train --model tiny.gguf --data data.jsonl --epochs 6 --batch 4 --rank 4 --learning-rate 1e-2 \
    --checkpoint-every 1 --dropout 0.1 --eval-data data.jsonl --keep-best loss";

/// Begins or goes on, and is killed when it has said that an update was saved.
fn run_and_kill(place: &Place, words: &str, update: &str) {
    let mut child = place.command(words).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let reached = lines.map_while(Result::ok).any(|line| line.starts_with(update));
    assert!(reached, "{update} was never made");
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
}

/// The losses of all updates and epochs, bit for bit.
fn losses(place: &Place, out: &str) -> Vec<(u64, String, String)> {
    let text = std::fs::read_to_string(place.path(out).join("metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let step = line["step"].as_u64().unwrap();
        (step, line["loss"].to_string(), line["held_out_loss"].to_string())
    };
    text.lines().map(line).collect()
}

#[test]
fn a_run_that_is_killed_twice_ends_as_one_that_was_not() {
    let place = Place::new();
    place.run(&format!("{RUN} --out whole"));
    let cut = format!("{RUN} --out cut");
    run_and_kill(&place, &cut, "update 3/12");
    assert!(!place.path("cut/adapter_config.json").exists());
    let error = place.fail(&cut);
    assert!(
        error.contains("go on with --resume, or begin anew with --overwrite"),
        "{error}"
    );
    // As a kill in the middle of writing leaves it.
    std::fs::write(place.path("cut/checkpoint.safetensors.1.tmp"), "half").unwrap();
    run_and_kill(&place, &format!("{cut} --resume"), "update 7/12");
    place.run(&format!("{cut} --resume"));
    let weights = |out: &str| std::fs::read(place.path(out).join("adapter_model.safetensors")).unwrap();
    assert!(weights("whole") == weights("cut"), "the weights differ");
    assert_eq!(losses(&place, "whole"), losses(&place, "cut"));
    assert_eq!(names(&place.path("cut")), names(&place.path("whole")));
    let config = std::fs::read_to_string(place.path("cut/adapter_config.json")).unwrap();
    assert!(config.contains("\"lora_dropout\": 0.1"), "{config}");
}

#[test]
fn a_run_does_not_go_on_with_other_settings_or_data() {
    let place = Place::new();
    let words = format!("{RUN} --out cut");
    run_and_kill(&place, &words, "update 2/12");
    let error = place.fail(&format!("{words} --resume --seed 7"));
    assert!(
        error.contains("was made with seed 42 where it is 7 now"),
        "{error}"
    );
    place.write("data.jsonl", &super::run::examples(7));
    let error = place.fail(&format!("{words} --resume"));
    assert!(error.contains("was made with data "), "{error}");
}
