//! What is written for TRL, and that it says what would be trained here.

use bigquill_model::gguf::Gguf;
use bigquill_model::tokenizer::Tokenizer;
use bigquill_model::train::Sequence;
use bigquill_model::train::data::{Catalogs, Preparer, read};

use super::run::{Place, examples, names};

const EXPORT: &str = "export --to trl --model tiny.gguf --base ORG/tiny --data data.jsonl --out trl";

/// The token sequences that our own reader makes of a file.
fn tokens(place: &Place, file: &str) -> Vec<Sequence> {
    let gguf = Gguf::open(&place.path("tiny.gguf")).unwrap();
    let tokenizer = Tokenizer::from_gguf(&gguf).unwrap();
    let preparer = Preparer {
        tokenizer: &tokenizer,
        budget: 1000,
        max_tokens: 500,
        answer_tables: true,
    };
    let examples = read(&place.path(file), &Catalogs::default()).unwrap();
    preparer.prepare(&examples).unwrap().completions().unwrap()
}

fn text(place: &Place, file: &str) -> String {
    std::fs::read_to_string(place.path(file)).unwrap()
}

#[test]
fn trl_is_given_data_settings_and_lines_that_start_it() {
    let place = Place::new();
    let said = place.run(&format!(
        "{EXPORT} --gpus 4 --machines 2 --batch 64 --rank 8 --learning-rate 1e-5"
    ));
    assert!(said.starts_with("trl: 8 of 8 examples"), "{said}");
    assert_eq!(
        names(&place.path("trl")),
        [
            "README.md",
            "chat_template.jinja",
            "config.yaml",
            "data",
            "ray_train.py",
            "train.py"
        ]
    );
    assert_eq!(
        tokens(&place, "trl/data/train.jsonl"),
        tokens(&place, "data.jsonl")
    );
    let config = text(&place, "trl/config.yaml");
    for line in [
        "model_name_or_path: \"ORG/tiny\"\n",
        "lora_r: 8\nlora_alpha: 16\nlora_dropout: 0.0\n",
        "per_device_train_batch_size: 4\n",
        "gradient_accumulation_steps: 2\n",
        "learning_rate: 0.00001\n",
        "warmup_steps: 0.03\n",
        "eval_strategy: \"no\"\n",
        "completion_only_loss: true\n",
    ] {
        assert!(config.contains(line), "{line}: {config}");
    }
    let readme = text(&place, "trl/README.md");
    for part in [
        "An update has 64 examples: 4 at once on each GPU (8 in all), 2 times",
        "--num_machines 2 --num_processes 8 --machine_rank RANK",
        "python ray_train.py 8",
        "`trl sft --config config.yaml`",
        "finetune eval --model tiny.gguf --adapter trl/adapter",
    ] {
        assert!(readme.contains(part), "{part}: {readme}");
    }
    let error = place.fail(EXPORT);
    assert!(error.contains("holds an export already"), "{error}");
}

#[test]
fn held_out_examples_and_an_adapter_to_begin_with_go_along() {
    let place = Place::new();
    place.write("held-out.jsonl", &examples(3));
    place.run("train --model tiny.gguf --data data.jsonl --out team --epochs 1 --rank 8");
    place.run(&format!(
        "{EXPORT} --eval-data held-out.jsonl --adapter team --rank 8"
    ));
    assert_eq!(
        tokens(&place, "trl/data/test.jsonl"),
        tokens(&place, "held-out.jsonl")
    );
    assert_eq!(
        names(&place.path("trl/start")),
        ["adapter_config.json", "adapter_model.safetensors"]
    );
    assert!(text(&place, "trl/config.yaml").contains("eval_strategy: \"epoch\"\n"));
    assert!(text(&place, "trl/README.md").contains("`start/` holds the adapter"));
}

#[test]
fn preferences_are_exported_for_dpo_and_forms_are_not_mixed() {
    let place = Place::new();
    let pair = "{\"prompt\": \"a\", \"chosen\": \"SELECT 1\", \"rejected\": \"SELECT two\"}\n";
    place.write("data.jsonl", pair);
    place.run(&format!("{EXPORT} --preference --beta 0.2"));
    assert_eq!(
        text(&place, "trl/data/train.jsonl"),
        "{\"prompt\":\"a\",\"chosen\":\"SELECT 1\",\"rejected\":\"SELECT two\"}\n"
    );
    let config = text(&place, "trl/config.yaml");
    assert!(
        config.contains("beta: 0.2\n") && !config.contains("completion_only_loss"),
        "{config}"
    );
    let mixed = format!("{}{{\"prompt\": \"a\", \"completion\": \"b\"}}\n", examples(1));
    place.write("data.jsonl", &mixed);
    let error = place.fail(&format!("{EXPORT}-2"));
    assert!(error.contains("TRL takes one form"), "{error}");
    assert!(!place.path("trl-2/config.yaml").exists());
}
