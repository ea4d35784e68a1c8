//! The loop on a tiny model: it learns by heart, repeats itself, goes on where it was cut, and stops at nonsense.

use candle_core::Device;

use super::*;
use crate::decoder::{Architecture, Decoder, Placement};
use crate::gguf::{Gguf, Quantization};
use crate::lora::Projection;
use crate::testing::{TINY_END, TinyModel};
use crate::train::{Completions, Greedy, LoraOptions, Sequence, measure};

const CPU: Device = Device::Cpu;

fn tiny() -> Gguf {
    let model = TinyModel {
        architecture: Architecture::Llama,
        quantization: Quantization::Q4_0,
        seed: 21,
        tied: false,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    std::fs::write(&path, model.writer().to_bytes()).unwrap();
    Gguf::open(&path).unwrap()
}

fn model(gguf: &Gguf) -> LoraModel {
    let options = LoraOptions {
        rank: 8,
        alpha: 16.0,
        targets: Projection::ALL.to_vec(),
        dropout: 0.0,
        seed: 1,
    };
    LoraModel::load(gguf, Some(&options), &CPU).unwrap()
}

/// Eight questions whose answers are to be learned by heart.
fn sequences() -> Vec<Sequence> {
    let one = |n: u32| {
        let prompt: Vec<u32> = format!("Q{n} ").bytes().map(u32::from).collect();
        let answer: Vec<u32> = format!("SELECT {}", n * n).bytes().map(u32::from).collect();
        Sequence {
            prompt: prompt.len(),
            tokens: [prompt, answer, vec![TINY_END]].concat(),
        }
    };
    (0..8).map(one).collect()
}

fn options() -> TrainOptions {
    TrainOptions {
        epochs: 2,
        batch: 4,
        micro_batch: 2,
        learning_rate: 1e-2,
        warmup: 0.1,
        weight_decay: 0.0,
        clip: 1.0,
        seed: 3,
        activations: Activations::Recomputed,
    }
}

fn run(trainer: &mut Trainer<'_>) -> Vec<Update> {
    std::iter::from_fn(|| trainer.update().unwrap()).collect()
}

fn numbers(trainer: &Trainer<'_>) -> Vec<f32> {
    trainer.parameters.to_vec1().unwrap()
}

#[test]
fn answers_are_learned_by_heart_and_served() {
    let (gguf, sequences) = (tiny(), sequences());
    let objective = Completions(&sequences);
    let options = TrainOptions {
        epochs: 40,
        ..options()
    };
    let mut trainer = Trainer::new(vec![model(&gguf)], &objective, options).unwrap();
    let before = measure(trainer.model(), &objective, 8, |_, _| {}).unwrap();
    let updates = run(&mut trainer);
    assert_eq!(updates.len(), 80);
    let after = measure(trainer.model(), &objective, 3, |_, _| {}).unwrap();
    assert_eq!(before.weight, after.weight);
    assert!(
        before.mean() > 3.0 && after.mean() < 0.05,
        "{} to {}",
        before.mean(),
        after.mean()
    );
    let adapter = trainer.adapter("learned").unwrap();
    let placement = Placement::Cpu { threads: 1 };
    let decoder = Decoder::load(&gguf, Some(&adapter), &placement).unwrap();
    let mut greedy = Greedy::new(decoder).unwrap();
    for sequence in &sequences {
        let (prompt, answer) = sequence.tokens.split_at(sequence.prompt);
        let said = greedy.answer(prompt, &[TINY_END], 30).unwrap();
        assert_eq!(said, answer[..answer.len() - 1]);
    }
}

#[test]
fn equal_seeds_give_equal_runs_and_a_checkpoint_continues_one_bit_for_bit() {
    let (gguf, sequences) = (tiny(), sequences());
    let objective = Completions(&sequences);
    let mut whole = Trainer::new(vec![model(&gguf)], &objective, options()).unwrap();
    let updates = run(&mut whole);
    let mut first = Trainer::new(vec![model(&gguf)], &objective, options()).unwrap();
    let mut cut: Vec<Update> = (0..3).map(|_| first.update().unwrap().unwrap()).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    first.checkpoint().write(&path, &[].into()).unwrap();
    drop(first);
    let mut second = Trainer::new(vec![model(&gguf)], &objective, options()).unwrap();
    let checkpoint = Checkpoint::read(&path, &[].into(), second.parameters(), &CPU).unwrap();
    second.restore(checkpoint).unwrap();
    cut.extend(run(&mut second));
    assert_eq!(updates, cut);
    assert_eq!(numbers(&whole), numbers(&second));
    let other = TrainOptions { seed: 4, ..options() };
    let mut other = Trainer::new(vec![model(&gguf)], &objective, other).unwrap();
    run(&mut other);
    assert_ne!(numbers(&whole), numbers(&other));
}

/// Largest difference of two runs' first gradients, relative to the largest number.
fn gradient_difference(a: &Trainer<'_>, b: &Trainer<'_>, parts: [&[&[usize]]; 2]) -> f32 {
    let gradient = |trainer: &Trainer<'_>, parts: &[&[usize]]| -> Vec<f32> {
        trainer.gradient(parts, 73.0).unwrap().0.to_vec1().unwrap()
    };
    let (a, b) = (gradient(a, parts[0]), gradient(b, parts[1]));
    let most = a.iter().fold(0f32, |most, x| most.max(x.abs()));
    let off = a.iter().zip(&b).fold(0f32, |off, (a, b)| off.max((a - b).abs()));
    off / most
}

