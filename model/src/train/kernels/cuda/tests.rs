//! The kernels against tensor operations on the CPU, over the same BF16 numbers. They need a GPU.

use candle_core::quantized::QTensor;
use candle_core::{DType, Device, Tensor};

use super::super::plain::Plain;
use super::super::{Heads, Kernels, Rotation};
use super::Cuda;
use crate::gguf::Quantization;
use crate::random::Random;

const CPU: Device = Device::Cpu;
/// BF16 has eight bits; sums are made in F32.
const TOLERANCE: f64 = 1.0 / 128.0;

fn gpu() -> Device {
    Device::new_cuda(0).expect("these tests need an NVIDIA GPU")
}

/// BF16 numbers, as F32 on the CPU.
fn numbers(shape: &[usize], seed: u64) -> Tensor {
    let mut random = Random::new(seed, "cuda test");
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| random.uniform(1.7)).collect();
    let tensor = Tensor::from_vec(values, shape, &CPU).unwrap();
    tensor
        .to_dtype(DType::BF16)
        .unwrap()
        .to_dtype(DType::F32)
        .unwrap()
}

fn there(tensor: &Tensor, device: &Device) -> Tensor {
    tensor.to_dtype(DType::BF16).unwrap().to_device(device).unwrap()
}

/// Holds a result of the GPU against one of the CPU, relative to the largest number.
fn same(what: &str, ours: &Tensor, reference: &Tensor, tolerance: f64) {
    let ours = ours.to_device(&CPU).unwrap().to_dtype(DType::F32).unwrap();
    assert_eq!(ours.dims(), reference.dims(), "{what}");
    let most = |tensor: &Tensor| -> f64 {
        let flat = tensor.abs().unwrap().flatten_all().unwrap();
        f64::from(flat.max(0).unwrap().to_scalar::<f32>().unwrap())
    };
    let off = most(&(ours - reference).unwrap()) / most(reference).max(1e-12);
    assert!(off < tolerance, "{what}: {off:.1e} off");
}

#[test]
fn every_type_of_block_is_dequantized() {
    let device = gpu();
    for quantization in [
        Quantization::Q4_0,
        Quantization::Q4_1,
        Quantization::Q5_0,
        Quantization::Q5_1,
        Quantization::Q8_0,
        Quantization::Q4_K,
        Quantization::Q5_K,
        Quantization::Q6_K,
    ] {
        let values = numbers(&[37, 512], 1);
        let stored = QTensor::quantize(&values, quantization.to_candle()).unwrap();
        let reference = Plain.dequantize(&stored, DType::F32).unwrap();
        let storage = candle_core::quantized::QStorage::from_data(
            stored.data().unwrap(),
            &device,
            quantization.to_candle(),
        );
        let stored = QTensor::new(storage.unwrap(), (37, 512)).unwrap();
        let ours = Cuda.dequantize(&stored, DType::BF16).unwrap();
        same(&format!("{quantization:?}"), &ours, &reference, TOLERANCE / 2.0);
        let rows = [36, 0, 5, 5];
        let some = Cuda.gather(&stored, &rows, DType::BF16).unwrap().unwrap();
        let index = Tensor::new(&rows, &CPU).unwrap();
        let reference = reference.index_select(&index, 0).unwrap();
        same(
            &format!("rows of {quantization:?}"),
            &some,
            &reference,
            TOLERANCE / 2.0,
        );
    }
}

#[test]
fn products_take_views_scale_and_add() {
    let device = gpu();
    let (a, b) = (numbers(&[40, 64], 1), numbers(&[64, 24], 2));
    let plain = (a.matmul(&b).unwrap() * 0.5).unwrap();
    let (x, y) = (there(&a, &device), there(&b, &device));
    let (xt, yt) = (
        x.t().unwrap().contiguous().unwrap(),
        y.t().unwrap().contiguous().unwrap(),
    );
    for a in [x, xt.t().unwrap()] {
        for b in [y.clone(), yt.t().unwrap()] {
            same(
                "bf16",
                &Cuda.product(&a, &b, 0.5, DType::BF16).unwrap(),
                &plain,
                TOLERANCE,
            );
            same(
                "f32",
                &Cuda.product(&a, &b, 0.5, DType::F32).unwrap(),
                &plain,
                1e-5,
            );
            let sum = numbers(&[40, 24], 3);
            let ours = Cuda.add_product(there(&sum, &device), &a, &b).unwrap();
            same("sum", &ours, &((&plain * 2.0).unwrap() + sum).unwrap(), TOLERANCE);
        }
    }
}

