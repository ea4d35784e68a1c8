//! The arithmetic with AVX2, FMA and F16C: 32 8-bit products in one instruction, eight rows of a tile side by side.
//!
//! [`Avx2`] proves that the processor has the instructions, so that its methods are safe to call.
#![expect(
    unsafe_code,
    reason = "instructions that not every processor has, and unaligned loads"
)]

mod attention;
mod floats;
mod formats;
mod tile;

/// Proof that the processor has AVX2, FMA and F16C.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The proof, where the processor has them. The standard library remembers the answer.
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        has.then_some(Self(()))
    }
}
