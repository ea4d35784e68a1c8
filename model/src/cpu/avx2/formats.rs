//! How each packed type is taken apart in registers; the layout is in `packed`.

use std::arch::x86_64::*;

/// Scales and minima of a group for eight rows. Only 6-bit codes have two of each, for the first and last 16 columns;
/// the others use the first.
#[derive(Clone, Copy)]
pub(super) struct Scales {
    pub(super) scale: [__m256; 2],
    pub(super) minimum: [__m256; 2],
}

/// The eight vectors of a group's codes.
pub(super) type Codes = [__m256i; 8];

/// A packed type.
pub(super) trait Format {
    /// Bits of a code; 8 bits are signed.
    const BITS: usize;
    /// Groups that share a header.
    const SPAN: usize = 1;
    /// Bytes of a header.
    const HEADER: usize = 0;
    /// Bytes before a group's codes.
    const SCALES: usize;
    /// Bytes of a group.
    const GROUP: usize = Self::SCALES + 32 * Self::BITS;

    /// # Safety
    /// AVX2, FMA and F16C; `head` and `group` point at whole packed bytes.
    unsafe fn scales(head: *const u8, group: *const u8) -> Scales;

    /// # Safety
    /// AVX2; `at` points at a group's codes, `32 · BITS` bytes.
    unsafe fn codes(at: *const u8) -> Codes;
}

/// `scale · (code - OFFSET)`
pub(super) struct Symmetric<const BITS: usize, const OFFSET: i32>;
/// `scale · code + minimum`
pub(super) struct Affine<const BITS: usize>;
/// The same with 8-bit scales under a header.
pub(super) struct AffineK<const BITS: usize>;
/// Q6_K.
pub(super) struct SixK;

impl<const BITS: usize, const OFFSET: i32> Format for Symmetric<BITS, OFFSET> {
    const BITS: usize = BITS;
    const SCALES: usize = 16;

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn scales(_head: *const u8, group: *const u8) -> Scales {
        // SAFETY: the caller's.
        let scale = unsafe { halves(group) };
        let minimum = _mm256_mul_ps(scale, _mm256_set1_ps(-(OFFSET as f32)));
        Scales {
            scale: [scale; 2],
            minimum: [minimum; 2],
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn codes(at: *const u8) -> Codes {
        // SAFETY: the caller's.
        unsafe { codes::<BITS>(at) }
    }
}

impl<const BITS: usize> Format for Affine<BITS> {
    const BITS: usize = BITS;
    const SCALES: usize = 32;

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn scales(_head: *const u8, group: *const u8) -> Scales {
        // SAFETY: the caller's.
        let (scale, minimum) = unsafe { (halves(group), halves(group.add(16))) };
        Scales {
            scale: [scale; 2],
            minimum: [minimum; 2],
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn codes(at: *const u8) -> Codes {
        // SAFETY: the caller's.
        unsafe { codes::<BITS>(at) }
    }
}

impl<const BITS: usize> Format for AffineK<BITS> {
    const BITS: usize = BITS;
    const SPAN: usize = 8;
    const HEADER: usize = 32;
    const SCALES: usize = 16;

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn scales(head: *const u8, group: *const u8) -> Scales {
        // SAFETY: the caller's.
        let (d, d_min, bytes) =
            unsafe { (halves(head), halves(head.add(16)), _mm_loadu_si128(group.cast())) };
        let scale = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
        let minimum = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128::<8>(bytes)));
        let scale = _mm256_mul_ps(d, scale);
        let minimum = _mm256_mul_ps(_mm256_sub_ps(_mm256_setzero_ps(), d_min), minimum);
        Scales {
            scale: [scale; 2],
            minimum: [minimum; 2],
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn codes(at: *const u8) -> Codes {
        // SAFETY: the caller's.
        unsafe { codes::<BITS>(at) }
    }
}

impl Format for SixK {
    const BITS: usize = 6;
    const SPAN: usize = 8;
    const HEADER: usize = 16;
    const SCALES: usize = 16;

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn scales(head: *const u8, group: *const u8) -> Scales {
        // SAFETY: the caller's.
        let (d, bytes) = unsafe { (halves(head), _mm_loadu_si128(group.cast())) };
        let first = _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)));
        let last = _mm256_mul_ps(
            d,
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128::<8>(bytes))),
        );
        let offset = _mm256_set1_ps(-32.0);
        Scales {
            scale: [first, last],
            minimum: [_mm256_mul_ps(first, offset), _mm256_mul_ps(last, offset)],
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn codes(at: *const u8) -> Codes {
        // SAFETY: the caller's.
        unsafe { codes::<6>(at) }
    }
}

/// Eight half floats.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn halves(at: *const u8) -> __m256 {
    // SAFETY: the caller's.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(at.cast()) })
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn load(at: *const u8) -> __m256i {
    // SAFETY: the caller's.
    unsafe { _mm256_loadu_si256(at.cast()) }
}

/// The codes of a group whose codes begin at `at`.
///
/// # Safety
/// AVX2; `at` points at `32 · BITS` bytes.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn codes<const BITS: usize>(at: *const u8) -> Codes {
    let mut codes = [_mm256_setzero_si256(); 8];
    // SAFETY: the caller's.
    unsafe {
        if BITS == 8 {
            for (i, code) in codes.iter_mut().enumerate() {
                *code = load(at.add(32 * i));
            }
            return codes;
        }
        let low = at.add(32 * (BITS - 4));
        let mask = _mm256_set1_epi8(15);
        for i in 0..4 {
            let both = load(low.add(32 * i));
            codes[i] = _mm256_and_si256(both, mask);
            codes[i + 4] = _mm256_and_si256(_mm256_srli_epi16::<4>(both), mask);
        }
        if BITS == 5 {
            fifth_bits(load(at), &mut codes);
        }
        if BITS == 6 {
            high_pairs(load(at), load(at.add(32)), &mut codes);
        }
    }
    codes
}

/// Bit `i` of each byte is bit 4 of vector `i`. Shifts are of 16 bits: what they carry over is masked away.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn fifth_bits(bits: __m256i, codes: &mut Codes) {
    let mask = _mm256_set1_epi8(16);
    let shifted = [
        _mm256_slli_epi16::<4>(bits),
        _mm256_slli_epi16::<3>(bits),
        _mm256_slli_epi16::<2>(bits),
        _mm256_slli_epi16::<1>(bits),
        bits,
        _mm256_srli_epi16::<1>(bits),
        _mm256_srli_epi16::<2>(bits),
        _mm256_srli_epi16::<3>(bits),
    ];
    for (code, bits) in codes.iter_mut().zip(shifted) {
        *code = _mm256_or_si256(*code, _mm256_and_si256(bits, mask));
    }
}

/// Bits `2i` and `2i + 1` of each byte are bits 4 and 5 of vector `i`, or `i + 4` in the second plane.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn high_pairs(first: __m256i, last: __m256i, codes: &mut Codes) {
    let mask = _mm256_set1_epi8(48);
    for (plane, codes) in [first, last].into_iter().zip(codes.chunks_exact_mut(4)) {
        let shifted = [
            _mm256_slli_epi16::<4>(plane),
            _mm256_slli_epi16::<2>(plane),
            plane,
            _mm256_srli_epi16::<2>(plane),
        ];
        for (code, bits) in codes.iter_mut().zip(shifted) {
            *code = _mm256_or_si256(*code, _mm256_and_si256(bits, mask));
        }
    }
}
