//! A linear layer on the CPU: a frozen weight, a bias, a LoRA pair; and products of several layers with one input.

use std::io;
use std::sync::Arc;

use half::f16;

use crate::gguf::{Quantization, TensorView, dequantize};
use crate::lora::LoraWeights;

use super::activations::Activations;
use super::packed::{GROUP, Packed, TILE};
use super::pool::Pool;
use super::vector;

/// A linear layer whose base never changes.
#[derive(Debug)]
pub(crate) struct HostLinear {
    weight: Weight,
    bias: Option<Vec<f32>>,
    lora: Option<Arc<HostLora>>,
}

#[derive(Debug)]
enum Weight {
    Packed(Packed),
    Dense(Dense),
}

/// A weight stored in floats, as it is stored.
#[derive(Debug)]
struct Dense {
    quantization: Quantization,
    rows: usize,
    columns: usize,
    data: Vec<u8>,
}

/// A LoRA pair in half precision.
#[derive(Debug)]
pub(crate) struct HostLora {
    rank: usize,
    scale: f32,
    /// `(rank, in)`
    a: Vec<f16>,
    /// `(tile, rank, 8)`: eight rows of B side by side.
    b: Vec<f16>,
}

/// What several layers multiply: floats, their 8-bit form, and A·x of the layers that have an adapter.
#[derive(Debug, Default)]
pub(crate) struct Input {
    tokens: usize,
    columns: usize,
    /// `(tokens, columns)`
    pub(crate) floats: Vec<f32>,
    quantized: Activations,
    /// `(tokens, ranks of all layers)`
    low: Vec<f32>,
}

/// Where one layer's product goes.
pub(crate) struct Target<'a> {
    pub(crate) linear: &'a HostLinear,
    /// `(tokens, rows)`
    pub(crate) out: &'a mut [f32],
    /// Whether the product is added to what is there: a residual.
    pub(crate) add: bool,
}

impl HostLinear {
    /// Repacks a stored weight `(out, in)`.
    ///
    /// # Errors
    /// Where there is no memory left.
    pub(crate) fn load(view: TensorView<'_>, bias: Option<Vec<f32>>, pool: &Pool) -> io::Result<Self> {
        let weight = match Packed::pack(view, pool)? {
            Some(packed) => Weight::Packed(packed),
            None => Weight::Dense(Dense {
                quantization: view.quantization,
                rows: view.shape.first().copied().unwrap_or(0),
                columns: view.shape.get(1).copied().unwrap_or(0),
                data: view.data.to_vec(),
            }),
        };
        Ok(Self {
            weight,
            bias,
            lora: None,
        })
    }

    /// Puts this LoRA pair, or none, in the place of the one before.
    pub(crate) fn set_lora(&mut self, lora: Option<Arc<HostLora>>) {
        self.lora = lora;
    }

    /// Rows of the weight: the width of the product.
    pub(crate) fn rows(&self) -> usize {
        match &self.weight {
            Weight::Packed(packed) => packed.rows,
            Weight::Dense(dense) => dense.rows,
        }
    }

    fn rank(&self) -> usize {
        self.lora.as_ref().map_or(0, |lora| lora.rank)
    }
}

impl HostLora {
    pub(crate) fn new(weights: &LoraWeights) -> Self {
        let rank = weights.rank;
        let rows = weights.b.len() / rank;
        let mut b = vec![f16::ZERO; rows.div_ceil(TILE) * TILE * rank];
        for (row, values) in weights.b.chunks_exact(rank).enumerate() {
            for (r, value) in values.iter().enumerate() {
                b[(row / TILE * rank + r) * TILE + row % TILE] = f16::from_f32(*value);
            }
        }
        let a = weights.a.iter().map(|value| f16::from_f32(*value)).collect();
        Self {
            rank,
            scale: weights.scale,
            a,
            b,
        }
    }
}

impl Input {
    /// Makes room for `(tokens, columns)`.
    pub(crate) fn resize(&mut self, tokens: usize, columns: usize) {
        (self.tokens, self.columns) = (tokens, columns);
        self.floats.resize(tokens * columns, 0.0);
    }

    /// Fills each token's floats by `fill(token, floats)`, then quantizes them and multiplies them with every A.
    #[expect(unsafe_code, reason = "threads write disjoint tokens")]
    pub(crate) fn prepare(
        &mut self,
        pool: &Pool,
        linears: &[&HostLinear],
        fill: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        let (tokens, columns) = (self.tokens, self.columns);
        let ranks: usize = linears.iter().map(|linear| linear.rank()).sum();
        let groups = columns / GROUP;
        self.low.resize(tokens * ranks, 0.0);
        let packed = linears
            .iter()
            .any(|linear| matches!(linear.weight, Weight::Packed(_)));
        if packed {
            self.quantized.resize(tokens, columns);
        }
        let floats = Shared::new(&mut self.floats);
        let codes = Shared::new(&mut self.quantized.codes);
        let scales = Shared::new(&mut self.quantized.scales);
        let low = Shared::new(&mut self.low);
        pool.for_ranges(tokens, 1, |range| {
            for token in range {
                // SAFETY: a token is in one range.
                let (floats, low) = unsafe {
                    (
                        floats.slice(token * columns, columns),
                        low.slice(token * ranks, ranks),
                    )
                };
                fill(token, floats);
                if packed {
                    // SAFETY: as above.
                    let (codes, scales) = unsafe {
                        (
                            codes.slice(token * columns, columns),
                            scales.slice(token * groups, groups),
                        )
                    };
                    vector::quantize_row(floats, codes, scales);
                }
                low_products(linears, floats, low);
            }
        });
    }
}

