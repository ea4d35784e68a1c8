//! The loss by its formula, its gradient against differences of it, and that preferences are learned.

use candle_core::Device;

use super::*;
use crate::decoder::Architecture;
use crate::gguf::{Gguf, Quantization};
use crate::lora::Projection;
use crate::testing::TinyModel;
use crate::train::recompute::{Gradients, accumulate};
use crate::train::tests::assert_slope;
use crate::train::{Activations, LoraOptions, Sequence, TrainOptions, Trainer, measure};

const CPU: Device = Device::Cpu;

fn model() -> LoraModel {
    let tiny = TinyModel {
        architecture: Architecture::Qwen2,
        quantization: Quantization::Q8_0,
        seed: 31,
        tied: true,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    std::fs::write(&path, tiny.writer().to_bytes()).unwrap();
    let options = LoraOptions {
        rank: 4,
        alpha: 8.0,
        targets: Projection::ALL.to_vec(),
        dropout: 0.0,
        seed: 2,
    };
    LoraModel::load(&Gguf::open(&path).unwrap(), Some(&options), &CPU).unwrap()
}

fn sequence(prompt: &str, answer: &str) -> Sequence {
    Sequence {
        prompt: prompt.len(),
        tokens: format!("{prompt}{answer}").bytes().map(u32::from).collect(),
    }
}

fn pairs() -> Vec<Preference> {
    [
        ("a", "one", "eleven"),
        ("bcd", "two", "ten"),
        ("e", "three", "x"),
        ("fg", "f", "four"),
    ]
    .map(|(prompt, chosen, rejected)| Preference {
        chosen: sequence(prompt, chosen),
        rejected: sequence(prompt, rejected),
    })
    .to_vec()
}

fn preferences<'p>(pairs: &'p [Preference], model: &LoraModel) -> Preferences<'p> {
    // Held against their own references, every margin would be 0 at first.
    let reference = reference(model, pairs, 3, |_| {}).unwrap();
    Preferences {
        pairs,
        reference: reference.into_iter().map(|(c, r)| (c + 1.0, r - 0.5)).collect(),
        beta: 0.3,
    }
}

#[test]
fn the_loss_is_that_of_the_paper() {
    let (model, pairs) = (model(), pairs());
    let preferences = preferences(&pairs, &model);
    let tally = measure(&model, &preferences, 3, |_, _| {}).unwrap();
    // The model is its own reference but for what was added: m = 0.3 · (1 + 0.5).
    let margin: f64 = 0.45;
    let loss = (1.0 + (-margin).exp()).ln();
    assert_eq!((tally.weight, tally.preferred), (4, 4));
    assert!((tally.mean() - loss).abs() < 1e-5, "{} {loss}", tally.mean());
    assert!((tally.margin / 4.0 - margin).abs() < 1e-5);
}

#[test]
fn the_gradient_is_that_of_the_loss() {
    let (model, pairs) = (model(), pairs());
    let preferences = preferences(&pairs, &model);
    let items = [0, 1, 2, 3];
    let batch = preferences.batch(&items);
    let mut gradients = Gradients::new(&model);
    accumulate(&model, &batch, Activations::Recomputed, &mut gradients, |x| {
        preferences.loss(&model, &items, &batch, x)
    })
    .unwrap();
    assert_slope(&model, &gradients.flat().unwrap(), (3e-3, 0.01), || {
        measure(&model, &preferences, 4, |_, _| {}).unwrap().loss
    });
}

#[test]
fn preferences_are_learned() {
    let (model, pairs) = (model(), pairs());
    let objective = Preferences {
        pairs: &pairs,
        reference: reference(&model, &pairs, 2, |_| {}).unwrap(),
        beta: 0.1,
    };
    let options = TrainOptions {
        epochs: 10,
        batch: 4,
        micro_batch: 2,
        learning_rate: 5e-3,
        warmup: 0.1,
        weight_decay: 0.0,
        clip: 1.0,
        seed: 1,
        activations: Activations::Recomputed,
    };
    let mut trainer = Trainer::new(vec![model], &objective, options).unwrap();
    let first = trainer.update().unwrap().unwrap();
    assert!((first.tally.mean() - 2f64.ln()).abs() < 1e-3, "{first:?}");
    while trainer.update().unwrap().is_some() {}
    let tally = measure(trainer.model(), &objective, 4, |_, _| {}).unwrap();
    assert_eq!(tally.preferred, 4);
    assert!(tally.mean() < 0.4, "{}", tally.mean());
}
