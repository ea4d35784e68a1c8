//! How sure figures are, two adapters side by side, and what is kept of a run.

use std::path::Path;

use serde_json::Value;

use super::run::{Place, examples, names};

const HEART: &str =
    "train --model tiny.gguf --data data.jsonl --epochs 40 --batch 4 --rank 8 --learning-rate 1e-2 --seed 1";

#[test]
fn two_adapters_are_compared_in_pairs() {
    let place = Place::new();
    place.run(&format!("{HEART} --out team"));
    let said = place.run("eval --model tiny.gguf --adapter team --against base --data data.jsonl");
    for part in [
        "team: exact answers: 8 of 8 (100.0 %; 95 %: 67.6 to 100.0 %)",
        "base: exact answers: 0 of 8 (0.0 %; 95 %: 0.0 to 32.4 %)",
        "team against base: +100.0 points exact",
        "only the first right in 8, only the second in 0",
        "McNemar p = 0.008",
        "team is better",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // Adapters of several ranks are measured as they are served.
    mix_ranks(&place.path("team"));
    let said = place.run("eval --model tiny.gguf --adapter team --data data.jsonl");
    assert!(said.contains("exact answers: 8 of 8"), "{said}");
}

/// Gives one module of layer 0 twice the rank, with zeros, and twice the alpha: the same function.
fn mix_ranks(folder: &Path) {
    use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
    let path = folder.join("adapter_model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let module = "model.layers.0.self_attn.q_proj";
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = SafeTensors::deserialize(&bytes)
        .unwrap()
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let (mut shape, mut data) = (view.shape().to_vec(), view.data().to_vec());
            if name.contains(module) && name.contains("lora_A") {
                shape[0] *= 2;
                data.resize(2 * data.len(), 0);
            } else if name.contains(module) {
                let rows = data.chunks(shape[1] * 4);
                data = rows
                    .flat_map(|row| [row.to_vec(), vec![0; row.len()]].concat())
                    .collect();
                shape[1] *= 2;
            }
            (name, shape, data)
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, shape, data)| (name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    std::fs::write(&path, serialize(views, None).unwrap()).unwrap();
    let path = folder.join("adapter_config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["rank_pattern"] = serde_json::json!({ module: 16 });
    config["alpha_pattern"] = serde_json::json!({ module: 32 });
    std::fs::write(&path, config.to_string()).unwrap();
}

#[test]
fn a_plan_tells_what_so_many_examples_show() {
    let place = Place::new();
    place.write("more.jsonl", &examples(300));
    let words = "eval --model tiny.gguf --data data.jsonl more.jsonl --plan --difference 10 --differing 30";
    let said = place.run(words);
    for part in [
        "base: loss and exact answers on 300 examples",
        "to see 10 points between two adapters with 80 % probability",
        "234 examples",
        "data.jsonl: 8 examples; a share is known to ± 28.5 points at most; too few to compare two adapters",
        "all: 300 examples",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said = place.run(&format!("{words} --limit 20"));
    assert!(said.contains("all: 20 examples"), "{said}");
    let error = place.fail(&words.replace("30", "0"));
    assert!(error.contains("--differing between 0 and 100"), "{error}");
}

/// The values of a key in the metrics, by line.
fn metrics(place: &Place, out: &str, key: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(place.path(out).join("metrics.jsonl")).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| line[key].as_f64()).collect()
}

#[test]
fn the_best_epoch_is_kept() {
    let place = Place::new();
    // Learned by heart, then other answers to the same questions are measured: the loss falls and rises again.
    place.write("other.jsonl", &examples(8).replace("SELECT ", "SELECT 1"));
    let words =
        format!("{HEART} --epochs 12 --eval-data other.jsonl --dashboard runs").replace("--epochs 40 ", "");
    let said = place.run(&format!("{words} --keep-best loss --out best"));
    let losses = metrics(&place, "best", "held_out_loss");
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let epoch = losses.iter().position(|loss| *loss == least).unwrap() + 1;
    assert!((1..12).contains(&epoch), "{losses:?}");
    assert!(said.contains(&format!("epoch that is kept {epoch}")), "{said}");
    assert!(said.contains(&format!("held-out loss {least:.4}")), "{said}");
    let measured = place.run("eval --model tiny.gguf --adapter best --data other.jsonl --no-answers");
    assert!(
        measured.contains(&format!("mean loss {least:.4}")),
        "{measured} {losses:?}"
    );
    let plan = place.run(&format!("{words} --keep-best last --plan --out none"));
    assert!(plan.contains("kept      the last epoch"), "{plan}");
    let files = names(&place.path("runs/best"));
    assert!(files.len() == 1 && files[0].contains("tfevents"), "{files:?}");
    // Without a word, answers decide.
    let plan = place.run(&format!("{words} --plan --out none"));
    assert!(
        plan.contains("the epoch with most exact answers to 8 held-out examples"),
        "{plan}"
    );
    let short = words.replace("--epochs 12", "--epochs 2");
    let said = place.run(&format!("{short} --out answers --eval-answers 4"));
    assert!(said.contains("of 4 answers exact"), "{said}");
    let error = place.fail(&format!("{HEART} --out none --keep-best loss"));
    assert!(error.contains("needs held-out examples"), "{error}");
}
