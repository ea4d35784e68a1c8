//! Every gradient against finite differences, and the forward passes against candle's slow forms.

use std::borrow::Cow;

use candle_core::quantized::QTensor;
use candle_core::{D, DType, Device, Result, Tensor, Var};
use candle_nn::ops as fused;

use super::*;
use crate::gguf::Quantization;
use crate::lora::Projection;
use crate::random::Random;
use crate::train::dropout::Dropout;
use crate::train::head::{cross_entropy_rows, rms_norm};
use crate::train::linear::{ByX, FrozenWeight, Linear};
use crate::train::parameters::Pair;

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

/// Holds the gradients of Σ u·f(inputs), u random, that `backward` makes of the inputs and u against central
/// differences; the sums are made in F64.
fn check(
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
    backward: impl Fn(&[Tensor], &Tensor) -> Result<Vec<Tensor>>,
    inputs: &[Tensor],
    tolerance: f64,
) {
    let output = f(inputs).unwrap();
    let u = numbers(output.dims(), 99);
    let gradients = backward(inputs, &u).unwrap();
    assert_eq!(gradients.len(), inputs.len());
    let u = u.to_dtype(DType::F64).unwrap();
    let sum = |inputs: &[Tensor]| -> f64 {
        let y = f(inputs).unwrap().to_dtype(DType::F64).unwrap();
        (y * &u).unwrap().sum_all().unwrap().to_scalar().unwrap()
    };
    for (index, input) in inputs.iter().enumerate() {
        let gradient = &gradients[index];
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

/// [`check`] for an operation of the graph.
fn check_in_graph(f: impl Fn(&Tensor) -> Result<Tensor>, input: Tensor, tolerance: f64) {
    let backward = |inputs: &[Tensor], u: &Tensor| {
        let var = Var::from_tensor(&inputs[0])?;
        let store = (f(var.as_tensor())? * u)?.sum_all()?.backward()?;
        let gradient = store.get(&var).expect("the input has a gradient");
        Ok(vec![gradient.clone()])
    };
    check(|x| f(&x[0]), backward, &[input], tolerance);
}

fn linear(rank: Option<usize>) -> Linear {
    let pair = rank.map(|rank| Pair {
        layer: 0,
        projection: Projection::Query,
        a: Var::from_tensor(&numbers(&[rank, 64], 4)).unwrap(),
        b: Var::from_tensor(&numbers(&[32, rank], 5)).unwrap(),
        scale: 2.0,
    });
    let weight = weight(32, 64, 1, Some(numbers(&[32], 2)));
    Linear { weight, pair }
}

#[test]
fn frozen_modules_have_their_gradient() {
    let backward = |x: &[Tensor], dy: &Tensor| {
        let gradients = linear(None).backward(&x[0], dy, ByX::Wanted(None), None)?;
        assert!(gradients.pair.is_none());
        Ok(vec![gradients.x.unwrap()])
    };
    let forward = |x: &[Tensor]| linear(None).forward(&x[0], None);
    check(forward, backward, &[numbers(&[5, 64], 3)], 2e-4);
}

#[test]
fn modules_with_a_pair_have_their_gradients() {
    let with = |x: &[Tensor]| {
        let linear = linear(Some(4));
        let pair = linear.pair.as_ref().unwrap();
        pair.a.set(&x[1]).unwrap();
        pair.b.set(&x[2]).unwrap();
        linear
    };
    let inputs = [numbers(&[5, 64], 3), numbers(&[4, 64], 4), numbers(&[32, 4], 5)];
    for dropout in [None, Dropout::new(0.3, Some(1))] {
        let backward = |x: &[Tensor], dy: &Tensor| {
            let gradients = with(x).backward(&x[0], dy, ByX::Wanted(None), dropout)?;
            let [a, b] = gradients.pair.unwrap();
            Ok(vec![gradients.x.unwrap(), a, b])
        };
        check(|x| with(x).forward(&x[0], dropout), backward, &inputs, 2e-4);
    }
}

#[test]
fn a_gradient_is_added_to_what_is_there() {
    for rank in [None, Some(4)] {
        let (x, dy, sum) = (numbers(&[5, 64], 3), numbers(&[5, 32], 6), numbers(&[5, 64], 7));
        let of = |by_x| linear(rank).backward(&x, &dy, by_x, None).unwrap().x;
        let alone = of(ByX::Wanted(None)).unwrap();
        let added = of(ByX::Wanted(Some(sum.copy().unwrap()))).unwrap();
        assert!(difference(&added, &(alone + sum).unwrap()) < 1e-6);
        assert!(of(ByX::Unwanted).is_none());
    }
}

#[test]
fn frozen_weights_are_the_dequantized_product() {
    let weight = weight(32, 64, 1, None);
    let x = numbers(&[5, 64], 3);
    let plain = x
        .matmul(&weight.dequantize(DType::F32).unwrap().t().unwrap())
        .unwrap();
    let ours = weight.forward(&x).unwrap();
    assert_eq!(ours.to_vec2::<f32>().unwrap(), plain.to_vec2::<f32>().unwrap());
}

#[test]
fn rms_norm_has_its_gradient() {
    let scale = numbers(&[64], 1);
    check_in_graph(|x| rms_norm(x, &scale, 1e-5), numbers(&[5, 64], 2), 3e-4);
}

#[test]
fn heads_move_and_turn_there_and_back() {
    let kernels = of(&CPU);
    let angles = numbers(&[7, 8], 1);
    let (cos, sin) = (angles.cos().unwrap(), angles.sin().unwrap());
    let rotation = |back| {
        let (cos, sin) = (&cos, &sin);
        Some(Rotation { cos, sin, back })
    };
    let x = numbers(&[14, 48], 2);
    let split = kernels.split_heads(&x, 2, 3, rotation(false)).unwrap();
    assert_eq!(split.dims(), [2, 3, 7, 16]);
    let back = kernels.merge_heads(&split, rotation(true)).unwrap();
    assert!(difference(&back, &x) < 1e-6);
    check(
        |x| kernels.split_heads(&x[0], 2, 3, rotation(false)),
        |_, dy| Ok(vec![kernels.merge_heads(dy, rotation(true))?]),
        &[x],
        2e-4,
    );
}

#[test]
fn swiglu_has_its_gradients() {
    let backward = |x: &[Tensor], dy: &Tensor| {
        let (gate, up) = of(&CPU).swiglu_backward(&x[0], &x[1], dy)?;
        Ok(vec![gate, up])
    };
    let inputs = [numbers(&[5, 16], 1), numbers(&[5, 16], 2)];
    check(|x| of(&CPU).swiglu(&x[0], &x[1]), backward, &inputs, 3e-4);
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
    let mask = of(&CPU).causal_mask(4, 2, 6, DType::F32, &CPU).unwrap();
    let heads = |x: &[Tensor]| Heads {
        q: x[0].clone(),
        k: x[1].clone(),
        v: x[2].clone(),
    };
    let backward = |x: &[Tensor], dy: &Tensor| {
        let by = of(&CPU).attention_backward(&heads(x), mask.as_ref(), dy)?;
        Ok(vec![by.q, by.k, by.v])
    };
    let forward = |x: &[Tensor]| of(&CPU).attention(&heads(x), mask.as_ref());
    check(forward, backward, &attention_inputs(), 5e-4);
}

#[test]
fn attention_is_plain_softmax_over_repeated_keys() {
    let [q, k, v] = attention_inputs();
    let mask = of(&CPU).causal_mask(4, 2, 6, DType::F32, &CPU).unwrap().unwrap();
    let heads = Heads {
        q: q.clone(),
        k: k.clone(),
        v: v.clone(),
    };
    let ours = of(&CPU).attention(&heads, Some(&mask)).unwrap();
    let repeat = |x: &Tensor| Tensor::cat(&[x, x], 2).unwrap().reshape((2, 4, 6, 8)).unwrap();
    let causal = mask.narrow(1, 0, 1).unwrap().narrow(2, 0, 6).unwrap();
    let scores = (q.matmul(&repeat(&k).t().unwrap()).unwrap() / 8f64.sqrt()).unwrap();
    let weights = fused::softmax(&scores.broadcast_add(&causal).unwrap(), D::Minus1).unwrap();
    let plain = weights.matmul(&repeat(&v)).unwrap();
    assert!(difference(&ours, &plain) < 1e-6);
}

#[test]
fn cross_entropy_has_its_gradient() {
    let weight = weight(64, 32, 1, None);
    let targets = Tensor::new(&[1u32, 5, 63, 0, 7], &CPU).unwrap();
    check_in_graph(
        |x| cross_entropy_rows(&weight, x, &targets),
        numbers(&[5, 32], 2),
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
    let plain = fused::log_softmax(&logits, 1)
        .unwrap()
        .gather(&targets.unsqueeze(1).unwrap(), 1)
        .unwrap();
    let plain = plain.squeeze(1).unwrap().neg().unwrap();
    assert!(difference(&ours, &plain) < 1e-5);
}