#[test]
fn parts_of_an_update_add_up_to_the_whole() {
    let (gguf, sequences) = (tiny(), sequences());
    let objective = Completions(&sequences);
    let trainer = Trainer::new(vec![model(&gguf)], &objective, options()).unwrap();
    let whole: &[&[usize]] = &[&[0, 1, 2, 3, 4]];
    let parts: &[&[usize]] = &[&[0, 1], &[2], &[3, 4]];
    assert!(gradient_difference(&trainer, &trainer, [whole, parts]) < 1e-5);
}

#[test]
fn two_devices_do_what_one_does() {
    let (gguf, sequences) = (tiny(), sequences());
    let objective = Completions(&sequences);
    let one = Trainer::new(vec![model(&gguf)], &objective, options()).unwrap();
    let two = Trainer::new(vec![model(&gguf), model(&gguf)], &objective, options()).unwrap();
    let parts: &[&[usize]] = &[&[0, 1], &[2], &[3, 4]];
    assert!(gradient_difference(&one, &two, [parts, parts]) < 1e-5);
    let (mut one, mut two) = (one, two);
    for (a, b) in run(&mut one).iter().zip(run(&mut two)) {
        assert!((a.tally.mean() - b.tally.mean()).abs() < 1e-3, "{a:?} {b:?}");
        assert_eq!((a.tokens, a.tally.weight), (b.tokens, b.tally.weight));
    }
    assert_eq!(
        numbers(&two).len(),
        parameters::flat(&two.models[1]).unwrap().elem_count()
    );
    let second: Vec<f32> = parameters::flat(&two.models[1]).unwrap().to_vec1().unwrap();
    assert_eq!(numbers(&two), second);
}

#[test]
fn a_loss_that_is_no_number_changes_nothing() {
    let (gguf, sequences) = (tiny(), sequences());
    let objective = Completions(&sequences);
    let mut trainer = Trainer::new(vec![model(&gguf)], &objective, options()).unwrap();
    let mut broken = trainer.checkpoint();
    let nan = (&broken.tensors[0] * f64::NAN).unwrap();
    broken.tensors[0] = nan;
    trainer.restore(broken).unwrap();
    let error = trainer.update().unwrap_err();
    assert!(matches!(error, TrainError::NotFinite { step: 1, .. }), "{error}");
    assert!(error.to_string().contains("--learning-rate"), "{error}");
    assert_eq!(trainer.steps(), 0);
}

#[test]
fn nothing_to_learn_from_is_said() {
    let objective = Completions(&[]);
    let result = Trainer::new(vec![model(&tiny())], &objective, options());
    assert!(matches!(result.err(), Some(TrainError::Empty(_))));
}
