//! The whole model on tiny weights: the serving decoder's logits, recomputation, and that every parameter learns.

use candle_core::{Device, Tensor};

use super::recompute::{Gradients, accumulate};
use super::*;
use crate::decoder::{Architecture, Decoder, Logits, Placement};
use crate::gguf::{Gguf, Quantization};
use crate::lora::AdapterAbout;
use crate::lora::Projection;
use crate::testing::TinyModel;

const CPU: Device = Device::Cpu;

fn tiny(architecture: Architecture) -> Gguf {
    let model = TinyModel {
        architecture,
        quantization: Quantization::Q4_K,
        seed: 11,
        tied: architecture == Architecture::Llama,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    std::fs::write(&path, model.writer().to_bytes()).unwrap();
    Gguf::open(&path).unwrap()
}

fn options() -> LoraOptions {
    LoraOptions {
        rank: 4,
        alpha: 8.0,
        targets: Projection::ALL.to_vec(),
        dropout: 0.0,
        seed: 5,
    }
}

fn sequence(length: u32, prompt: usize, step: u32) -> Sequence {
    Sequence {
        tokens: (0..length).map(|i| (i * step + 3) % 257).collect(),
        prompt,
    }
}

fn batch() -> Batch {
    Batch::new(&[sequence(13, 6, 7), sequence(9, 4, 31)])
}

/// Gives B numbers other than zero, so that the pairs change the answer.
fn shake(model: &LoraModel) {
    let mut random = crate::random::Random::new(17, "shake");
    for pair in model.pairs() {
        let count = pair.b.elem_count();
        let values: Vec<f32> = (0..count).map(|_| random.uniform(0.2)).collect();
        let b = Tensor::from_vec(values, pair.b.shape().clone(), &CPU).unwrap();
        pair.b.set(&b).unwrap();
    }
}

fn gradients(model: &LoraModel, batch: &Batch, activations: Activations) -> (f32, Gradients) {
    let mut gradients = Gradients::new(model);
    let loss = accumulate(model, batch, activations, &mut gradients, |x| {
        let loss = model.losses(x, batch)?.mean_all()?;
        let value = loss.to_scalar::<f32>()?;
        Ok((loss, value))
    });
    (loss.unwrap(), gradients)
}

#[test]
fn logits_are_those_of_the_serving_decoder() {
    for architecture in [Architecture::Llama, Architecture::Qwen2] {
        let gguf = tiny(architecture);
        let model = LoraModel::load(&gguf, Some(&options()), &CPU).unwrap();
        let batch = batch();
        for changed in [false, true] {
            if changed {
                shake(&model);
            }
            let adapter = model.adapter("test").unwrap();
            let placement = Placement::Tensors(CPU);
            let mut decoder = Decoder::load(&gguf, Some(&adapter), &placement).unwrap();
            let ours = model.logits(&batch).unwrap();
            for (index, sequence) in [sequence(13, 6, 7), sequence(9, 4, 31)].iter().enumerate() {
                let mut cache = decoder.cache().unwrap();
                let served = decoder
                    .forward(&sequence.tokens, &mut cache, Logits::All)
                    .unwrap();
                let ours = ours
                    .get(index)
                    .unwrap()
                    .narrow(0, 0, sequence.tokens.len())
                    .unwrap();
                let ours: Vec<f32> = ours.flatten_all().unwrap().to_vec1().unwrap();
                let most = served.iter().fold(0f32, |most, x| most.max(x.abs()));
                let off = ours
                    .iter()
                    .zip(&served)
                    .fold(0f32, |off, (a, b)| off.max((a - b).abs()));
                // The served product rounds activations to 8 bits.
                assert!(off < 0.06 * most, "{architecture:?}: {off} of {most}");
            }
        }
    }
}

/// With and without dropout.
fn models(architecture: Architecture) -> [LoraModel; 2] {
    [0.0, 0.2].map(|dropout| {
        let options = LoraOptions { dropout, ..options() };
        let model = LoraModel::load(&tiny(architecture), Some(&options), &CPU).unwrap();
        shake(&model);
        model
    })
}

#[test]
fn recomputed_gradients_are_those_of_kept_activations_bit_for_bit() {
    for model in [Architecture::Llama, Architecture::Qwen2]
        .map(models)
        .iter()
        .flatten()
    {
        let batch = batch().with_noise(7);
        let (kept_loss, kept) = gradients(model, &batch, Activations::Kept);
        let (loss, recomputed) = gradients(model, &batch, Activations::Recomputed);
        assert_eq!(kept_loss.to_bits(), loss.to_bits());
        let bits = |gradients: &Gradients| -> Vec<u32> {
            let flat: Vec<f32> = gradients.flat().unwrap().to_vec1().unwrap();
            flat.into_iter().map(f32::to_bits).collect()
        };
        assert_eq!(bits(&kept), bits(&recomputed));
    }
}

#[test]
fn dropout_is_another_function_for_each_seed_and_none_in_measuring() {
    let [plain, dropping] = models(Architecture::Qwen2);
    let loss = |model: &LoraModel, batch: Batch| gradients(model, &batch, Activations::Recomputed).0;
    assert_eq!(
        loss(&plain, batch()).to_bits(),
        loss(&dropping, batch()).to_bits()
    );
    assert_eq!(
        loss(&plain, batch()).to_bits(),
        loss(&plain, batch().with_noise(1)).to_bits()
    );
    let (one, other) = (
        loss(&dropping, batch().with_noise(1)),
        loss(&dropping, batch().with_noise(2)),
    );
    assert!(one != other && one != loss(&plain, batch()), "{one} {other}");
}

#[test]
fn gradients_are_those_of_the_loss() {
    for model in [Architecture::Llama, Architecture::Qwen2]
        .map(models)
        .iter()
        .flatten()
    {
        let batch = batch().with_noise(7);
        let (_, gradients) = gradients(model, &batch, Activations::Recomputed);
        assert_slope(model, &gradients.flat().unwrap(), (1e-3, 0.01), || {
            let x = model.hidden(&batch).unwrap();
            let losses: Vec<f32> = model.losses(&x, &batch).unwrap().to_vec1().unwrap();
            losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / losses.len() as f64
        });
    }
}

/// Along the gradient the loss rises by its squared norm: seen from a step of this length to either side, within this
/// share.
pub(super) fn assert_slope(
    model: &LoraModel,
    gradient: &Tensor,
    (length, tolerance): (f64, f64),
    loss: impl Fn() -> f64,
) {
    let start = parameters::flat(model).unwrap();
    let norm: f32 = gradient.sqr().unwrap().sum_all().unwrap().to_scalar().unwrap();
    let step = length / f64::from(norm.sqrt());
    let loss_at = |step: f64| {
        let moved = (&start + (gradient * step).unwrap()).unwrap();
        parameters::set_flat(model, &moved).unwrap();
        loss()
    };
    let slope = (loss_at(step) - loss_at(-step)) / (2.0 * step);
    let error = (slope / f64::from(norm) - 1.0).abs();
    assert!(error < tolerance, "{slope} where {norm} is expected");
}

#[test]
fn every_b_learns_at_once_and_every_a_from_the_second_step_on() {
    let model = LoraModel::load(&tiny(Architecture::Qwen2), Some(&options()), &CPU).unwrap();
    let moves = |gradients: &Gradients| -> Vec<bool> {
        let largest = |tensor: &&Tensor| -> f32 {
            let flat = tensor.abs().unwrap().flatten_all().unwrap();
            flat.max(0).unwrap().to_scalar().unwrap()
        };
        gradients
            .tensors()
            .unwrap()
            .iter()
            .map(|t| largest(t) > 0.0)
            .collect()
    };
    let (_, first) = gradients(&model, &batch(), Activations::Recomputed);
    // A, B, A, B, …
    assert_eq!(moves(&first), [false, true].repeat(14));
    let start = parameters::flat(&model).unwrap();
    let moved = (start - (first.flat().unwrap() * 0.1).unwrap()).unwrap();
    parameters::set_flat(&model, &moved).unwrap();
    let (_, second) = gradients(&model, &batch(), Activations::Recomputed);
    assert_eq!(moves(&second), vec![true; 28]);
}

#[test]
fn without_pairs_there_is_nothing_to_learn() {
    let model = LoraModel::load(&tiny(Architecture::Llama), None, &CPU).unwrap();
    let (_, gradients) = gradients(&model, &batch(), Activations::Kept);
    assert!(gradients.tensors().unwrap().is_empty() && model.pairs().next().is_none());
}

#[test]
fn an_adapter_comes_back_as_it_was() {
    let gguf = tiny(Architecture::Llama);
    let model = LoraModel::load(&gguf, Some(&options()), &CPU).unwrap();
    shake(&model);
    let before = model.logits(&batch()).unwrap().flatten_all().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let adapter = model.adapter("test").unwrap();
    let about = AdapterAbout {
        base: "tiny",
        card: "# test\n",
        ..AdapterAbout::default()
    };
    adapter.write(folder.path(), &about).unwrap();
    let read = crate::lora::LoraAdapter::read(folder.path()).unwrap();
    let other = LoraOptions { seed: 6, ..options() };
    let loaded = LoraModel::load(&gguf, Some(&other), &CPU).unwrap();
    loaded.set_adapter(&read).unwrap();
    let after = loaded.logits(&batch()).unwrap().flatten_all().unwrap();
    assert_eq!(before.to_vec1::<f32>().unwrap(), after.to_vec1::<f32>().unwrap());
    let fewer = LoraOptions {
        targets: vec![Projection::Query],
        ..options()
    };
    let fewer = LoraModel::load(&gguf, Some(&fewer), &CPU).unwrap();
    assert!(fewer.set_adapter(&read).is_err());
    let rank = LoraOptions { rank: 8, ..options() };
    let rank = LoraModel::load(&gguf, Some(&rank), &CPU).unwrap();
    assert!(rank.set_adapter(&read).is_err());
}
