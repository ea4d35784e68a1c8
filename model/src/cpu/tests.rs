//! Products of every packed type against dequantized floats, and AVX2 against the portable form.

#![allow(clippy::unwrap_used)] // a test may panic

use half::f16;

use super::activations::{Activations, GroupScale};
use super::attention::{HostLayer, attend};
use super::linear::{HostLinear, HostLora, Input, Target, multiply};
use super::packed::{GROUP, Packed, TILE};
use super::pool::Pool;
use super::{portable, vector};
use crate::gguf::{Quantization, TensorView, dequantize};
use crate::lora::LoraWeights;

/// SplitMix64 in bytes and floats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^ (z >> 27)
    }

    fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.float()).collect()
    }
}

/// Where the half-float scales of a block stand.
fn scale_places(quantization: Quantization) -> &'static [usize] {
    match quantization {
        Quantization::Q4_1 | Quantization::Q5_1 | Quantization::Q4_K | Quantization::Q5_K => &[0, 2],
        Quantization::Q6_K => &[208],
        Quantization::Q4_0 | Quantization::Q5_0 | Quantization::Q8_0 => &[0],
        Quantization::F32 | Quantization::F16 | Quantization::BF16 => &[],
    }
}

/// Blocks of random bits, so that every code, the extreme ones too, comes in every place; scales are moderate.
fn stored(quantization: Quantization, rows: usize, columns: usize, random: &mut Random) -> Vec<u8> {
    let blocks = rows * columns / quantization.block_len();
    let mut data = Vec::new();
    for _ in 0..blocks {
        let mut block: Vec<u8> = (0..quantization.block_bytes())
            .map(|_| random.next() as u8)
            .collect();
        for place in scale_places(quantization) {
            block[*place..place + 2].copy_from_slice(&f16::from_f32(random.float() * 0.1).to_le_bytes());
        }
        match quantization {
            Quantization::F32 => block.copy_from_slice(&random.float().to_le_bytes()),
            Quantization::F16 => block.copy_from_slice(&f16::from_f32(random.float()).to_le_bytes()),
            Quantization::BF16 => block.copy_from_slice(&half::bf16::from_f32(random.float()).to_le_bytes()),
            _ => {}
        }
        data.extend(block);
    }
    data
}

const QUANTIZED: [Quantization; 8] = [
    Quantization::Q4_0,
    Quantization::Q4_1,
    Quantization::Q5_0,
    Quantization::Q5_1,
    Quantization::Q8_0,
    Quantization::Q4_K,
    Quantization::Q5_K,
    Quantization::Q6_K,
];

fn quantize(values: &[f32], columns: usize) -> Activations {
    let mut x = Activations::default();
    x.resize(values.len() / columns, columns);
    vector::quantize_row(values, &mut x.codes, &mut x.scales);
    x
}

/// Products of dequantized weights and dequantized activations, in double precision.
fn exact(weights: &[f32], x: &Activations, columns: usize, row: usize, token: usize) -> (f64, f64) {
    let (codes, scales) = x.row(token);
    let products = (0..columns).map(|column| {
        let x = f64::from(codes[column]) * f64::from(scales[column / GROUP].scale);
        f64::from(weights[row * columns + column]) * x
    });
    products.fold((0.0, 0.0), |(sum, size), product| {
        (sum + product, size + product.abs())
    })
}

#[test]
fn products_of_every_type_equal_those_of_dequantized_weights() {
    let mut random = Random(1);
    let pool = Pool::new(2);
    for quantization in QUANTIZED {
        // 11 rows: the last tile is not full. Columns: less than, and more than, what is unpacked at once.
        for (rows, columns, tokens) in [(11, 256, 1), (8, 256, 5), (11, 1536, 7), (16, 2304, 1)] {
            let data = stored(quantization, rows, columns, &mut random);
            let mut weights = vec![0.0; rows * columns];
            dequantize::row(quantization, &data, &mut weights);
            let view = TensorView {
                quantization,
                shape: &[rows, columns],
                data: &data,
            };
            let packed = Packed::pack(view, &pool).unwrap().unwrap();
            let x = quantize(&random.floats(tokens * columns), columns);
            for tile in 0..packed.tiles() {
                let mut ours = vec![[0.0; TILE]; tokens];
                let mut plain = ours.clone();
                vector::tile_products(&packed, tile, &x, &mut ours);
                portable::tile_products(&packed, tile, &x, &mut plain);
                for row in (tile * TILE..rows).take(TILE) {
                    for token in 0..tokens {
                        let (expected, size) = exact(&weights, &x, columns, row, token);
                        for (name, sums) in [("chosen", &ours), ("portable", &plain)] {
                            let error = (f64::from(sums[token][row % TILE]) - expected).abs();
                            assert!(
                                error <= 1e-5 * size,
                                "{quantization:?} {name}: off by {error} of {size}"
                            );
                        }
                    }
                }
            }
        }
    }
}

