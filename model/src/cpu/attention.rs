//! Keys and values of one layer in half precision, and grouped-query attention over them.
//!
//! Eight positions are a block. In a block the keys of a head stand column by column, so that eight scores come out of
//! one vector, and the values row by row. Blocks follow each other, so that a cache grows, shrinks and forks by its end.

use std::cell::RefCell;

use half::f16;

use super::linear::Shared;
use super::pool::Pool;
use super::vector;

/// Positions of a block.
pub(crate) const BLOCK: usize = 8;
/// Rows of queries that share a pass over the keys.
const ROWS: usize = 8;

/// One layer's keys and values.
#[derive(Debug)]
pub(crate) struct HostLayer {
    kv_heads: usize,
    head_dim: usize,
    keys: Vec<f16>,
    values: Vec<f16>,
}

/// One head's blocks in a layer.
pub(crate) struct Head<'a> {
    pub(crate) head_dim: usize,
    data: &'a [f16],
    /// Where its first block begins, and how far apart blocks are.
    start: usize,
    stride: usize,
}

impl HostLayer {
    pub(crate) fn new(kv_heads: usize, head_dim: usize) -> Self {
        Self {
            kv_heads,
            head_dim,
            keys: Vec::new(),
            values: Vec::new(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        (self.keys.capacity() + self.values.capacity()) * size_of::<f16>()
    }

    pub(crate) fn fork(&self, len: usize) -> Self {
        let end = (len.div_ceil(BLOCK) * self.block_len()).min(self.keys.len());
        Self {
            keys: self.keys[..end].to_vec(),
            values: self.values[..end].to_vec(),
            ..*self
        }
    }

    /// Writes one position's keys and values, `(kv_heads, head_dim)`; positions are written in order.
    pub(crate) fn write(&mut self, position: usize, keys: &[f32], values: &[f32]) {
        let (block, within) = (position / BLOCK, position % BLOCK);
        let needed = (block + 1) * self.block_len();
        if self.keys.len() < needed {
            self.keys.resize(needed, f16::ZERO);
            self.values.resize(needed, f16::ZERO);
        }
        for head in 0..self.kv_heads {
            let start = block * self.block_len() + head * self.head_dim * BLOCK;
            for column in 0..self.head_dim {
                let from = head * self.head_dim + column;
                self.keys[start + column * BLOCK + within] = f16::from_f32(keys[from]);
                self.values[start + within * self.head_dim + column] = f16::from_f32(values[from]);
            }
        }
    }

    fn block_len(&self) -> usize {
        self.kv_heads * self.head_dim * BLOCK
    }

    fn head<'a>(&self, data: &'a [f16], head: usize) -> Head<'a> {
        let start = head * self.head_dim * BLOCK;
        Head {
            head_dim: self.head_dim,
            data,
            start,
            stride: self.block_len(),
        }
    }
}

impl Head<'_> {
    /// A block of the head: `(head_dim, 8)` of keys, `(8, head_dim)` of values.
    pub(crate) fn block(&self, block: usize) -> &[f16] {
        &self.data[self.start + block * self.stride..][..self.head_dim * BLOCK]
    }

    /// Where the values of a position begin. Not to be read beyond the positions that the head has.
    pub(crate) fn position(&self, position: usize) -> *const f16 {
        let at = self.start + position / BLOCK * self.stride + position % BLOCK * self.head_dim;
        self.data.as_ptr().wrapping_add(at)
    }
}

/// Attends: q and out are `(tokens, heads, head_dim)`, the first token stands at `position`, and the layer holds the
/// keys and values of all tokens.
pub(crate) fn attend(
    pool: &Pool,
    layer: &HostLayer,
    q: &[f32],
    heads: usize,
    position: usize,
    out: &mut [f32],
) {
    let width = heads * layer.head_dim;
    let tokens = q.len() / width;
    let rows = heads / layer.kv_heads * tokens;
    // With few rows, as in decoding, threads share the rows of a head rather than wait.
    let tile = ROWS.min((rows * layer.kv_heads).div_ceil(pool.threads())).max(1);
    let tiles = rows.div_ceil(tile);
    let shared = Shared::new(out);
    pool.for_ranges(tiles * layer.kv_heads, 1, |range| {
        for item in range {
            let (kv_head, start) = (item / tiles, item % tiles * tile);
            let pass = Pass {
                layer,
                q,
                heads,
                tokens,
                position,
                kv_head,
                rows: start..(start + tile).min(rows),
            };
            pass.run(&shared);
        }
    });
}

/// Some query rows of one key head: row `r` is token `r % tokens` of the group's head `r / tokens`.
struct Pass<'a> {
    layer: &'a HostLayer,
    q: &'a [f32],
    heads: usize,
    tokens: usize,
    position: usize,
    kv_head: usize,
    rows: std::ops::Range<usize>,
}

thread_local! {
    /// Queries, scores and results of a pass; kept, for a pass takes microseconds.
    static SCRATCH: RefCell<[Vec<f32>; 3]> = const { RefCell::new([Vec::new(), Vec::new(), Vec::new()]) };
}

impl Pass<'_> {
    #[expect(unsafe_code, reason = "passes write disjoint rows of one output")]
    fn run(&self, out: &Shared<f32>) {
        SCRATCH.with_borrow_mut(|[q, scores, results]| {
            let head_dim = self.layer.head_dim;
            let len = self.rows.clone().map(|row| self.limit(row)).max().unwrap_or(0);
            let blocks = len.div_ceil(BLOCK);
            let stride = blocks * BLOCK;
            let factor = 1.0 / (head_dim as f32).sqrt();
            q.clear();
            for row in self.rows.clone() {
                let at = self.place(row);
                q.extend(self.q[at..at + head_dim].iter().map(|q| q * factor));
            }
            scores.resize(self.rows.len() * stride, 0.0);
            results.resize(self.rows.len() * head_dim, 0.0);
            let keys = self.layer.head(&self.layer.keys, self.kv_head);
            vector::key_scores(q, &keys, blocks, scores, stride);
            let values = self.layer.head(&self.layer.values, self.kv_head);
            let sums = self.softmax(scores, stride);
            vector::weigh_values(scores, stride, len, &values, results);
            for (row, (result, sum)) in self.rows.clone().zip(results.chunks_exact(head_dim).zip(sums)) {
                // SAFETY: a row belongs to one pass.
                let out = unsafe { out.slice(self.place(row), head_dim) };
                for (out, result) in out.iter_mut().zip(result) {
                    *out = result / sum;
                }
            }
        });
    }

    /// Turns scores into weights that are not yet divided by their sums, which are given.
    fn softmax(&self, scores: &mut [f32], stride: usize) -> [f32; ROWS] {
        let mut sums = [1.0; ROWS];
        for ((row, scores), sum) in self
            .rows
            .clone()
            .zip(scores.chunks_exact_mut(stride))
            .zip(&mut sums)
        {
            let (seen, unseen) = scores.split_at_mut(self.limit(row));
            let greatest = seen
                .iter()
                .fold(f32::NEG_INFINITY, |greatest, score| greatest.max(*score));
            *sum = vector::exp_sum(seen, greatest);
            unseen.fill(0.0);
        }
        sums
    }

    /// Positions that a row sees.
    fn limit(&self, row: usize) -> usize {
        self.position + row % self.tokens + 1
    }

    /// Where a row begins in q and in the output.
    fn place(&self, row: usize) -> usize {
        let group = self.heads / self.layer.kv_heads;
        let head = self.kv_head * group + row / self.tokens;
        (row % self.tokens * self.heads + head) * self.layer.head_dim
    }
}
