//! Base and adapter in one GGUF file of half-precision weights: `W + s·B·A`.
//!
//! Only into F16: quantizing again would shift what the adapter was trained on. Everything else of the file, metadata
//! and tokenizer included, is taken over as it is. One tensor is in memory at a time.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use half::f16;

use crate::decoder::{Config, DecoderError};
use crate::gguf::{Gguf, GgufError, Quantization, TensorView, dequantize};

use super::{LoraAdapter, LoraWeights, Projection};

/// `LLAMA_FTYPE_MOSTLY_F16`.
const MOSTLY_F16: u32 = 1;

/// Why there is no merged file.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// The base or the adapter cannot be used.
    #[error(transparent)]
    Model(#[from] DecoderError),
    /// A number is too large for half precision.
    #[error("tensor {0} has numbers that half precision does not hold; serve the adapter unmerged")]
    Overflow(String),
    /// The file cannot be written.
    #[error("{path} cannot be written: {source}; free some space, or name another file")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Writes the merged model. The file gets its name when it is whole. `done` hears after each tensor how many of how
/// many are written.
///
/// # Errors
/// Where the adapter is another model's, or the file cannot be written.
pub fn merge(
    gguf: &Gguf,
    adapter: &LoraAdapter,
    path: &Path,
    done: impl FnMut(usize, usize),
) -> Result<(), MergeError> {
    let config = Config::read(gguf)?;
    adapter.check(&config).map_err(DecoderError::from)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let failed = |source| MergeError::Write {
        path: path.to_owned(),
        source,
    };
    let written = write(gguf, &config, adapter, &temporary, done)
        .and_then(|()| std::fs::rename(&temporary, path).map_err(Stop::Write));
    written.map_err(|stop| {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&temporary);
        match stop {
            Stop::Write(source) => failed(source),
            Stop::Other(error) => error,
        }
    })
}

/// Why writing stopped.
enum Stop {
    Write(std::io::Error),
    Other(MergeError),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<GgufError> for Stop {
    fn from(error: GgufError) -> Self {
        Self::Other(DecoderError::from(error).into())
    }
}

fn write(
    gguf: &Gguf,
    config: &Config,
    adapter: &LoraAdapter,
    path: &Path,
    mut done: impl FnMut(usize, usize),
) -> Result<(), Stop> {
    let mut tensors: Vec<(&str, TensorView<'_>)> = gguf
        .tensors()
        .filter_map(|(name, _)| Some((name, gguf.find(name)?)))
        .collect();
    tensors.sort_by_key(|(name, _)| *name);
    let (keys, metadata, alignment) = gguf.stored_metadata(MOSTLY_F16);
    let mut header = b"GGUF".to_vec();
    header.extend(3u32.to_le_bytes());
    header.extend((tensors.len() as u64).to_le_bytes());
    header.extend(keys.to_le_bytes());
    header.extend(metadata);
    let mut offset = 0u64;
    for (name, view) in &tensors {
        header.extend((name.len() as u64).to_le_bytes());
        header.extend(name.as_bytes());
        header.extend((view.shape.len() as u32).to_le_bytes());
        for size in view.shape.iter().rev() {
            header.extend((*size as u64).to_le_bytes());
        }
        let elements: usize = view.shape.iter().product();
        header.extend(stored_as(view).code().to_le_bytes());
        header.extend(offset.to_le_bytes());
        offset += (stored_as(view).row_bytes(elements) as u64).next_multiple_of(alignment);
    }
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&header)?;
    pad(&mut file, header.len() as u64, alignment)?;
    for (index, (name, view)) in tensors.iter().enumerate() {
        let pair = pair(config, adapter, name);
        let bytes = if pair.is_none() && stored_as(view) == view.quantization {
            view.data.to_vec()
        } else {
            half_precision(name, view, pair.as_ref()).map_err(Stop::Other)?
        };
        file.write_all(&bytes)?;
        pad(&mut file, bytes.len() as u64, alignment)?;
        done(index + 1, tensors.len());
    }
    file.into_inner()
        .map_err(|error| error.into_error())?
        .sync_all()?;
    Ok(())
}

/// Matrices become F16; norms and biases stay as they are.
fn stored_as(view: &TensorView<'_>) -> Quantization {
    if view.shape.len() == 2 {
        Quantization::F16
    } else {
        view.quantization
    }
}

/// The adapter's pair for a tensor, B in the order of the tensor's rows.
fn pair(config: &Config, adapter: &LoraAdapter, name: &str) -> Option<LoraWeights> {
    let (layer, tensor) = name.strip_prefix("blk.")?.split_once('.')?;
    let tensor = tensor.strip_suffix(".weight")?;
    let projection = Projection::ALL
        .into_iter()
        .find(|projection| projection.tensor() == tensor)?;
    adapter.module_for(config, layer.parse().ok()?, projection)
}

/// The rows of a matrix with the pair's change, in F16.
fn half_precision(
    name: &str,
    view: &TensorView<'_>,
    pair: Option<&LoraWeights>,
) -> Result<Vec<u8>, MergeError> {
    let columns = view.shape[1];
    let row_bytes = view.quantization.row_bytes(columns);
    let mut row = vec![0f32; columns];
    let mut bytes = Vec::with_capacity(view.shape[0] * columns * 2);
    for (index, stored) in view.data.chunks_exact(row_bytes.max(1)).enumerate() {
        dequantize::row(view.quantization, stored, &mut row);
        if let Some(pair) = pair {
            let b = &pair.b[index * pair.rank..(index + 1) * pair.rank];
            for (b, a) in b.iter().zip(pair.a.chunks_exact(columns)) {
                let factor = pair.scale * b;
                for (value, a) in row.iter_mut().zip(a) {
                    *value += factor * a;
                }
            }
        }
        for value in &row {
            let half = f16::from_f32(*value);
            if !half.is_finite() {
                return Err(MergeError::Overflow(name.to_owned()));
            }
            bytes.extend(half.to_le_bytes());
        }
    }
    Ok(bytes)
}

fn pad(file: &mut impl Write, written: u64, alignment: u64) -> std::io::Result<()> {
    let missing = written.next_multiple_of(alignment) - written;
    file.write_all(&vec![0; missing as usize])
}
