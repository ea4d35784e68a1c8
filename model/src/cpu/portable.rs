//! The arithmetic in plain Rust: what runs where there is no AVX2, and what the AVX2 kernels are tested against.

use half::f16;

use super::activations::{Activations, GroupScale};
use super::attention::{BLOCK, Head};
use super::packed::{GROUP, Packed, TILE};
use crate::gguf::{Quantization, blocks};

/// One group of a tile taken apart.
struct Group {
    /// By row and column; Q8_0's are signed.
    codes: [[i32; GROUP]; TILE],
    /// Of the first and of the last 16 columns, by row.
    scales: [[f32; TILE]; 2],
    minima: [[f32; TILE]; 2],
}

/// Adds the products of tile `tile` with the activations of as many tokens as `sums` has rows.
pub(crate) fn tile_products(packed: &Packed, tile: usize, x: &Activations, sums: &mut [[f32; TILE]]) {
    let bytes = packed.tile(tile);
    for group in 0..packed.columns / GROUP {
        let unpacked = unpack(packed, bytes, group);
        for (token, sums) in sums.iter_mut().enumerate() {
            let (codes, scales) = x.row(token);
            group_product(&unpacked, &codes[group * GROUP..][..GROUP], scales[group], sums);
        }
    }
}

fn group_product(group: &Group, codes: &[i8], scale: GroupScale, sums: &mut [f32; TILE]) {
    for (row, out) in sums.iter_mut().enumerate() {
        for (half, sum) in [scale.first, scale.last].into_iter().enumerate() {
            let columns = 16 * half..16 * (half + 1);
            let products = group.codes[row][columns.clone()].iter().zip(&codes[columns]);
            let product: i32 = products.map(|(weight, x)| weight * i32::from(*x)).sum();
            *out += group.scales[half][row] * scale.scale * product as f32;
            *out += group.minima[half][row] * sum;
        }
    }
}

/// Adds `low · b` to a tile's sums; `b` has eight numbers per rank.
pub(crate) fn add_low_rank(b: &[f16], low: &[f32], sums: &mut [f32; TILE]) {
    for (b, low) in b.as_chunks::<TILE>().0.iter().zip(low) {
        for (sum, b) in sums.iter_mut().zip(b) {
            *sum += low * b.to_f32();
        }
    }
}

/// Scores of query rows with the keys of the first `blocks` blocks; row `r`'s begin at `r · stride`.
pub(crate) fn key_scores(q: &[f32], keys: &Head<'_>, blocks: usize, scores: &mut [f32], stride: usize) {
    for block in 0..blocks {
        let keys_of_block = keys.block(block).as_chunks::<BLOCK>().0;
        for (q, scores) in q.chunks_exact(keys.head_dim).zip(scores.chunks_mut(stride)) {
            let mut sums = [0.0; BLOCK];
            for (q, keys) in q.iter().zip(keys_of_block) {
                for (sum, key) in sums.iter_mut().zip(keys) {
                    *sum += q * key.to_f32();
                }
            }
            scores[block * BLOCK..][..BLOCK].copy_from_slice(&sums);
        }
    }
}

/// Sums of the first `len` values, weighted by rows of weights that are `stride` apart.
pub(crate) fn weigh_values(weights: &[f32], stride: usize, len: usize, values: &Head<'_>, out: &mut [f32]) {
    out.fill(0.0);
    for position in 0..len {
        let block = values.block(position / BLOCK);
        let value = &block[position % BLOCK * values.head_dim..][..values.head_dim];
        for (out, weights) in out.chunks_exact_mut(values.head_dim).zip(weights.chunks(stride)) {
            for (out, value) in out.iter_mut().zip(value) {
                *out += weights[position] * value.to_f32();
            }
        }
    }
}

fn unpack(packed: &Packed, bytes: &[u8], group: usize) -> Group {
    let (at, head) = packed.group_at(group);
    let layout = packed.layout;
    let quantization = packed.quantization;
    let (scales, minima) = unpack_scales(quantization, &bytes[head..], &bytes[at..]);
    let mut codes = [[0; GROUP]; TILE];
    for (row, codes) in codes.iter_mut().enumerate() {
        for (column, code) in codes.iter_mut().enumerate() {
            let raw = unpack_code(
                layout.bits,
                &bytes[at + layout.scales..],
                column / 4,
                row * 4 + column % 4,
            );
            *code = if layout.bits == 8 {
                i32::from(raw.cast_signed())
            } else {
                i32::from(raw)
            };
        }
    }
    Group {
        codes,
        scales,
        minima,
    }
}

