//! A tile of eight rows times the activations of one token, or of many.
//!
//! `maddubs` multiplies unsigned codes with signed activations and adds pairs in 16 bits. Activations are within ±127, so
//! that sums of eight products of 4-bit codes, four of 5-bit codes and two of 6-bit codes stay below 2¹⁵ and are widened
//! only then. Signed 8-bit codes give their sign to the activations.

use std::arch::x86_64::*;

use super::super::activations::{Activations, GroupScale};
use super::super::packed::{GROUP, Packed, TILE};
use super::Avx2;
use super::formats::{Affine, AffineK, Codes, Format, Scales, SixK, Symmetric};
use crate::gguf::Quantization;

/// Tokens that are multiplied with a group while it is in registers.
const TOKENS: usize = 4;
/// Groups that are taken apart at once for many tokens: 12 kB, which stay in the first cache with their activations.
const UNPACKED: usize = 32;

impl Avx2 {
    /// Adds tile `tile` times the activations of every token to `out`, one row of eight per token.
    pub(crate) fn tile_products(
        self,
        packed: &Packed,
        tile: usize,
        x: &Activations,
        out: &mut [[f32; TILE]],
    ) {
        assert!(x.columns == packed.columns && x.codes.len() >= out.len() * x.columns);
        assert!(x.scales.len() >= out.len() * x.columns / GROUP);
        let bytes = packed.tile(tile);
        // SAFETY: `self` proves the instructions; a tile has the bytes of its format for `x.columns` columns, and `x` has
        // as many tokens as `out`.
        unsafe {
            match packed.quantization {
                Quantization::Q4_0 => many::<Symmetric<4, 8>>(bytes, x, out),
                Quantization::Q4_1 => many::<Affine<4>>(bytes, x, out),
                Quantization::Q5_0 => many::<Symmetric<5, 16>>(bytes, x, out),
                Quantization::Q5_1 => many::<Affine<5>>(bytes, x, out),
                Quantization::Q8_0 => many::<Symmetric<8, 0>>(bytes, x, out),
                Quantization::Q4_K => many::<AffineK<4>>(bytes, x, out),
                Quantization::Q5_K => many::<AffineK<5>>(bytes, x, out),
                Quantization::Q6_K => many::<SixK>(bytes, x, out),
                Quantization::F32 | Quantization::F16 | Quantization::BF16 => {}
            }
        }
    }
}

/// One token: every group is taken apart in registers and used once.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn one<F: Format>(bytes: &[u8], x: &[i8], scales: &[GroupScale], out: &mut [f32; TILE]) {
    // SAFETY: the caller's; the pointer moves over whole headers and groups, as many as the tile has.
    unsafe {
        let mut sums = [_mm256_loadu_ps(out.as_ptr())];
        let mut at = bytes.as_ptr();
        let mut x = x.as_ptr();
        for scales in scales.chunks_exact(F::SPAN) {
            let head = at;
            at = at.add(F::HEADER);
            for scale in scales {
                let codes = F::codes(at.add(F::SCALES));
                accumulate::<F, 1>(&codes, &F::scales(head, at), [x], [scale], &mut sums);
                at = at.add(F::GROUP);
                x = x.add(GROUP);
            }
        }
        _mm256_storeu_ps(out.as_mut_ptr(), sums[0]);
    }
}

/// A stretch of a tile taken apart.
struct Unpacked {
    codes: [Codes; UNPACKED],
    scales: [Scales; UNPACKED],
}

