//! From data to an adapter that says what was learned.

use bigquill_model::lora::LoraAdapter;
use serde_json::Value;

use super::run::{Place, names};

const HEART: &str = "train --model tiny.gguf --data data.jsonl --out team --epochs 40 --batch 4 --rank 8 \
    --learning-rate 1e-2 --seed 1";

#[test]
fn an_adapter_is_trained_measured_and_described() {
    let place = Place::new();
    let said = place.run(&format!("{HEART} --eval-data data.jsonl"));
    assert!(said.starts_with("team: loss of the last updates 0."), "{said}");
    assert!(
        said.contains("held-out loss 0.0") && said.contains("8 of 8 answers exact"),
        "{said}"
    );
    assert_eq!(
        names(&place.path("team")),
        [
            "README.md",
            "adapter_config.json",
            "adapter_model.safetensors",
            "metrics.jsonl"
        ]
    );
    let adapter = LoraAdapter::read(&place.path("team")).unwrap();
    assert_eq!(adapter.name, "team");
    assert_eq!(adapter.modules().count(), 14);
    let measured = place.run("eval --model tiny.gguf --adapter team --data data.jsonl");
    assert!(measured.contains("exact answers: 8 of 8"), "{measured}");
    let base = place.run("eval --model tiny.gguf --data data.jsonl --limit 4");
    assert!(base.contains("exact answers: 0 of 4"), "{base}");
    let card = std::fs::read_to_string(place.path("team/README.md")).unwrap();
    for part in [
        "base_model: \"tiny\"",
        "trained on: data.jsonl: 8 of 8 examples",
        "| rank | 8 |",
        "| held-out | loss 0.0",
        "    finetune train --model tiny.gguf --data data.jsonl",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    check_metrics(&std::fs::read_to_string(place.path("team/metrics.jsonl")).unwrap());
}

fn check_metrics(text: &str) {
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (updates, measured): (Vec<&Value>, Vec<&Value>) =
        lines.iter().partition(|line| line.get("loss").is_some());
    assert_eq!((updates.len(), measured.len()), (80, 40));
    assert_eq!(updates[79]["step"], 80);
    let first = updates[0]["loss"].as_f64().unwrap();
    let last = updates[79]["loss"].as_f64().unwrap();
    assert!(first > 10.0 * last, "{first} {last}");
    assert!(measured[39]["held_out_loss"].as_f64().unwrap() < 0.1);
}

#[test]
fn a_plan_changes_nothing() {
    let place = Place::new();
    let plan = place.run(&format!("{HEART} --plan"));
    for part in [
        "8 of 8 examples (0 twice, 0 too long, 0 refused by the check)",
        "rank 8, alpha 16",
        "updates   80 of 4 examples (4 at once, 0.8 % padding), 40 epochs, learning rate 0.01",
        "memory    about",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    assert!(!place.path("team").exists());
}

#[test]
fn what_a_folder_holds_is_not_replaced_unasked() {
    let place = Place::new();
    let words = "train --model tiny.gguf --data data.jsonl --out team --epochs 1";
    place.run(words);
    let error = place.fail(words);
    assert!(
        error.contains("holds an adapter already; name another --out, or give --overwrite"),
        "{error}"
    );
    place.run(&format!("{words} --overwrite"));
    let said = place.run(&format!("{words} --resume"));
    assert!(said.contains("is finished"), "{said}");
}

#[test]
fn an_adapter_is_where_another_begins() {
    let place = Place::new();
    place.run(HEART);
    let words =
        "train --model tiny.gguf --data data.jsonl --epochs 1 --rank 8 --learning-rate 1e-9 --out next";
    place.run(&format!("{words} --init team"));
    let measured = place.run("eval --model tiny.gguf --adapter next --data data.jsonl");
    assert!(measured.contains("exact answers: 8 of 8"), "{measured}");
    let error = place.fail(&format!("{words}-2 --init team --targets q_proj"));
    assert!(error.contains("does not fit the model"), "{error}");
}

#[test]
fn preferences_are_trained() {
    let place = Place::new();
    place.write(
        "pairs.jsonl",
        "{\"prompt\": \"a\", \"chosen\": \"SELECT 1\", \"rejected\": \"SELECT two\"}\n\
         {\"prompt\": \"b\", \"chosen\": \"SELECT three\", \"rejected\": \"SELECT 4\"}\n",
    );
    let words =
        "train --model tiny.gguf --data pairs.jsonl --preference --out team --epochs 20 --learning-rate 5e-3";
    let said = place.run(words);
    let loss = said.split("loss of the last updates ").nth(1).unwrap();
    let loss: f64 = loss.split(',').next().unwrap().parse().unwrap();
    assert!(loss < 0.6, "{said}");
    let metrics = std::fs::read_to_string(place.path("team/metrics.jsonl")).unwrap();
    let first: Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
    assert!(
        (first["loss"].as_f64().unwrap() - 2f64.ln()).abs() < 1e-3,
        "{first}"
    );
}

#[test]
fn data_is_shown_as_the_model_sees_it() {
    let place = Place::new();
    let said = place.run("data inspect --model tiny.gguf --data data.jsonl --examples 2");
    for part in [
        "8 of 8 examples (0 twice, 0 too long, 0 refused by the check)",
        "    0-63         8",
        "% of what is computed, 4 at once of updates of 16",
        "<|im_start|>user\nQ0<|im_end|>\n<|im_start|>assistant\n",
        "--- learned\nSELECT 0<|im_end|>\n",
        "Q4",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("Q1"), "{said}");
}
