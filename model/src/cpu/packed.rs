//! Quantized weights repacked so that eight rows are multiplied at once.
//!
//! Eight rows are a tile; 32 columns of a tile are a group. In a group the codes stand as eight vectors of 32 bytes:
//! vector `i` holds columns `4i..4i+4` of row 0, of row 1, and so on, so that four activations repeated eight times
//! multiply one vector. Low bits of two vectors share bytes, and the bits above four have planes of their own, as in the
//! stored blocks: the repacked matrix has the size of the stored one (K types grow by 2 %: their 6-bit scales get bytes).
//!
//! Group: scales (8 half floats, or 8 + 8 bytes for K types), minima (8 half floats, where the type has them and is no
//! K type), high bits, low bits. K types have a header per eight groups: 8 half-float scales and, but for Q6_K, 8
//! half-float scales of the minima.

use std::io;

use memmap2::MmapMut;

use crate::gguf::{Quantization, TensorView, blocks};

use super::pool::Pool;

/// Rows of a tile.
pub(crate) const TILE: usize = 8;
/// Columns of a group.
pub(crate) const GROUP: usize = 32;

/// A repacked matrix.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) quantization: Quantization,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) layout: Layout,
    /// Bytes of one tile.
    tile_bytes: usize,
    bytes: MmapMut,
}

/// How a type's groups are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Groups that share a header.
    pub(crate) span: usize,
    /// Bytes of a header.
    pub(crate) header: usize,
    /// Bytes of a group.
    pub(crate) group: usize,
    /// Bytes of a group before its codes.
    pub(crate) scales: usize,
    /// Bits of a code.
    pub(crate) bits: usize,
}

impl Layout {
    /// The layout of a quantized type; none for the float types.
    pub(crate) fn of(quantization: Quantization) -> Option<Self> {
        let (span, header, scales, bits) = match quantization {
            Quantization::Q4_0 => (1, 0, 16, 4),
            Quantization::Q4_1 => (1, 0, 32, 4),
            Quantization::Q5_0 => (1, 0, 16, 5),
            Quantization::Q5_1 => (1, 0, 32, 5),
            Quantization::Q8_0 => (1, 0, 16, 8),
            Quantization::Q4_K => (8, 32, 16, 4),
            Quantization::Q5_K => (8, 32, 16, 5),
            Quantization::Q6_K => (8, 16, 16, 6),
            Quantization::F32 | Quantization::F16 | Quantization::BF16 => return None,
        };
        Some(Self {
            span,
            header,
            group: scales + 32 * bits,
            scales,
            bits,
        })
    }
}

impl Packed {
    /// Repacks a stored matrix; none for the float types.
    ///
    /// # Errors
    /// Where there is no memory left.
    #[expect(unsafe_code, reason = "threads write disjoint tiles")]
    pub(crate) fn pack(view: TensorView<'_>, pool: &Pool) -> io::Result<Option<Self>> {
        let (Some(layout), &[rows, columns]) = (Layout::of(view.quantization), view.shape) else {
            return Ok(None);
        };
        let tile_bytes = columns / GROUP / layout.span * (layout.header + layout.span * layout.group);
        let tiles = rows.div_ceil(TILE);
        let mut bytes = huge_pages(tiles * tile_bytes)?;
        let target = super::linear::Shared::new(&mut bytes);
        pool.for_ranges(tiles, 8, |range| {
            for tile in range {
                // SAFETY: a tile is in one range.
                let out = unsafe { target.slice(tile * tile_bytes, tile_bytes) };
                pack_tile(view, layout, tile, out);
            }
        });
        Ok(Some(Self {
            quantization: view.quantization,
            rows,
            columns,
            layout,
            tile_bytes,
            bytes,
        }))
    }

    /// Rows in tiles; the last tile's missing rows are zero.
    #[cfg(test)]
    pub(crate) fn tiles(&self) -> usize {
        self.rows.div_ceil(TILE)
    }

    /// The bytes of one tile.
    pub(crate) fn tile(&self, tile: usize) -> &[u8] {
        &self.bytes[tile * self.tile_bytes..(tile + 1) * self.tile_bytes]
    }

    /// Where group `group` begins in a tile, and where its header does.
    pub(crate) fn group_at(&self, group: usize) -> (usize, usize) {
        let Layout {
            span,
            header,
            group: bytes,
            ..
        } = self.layout;
        let head = group / span * (header + span * bytes);
        (head + header + group % span * bytes, head)
    }

