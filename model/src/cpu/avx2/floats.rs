//! Arithmetic on 32-bit floats.

use std::arch::x86_64::*;

use half::f16;

use super::super::activations::GroupScale;
use super::super::packed::GROUP;
use super::super::portable;
use super::Avx2;

impl Avx2 {
    pub(crate) fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        assert!(a.len() == b.len());
        // SAFETY: `self` proves the instructions.
        unsafe { products::<f32>(a, b) }
    }

    pub(crate) fn dot_half(self, a: &[f16], b: &[f32]) -> f32 {
        assert!(a.len() == b.len());
        // SAFETY: as above.
        unsafe { products::<f16>(a, b) }
    }

    pub(crate) fn swiglu(self, gate: &mut [f32], up: &[f32]) {
        assert!(gate.len() == up.len());
        let (gates, gate_rest) = gate.as_chunks_mut::<8>();
        let (ups, up_rest) = up.as_chunks::<8>();
        // SAFETY: as above.
        unsafe { swiglu(gates, ups) }
        portable::swiglu(gate_rest, up_rest);
    }

    pub(crate) fn exp_sum(self, x: &mut [f32], greatest: f32) -> f32 {
        let (chunks, rest) = x.as_chunks_mut::<8>();
        // SAFETY: as above.
        let sum = unsafe { exp_sum(chunks, greatest) };
        sum + portable::exp_sum(rest, greatest)
    }

    pub(crate) fn quantize_row(self, values: &[f32], codes: &mut [i8], scales: &mut [GroupScale]) {
        let (values, codes) = (values.as_chunks::<GROUP>().0, codes.as_chunks_mut::<GROUP>().0);
        for ((values, codes), scale) in values.iter().zip(codes).zip(scales) {
            // SAFETY: as above.
            *scale = unsafe { quantize_group(values, codes) };
        }
    }
}

/// A weight's storage that can be loaded as eight floats.
trait Eight: Copy {
    /// # Safety
    /// AVX and F16C; eight are there.
    unsafe fn load(at: *const Self) -> __m256;
    fn float(self) -> f32;
}

impl Eight for f32 {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(at: *const Self) -> __m256 {
        // SAFETY: the caller's.
        unsafe { _mm256_loadu_ps(at) }
    }
    fn float(self) -> f32 {
        self
    }
}

impl Eight for f16 {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(at: *const Self) -> __m256 {
        // SAFETY: the caller's.
        _mm256_cvtph_ps(unsafe { _mm_loadu_si128(at.cast()) })
    }
    fn float(self) -> f32 {
        self.to_f32()
    }
}

