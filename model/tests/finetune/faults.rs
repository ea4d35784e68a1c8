//! What goes wrong is said, with what to do, and leaves no half of an adapter.

use std::process::Command;

use super::run::{Place, examples, stderr};

const TRAIN: &str = "train --model tiny.gguf --data data.jsonl --out team --epochs 1";

#[test]
fn a_broken_line_is_named() {
    let place = Place::new();
    let mut lines: Vec<String> = examples(20).lines().map(str::to_owned).collect();
    lines[16] = "{\"prompt\": \"Q".to_owned();
    place.write("data.jsonl", &lines.join("\n"));
    let error = place.fail(TRAIN);
    assert!(error.contains("data.jsonl:17: this is no JSON object"), "{error}");
    assert!(error.contains("mend the line or take it out"), "{error}");
    assert!(!place.path("team").exists());
}

#[test]
fn data_without_an_example_is_refused() {
    let place = Place::new();
    place.write("data.jsonl", "\n");
    assert!(place.fail(TRAIN).contains("data.jsonl has no example"));
    place.write("data.jsonl", &examples(3));
    let error = place.fail(&format!("{TRAIN} --max-tokens 5"));
    assert!(
        error.contains("0 of 3 examples (0 twice, 3 too long, 0 refused by the check)"),
        "{error}"
    );
    assert!(error.contains("raise --max-tokens"), "{error}");
    let error = place.fail(&format!("{TRAIN} --data nowhere.jsonl"));
    assert!(error.contains("nowhere.jsonl cannot be read"), "{error}");
}

#[test]
fn a_base_that_is_not_the_adapters_is_refused() {
    let place = Place::new();
    let adapter = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/adapters/qwen2.5-coder-0.5b-bigquery"
    );
    for words in [
        "eval --model tiny.gguf --data data.jsonl --adapter",
        "merge --model tiny.gguf --out merged.gguf --adapter",
        "train --model tiny.gguf --data data.jsonl --out team --init",
    ] {
        let error = place.fail(&format!("{words} {adapter}"));
        assert!(error.contains("the adapter does not fit the model"), "{error}");
        assert!(error.contains("name the adapter's own base model"), "{error}");
    }
    assert!(!place.path("merged.gguf").exists() && !place.path("team/adapter_config.json").exists());
}

#[test]
fn a_base_that_is_no_model_is_refused() {
    let place = Place::new();
    place.write("tiny.gguf", "no model");
    assert!(place.fail(TRAIN).contains("is not a GGUF file"));
    std::fs::remove_file(place.path("tiny.gguf")).unwrap();
    assert!(place.fail(TRAIN).contains("there is no model file"));
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_without_an_adapter() {
    let place = Place::new();
    let error = place.fail(
        "train --model tiny.gguf --data data.jsonl --out team --epochs 4 --batch 4 --learning-rate 1e30",
    );
    assert!(
        error.contains("became") && error.contains("lower --learning-rate"),
        "{error}"
    );
    assert!(!place.path("team/adapter_config.json").exists());
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_said_and_leaves_no_half_of_a_file() {
    let place = Place::new();
    // No file may grow beyond 32 or 64 KB, as the shell counts.
    let script = format!(
        "trap '' XFSZ; ulimit -f 64; exec {} {TRAIN}",
        env!("CARGO_BIN_EXE_finetune")
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("checkpoint.safetensors cannot be written"),
        "{error}"
    );
    assert!(
        error.contains("free some space, or name another folder"),
        "{error}"
    );
    assert!(super::run::names(&place.path("team")).is_empty());
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_at_the_end_leaves_the_adapter_that_was_there() {
    let place = Place::new();
    place.run(&format!("{TRAIN} --rank 4"));
    let files = |place: &Place| {
        ["adapter_config.json", "adapter_model.safetensors", "README.md"]
            .map(|name| std::fs::read(place.path("team").join(name)).unwrap())
    };
    let before = files(&place);
    // A folder stands where the new adapter's last file is prepared, so that it cannot be written.
    let script = format!(
        "mkdir team/adapter_config.json.$$.tmp; exec {} {TRAIN} --rank 8 --overwrite",
        env!("CARGO_BIN_EXE_finetune")
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("adapter_config.json: ") && error.contains("free some space"),
        "{error}"
    );
    assert!(files(&place) == before, "the old adapter was touched");
    assert!(bigquill_model::lora::LoraAdapter::read(&place.path("team")).is_ok());
    // The run itself is not lost either: its last checkpoint is whole.
    let said = place.run(&format!("{TRAIN} --rank 8 --resume"));
    assert!(said.starts_with("team: "), "{said}");
    assert!(files(&place) != before, "the new adapter was not written");
}

#[test]
fn words_that_do_not_fit_are_refused_with_the_choice() {
    let place = Place::new();
    let error = place.fail(&format!("{TRAIN} --targets q_proj lm_head"));
    assert!(
        error.contains("there is no module lm_head; choose of q_proj"),
        "{error}"
    );
    let error = place.fail(&format!("{TRAIN} --device tpu"));
    assert!(error.contains("choose cpu, cuda, cuda:1 or metal"), "{error}");
    let error = place.fail(&format!("{TRAIN} --rank 0"));
    assert!(error.contains("8 to 64 are usual"), "{error}");
    let error = place.fail(&format!("{TRAIN} --preference"));
    assert!(
        error.contains("give lines with prompt, chosen and rejected"),
        "{error}"
    );
    let output = place.command("train").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
