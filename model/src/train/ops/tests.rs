//! Every gradient against finite differences, and the forward passes against candle's slow forms.

use std::borrow::Cow;

use candle_core::quantized::QTensor;
use candle_core::{D, DType, Device, Result, Tensor, Var};

use super::*;
use crate::gguf::Quantization;
use crate::random::Random;

const CPU: Device = Device::Cpu;

fn numbers(shape: &[usize], seed: u64) -> Tensor {
    let mut random = Random::new(seed, "test");
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| random.uniform(1.7)).collect();
    Tensor::from_vec(values, shape, &CPU).unwrap()
}

fn weight(rows: usize, columns: usize, seed: u64, bias: Option<Tensor>) -> FrozenWeight {
    let values = (numbers(&[rows, columns], seed) * 0.2).unwrap();
    let stored = QTensor::quantize(&values, Quantization::Q4_1.to_candle()).unwrap();
    let data = Cow::Owned(stored.data().unwrap().into_owned());
    FrozenWeight::load(Quantization::Q4_1, data, &[rows, columns], bias, &CPU).unwrap()
}

fn most(tensor: &Tensor) -> f64 {
    let values = tensor.abs().unwrap().flatten_all().unwrap();
    f64::from(values.max(0).unwrap().to_scalar::<f32>().unwrap())
}

/// Largest difference, relative to the largest number of `b`.
fn difference(a: &Tensor, b: &Tensor) -> f64 {
    most(&(a - b).unwrap()) / most(b).max(1e-12)
}

/// Holds the gradients of Σ u·f(inputs), u random, against central differences; the sums are made in F64.
fn check(f: impl Fn(&[Tensor]) -> Result<Tensor>, inputs: &[Tensor], tolerance: f64) {
    let vars: Vec<Var> = inputs.iter().map(|x| Var::from_tensor(x).unwrap()).collect();
    let tracked: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let output = f(&tracked).unwrap();
    let u = numbers(output.dims(), 99);
    let store = (output * &u).unwrap().sum_all().unwrap().backward().unwrap();
    let u = u.to_dtype(DType::F64).unwrap();
    let sum = |inputs: &[Tensor]| -> f64 {
        let y = f(inputs).unwrap().to_dtype(DType::F64).unwrap();
        (y * &u).unwrap().sum_all().unwrap().to_scalar().unwrap()
    };
    for (index, input) in inputs.iter().enumerate() {
        let gradient = store
            .get(&vars[index])
            .unwrap_or_else(|| panic!("input {index} has no gradient"));
        assert_eq!(gradient.dims(), input.dims());
        let scale = most(gradient);
        assert!(scale > 1e-3, "the gradient of input {index} vanishes");
        let gradient: Vec<f32> = gradient.flatten_all().unwrap().to_vec1().unwrap();
        let values: Vec<f32> = input.flatten_all().unwrap().to_vec1().unwrap();
        for place in (0..values.len()).step_by((values.len() / 23).max(1)) {
            let at = |step: f32| {
                let mut moved = values.clone();
                moved[place] += step;
                let mut inputs = inputs.to_vec();
                inputs[index] = Tensor::from_vec(moved, input.dims(), &CPU).unwrap();
                sum(&inputs)
            };
            let step = 1e-2;
            let numerical = (at(step) - at(-step)) / (2.0 * f64::from(step));
            let error = (numerical - f64::from(gradient[place])).abs() / scale;
            assert!(
                error < tolerance,
                "input {index}, element {place}: {error:.1e} off"
            );
        }
    }
}

#[test]
fn frozen_linear_has_its_gradient() {
    let weight = weight(32, 64, 1, Some(numbers(&[32], 2)));
    check(|x| frozen_linear(&weight, &x[0]), &[numbers(&[5, 64], 3)], 2e-4);
}

#[test]
fn frozen_linear_is_the_dequantized_product() {
    let weight = weight(32, 64, 1, None);
    let x = Var::from_tensor(&numbers(&[5, 64], 3)).unwrap();
    let u = numbers(&[5, 32], 4);
    let plain = x
        .matmul(&weight.dequantize(DType::F32).unwrap().t().unwrap())
        .unwrap();
    let ours = frozen_linear(&weight, x.as_tensor()).unwrap();
    assert_eq!(ours.to_vec2::<f32>().unwrap(), plain.to_vec2::<f32>().unwrap());
    let gradient = |y: Tensor| {
        let store = (y * &u).unwrap().sum_all().unwrap().backward().unwrap();
        store.get(&x).unwrap().to_vec2::<f32>().unwrap()
    };
    assert_eq!(gradient(ours), gradient(plain));
}

#[test]
fn lora_linear_has_its_gradients() {
    let weight = weight(32, 64, 1, Some(numbers(&[32], 2)));
    let inputs = [numbers(&[5, 64], 3), numbers(&[4, 64], 4), numbers(&[32, 4], 5)];
    check(|x| lora_linear(&weight, &x[0], &x[1], &x[2], 2.0), &inputs, 2e-4);
}

