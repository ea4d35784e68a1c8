//! Scores of eight positions at once, and sums of values for four rows at once.

use std::arch::x86_64::*;

use half::f16;

use super::super::attention::{BLOCK, Head};
use super::Avx2;

impl Avx2 {
    /// As [`portable::key_scores`](super::super::portable::key_scores).
    pub(crate) fn key_scores(
        self,
        q: &[f32],
        keys: &Head<'_>,
        blocks: usize,
        scores: &mut [f32],
        stride: usize,
    ) {
        let rows = q.len() / keys.head_dim;
        assert!(stride >= blocks * BLOCK && scores.len() >= rows * stride);
        for block in 0..blocks {
            let keys_of_block = keys.block(block);
            let mut row = 0;
            while row < rows {
                let q = &q[row * keys.head_dim..];
                let at = row * stride + block * BLOCK;
                // SAFETY: `self` proves the instructions; `q` has the rows that are asked for, a block has
                // `head_dim · 8` keys, and `scores` has eight places from `at` on for every row.
                unsafe {
                    let scores = scores.as_mut_ptr().add(at);
                    row += match rows - row {
                        8.. => block_scores::<8>(q, keys.head_dim, keys_of_block, scores, stride),
                        4.. => block_scores::<4>(q, keys.head_dim, keys_of_block, scores, stride),
                        2.. => block_scores::<2>(q, keys.head_dim, keys_of_block, scores, stride),
                        _ => block_scores::<1>(q, keys.head_dim, keys_of_block, scores, stride),
                    };
                }
            }
        }
    }

    /// As [`portable::weigh_values`](super::super::portable::weigh_values); heads are a multiple of 16 wide.
    pub(crate) fn weigh_values(
        self,
        weights: &[f32],
        stride: usize,
        len: usize,
        values: &Head<'_>,
        out: &mut [f32],
    ) {
        let head_dim = values.head_dim;
        let rows = out.len() / head_dim;
        assert!(head_dim.is_multiple_of(16) && stride >= len && weights.len() >= rows * stride);
        assert!(len == 0 || values.block((len - 1) / BLOCK).len() == head_dim * BLOCK);
        let mut row = 0;
        while row < rows {
            let weights = &weights[row * stride..];
            let out = &mut out[row * head_dim..];
            // SAFETY: `self` proves the instructions; the rows that are asked for are there, and `len` positions.
            unsafe {
                row += match rows - row {
                    4.. => weighted::<4>(weights, stride, len, values, out),
                    2.. => weighted::<2>(weights, stride, len, values, out),
                    _ => weighted::<1>(weights, stride, len, values, out),
                };
            }
        }
    }

    /// Adds `low · b` to a tile's sums; `b` has eight numbers per rank.
    pub(crate) fn add_low_rank(self, b: &[f16], low: &[f32], sums: &mut [f32; 8]) {
        assert!(b.len() == 8 * low.len());
        // SAFETY: `self` proves the instructions.
        unsafe { add_low_rank(b, low, sums) }
    }
}

/// Gives the rows it did.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn block_scores<const R: usize>(
    q: &[f32],
    head_dim: usize,
    keys: &[f16],
    scores: *mut f32,
    stride: usize,
) -> usize {
    let mut sums = [_mm256_setzero_ps(); R];
    for d in 0..head_dim {
        // SAFETY: the caller's.
        unsafe {
            let key = _mm256_cvtph_ps(_mm_loadu_si128(keys.as_ptr().add(BLOCK * d).cast()));
            for (row, sum) in sums.iter_mut().enumerate() {
                *sum = _mm256_fmadd_ps(_mm256_set1_ps(*q.get_unchecked(row * head_dim + d)), key, *sum);
            }
        }
    }
    for (row, sum) in sums.into_iter().enumerate() {
        // SAFETY: the caller's.
        unsafe { _mm256_storeu_ps(scores.add(row * stride), sum) };
    }
    R
}

/// Sixteen columns at a time, for `R` rows; gives the rows it did.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn weighted<const R: usize>(
    weights: &[f32],
    stride: usize,
    len: usize,
    values: &Head<'_>,
    out: &mut [f32],
) -> usize {
    let head_dim = values.head_dim;
    for column in (0..head_dim).step_by(16) {
        let mut sums = [[_mm256_setzero_ps(); 2]; R];
        for position in 0..len {
            // SAFETY: the caller's.
            unsafe {
                let at = values.position(position).add(column);
                let left = _mm256_cvtph_ps(_mm_loadu_si128(at.cast()));
                let right = _mm256_cvtph_ps(_mm_loadu_si128(at.add(8).cast()));
                for (row, sum) in sums.iter_mut().enumerate() {
                    let weight = _mm256_set1_ps(*weights.get_unchecked(row * stride + position));
                    sum[0] = _mm256_fmadd_ps(weight, left, sum[0]);
                    sum[1] = _mm256_fmadd_ps(weight, right, sum[1]);
                }
            }
        }
        for (row, sum) in sums.into_iter().enumerate() {
            let out = &mut out[row * head_dim + column..][..16];
            // SAFETY: sixteen places are there.
            unsafe {
                _mm256_storeu_ps(out.as_mut_ptr(), sum[0]);
                _mm256_storeu_ps(out.as_mut_ptr().add(8), sum[1]);
            }
        }
    }
    R
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn add_low_rank(b: &[f16], low: &[f32], sums: &mut [f32; 8]) {
    // SAFETY: eight floats are there, and eight halves per rank.
    unsafe {
        let mut sum = _mm256_loadu_ps(sums.as_ptr());
        for (rank, low) in low.iter().enumerate() {
            let b = _mm256_cvtph_ps(_mm_loadu_si128(b.as_ptr().add(8 * rank).cast()));
            sum = _mm256_fmadd_ps(_mm256_set1_ps(*low), b, sum);
        }
        _mm256_storeu_ps(sums.as_mut_ptr(), sum);
    }
}
