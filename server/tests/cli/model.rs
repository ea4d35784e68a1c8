//! Model files that cannot be used: one clear message each.

use super::{Place, fixture};

/// A GGUF with one entry of metadata and no tensor.
fn gguf(architecture: &str) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    for (text, kind) in [("general.architecture", Some(8_u32)), (architecture, None)] {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend(kind.map(u32::to_le_bytes).into_iter().flatten());
    }
    bytes
}

fn ask(place: &Place, model: &str) -> super::Run {
    let catalog = fixture("catalogs/shop.json");
    place
        .run(&[
            "ask",
            "how many customers?",
            "--catalog",
            &catalog,
            "--model",
            model,
        ])
        .expect(2)
}

#[test]
fn files_that_are_no_model_are_named_with_the_reason() {
    let place = Place::new();
    place.write("foreign.gguf", gguf("bert"));
    place.write("cut.gguf", &gguf("qwen2")[..30]);
    place.write("text.gguf", "SELECT 1");
    for (file, reason) in [
        ("foreign.gguf", "bert"),
        ("cut.gguf", "cut.gguf"),
        ("text.gguf", "GGUF"),
        ("missing.gguf", "missing.gguf"),
    ] {
        let run = ask(&place, file);
        assert!(run.stderr.contains(reason), "{file}: {}", run.stderr);
        assert!(!run.stderr.contains("panicked"), "{file}: {}", run.stderr);
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn an_unknown_model_is_answered_with_the_known_ones() {
    let place = Place::new();
    let run = ask(&place, "qwen3-magnum");
    assert!(
        run.stderr.contains("qwen3-magnum") && run.stderr.contains("qwen2.5-coder-0.5b"),
        "{}",
        run.stderr
    );
    let run = place.run(&["model", "pull", "qwen3-magnum"]).expect(2);
    assert!(run.stderr.contains("qwen2.5-coder-0.5b"), "{}", run.stderr);
}

#[test]
fn the_list_tells_what_is_there() {
    let place = Place::new();
    let run = place.run(&["model", "list"]).expect(0);
    for name in ["qwen2.5-coder-0.5b", "mistral-7b", "smollm2-135m"] {
        assert!(run.stdout.contains(name), "{}", run.stdout);
    }
    place.run(&["model", "verify"]).expect(1);
}