    /// Bytes held.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// Zeroed memory in large pages where the system has them: a token reads all weights once, and with small pages much of
/// that time goes into looking up addresses.
fn huge_pages(len: usize) -> io::Result<MmapMut> {
    let memory = MmapMut::map_anon(len)?;
    #[cfg(target_os = "linux")]
    if let Err(error) = memory.advise(memmap2::Advice::HugePage) {
        tracing::debug!(%error, "no huge pages");
    }
    Ok(memory)
}

fn pack_tile(view: TensorView<'_>, layout: Layout, tile: usize, mut out: &mut [u8]) {
    let (block_len, block_bytes) = (view.quantization.block_len(), view.quantization.block_bytes());
    let (rows, columns) = (view.shape[0], view.shape[1]);
    let row_bytes = view.quantization.row_bytes(columns);
    let missing = vec![0; block_bytes];
    let mut codes = [[0u8; 256]; TILE];
    for block in 0..columns / block_len {
        let stored: [&[u8]; TILE] = std::array::from_fn(|row| {
            let row = tile * TILE + row;
            let start = row * row_bytes + block * block_bytes;
            if row < rows {
                &view.data[start..start + block_bytes]
            } else {
                &missing
            }
        });
        for (stored, codes) in stored.iter().zip(&mut codes) {
            blocks::codes(view.quantization, stored, &mut codes[..block_len]);
        }
        out = pack_header(view.quantization, &stored, out);
        for group in 0..layout.span {
            let (packed, rest) = out.split_at_mut(layout.group);
            let (scales, bits) = packed.split_at_mut(layout.scales);
            pack_scales(view.quantization, &stored, group, scales);
            let vectors = interleave(&codes, group);
            pack_codes(layout.bits, &vectors, bits);
            out = rest;
        }
    }
}

/// Copies a half float of each row's block to one after the other.
fn pack_halves(stored: &[&[u8]; TILE], at: usize, out: &mut [u8]) {
    for (block, out) in stored.iter().zip(out.chunks_exact_mut(2)) {
        out.copy_from_slice(&block[at..at + 2]);
    }
}

fn pack_header<'a>(quantization: Quantization, stored: &[&[u8]; TILE], out: &'a mut [u8]) -> &'a mut [u8] {
    match quantization {
        Quantization::Q4_K | Quantization::Q5_K => {
            let (header, rest) = out.split_at_mut(32);
            pack_halves(stored, 0, &mut header[..16]);
            pack_halves(stored, 2, &mut header[16..]);
            rest
        }
        Quantization::Q6_K => {
            let (header, rest) = out.split_at_mut(16);
            pack_halves(stored, 208, header);
            rest
        }
        _ => out,
    }
}

fn pack_scales(quantization: Quantization, stored: &[&[u8]; TILE], group: usize, out: &mut [u8]) {
    match quantization {
        Quantization::Q4_K | Quantization::Q5_K => {
            for (row, block) in stored.iter().enumerate() {
                let (scales, minima) = blocks::k_scales(block);
                (out[row], out[TILE + row]) = (scales[group], minima[group]);
            }
        }
        Quantization::Q6_K => {
            for (row, block) in stored.iter().enumerate() {
                let scales = &blocks::q6_scales(block)[2 * group..];
                (out[row], out[TILE + row]) = (scales[0].cast_unsigned(), scales[1].cast_unsigned());
            }
        }
        Quantization::Q4_1 | Quantization::Q5_1 => {
            pack_halves(stored, 0, &mut out[..16]);
            pack_halves(stored, 2, &mut out[16..]);
        }
        _ => pack_halves(stored, 0, out),
    }
}

fn interleave(codes: &[[u8; 256]; TILE], group: usize) -> [[u8; 32]; 8] {
    let mut vectors = [[0; 32]; 8];
    for (i, vector) in vectors.iter_mut().enumerate() {
        for (row, four) in vector.chunks_exact_mut(4).enumerate() {
            four.copy_from_slice(&codes[row][group * GROUP + 4 * i..][..4]);
        }
    }
    vectors
}

fn pack_codes(bits: usize, vectors: &[[u8; 32]; 8], out: &mut [u8]) {
    if bits == 8 {
        out.copy_from_slice(vectors.as_flattened());
        return;
    }
    let (high, low) = out.split_at_mut(32 * (bits - 4));
    for (i, low) in low.chunks_exact_mut(32).enumerate() {
        for (byte, out) in low.iter_mut().enumerate() {
            *out = (vectors[i][byte] & 15) | (vectors[i + 4][byte] & 15) << 4;
        }
    }
    // Plane `p` holds the high bits of as many vectors as fit into a byte, the first in the lowest bits.
    let width = bits - 4;
    for (i, vector) in vectors.iter().enumerate().filter(|_| width > 0) {
        let (plane, shift) = (i * width / 8, i * width % 8);
        for (byte, code) in vector.iter().enumerate() {
            high[32 * plane + byte] |= (code >> 4) << shift;
        }
    }
}