#[test]
fn rms_norm_has_its_gradient() {
    let scale = numbers(&[64], 1);
    check(|x| rms_norm(&x[0], &scale, 1e-5), &[numbers(&[5, 64], 2)], 3e-4);
}

#[test]
fn rope_has_its_gradient() {
    let angles = numbers(&[7, 8], 1);
    let (cos, sin) = (angles.cos().unwrap(), angles.sin().unwrap());
    check(|x| rope(&x[0], &cos, &sin), &[numbers(&[2, 3, 7, 16], 2)], 2e-4);
}

#[test]
fn swiglu_has_its_gradients() {
    check(
        |x| swiglu(&x[0], &x[1]),
        &[numbers(&[5, 16], 1), numbers(&[5, 16], 2)],
        3e-4,
    );
}

fn attention_inputs() -> [Tensor; 3] {
    [
        numbers(&[2, 4, 6, 8], 1),
        numbers(&[2, 2, 6, 8], 2),
        numbers(&[2, 2, 6, 8], 3),
    ]
}

#[test]
fn attention_has_its_gradients() {
    let mask = grouped_causal_mask(4, 2, 6, DType::F32, &CPU).unwrap();
    check(
        |x| attention(&x[0], &x[1], &x[2], &mask),
        &attention_inputs(),
        5e-4,
    );
}

#[test]
fn attention_is_plain_softmax_over_repeated_keys() {
    let [q, k, v] = attention_inputs();
    let mask = grouped_causal_mask(4, 2, 6, DType::F32, &CPU).unwrap();
    let ours = attention(&q, &k, &v, &mask).unwrap();
    let repeat = |x: &Tensor| Tensor::cat(&[x, x], 2).unwrap().reshape((2, 4, 6, 8)).unwrap();
    let causal = mask.narrow(1, 0, 1).unwrap().narrow(2, 0, 6).unwrap();
    let scores = (q.matmul(&repeat(&k).t().unwrap()).unwrap() / 8f64.sqrt()).unwrap();
    let weights = candle_nn::ops::softmax(&scores.broadcast_add(&causal).unwrap(), D::Minus1).unwrap();
    let plain = weights.matmul(&repeat(&v)).unwrap();
    assert!(difference(&ours, &plain) < 1e-6);
}

#[test]
fn cross_entropy_has_its_gradient() {
    let weight = weight(64, 32, 1, None);
    let targets = Tensor::new(&[1u32, 5, 63, 0, 7], &CPU).unwrap();
    check(
        |x| cross_entropy_rows(&weight, &x[0], &targets),
        &[numbers(&[5, 32], 2)],
        1e-3,
    );
}

#[test]
fn cross_entropy_is_log_softmax_in_as_many_pieces_as_it_takes() {
    // More rows than are computed at once.
    let weight = weight(64, 32, 1, None);
    let rows = 600;
    let hidden = numbers(&[rows, 32], 2);
    let targets: Vec<u32> = (0..rows as u32).map(|row| row * 7 % 64).collect();
    let targets = Tensor::new(targets.as_slice(), &CPU).unwrap();
    let ours = cross_entropy_rows(&weight, &hidden, &targets).unwrap();
    let logits = hidden
        .matmul(&weight.dequantize(DType::F32).unwrap().t().unwrap())
        .unwrap();
    let plain = candle_nn::ops::log_softmax(&logits, 1)
        .unwrap()
        .gather(&targets.unsqueeze(1).unwrap(), 1)
        .unwrap();
    let plain = plain.squeeze(1).unwrap().neg().unwrap();
    assert!(difference(&ours, &plain) < 1e-5);
}

#[test]
fn a_seed_gives_exactly_the_gradient_it_was_given() {
    let y = Var::from_tensor(&numbers(&[3, 4], 1)).unwrap();
    let gradient = numbers(&[3, 4], 2);
    let store = seed(&(y.as_tensor() * 2.0).unwrap(), &gradient)
        .unwrap()
        .backward()
        .unwrap();
    let twice = (gradient * 2.0).unwrap();
    assert_eq!(
        store.get(&y).unwrap().to_vec2::<f32>().unwrap(),
        twice.to_vec2::<f32>().unwrap()
    );
}

#[test]
fn frozen_operands_get_no_gradient_of_their_own() {
    // candle keeps a gradient for every operand of its own products, the frozen ones too.
    let weight = weight(32, 64, 1, None);
    let x = Var::from_tensor(&numbers(&[5, 64], 3)).unwrap();
    let y = frozen_linear(&weight, x.as_tensor()).unwrap();
    let store = seed(&y, &numbers(&[5, 32], 4)).unwrap().backward().unwrap();
    assert_eq!(store.get_ids().count(), 1);
}

#[test]
fn nothing_is_recorded_for_untracked_inputs() {
    let weight = weight(32, 64, 1, None);
    assert!(!frozen_linear(&weight, &numbers(&[5, 64], 3)).unwrap().track_op());
}