/// Four sums side by side, for an addition takes four cycles.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn products<T: Eight>(a: &[T], b: &[f32]) -> f32 {
    let mut sums = [_mm256_setzero_ps(); 4];
    let (a_chunks, a_rest) = a.as_chunks::<32>();
    let (b_chunks, b_rest) = b.as_chunks::<32>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for (i, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the chunks have 32 numbers.
            let (a, b) = unsafe {
                (
                    T::load(a.as_ptr().add(8 * i)),
                    _mm256_loadu_ps(b.as_ptr().add(8 * i)),
                )
            };
            *sum = _mm256_fmadd_ps(a, b, *sum);
        }
    }
    let sum = _mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3]));
    total(sum) + a_rest.iter().zip(b_rest).map(|(a, b)| a.float() * b).sum::<f32>()
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn total(sum: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn swiglu(gates: &mut [[f32; 8]], ups: &[[f32; 8]]) {
    let one = _mm256_set1_ps(1.0);
    for (gate, up) in gates.iter_mut().zip(ups) {
        // SAFETY: the chunks have eight numbers.
        unsafe {
            let x = _mm256_loadu_ps(gate.as_ptr());
            let negative = _mm256_sub_ps(_mm256_setzero_ps(), x);
            let silu = _mm256_div_ps(x, _mm256_add_ps(one, exp(negative)));
            _mm256_storeu_ps(
                gate.as_mut_ptr(),
                _mm256_mul_ps(silu, _mm256_loadu_ps(up.as_ptr())),
            );
        }
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn exp_sum(chunks: &mut [[f32; 8]], greatest: f32) -> f32 {
    let greatest = _mm256_set1_ps(greatest);
    let mut sum = _mm256_setzero_ps();
    for chunk in chunks {
        // SAFETY: the chunk has eight numbers.
        unsafe {
            let x = exp(_mm256_sub_ps(_mm256_loadu_ps(chunk.as_ptr()), greatest));
            _mm256_storeu_ps(chunk.as_mut_ptr(), x);
            sum = _mm256_add_ps(sum, x);
        }
    }
    total(sum)
}

/// e^x, right to about 1e-7: x = n·ln 2 + r, a polynomial of r (Cephes' `expf`), and n into the exponent. Below -87.3 it
/// is 0, above 88.3 it stays there, which makes a sigmoid of either end exact.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn exp(x: __m256) -> __m256 {
    let tiny = _mm256_cmp_ps::<_CMP_LT_OQ>(x, _mm256_set1_ps(-87.3));
    let x = _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(-87.3)), _mm256_set1_ps(88.3));
    let n = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(_mm256_mul_ps(
        x,
        _mm256_set1_ps(std::f32::consts::LOG2_E),
    ));
    // ln 2 in two parts, the first exact in few bits.
    let r = _mm256_fnmadd_ps(n, _mm256_set1_ps(355.0 / 512.0), x);
    let r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.121_944_4e-4), r);
    let mut p = _mm256_set1_ps(1.987_569_1e-4);
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(coefficient));
    }
    let p = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1.0));
    let power = _mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)));
    _mm256_andnot_ps(tiny, _mm256_mul_ps(p, _mm256_castsi256_ps(power)))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn quantize_group(values: &[f32; GROUP], codes: &mut [i8; GROUP]) -> GroupScale {
    // SAFETY: 32 floats and 32 bytes are there.
    let x: [__m256; 4] = std::array::from_fn(|i| unsafe { _mm256_loadu_ps(values.as_ptr().add(8 * i)) });
    let sign = _mm256_set1_ps(-0.0);
    let absolute: [__m256; 4] = std::array::from_fn(|i| _mm256_andnot_ps(sign, x[i]));
    let greatest = _mm256_max_ps(
        _mm256_max_ps(absolute[0], absolute[1]),
        _mm256_max_ps(absolute[2], absolute[3]),
    );
    let four = _mm_max_ps(
        _mm256_castps256_ps128(greatest),
        _mm256_extractf128_ps::<1>(greatest),
    );
    let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    let scale = _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two))) / 127.0;
    let inverse = _mm256_set1_ps(if scale > 0.0 { 1.0 / scale } else { 0.0 });
    let limit = _mm256_set1_ps(127.0);
    let low = _mm256_set1_ps(-127.0);
    let whole: [__m256i; 4] = std::array::from_fn(|i| {
        _mm256_cvtps_epi32(_mm256_max_ps(
            low,
            _mm256_min_ps(limit, _mm256_mul_ps(x[i], inverse)),
        ))
    });
    let first = _mm256_add_epi32(whole[0], whole[1]);
    let last = _mm256_add_epi32(whole[2], whole[3]);
    let (first, last) = (whole_total(first), whole_total(last));
    // Packing works within 128-bit lanes: the permutation puts fours back in order.
    let bytes = _mm256_packs_epi16(
        _mm256_packs_epi32(whole[0], whole[1]),
        _mm256_packs_epi32(whole[2], whole[3]),
    );
    let bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    // SAFETY: 32 bytes are there.
    unsafe { _mm256_storeu_si256(codes.as_mut_ptr().cast(), bytes) };
    GroupScale {
        scale,
        sum: (first + last) as f32 * scale,
        first: first as f32 * scale,
        last: last as f32 * scale,
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn whole_total(sum: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b1110>(four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
}