#[test]
fn rows_get_their_bias_and_norms_their_gradient() {
    let device = gpu();
    let (x, weight, dy, sum) = (
        numbers(&[33, 896], 1),
        numbers(&[896], 2),
        numbers(&[33, 896], 3),
        numbers(&[33, 896], 4),
    );
    let on = |tensor: &Tensor| there(tensor, &device);
    let ours = Cuda.add_bias(on(&x), &on(&weight)).unwrap();
    same("bias", &ours, &x.broadcast_add(&weight).unwrap(), TOLERANCE);
    for sum in [None, Some(sum)] {
        let ours = Cuda
            .rms_norm_backward(&on(&x), &on(&weight), 1e-5, &on(&dy), sum.as_ref().map(on))
            .unwrap();
        let plain = Plain.rms_norm_backward(&x, &weight, 1e-5, &dy, sum).unwrap();
        same("norm", &ours, &plain, TOLERANCE);
    }
}

#[test]
fn swiglu_and_its_gradient_agree() {
    let device = gpu();
    let on = |tensor: &Tensor| there(tensor, &device);
    let (gate, up, dy) = (numbers(&[9, 72], 1), numbers(&[9, 72], 2), numbers(&[9, 72], 3));
    let ours = Cuda.swiglu(&on(&gate), &on(&up)).unwrap();
    same("forward", &ours, &Plain.swiglu(&gate, &up).unwrap(), TOLERANCE);
    let ours = Cuda.swiglu_backward(&on(&gate), &on(&up), &on(&dy)).unwrap();
    let plain = Plain.swiglu_backward(&gate, &up, &dy).unwrap();
    same("gate", &ours.0, &plain.0, TOLERANCE);
    same("up", &ours.1, &plain.1, TOLERANCE);
}

#[test]
fn heads_move_and_turn_as_elsewhere() {
    let device = gpu();
    let on = |tensor: &Tensor| there(tensor, &device);
    let angles = numbers(&[7, 8], 1);
    let (cos, sin) = (angles.cos().unwrap(), angles.sin().unwrap());
    let (cos_there, sin_there) = (on(&cos), on(&sin));
    let x = numbers(&[14, 48], 2);
    for back in [None, Some(false), Some(true)] {
        let plain = back.map(|back| Rotation {
            cos: &cos,
            sin: &sin,
            back,
        });
        let ours = back.map(|back| Rotation {
            cos: &cos_there,
            sin: &sin_there,
            back,
        });
        let plain_split = Plain.split_heads(&x, 2, 3, plain).unwrap();
        let split = Cuda.split_heads(&on(&x), 2, 3, ours).unwrap();
        same("split", &split, &plain_split, TOLERANCE);
        let merged = Cuda.merge_heads(&on(&plain_split), ours).unwrap();
        same(
            "merge",
            &merged,
            &Plain.merge_heads(&plain_split, plain).unwrap(),
            TOLERANCE,
        );
    }
}

#[test]
fn attention_and_its_gradients_agree() {
    let device = gpu();
    // Tokens that are no multiple of a warp, and of nothing else.
    for tokens in [5, 32, 77] {
        let heads = Heads {
            q: numbers(&[3, 4, tokens, 16], 1),
            k: numbers(&[3, 2, tokens, 16], 2),
            v: numbers(&[3, 2, tokens, 16], 3),
        };
        let dy = numbers(&[3, 4, tokens, 16], 4);
        let mask = Plain.causal_mask(4, 2, tokens, DType::F32, &CPU).unwrap();
        let on = Heads {
            q: there(&heads.q, &device),
            k: there(&heads.k, &device),
            v: there(&heads.v, &device),
        };
        let ours = Cuda.attention(&on, None).unwrap();
        same(
            "attention",
            &ours,
            &Plain.attention(&heads, mask.as_ref()).unwrap(),
            2.0 * TOLERANCE,
        );
        let ours = Cuda.attention_backward(&on, None, &there(&dy, &device)).unwrap();
        let plain = Plain.attention_backward(&heads, mask.as_ref(), &dy).unwrap();
        for (what, ours, plain) in [
            ("q", ours.q, plain.q),
            ("k", ours.k, plain.k),
            ("v", ours.v, plain.v),
        ] {
            same(what, &ours, &plain, 4.0 * TOLERANCE);
        }
    }
}

#[test]
fn losses_and_their_slopes_agree() {
    let device = gpu();
    let logits = (numbers(&[17, 1003], 1) * 6.0).unwrap();
    let logits = logits
        .to_dtype(DType::BF16)
        .unwrap()
        .to_dtype(DType::F32)
        .unwrap();
    let targets: Vec<u32> = (0..17).map(|row| row * 59).collect();
    let target = |device: &Device| Tensor::new(targets.as_slice(), device).unwrap();
    let ours = Cuda
        .cross_entropy(there(&logits, &device), &target(&device), true)
        .unwrap();
    let plain = Plain.cross_entropy(logits, &target(&CPU), true).unwrap();
    same("loss", &ours.0, &plain.0, 1e-4);
    same("slope", &ours.1.unwrap(), &plain.1.unwrap(), TOLERANCE);
}
