//! The head's gradient against differences of the loss, and that numbers are learned, kept and read.

use super::*;
use crate::decoder::Architecture;
use crate::gguf::{Gguf, Quantization};
use crate::lora::{AdapterAbout, LoraAdapter, Projection};
use crate::testing::TinyModel;
use crate::train::recompute::{Gradients, accumulate};
use crate::train::tests::assert_slope;
use crate::train::{Activations, LoraOptions, TrainOptions, Trainer, measure, parameters};

const CPU: Device = Device::Cpu;

fn gguf() -> Gguf {
    let tiny = TinyModel {
        architecture: Architecture::Llama,
        quantization: Quantization::Q8_0,
        seed: 61,
        tied: true,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    std::fs::write(&path, tiny.writer().to_bytes()).unwrap();
    Gguf::open(&path).unwrap()
}

fn model(gguf: &Gguf) -> LoraModel {
    let options = LoraOptions {
        rank: 4,
        alpha: 8.0,
        targets: Projection::ALL.to_vec(),
        dropout: 0.0,
        seed: 2,
    };
    let mut model = LoraModel::load(gguf, Some(&options), &CPU).unwrap();
    model.add_score_head().unwrap();
    model
}

/// Texts of different lengths whose number is that of their first letter.
fn data() -> (Vec<Sequence>, Vec<f64>) {
    let one = |n: usize| {
        let text = format!("{}{}", ["a", "b", "c", "d"][n % 4], "x".repeat(n / 4 + 1));
        let tokens: Vec<u32> = text.bytes().map(u32::from).collect();
        let sequence = Sequence {
            prompt: tokens.len(),
            tokens,
        };
        (sequence, [-1.2, -0.4, 0.4, 3.0][n % 4])
    };
    (0..12).map(one).unzip()
}

#[test]
fn gradients_are_those_of_the_loss_with_and_without_recomputation() {
    let model = model(&gguf());
    let (texts, targets) = data();
    let objective = Regression {
        texts: &texts,
        targets: &targets,
    };
    let weights: Vec<f32> = (0..256)
        .map(|i| ((i * 37 % 101) as f32 - 50.0) / 2000.0)
        .collect();
    model.set_score_weights(&weights).unwrap();
    let read = model.score_weights().unwrap().unwrap();
    assert!(weights.iter().zip(&read).all(|(a, b)| (a - b).abs() < 1e-7));
    // B other than 0, for A to have a gradient.
    let start = parameters::flat(&model).unwrap();
    let start = (start + 0.01).unwrap();
    parameters::set_flat(&model, &start).unwrap();
    let items: Vec<usize> = (0..texts.len()).collect();
    let batch = objective.batch(&items);
    let gradient = |activations| -> Tensor {
        let mut gradients = Gradients::new(&model);
        accumulate(&model, &batch, activations, &mut gradients, |x| {
            objective.loss(&model, &items, &batch, x)
        })
        .unwrap();
        gradients.flat().unwrap()
    };
    let recomputed = gradient(Activations::Recomputed);
    let kept: Vec<f32> = gradient(Activations::Kept).to_vec1().unwrap();
    assert_eq!(recomputed.to_vec1::<f32>().unwrap(), kept);
    assert_slope(&model, &recomputed, (1e-3, 0.02), || {
        measure(&model, &objective, 12, |_, _| {}).unwrap().loss
    });
}

#[test]
fn numbers_are_learned_and_come_back_from_the_folder() {
    let gguf = gguf();
    let (texts, targets) = data();
    let objective = Regression {
        texts: &texts,
        targets: &targets,
    };
    let options = TrainOptions {
        epochs: 20,
        batch: 6,
        micro_batch: 3,
        learning_rate: 5e-3,
        warmup: 0.1,
        weight_decay: 0.0,
        clip: 1.0,
        seed: 1,
        activations: Activations::Recomputed,
    };
    let mut trainer = Trainer::new(vec![model(&gguf)], &objective, options).unwrap();
    let before = predict(trainer.model(), &texts, 5, |_| {}).unwrap();
    assert_eq!(before, vec![0.0; 12]);
    while trainer.update().unwrap().is_some() {}
    let after = predict(trainer.model(), &texts, 5, |_| {}).unwrap();
    let off = after.iter().zip(&targets).map(|(a, b)| (a - b).abs());
    let off = off.fold(0.0, f64::max);
    assert!(off < 0.5, "{after:?}");
    // One by one, with nothing padded.
    let alone = predict(trainer.model(), &texts, 1, |_| {}).unwrap();
    assert!(after.iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-4));

    let folder = tempfile::tempdir().unwrap();
    let score = trainer.model().score_weights().unwrap().unwrap();
    let about = AdapterAbout {
        base: "tiny",
        card: "",
        score: Some(&score),
        metadata: &[("mean", "7".to_owned())],
        ..AdapterAbout::default()
    };
    trainer
        .adapter("price")
        .unwrap()
        .write(folder.path(), &about)
        .unwrap();
    let refused = LoraAdapter::read(folder.path()).unwrap_err().to_string();
    assert!(
        refused.contains("`finetune regress --predict` applies it"),
        "{refused}"
    );
    let (adapter, score) = LoraAdapter::read_regression(folder.path()).unwrap();
    let mut served = LoraModel::load_adapter(&gguf, &adapter, &CPU).unwrap();
    served.add_score_head().unwrap();
    served.set_score_weights(&score.weights).unwrap();
    assert_eq!(score.metadata["mean"], "7");
    let read = predict(&served, &texts, 5, |_| {}).unwrap();
    assert!(after.iter().zip(&read).all(|(a, b)| (a - b).abs() < 1e-5));
}
