//! The decoder's arithmetic on the CPU, over plain slices.
//!
//! Weights stay quantized. They are repacked at load so that eight rows stand side by side ([`packed`]), activations are
//! quantized to 8 bits per group of 32 ([`activations`]), and products are integer dot products with one
//! multiplication per group. AVX2 kernels are chosen at run time; the portable ones compute the same and are what tests
//! compare with.

pub(crate) mod activations;
pub(crate) mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
pub(crate) mod linear;
pub(crate) mod packed;
pub(crate) mod pool;
mod portable;
pub(crate) mod vector;

#[cfg(test)]
mod tests;
