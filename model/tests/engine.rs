//! The engine thread over tiny models: streaming, prefixes, cancelling, errors.
#![allow(clippy::unwrap_used)] // a test may panic

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bigquill_model::decoder::Architecture;
use bigquill_model::engine::{
    AdaptedEngine, AdapterChoice, DeviceChoice, Engine, EngineOptions, EngineState,
};
use bigquill_model::generate::{
    FinishReason, GenerateError, GenerateRequest, Generation, GenerationEvent, Generator, Message, Prompt,
    Role, Sampling,
};
use bigquill_model::gguf::{Quantization, Value};
use bigquill_model::lora::{LoraAdapter, LoraWeights, Projection};
use bigquill_model::testing::TinyModel;
use futures::StreamExt;
use futures::executor::block_on;
use tempfile::TempDir;

fn tiny(architecture: Architecture) -> TinyModel {
    TinyModel {
        architecture,
        quantization: Quantization::Q4_0,
        seed: 1,
        tied: false,
    }
}

fn write(folder: &TempDir, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn engine(path: &Path) -> Engine {
    Engine::start(EngineOptions {
        threads: Some(2),
        ..EngineOptions::new(path.to_owned())
    })
}

fn request(content: &str, max_tokens: usize) -> GenerateRequest {
    let message = |role, content: &str| Message {
        role,
        content: content.to_owned(),
    };
    let messages = vec![message(Role::System, "Rules."), message(Role::User, content)];
    GenerateRequest {
        prompt: Prompt { messages },
        max_tokens,
        sampling: Sampling::Greedy,
    }
}

struct Outcome {
    text: String,
    reused: usize,
    prompt: usize,
    tokens: usize,
    reason: FinishReason,
}

fn collect(generation: Generation) -> Result<Outcome, GenerateError> {
    let events: Vec<_> = block_on(generation.collect());
    let mut outcome = Outcome {
        text: String::new(),
        reused: 0,
        prompt: 0,
        tokens: 0,
        reason: FinishReason::Stop,
    };
    let mut finished = false;
    for event in events {
        assert!(!finished, "nothing follows the end");
        match event? {
            GenerationEvent::Author { .. } => {}
            GenerationEvent::Started {
                prompt_tokens,
                reused_tokens,
            } => {
                (outcome.prompt, outcome.reused) = (prompt_tokens, reused_tokens);
            }
            GenerationEvent::Text(text) => outcome.text.push_str(&text),
            GenerationEvent::Finished { reason, tokens, .. } => {
                (outcome.reason, outcome.tokens, finished) = (reason, tokens, true);
            }
        }
    }
    assert!(finished);
    Ok(outcome)
}

fn ask(engine: &Engine, request: GenerateRequest) -> Result<Outcome, GenerateError> {
    engine.generate(request).and_then(collect)
}

#[test]
fn a_kept_prefix_changes_nothing_but_the_time() {
    for architecture in [Architecture::Llama, Architecture::Qwen2] {
        let folder = TempDir::new().unwrap();
        let path = write(&folder, &tiny(architecture).writer().to_bytes());
        let engine = engine(&path);
        let table = "Tables: one, two, three. ".repeat(6);
        let first = ask(&engine, request(&format!("{table}Question: how many?"), 20)).unwrap();
        assert_eq!(first.reused, 0);
        let warm = ask(&engine, request(&format!("{table}Question: which one?"), 20)).unwrap();
        assert!(warm.reused > table.len() && warm.reused < warm.prompt);
        let again = ask(&engine, request(&format!("{table}Question: how many?"), 20)).unwrap();
        assert_eq!(again.text, first.text);
        let fresh = self::engine(&path);
        let cold = ask(&fresh, request(&format!("{table}Question: which one?"), 20)).unwrap();
        assert_eq!((cold.text, cold.tokens, cold.reused), (warm.text, warm.tokens, 0));
    }
}

#[test]
fn the_same_prompt_again_runs_one_token() {
    let folder = TempDir::new().unwrap();
    let engine = engine(&write(&folder, &tiny(Architecture::Qwen2).writer().to_bytes()));
    let first = ask(&engine, request("again", 5)).unwrap();
    let second = ask(&engine, request("again", 5)).unwrap();
    assert_eq!(second.reused, second.prompt - 1);
    assert_eq!(second.text, first.text);
}

#[test]
fn an_answer_ends_at_the_limit_and_counts_its_tokens() {
    let folder = TempDir::new().unwrap();
    let engine = engine(&write(&folder, &tiny(Architecture::Qwen2).writer().to_bytes()));
    let outcome = ask(&engine, request("count", 7)).unwrap();
    match outcome.reason {
        FinishReason::Length => assert_eq!(outcome.tokens, 7),
        FinishReason::Stop => assert!(outcome.tokens < 7),
    }
    assert_eq!(ask(&engine, request("count", 0)).unwrap().text, "");
}

#[test]
fn a_seed_repeats_its_answer() {
    let folder = TempDir::new().unwrap();
    let engine = engine(&write(&folder, &tiny(Architecture::Llama).writer().to_bytes()));
    let sampled = |seed| {
        let sampling = Sampling::Nucleus {
            temperature: 1.5,
            top_p: 0.98,
            seed,
        };
        ask(
            &engine,
            GenerateRequest {
                sampling,
                ..request("draw", 30)
            },
        )
        .unwrap()
        .text
    };
    assert_eq!(sampled(1), sampled(1));
    assert_ne!(sampled(1), sampled(2));
}

#[test]
fn a_dropped_generation_does_not_hold_up_the_next() {
    let folder = TempDir::new().unwrap();
    let engine = engine(&write(&folder, &tiny(Architecture::Qwen2).writer().to_bytes()));
    let mut running = engine.generate(request("first", 400)).unwrap();
    let queued = engine.generate(request("nobody waits for this", 400)).unwrap();
    assert!(matches!(
        block_on(running.next()),
        Some(Ok(GenerationEvent::Author { .. }))
    ));
    assert!(matches!(
        block_on(running.next()),
        Some(Ok(GenerationEvent::Started { .. }))
    ));
    drop(running);
    drop(queued);
    // What the first run computed before it was dropped is kept, and is right.
    let next = ask(&engine, request("first", 10)).unwrap();
    assert!(next.tokens <= 10);
}

#[test]
fn a_prompt_that_does_not_fit_is_refused() {
    let folder = TempDir::new().unwrap();
    let engine = engine(&write(&folder, &tiny(Architecture::Qwen2).writer().to_bytes()));
    let refused = ask(&engine, request(&"long ".repeat(200), 10));
    assert!(matches!(
        refused,
        Err(GenerateError::ContextFull { context: 512, .. })
    ));
    assert!(ask(&engine, request("short", 3)).is_ok());
}

#[test]
fn the_engine_tells_what_it_runs() {
    let folder = TempDir::new().unwrap();
    let engine = engine(&write(&folder, &tiny(Architecture::Llama).writer().to_bytes()));
    let info = engine.wait().unwrap();
    assert_eq!(
        (info.name.as_str(), info.architecture),
        ("tiny", Architecture::Llama)
    );
    assert_eq!(
        (info.quantization, info.context, info.adapter.clone()),
        (Quantization::Q4_0, 512, None)
    );
    assert_eq!(info.device, "CPU, 2 threads");
    assert_eq!(engine.state(), EngineState::Ready(info));
    assert_eq!(engine.count_tokens("four"), 4);
}

/// The text that every request gets, and the engine's state says.
fn failure(path: PathBuf, change: impl FnOnce(&mut EngineOptions)) -> String {
    let mut options = EngineOptions::new(path);
    change(&mut options);
    let engine = Engine::start(options);
    let Err(GenerateError::Unavailable(first)) = ask(&engine, request("queued before it failed", 5)) else {
        panic!("a request is refused");
    };
    let Err(GenerateError::Unavailable(later)) = ask(&engine, request("after it failed", 5)) else {
        panic!("a request is refused");
    };
    assert_eq!(engine.state(), EngineState::Failed(first.clone()));
    assert_eq!(first, later);
    assert!(engine.count_tokens("text") > 0);
    first
}

#[test]
fn a_model_that_cannot_be_loaded_says_why_to_every_request() {
    let folder = TempDir::new().unwrap();
    let missing = failure(folder.path().join("none.gguf"), |_| ());
    assert!(
        missing.contains("there is no model file") && missing.contains("bigquill model pull"),
        "{missing}"
    );

    let whole = tiny(Architecture::Qwen2).writer().to_bytes();
    let truncated = failure(write(&folder, &whole[..whole.len() - 1000]), |_| ());
    assert!(
        truncated.contains("truncated") && truncated.contains("fetch the model again"),
        "{truncated}"
    );

    let foreign = failure(write(&folder, b"<html>not a model</html>"), |_| ());
    assert!(foreign.contains("is not a GGUF file"), "{foreign}");

    let mut other = tiny(Architecture::Qwen2).writer();
    other.set("general.architecture", Value::String("gpt2".to_owned()));
    let other = failure(write(&folder, &other.to_bytes()), |_| ());
    assert!(
        other.contains("architecture gpt2") && other.contains("qwen2"),
        "{other}"
    );

    let good = write(&folder, &whole);
    let adapter = failure(good.clone(), |options| {
        options.adapter = AdapterChoice::Path(folder.path().join("none"))
    });
    assert!(adapter.contains("adapter_config.json"), "{adapter}");

    #[cfg(not(feature = "cuda"))]
    {
        let cuda = failure(good, |options| options.device = DeviceChoice::Cuda);
        assert!(
            cuda.contains("cuda cannot be used") && cuda.contains("--features cuda"),
            "{cuda}"
        );
    }
}

/// Writes an adapter whose numbers the seed decides.
fn write_adapter(folder: &Path, seed: usize) {
    let numbers = |count: usize, seed: usize| -> Vec<f32> {
        (0..count)
            .map(|n| ((n * 7919 + seed * 104_729) % 1009) as f32 / 1009.0 - 0.5)
            .collect()
    };
    let modules = (0..2).map(|layer| {
        let weights = LoraWeights {
            rank: 4,
            a: numbers(4 * 256, seed + layer),
            b: numbers(4 * 256, seed + layer + 50),
            scale: 2.0,
        };
        (layer, Projection::Query, weights)
    });
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    LoraAdapter::new(name, modules).write(folder, "tiny", "").unwrap();
}

/// What is answered, by which adapter (its name), and what is remarked.
fn told(engine: &AdaptedEngine) -> (String, Option<String>, Option<String>) {
    let generation = engine
        .generate(request("Tables: one, two. Question: how many?", 16))
        .unwrap();
    let (mut text, mut name, mut said) = (String::new(), None, None);
    for event in block_on(generation.collect::<Vec<_>>()) {
        match event.unwrap() {
            GenerationEvent::Author { author, remark } => {
                assert_eq!(author.model, "tiny");
                name = author
                    .adapter
                    .map(|adapter| adapter.split('@').next().unwrap().to_owned());
                said = remark;
            }
            GenerationEvent::Text(piece) => text.push_str(&piece),
            _ => {}
        }
    }
    (text, name, said)
}

#[test]
fn several_adapters_share_a_base_and_leave_it_as_it_is() {
    let folder = TempDir::new().unwrap();
    let engine = Arc::new(engine(&write(
        &folder,
        &tiny(Architecture::Llama).writer().to_bytes(),
    )));
    let choices = ["one", "two"].map(|name| {
        let path = folder.path().join(name);
        write_adapter(&path, name.len() + usize::from(name == "two") * 17);
        AdapterChoice::Path(path)
    });
    let [one, two] = choices.clone().map(|choice| engine.with_adapter(choice));
    let base = engine.with_adapter(AdapterChoice::None);
    let first = [&base, &one, &two].map(told);
    assert_eq!(
        first.clone().map(|(_, name, _)| name),
        [None, Some("one".to_owned()), Some("two".to_owned())]
    );
    assert!(
        first[0].0 != first[1].0 && first[1].0 != first[2].0 && first[0].0 != first[2].0,
        "{first:?}"
    );
    // In another order, with what was kept of the questions before.
    assert_eq!(
        [&two, &base, &one].map(told),
        [first[2].clone(), first[0].clone(), first[1].clone()]
    );
    // An engine that never knew another one says the same.
    let alone = Arc::new(Engine::start(EngineOptions {
        adapter: choices[1].clone(),
        threads: Some(2),
        ..EngineOptions::new(folder.path().join("model.gguf"))
    }));
    assert_eq!(alone.wait().unwrap().adapter.as_deref(), Some("two"));
    assert_eq!(told(&alone.with_adapter(choices[1].clone())), first[2]);
}

#[test]
fn an_adapter_is_taken_up_when_it_comes_and_when_it_changes() {
    let folder = TempDir::new().unwrap();
    let engine = Arc::new(engine(&write(
        &folder,
        &tiny(Architecture::Llama).writer().to_bytes(),
    )));
    let path = folder.path().join("team");
    let team = engine.with_adapter(AdapterChoice::Path(path.clone()));
    let base = told(&engine.with_adapter(AdapterChoice::None));
    let (text, name, remark) = told(&team);
    assert_eq!((text, name), (base.0.clone(), None));
    let remark = remark.unwrap();
    assert!(
        remark.contains("There is no adapter in") && remark.contains("team yet"),
        "{remark}"
    );

    write_adapter(&path, 3);
    let first = told(&team);
    assert_eq!((first.1.as_deref(), first.2.clone()), (Some("team"), None));
    assert_ne!(first.0, base.0);

    // While it is written anew there is no configuration.
    let config = std::fs::read(path.join("adapter_config.json")).unwrap();
    std::fs::remove_file(path.join("adapter_config.json")).unwrap();
    assert_eq!(told(&team), first);
    write_adapter(&path, 20);
    let second = told(&team);
    assert!(second.0 != first.0 && second.2.is_none(), "{second:?}");

    // What cannot be used leaves the one before in its place.
    let refused = String::from_utf8(config)
        .unwrap()
        .replace("\"use_dora\": false", "\"use_dora\": true");
    std::fs::write(path.join("adapter_config.json"), refused).unwrap();
    let (text, name, remark) = told(&team);
    assert_eq!((text, name.as_deref()), (second.0.clone(), Some("team")));
    let remark = remark.unwrap();
    assert!(
        remark.contains("uses DoRA") && remark.contains("was there before answers"),
        "{remark}"
    );

    write_adapter(&path, 3);
    assert_eq!(told(&team), first);
}
