//! Stored numbers back to 32-bit floats: for embeddings, norms and biases, and as the reference of the kernels' tests.

use half::{bf16, f16};

use super::Quantization;
use super::blocks;

/// Dequantizes whole blocks; `values` has as many numbers as `data` holds.
pub fn row(quantization: Quantization, data: &[u8], values: &mut [f32]) {
    let blocks = data.chunks_exact(quantization.block_bytes());
    for (block, values) in blocks.zip(values.chunks_exact_mut(quantization.block_len())) {
        match quantization {
            Quantization::F32 => values[0] = f32::from_le_bytes([block[0], block[1], block[2], block[3]]),
            Quantization::F16 => values[0] = f16::from_le_bytes([block[0], block[1]]).to_f32(),
            Quantization::BF16 => values[0] = bf16::from_le_bytes([block[0], block[1]]).to_f32(),
            _ => quantized(quantization, block, values),
        }
    }
}

fn quantized(quantization: Quantization, block: &[u8], values: &mut [f32]) {
    let mut codes = [0; 256];
    let codes = &mut codes[..quantization.block_len()];
    blocks::codes(quantization, block, codes);
    match quantization {
        Quantization::Q4_1 | Quantization::Q5_1 => {
            affine(codes, blocks::half(block, 0), blocks::half(block, 2), values);
        }
        Quantization::Q8_0 => {
            let scale = blocks::half(block, 0);
            for (value, code) in values.iter_mut().zip(codes) {
                *value = scale * f32::from(code.cast_signed());
            }
        }
        Quantization::Q4_K | Quantization::Q5_K => {
            let (d, d_min) = (blocks::half(block, 0), blocks::half(block, 2));
            let (scales, minima) = blocks::k_scales(block);
            for (group, (codes, values)) in codes.chunks(32).zip(values.chunks_mut(32)).enumerate() {
                affine(
                    codes,
                    d * f32::from(scales[group]),
                    -d_min * f32::from(minima[group]),
                    values,
                );
            }
        }
        Quantization::Q6_K => {
            let d = blocks::half(block, 208);
            let scales = blocks::q6_scales(block);
            for (scale, (codes, values)) in scales.iter().zip(codes.chunks(16).zip(values.chunks_mut(16))) {
                symmetric(codes, d * f32::from(*scale), 32, values);
            }
        }
        _ => symmetric(
            codes,
            blocks::half(block, 0),
            blocks::offset(quantization),
            values,
        ),
    }
}

fn affine(codes: &[u8], scale: f32, minimum: f32, values: &mut [f32]) {
    for (value, code) in values.iter_mut().zip(codes) {
        *value = scale * f32::from(*code) + minimum;
    }
}

fn symmetric(codes: &[u8], scale: f32, offset: i32, values: &mut [f32]) {
    for (value, code) in values.iter_mut().zip(codes) {
        *value = scale * (i32::from(*code) - offset) as f32;
    }
}