/// The sums in 16 bits must hold the greatest codes times the greatest activations.
#[test]
fn extreme_codes_do_not_overflow() {
    let pool = Pool::new(1);
    for quantization in QUANTIZED {
        let columns = 256;
        let mut random = Random(2);
        let mut data = stored(quantization, 8, columns, &mut random);
        for block in data.chunks_exact_mut(quantization.block_bytes()) {
            block.fill(if quantization == Quantization::Q8_0 {
                0x80
            } else {
                0xff
            });
            for place in scale_places(quantization) {
                block[*place..place + 2].copy_from_slice(&f16::ONE.to_le_bytes());
            }
        }
        let mut weights = vec![0.0; 8 * columns];
        dequantize::row(quantization, &data, &mut weights);
        let view = TensorView {
            quantization,
            shape: &[8, columns],
            data: &data,
        };
        let packed = Packed::pack(view, &pool).unwrap().unwrap();
        for value in [1.0, -1.0] {
            let x = quantize(&vec![value; columns], columns);
            let mut sums = [[0.0; TILE]];
            vector::tile_products(&packed, 0, &x, &mut sums);
            let (expected, size) = exact(&weights, &x, columns, 0, 0);
            assert!(
                (f64::from(sums[0][0]) - expected).abs() <= 1e-5 * size,
                "{quantization:?}"
            );
        }
    }
}

#[test]
fn a_packed_matrix_is_as_small_as_the_stored_one() {
    let pool = Pool::new(1);
    for quantization in QUANTIZED {
        let data = stored(quantization, 16, 512, &mut Random(3));
        let view = TensorView {
            quantization,
            shape: &[16, 512],
            data: &data,
        };
        let packed = Packed::pack(view, &pool).unwrap().unwrap();
        assert!(packed.bytes() * 100 <= data.len() * 104, "{quantization:?}");
    }
}

#[test]
fn linears_add_bias_adapter_and_residual() {
    let mut random = Random(4);
    let pool = Pool::new(2);
    let (columns, rank) = (256, 3);
    for (quantization, tokens) in [
        (Quantization::Q5_0, 1),
        (Quantization::F16, 2),
        (Quantization::BF16, 1),
        (Quantization::F32, 5),
    ] {
        let mut linears = Vec::new();
        let mut references = Vec::new();
        for rows in [12, 20] {
            let data = stored(quantization, rows, columns, &mut random);
            let mut weights = vec![0.0; rows * columns];
            dequantize::row(quantization, &data, &mut weights);
            let bias = random.floats(rows);
            let half = |values: Vec<f32>| {
                values
                    .iter()
                    .map(|x| f16::from_f32(*x).to_f32())
                    .collect::<Vec<_>>()
            };
            let lora = LoraWeights {
                rank,
                a: half(random.floats(rank * columns)),
                b: half(random.floats(rows * rank)),
                scale: 2.0,
            };
            let view = TensorView {
                quantization,
                shape: &[rows, columns],
                data: &data,
            };
            let mut linear = HostLinear::load(view, Some(bias.clone()), &pool).unwrap();
            linear.set_lora(Some(std::sync::Arc::new(HostLora::new(&lora))));
            linears.push(linear);
            references.push((weights, bias, lora));
        }
        let x = random.floats(tokens * columns);
        let mut input = Input::default();
        input.resize(tokens, columns);
        let refs: Vec<&HostLinear> = linears.iter().collect();
        input.prepare(&pool, &refs, |token, out| {
            out.copy_from_slice(&x[token * columns..][..columns])
        });
        let (mut first, mut second) = (vec![0.0; tokens * 12], vec![1.0; tokens * 20]);
        multiply(
            &pool,
            &input,
            &mut [
                Target {
                    linear: &linears[0],
                    out: &mut first,
                    add: false,
                },
                Target {
                    linear: &linears[1],
                    out: &mut second,
                    add: true,
                },
            ],
        );
        for (out, rows, start, (weights, bias, lora)) in [
            (&first, 12, 0.0, &references[0]),
            (&second, 20, 1.0, &references[1]),
        ] {
            for token in 0..tokens {
                let x = &x[token * columns..][..columns];
                for row in 0..rows {
                    let dot =
                        |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
                    let low: f64 = (0..rank)
                        .map(|r| {
                            f64::from(lora.b[row * rank + r]) * dot(&lora.a[r * columns..][..columns], x)
                        })
                        .sum();
                    let expected = start
                        + dot(&weights[row * columns..][..columns], x)
                        + f64::from(bias[row])
                        + 2.0 * low;
                    let error = (f64::from(out[token * rows + row]) - expected).abs();
                    // 8-bit activations are off by up to 1/254 of a group's largest.
                    let tolerance = if quantization == Quantization::Q5_0 {
                        0.5
                    } else {
                        1e-3
                    };
                    assert!(error < tolerance, "{quantization:?}: off by {error}");
                }
            }
        }
    }
}