/// Many tokens: a stretch of groups is taken apart once and multiplied with all of them.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn many<F: Format>(bytes: &[u8], x: &Activations, out: &mut [[f32; TILE]]) {
    if let [out] = out {
        let (codes, scales) = x.row(0);
        // SAFETY: the caller's.
        return unsafe { one::<F>(bytes, codes, scales, out) };
    }
    let zero = Scales {
        scale: [_mm256_setzero_ps(); 2],
        minimum: [_mm256_setzero_ps(); 2],
    };
    let mut unpacked = Unpacked {
        codes: [[_mm256_setzero_si256(); 8]; UNPACKED],
        scales: [zero; UNPACKED],
    };
    let groups = x.columns / GROUP;
    let mut start = 0;
    while start < groups {
        let count = UNPACKED.min(groups - start);
        // SAFETY: the caller's; `start` and `start + count` are at most the tile's groups.
        unsafe {
            unpack::<F>(bytes, start, count, &mut unpacked);
            let mut token = 0;
            while token + TOKENS <= out.len() {
                stretch::<F, TOKENS>(&unpacked, start, count, x, token, out);
                token += TOKENS;
            }
            while token < out.len() {
                stretch::<F, 1>(&unpacked, start, count, x, token, out);
                token += 1;
            }
        }
        start += count;
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn unpack<F: Format>(bytes: &[u8], start: usize, count: usize, unpacked: &mut Unpacked) {
    let span_bytes = F::HEADER + F::SPAN * F::GROUP;
    for group in 0..count {
        let (span, within) = ((start + group) / F::SPAN, (start + group) % F::SPAN);
        // SAFETY: the caller's.
        unsafe {
            let head = bytes.as_ptr().add(span * span_bytes);
            let at = head.add(F::HEADER + within * F::GROUP);
            unpacked.codes[group] = F::codes(at.add(F::SCALES));
            unpacked.scales[group] = F::scales(head, at);
        }
    }
}

/// Adds the products of `count` groups with `N` tokens.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn stretch<F: Format, const N: usize>(
    unpacked: &Unpacked,
    start: usize,
    count: usize,
    x: &Activations,
    token: usize,
    out: &mut [[f32; TILE]],
) {
    let groups = x.columns / GROUP;
    // SAFETY: the caller's: `token + N` tokens and `start + count` groups are there.
    unsafe {
        let out = out.as_mut_ptr().add(token);
        let mut sums: [__m256; N] = std::array::from_fn(|n| _mm256_loadu_ps(out.add(n).cast()));
        let codes: [*const i8; N] =
            std::array::from_fn(|n| x.codes.as_ptr().add((token + n) * x.columns + start * GROUP));
        let scales: [*const GroupScale; N] =
            std::array::from_fn(|n| x.scales.as_ptr().add((token + n) * groups + start));
        for group in 0..count {
            let x = std::array::from_fn(|n| codes[n].add(group * GROUP));
            let scale = std::array::from_fn(|n| &*scales[n].add(group));
            accumulate::<F, N>(
                &unpacked.codes[group],
                &unpacked.scales[group],
                x,
                scale,
                &mut sums,
            );
        }
        for (n, sum) in sums.into_iter().enumerate() {
            _mm256_storeu_ps(out.add(n).cast(), sum);
        }
    }
}

/// Adds one group's products with `N` tokens. Half of the vectors at a time, so that they stay in registers.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn accumulate<F: Format, const N: usize>(
    codes: &Codes,
    scales: &Scales,
    x: [*const i8; N],
    x_scales: [&GroupScale; N],
    sums: &mut [__m256; N],
) {
    let ones = _mm256_set1_epi16(1);
    let mut narrow = [_mm256_setzero_si256(); N];
    let mut wide = [_mm256_setzero_si256(); N];
    for half in 0..2 {
        let codes = &codes[4 * half..4 * half + 4];
        for n in 0..N {
            // SAFETY: the caller's: 32 activations are there.
            let x: [__m256i; 4] =
                std::array::from_fn(|i| unsafe { repeat_four(x[n].add(16 * half + 4 * i)) });
            if F::BITS == 8 {
                for i in 0..4 {
                    let product =
                        _mm256_maddubs_epi16(_mm256_abs_epi8(codes[i]), _mm256_sign_epi8(x[i], codes[i]));
                    wide[n] = _mm256_add_epi32(wide[n], _mm256_madd_epi16(product, ones));
                }
                continue;
            }
            let pairs: [__m256i; 4] = std::array::from_fn(|i| _mm256_maddubs_epi16(codes[i], x[i]));
            let first = _mm256_add_epi16(pairs[0], pairs[1]);
            let last = _mm256_add_epi16(pairs[2], pairs[3]);
            if F::BITS == 6 {
                let product = _mm256_add_epi32(_mm256_madd_epi16(first, ones), _mm256_madd_epi16(last, ones));
                let sum = if half == 0 {
                    x_scales[n].first
                } else {
                    x_scales[n].last
                };
                sums[n] = scaled(sums[n], product, scales, half, x_scales[n].scale, sum);
            } else if F::BITS == 5 {
                let product = _mm256_madd_epi16(_mm256_add_epi16(first, last), ones);
                wide[n] = _mm256_add_epi32(wide[n], product);
            } else {
                narrow[n] = _mm256_add_epi16(narrow[n], _mm256_add_epi16(first, last));
            }
        }
    }
    for n in 0..N {
        if F::BITS == 4 {
            wide[n] = _mm256_madd_epi16(narrow[n], ones);
        }
        if F::BITS != 6 {
            sums[n] = scaled(sums[n], wide[n], scales, 0, x_scales[n].scale, x_scales[n].sum);
        }
    }
}

/// `sum + scale · x_scale · product + minimum · x_sum`
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn scaled(sum: __m256, product: __m256i, scales: &Scales, half: usize, x_scale: f32, x_sum: f32) -> __m256 {
    let scale = _mm256_mul_ps(scales.scale[half], _mm256_set1_ps(x_scale));
    let sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(product), scale, sum);
    _mm256_fmadd_ps(scales.minimum[half], _mm256_set1_ps(x_sum), sum)
}

/// Four activations, eight times.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn repeat_four(x: *const i8) -> __m256i {
    // SAFETY: the caller's.
    _mm256_set1_epi32(unsafe { x.cast::<i32>().read_unaligned() })
}