/// Byte `byte` of vector `vector`.
fn unpack_code(bits: usize, packed: &[u8], vector: usize, byte: usize) -> u8 {
    if bits == 8 {
        return packed[32 * vector + byte];
    }
    let width = bits - 4;
    let low = packed[32 * width + 32 * (vector % 4) + byte] >> (4 * (vector / 4)) & 15;
    if width == 0 {
        return low;
    }
    let (plane, shift) = (vector * width / 8, vector * width % 8);
    let high = packed[32 * plane + byte] >> shift & ((1 << width) - 1);
    low | high << 4
}

type Halves = [[f32; TILE]; 2];

fn unpack_scales(quantization: Quantization, head: &[u8], group: &[u8]) -> (Halves, Halves) {
    let half = |bytes: &[u8], row: usize| blocks::half(bytes, 2 * row);
    let mut scales = [[0.0; TILE]; 2];
    let mut minima = [[0.0; TILE]; 2];
    for row in 0..TILE {
        let (scale, minimum) = match quantization {
            Quantization::Q4_K | Quantization::Q5_K => (
                [half(head, row) * f32::from(group[row]); 2],
                [-half(&head[16..], row) * f32::from(group[TILE + row]); 2],
            ),
            Quantization::Q6_K => {
                let scale = |half_group: usize| {
                    half(head, row) * f32::from(group[TILE * half_group + row].cast_signed())
                };
                ([scale(0), scale(1)], [-32.0 * scale(0), -32.0 * scale(1)])
            }
            Quantization::Q4_1 | Quantization::Q5_1 => ([half(group, row); 2], [half(&group[16..], row); 2]),
            _ => {
                let scale = half(group, row);
                ([scale; 2], [-(blocks::offset(quantization) as f32) * scale; 2])
            }
        };
        for part in 0..2 {
            (scales[part][row], minima[part][row]) = (scale[part], minimum[part]);
        }
    }
    (scales, minima)
}

pub(crate) fn quantize_row(values: &[f32], codes: &mut [i8], scales: &mut [GroupScale]) {
    let (values, codes) = (values.as_chunks::<GROUP>().0, codes.as_chunks_mut::<GROUP>().0);
    for ((values, codes), scale) in values.iter().zip(codes).zip(scales) {
        *scale = quantize_group(values, codes);
    }
}

fn quantize_group(values: &[f32; GROUP], codes: &mut [i8; GROUP]) -> GroupScale {
    let greatest = values
        .iter()
        .fold(0.0f32, |greatest, value| greatest.max(value.abs()));
    let scale = greatest / 127.0;
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    for (code, value) in codes.iter_mut().zip(values) {
        *code = (value * inverse).round_ties_even().clamp(-127.0, 127.0) as i8;
    }
    let sum = |codes: &[i8]| codes.iter().map(|code| i32::from(*code)).sum::<i32>() as f32 * scale;
    let (first, last) = (sum(&codes[..16]), sum(&codes[16..]));
    GroupScale {
        scale,
        sum: sum(&codes[..]),
        first,
        last,
    }
}

/// A sum in eight lanes: faster than one after the other, and more exact.
pub(crate) fn lanes_sum(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += term(*value);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|value| term(*value)).sum::<f32>()
}

pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    products(a, b, |a| *a)
}

pub(crate) fn dot_half(a: &[f16], b: &[f32]) -> f32 {
    products(a, b, |a| a.to_f32())
}

fn products<T>(a: &[T], b: &[f32], float: impl Fn(&T) -> f32) -> f32 {
    let mut lanes = [0.0; 8];
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let (b_chunks, b_rest) = b.as_chunks::<8>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += float(a) * b;
        }
    }
    lanes.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| float(a) * b).sum::<f32>()
}

pub(crate) fn swiglu(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = *gate / (1.0 + (-*gate).exp()) * up;
    }
}

pub(crate) fn exp_sum(x: &mut [f32], greatest: f32) -> f32 {
    let mut sum = 0.0;
    for x in x {
        *x = (*x - greatest).exp();
        sum += *x;
    }
    sum
}
