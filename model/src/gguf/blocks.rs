//! ggml's quantized blocks taken apart: the unsigned code of every number, and the scales beside them.
//!
//! A number is `scale · (code - offset)` or `scale · code + minimum`. Layouts as ggml's `ggml-common.h` defines them.

use half::f16;

use super::Quantization;

/// A block's bytes as half precision, at `at`.
pub(crate) fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// What is subtracted from a code, for the types without minima.
pub(crate) fn offset(quantization: Quantization) -> i32 {
    match quantization {
        Quantization::Q4_0 => 8,
        Quantization::Q5_0 => 16,
        Quantization::Q6_K => 32,
        _ => 0,
    }
}

/// The codes of one block in their order; Q8_0's are signed and given as their bit pattern.
/// `codes` is as long as the block.
pub(crate) fn codes(quantization: Quantization, block: &[u8], codes: &mut [u8]) {
    match quantization {
        Quantization::Q4_0 => nibbles(&block[2..18], codes),
        Quantization::Q4_1 => nibbles(&block[4..20], codes),
        Quantization::Q5_0 => {
            nibbles(&block[6..22], codes);
            fifth_bits(&block[2..6], codes);
        }
        Quantization::Q5_1 => {
            nibbles(&block[8..24], codes);
            fifth_bits(&block[4..8], codes);
        }
        Quantization::Q8_0 => codes.copy_from_slice(&block[2..34]),
        Quantization::Q4_K => k_nibbles(&block[16..144], codes),
        Quantization::Q5_K => {
            k_nibbles(&block[48..176], codes);
            for (group, codes) in codes.chunks_exact_mut(32).enumerate() {
                for (code, high) in codes.iter_mut().zip(&block[16..48]) {
                    *code |= (high >> group & 1) << 4;
                }
            }
        }
        Quantization::Q6_K => q6_codes(block, codes),
        Quantization::F32 | Quantization::F16 | Quantization::BF16 => {}
    }
}

/// The 6-bit scales and minima of the eight groups of 32 in a Q4_K or Q5_K superblock.
pub(crate) fn k_scales(block: &[u8]) -> ([u8; 8], [u8; 8]) {
    let packed = &block[4..16];
    let (mut scales, mut minima) = ([0; 8], [0; 8]);
    for j in 0..4 {
        scales[j] = packed[j] & 63;
        minima[j] = packed[j + 4] & 63;
        scales[j + 4] = (packed[j + 8] & 15) | (packed[j] >> 6) << 4;
        minima[j + 4] = (packed[j + 8] >> 4) | (packed[j + 4] >> 6) << 4;
    }
    (scales, minima)
}

/// The signed scales of the sixteen groups of 16 in a Q6_K superblock.
pub(crate) fn q6_scales(block: &[u8]) -> [i8; 16] {
    let mut scales = [0; 16];
    for (scale, byte) in scales.iter_mut().zip(&block[192..208]) {
        *scale = byte.cast_signed();
    }
    scales
}

fn nibbles(packed: &[u8], codes: &mut [u8]) {
    for (j, byte) in packed.iter().enumerate() {
        codes[j] = byte & 15;
        codes[j + 16] = byte >> 4;
    }
}

fn fifth_bits(bits: &[u8], codes: &mut [u8]) {
    for (j, code) in codes.iter_mut().enumerate() {
        *code |= (bits[j / 8] >> (j % 8) & 1) << 4;
    }
}

/// 64 numbers from 32 bytes: the low nibbles, then the high ones.
fn k_nibbles(packed: &[u8], codes: &mut [u8]) {
    for (bytes, codes) in packed.chunks_exact(32).zip(codes.chunks_exact_mut(64)) {
        for (j, byte) in bytes.iter().enumerate() {
            codes[j] = byte & 15;
            codes[j + 32] = byte >> 4;
        }
    }
}

/// 128 numbers from 64 bytes of low and 32 bytes of high bits, twice.
fn q6_codes(block: &[u8], codes: &mut [u8]) {
    for (n, codes) in codes.chunks_exact_mut(128).enumerate() {
        let (low, high) = (&block[64 * n..], &block[128 + 32 * n..]);
        for j in 0..32 {
            codes[j] = (low[j] & 15) | (high[j] & 3) << 4;
            codes[j + 32] = (low[j + 32] & 15) | (high[j] >> 2 & 3) << 4;
            codes[j + 64] = (low[j] >> 4) | (high[j] >> 4 & 3) << 4;
            codes[j + 96] = (low[j + 32] >> 4) | (high[j] >> 6) << 4;
        }
    }
}