/// `s·A·x` of every layer, one after the other.
fn low_products(linears: &[&HostLinear], x: &[f32], mut low: &mut [f32]) {
    for lora in linears.iter().filter_map(|linear| linear.lora.as_deref()) {
        let (mine, rest) = low.split_at_mut(lora.rank);
        for (low, a) in mine.iter_mut().zip(lora.a.chunks_exact(x.len())) {
            *low = lora.scale * vector::dot_half(a, x);
        }
        low = rest;
    }
}

/// Multiplies every target's layer with the input: `out = W·x + b + s·B·A·x`. The targets' layers are those that the
/// input was prepared for, in the same order.
pub(crate) fn multiply(pool: &Pool, input: &Input, targets: &mut [Target<'_>]) {
    let mut jobs = Vec::with_capacity(targets.len());
    let (mut first_tile, mut first_rank) = (0, 0);
    for target in targets {
        let linear = target.linear;
        let job = Job {
            input,
            linear,
            out: Shared::new(target.out),
            add: target.add,
            first_tile,
            first_rank,
        };
        first_tile += linear.rows().div_ceil(TILE);
        first_rank += linear.rank();
        jobs.push(job);
    }
    let ranks = first_rank;
    // Small pieces even out threads that the system stops; a piece is still some microseconds.
    let piece = if input.tokens == 1 {
        first_tile.div_ceil(pool.threads() * 8).max(8)
    } else {
        4
    };
    pool.for_ranges(first_tile, piece, |range| {
        let mut sums = vec![[0.0; TILE]; input.tokens];
        for tile in range {
            let job = jobs.iter().rev().find(|job| job.first_tile <= tile);
            if let Some(job) = job {
                job.run(tile - job.first_tile, ranks, &mut sums);
            }
        }
    });
}

/// One target's part of a region.
struct Job<'a> {
    input: &'a Input,
    linear: &'a HostLinear,
    out: Shared<f32>,
    add: bool,
    first_tile: usize,
    first_rank: usize,
}

impl Job<'_> {
    /// Eight rows for all tokens.
    #[expect(unsafe_code, reason = "threads write disjoint columns of one output")]
    fn run(&self, tile: usize, ranks: usize, sums: &mut [[f32; TILE]]) {
        let rows = self.linear.rows();
        let width = TILE.min(rows - tile * TILE);
        self.start(tile, width, sums);
        match &self.linear.weight {
            Weight::Packed(packed) => vector::tile_products(packed, tile, &self.input.quantized, sums),
            Weight::Dense(dense) => dense.tile_products(tile, width, &self.input.floats, sums),
        }
        for (token, sums) in sums.iter_mut().enumerate() {
            if let Some(lora) = &self.linear.lora {
                let low = &self.input.low[token * ranks + self.first_rank..][..lora.rank];
                let b = &lora.b[tile * lora.rank * TILE..][..lora.rank * TILE];
                vector::add_low_rank(b, low, sums);
            }
            // SAFETY: a tile's columns belong to one range of one job.
            let out = unsafe { self.out.slice(token * rows + tile * TILE, width) };
            if self.add {
                vector::add(out, &sums[..width]);
            } else {
                out.copy_from_slice(&sums[..width]);
            }
        }
    }

    fn start(&self, tile: usize, width: usize, sums: &mut [[f32; TILE]]) {
        let mut start = [0.0; TILE];
        if let Some(bias) = &self.linear.bias {
            start[..width].copy_from_slice(&bias[tile * TILE..][..width]);
        }
        sums.fill(start);
    }
}

impl Dense {
    fn tile_products(&self, tile: usize, width: usize, x: &[f32], sums: &mut [[f32; TILE]]) {
        let bytes = self.quantization.row_bytes(self.columns);
        let mut weights = vec![0.0; self.columns];
        for row in 0..width {
            let start = (tile * TILE + row) * bytes;
            dequantize::row(self.quantization, &self.data[start..start + bytes], &mut weights);
            for (sums, x) in sums.iter_mut().zip(x.chunks_exact(self.columns)) {
                sums[row] += vector::dot(&weights, x);
            }
        }
    }
}

/// A slice that threads write disjoint parts of.
#[derive(Debug)]
pub(crate) struct Shared<T> {
    start: *mut T,
    len: usize,
}

#[expect(unsafe_code, reason = "the border between threads that share one output")]
mod shared {
    use super::Shared;

    // SAFETY: parts are only reached by `slice`, whose callers keep them disjoint.
    unsafe impl<T: Send> Sync for Shared<T> {}
    // SAFETY: as above.
    unsafe impl<T: Send> Send for Shared<T> {}

    impl<T> Shared<T> {
        /// Shares a slice. It must outlive every use, which the region that borrows it ensures.
        pub(crate) fn new(slice: &mut [T]) -> Self {
            Self {
                start: slice.as_mut_ptr(),
                len: slice.len(),
            }
        }

        /// A part of it.
        ///
        /// # Safety
        /// The slice still lives, and nobody else reads or writes this part while the reference lives.
        ///
        /// # Panics
        /// Where the part is not inside the slice.
        #[expect(clippy::mut_from_ref, reason = "parts are disjoint by contract")]
        pub(crate) unsafe fn slice(&self, start: usize, len: usize) -> &mut [T] {
            assert!(start.checked_add(len).is_some_and(|end| end <= self.len));
            // SAFETY: inside the slice; alone, by contract.
            unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
        }
    }
}