/// Attention by its definition, in double precision over the half-precision keys and values.
fn defined(q: &[f32], keys: &[Vec<f32>], values: &[Vec<f32>], kv_head: usize, head_dim: usize) -> Vec<f64> {
    let half = |x: f32| f64::from(f16::from_f32(x).to_f32());
    let columns = kv_head * head_dim..(kv_head + 1) * head_dim;
    let score = |key: &Vec<f32>| {
        let products = q
            .iter()
            .zip(&key[columns.clone()])
            .map(|(q, k)| f64::from(*q) * half(*k));
        (products.sum::<f64>() / (head_dim as f64).sqrt()).exp()
    };
    let weights: Vec<f64> = keys.iter().map(score).collect();
    let total: f64 = weights.iter().sum();
    columns
        .clone()
        .map(|column| {
            weights
                .iter()
                .zip(values)
                .map(|(w, v)| w * half(v[column]))
                .sum::<f64>()
                / total
        })
        .collect()
}

#[test]
fn attention_equals_its_definition() {
    let mut random = Random(5);
    for (heads, kv_heads, head_dim) in [(14, 2, 64), (9, 3, 64), (4, 4, 16), (2, 1, 24)] {
        for (before, tokens, threads) in [(0, 1, 1), (0, 11, 2), (13, 1, 4), (20, 1, 1), (9, 19, 2)] {
            let pool = Pool::new(threads);
            let mut layer = HostLayer::new(kv_heads, head_dim);
            let (mut keys, mut values) = (Vec::new(), Vec::new());
            for position in 0..before + tokens {
                keys.push(random.floats(kv_heads * head_dim));
                values.push(random.floats(kv_heads * head_dim));
                layer.write(position, &keys[position], &values[position]);
            }
            let q: Vec<f32> = random
                .floats(tokens * heads * head_dim)
                .iter()
                .map(|q| q * 3.0)
                .collect();
            let mut out = vec![f32::NAN; q.len()];
            attend(&pool, &layer, &q, heads, before, &mut out);
            for (index, (q, out)) in q.chunks(head_dim).zip(out.chunks(head_dim)).enumerate() {
                let (token, head) = (index / heads, index % heads);
                let seen = before + token + 1;
                let expected = defined(
                    q,
                    &keys[..seen],
                    &values[..seen],
                    head / (heads / kv_heads),
                    head_dim,
                );
                for (out, expected) in out.iter().zip(expected) {
                    assert!((f64::from(*out) - expected).abs() < 1e-5, "{out} and {expected}");
                }
            }
        }
    }
}

#[test]
fn a_forked_layer_is_its_own() {
    let mut layer = HostLayer::new(1, 16);
    for position in 0..20 {
        layer.write(position, &[position as f32; 16], &[position as f32; 16]);
    }
    let mut fork = layer.fork(10);
    fork.write(10, &[-1.0; 16], &[-1.0; 16]);
    let attended = |layer: &HostLayer| {
        let mut out = vec![0.0; 16];
        attend(&Pool::new(1), layer, &[0.0; 16], 1, 10, &mut out);
        out[0]
    };
    assert!((attended(&layer) - 5.0).abs() < 1e-6);
    assert!((attended(&fork) - 44.0 / 11.0).abs() < 1e-6);
}

#[test]
fn groups_keep_four_floats() {
    // The kernels read a group's scale and sums as they lie.
    assert_eq!(size_of::<GroupScale>(), 16);
}
