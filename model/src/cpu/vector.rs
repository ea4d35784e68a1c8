//! Vector arithmetic on 32-bit floats: norms, activations, dot products. Each function picks AVX2 where it is there.

use half::f16;

use super::activations::{Activations, GroupScale};
use super::attention::Head;
#[cfg(target_arch = "x86_64")]
use super::avx2::Avx2;
use super::packed::{Packed, TILE};
use super::portable;

/// Calls the AVX2 form where the processor has it, else the portable one.
macro_rules! dispatch {
    ($name:ident($($argument:expr),*)) => {{
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = Avx2::detect() {
            return avx2.$name($($argument),*);
        }
        portable::$name($($argument),*)
    }};
}

/// `x · weight / sqrt(mean(x²) + epsilon)` (Zhang and Sennrich 2019).
pub(crate) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let squares: f32 = portable::lanes_sum(x, |x| x * x);
    let factor = 1.0 / (squares / x.len() as f32 + epsilon).sqrt();
    for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
        *out = x * factor * weight;
    }
}

/// `gate = silu(gate) · up` (Shazeer 2020).
pub(crate) fn swiglu(gate: &mut [f32], up: &[f32]) {
    dispatch!(swiglu(gate, up))
}

/// Quantizes a row to 8 bits by groups: the largest of a group becomes ±127.
pub(crate) fn quantize_row(values: &[f32], codes: &mut [i8], scales: &mut [GroupScale]) {
    dispatch!(quantize_row(values, codes, scales))
}

/// Sum of products of half-precision weights and activations.
pub(crate) fn dot_half(weights: &[f16], x: &[f32]) -> f32 {
    dispatch!(dot_half(weights, x))
}

/// Sum of products.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    dispatch!(dot(a, b))
}

/// `exp(x - greatest)` in place; gives the sum. `greatest` is not below any x.
pub(crate) fn exp_sum(x: &mut [f32], greatest: f32) -> f32 {
    dispatch!(exp_sum(x, greatest))
}

/// Adds a tile's products with the activations of as many tokens as `sums` has rows.
pub(crate) fn tile_products(packed: &Packed, tile: usize, x: &Activations, sums: &mut [[f32; TILE]]) {
    dispatch!(tile_products(packed, tile, x, sums))
}

/// Adds `low · b` to a tile's sums; `b` has eight numbers per rank.
pub(crate) fn add_low_rank(b: &[f16], low: &[f32], sums: &mut [f32; TILE]) {
    dispatch!(add_low_rank(b, low, sums))
}

/// Scores of query rows with the keys of the first `blocks` blocks, `stride` apart.
pub(crate) fn key_scores(q: &[f32], keys: &Head<'_>, blocks: usize, scores: &mut [f32], stride: usize) {
    dispatch!(key_scores(q, keys, blocks, scores, stride))
}

/// Sums of the first `len` values, weighted by rows of weights that are `stride` apart.
pub(crate) fn weigh_values(weights: &[f32], stride: usize, len: usize, values: &Head<'_>, out: &mut [f32]) {
    if values.head_dim.is_multiple_of(16) {
        dispatch!(weigh_values(weights, stride, len, values, out))
    }
    portable::weigh_values(weights, stride, len, values, out);
}

/// `y += x`
pub(crate) fn add(y: &mut [f32], x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += x;
    }
}

#[cfg(test)]
mod tests {
    use super::super::packed::GROUP;
    use super::*;

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn close(a: f32, b: f32, tolerance: f32) {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{a} and {b}");
    }

    #[test]
    fn dot_products_agree_with_double_precision() {
        for len in [1, 7, 8, 31, 64, 896, 4864] {
            let (a, b) = (numbers(len, 1), numbers(len, 2));
            let exact: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            close(dot(&a, &b), exact as f32, 1e-5);
            close(portable::dot(&a, &b), exact as f32, 1e-5);
            let halves: Vec<f16> = a.iter().map(|a| f16::from_f32(*a)).collect();
            let exact: f64 = halves
                .iter()
                .zip(&b)
                .map(|(a, b)| a.to_f64() * f64::from(*b))
                .sum();
            close(dot_half(&halves, &b), exact as f32, 1e-5);
            close(portable::dot_half(&halves, &b), exact as f32, 1e-5);
        }
    }

    #[test]
    fn exponentials_agree_with_the_library() {
        for len in [1, 8, 13, 100] {
            let x: Vec<f32> = numbers(len, 3).iter().map(|x| x * 50.0 - 50.0).collect();
            let exact: Vec<f32> = x.iter().map(|x| x.exp()).collect();
            let mut ours = x.clone();
            let sum = exp_sum(&mut ours, 0.0);
            close(sum, exact.iter().sum(), 1e-6);
            ours.iter()
                .zip(&exact)
                .for_each(|(ours, exact)| close(*ours, *exact, 1e-6));
        }
        let mut extreme = [f32::NEG_INFINITY, -1e30, -200.0, 0.0, -88.0, -87.0, -1e-30, -0.5];
        exp_sum(&mut extreme, 0.0);
        assert_eq!(extreme[..3], [0.0; 3]);
        close(extreme[3], 1.0, 1e-7);
    }

    #[test]
    fn swiglu_agrees_with_its_definition() {
        let (gate, up) = (numbers(100, 4), numbers(100, 5));
        let gate: Vec<f32> = gate.iter().map(|x| x * 30.0).collect();
        let mut ours = gate.clone();
        swiglu(&mut ours, &up);
        for ((ours, gate), up) in ours.iter().zip(&gate).zip(&up) {
            close(*ours, gate / (1.0 + (-gate).exp()) * up, 1e-6);
        }
    }

    #[test]
    fn quantized_rows_agree_and_stay_within_half_a_step() {
        for seed in 0..50 {
            let values = numbers(2 * GROUP, seed);
            let (mut ours, mut theirs) = (vec![0; 2 * GROUP], vec![0; 2 * GROUP]);
            let (mut scales, mut expected) = ([GroupScale::default(); 2], [GroupScale::default(); 2]);
            quantize_row(&values, &mut ours, &mut scales);
            portable::quantize_row(&values, &mut theirs, &mut expected);
            assert_eq!(ours, theirs);
            for (scale, expected) in scales.iter().zip(&expected) {
                close(scale.sum, expected.sum, 1e-6);
                close(scale.first, expected.first, 1e-6);
                close(scale.last, expected.last, 1e-6);
            }
            for (index, (value, code)) in values.iter().zip(&ours).enumerate() {
                let scale = scales[index / GROUP].scale;
                assert!((value - scale * f32::from(*code)).abs() <= scale * 0.5001);
            }
        }
        let (mut codes, mut scales) = ([1; GROUP], [GroupScale::default()]);
        quantize_row(&[0.0; GROUP], &mut codes, &mut scales);
        assert_eq!((codes, scales[0].scale), ([0; GROUP], 0.0));
    }
}
