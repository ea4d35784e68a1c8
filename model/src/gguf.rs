//! GGUF files: metadata by key and tensors by name, over a memory-mapped file.
//!
//! The format is described in ggml's `docs/gguf.md`. A file is untrusted input: every count, length and offset is
//! checked against the bytes that are there before anything is allocated or read, and every tensor is checked to lie
//! inside the file when the file is opened, so that a truncated download is one clear error and not a later crash.

pub(crate) mod blocks;
pub mod dequantize;
mod parse;
mod value;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

pub use value::{Array, Value};

/// Why a file cannot be used as a model.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// There is no such file.
    #[error("there is no model file {path}; run `bigquill model pull`, or name another file")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("the model file {path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file does not begin as a GGUF file does.
    #[error("{path} is not a GGUF file; name a file that ends in .gguf, or run `bigquill model pull`")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file's format version is not one of those that are read.
    #[error("{path} has GGUF version {version}; versions 2 and 3 are read")]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that the file states.
        version: u32,
    },
    /// The file ends before its content does.
    #[error(
        "{path} is truncated: {what} needs {needed} bytes and the file has {size}; fetch the model again"
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
        /// Bytes from the file's start that it needs.
        needed: u64,
        /// Bytes that there are.
        size: u64,
    },
    /// The content contradicts the format.
    #[error("{path} is damaged: {what}; fetch the model again")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A tensor is stored in a type that is not read.
    #[error(
        "tensor {tensor} of {path} has ggml type {code}, which is not supported; \
         use a file in Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K, F16, BF16 or F32"
    )]
    Quantization {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// ggml's number of the type.
        code: u32,
    },
    /// A tensor that the architecture needs is not there.
    #[error("{path} has no tensor {tensor}; it is not a whole model of its architecture")]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A metadata key is missing or has another type.
    #[error("{path} has no usable metadata key {key}; it is not a whole model of its architecture")]
    MissingKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
}

/// How the numbers of a tensor are stored, in ggml's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(non_camel_case_types)] // ggml's own names, as users know them
pub enum Quantization {
    /// 32-bit floats.
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    BF16,
    /// 4 bits, a scale per 32.
    Q4_0,
    /// 4 bits, a scale and a minimum per 32.
    Q4_1,
    /// 5 bits, a scale per 32.
    Q5_0,
    /// 5 bits, a scale and a minimum per 32.
    Q5_1,
    /// 8 bits, a scale per 32.
    Q8_0,
    /// 4 bits, 6-bit scales and minima per 32 in superblocks of 256.
    Q4_K,
    /// 5 bits, 6-bit scales and minima per 32 in superblocks of 256.
    Q5_K,
    /// 6 bits, 8-bit scales per 16 in superblocks of 256.
    Q6_K,
}

impl Quantization {
    /// Every type that is read.
    pub const ALL: [Self; 11] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
    ];

    /// The type that ggml numbers so, where it is one of ours.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|quantization| quantization.code() == code)
    }

    /// ggml's number (`enum ggml_type`).
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q4_1 => 3,
            Self::Q5_0 => 6,
            Self::Q5_1 => 7,
            Self::Q8_0 => 8,
            Self::Q4_K => 12,
            Self::Q5_K => 13,
            Self::Q6_K => 14,
            Self::BF16 => 30,
        }
    }

    /// ggml's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q4_K => "Q4_K",
            Self::Q5_K => "Q5_K",
            Self::Q6_K => "Q6_K",
        }
    }

    /// Numbers in one block; a row holds whole blocks.
    #[must_use]
    pub fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4_K | Self::Q5_K | Self::Q6_K => 256,
        }
    }

    /// Bytes of one block.
    #[must_use]
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q4_0 => 2 + 16,
            Self::Q4_1 => 4 + 16,
            Self::Q5_0 => 2 + 4 + 16,
            Self::Q5_1 => 4 + 4 + 16,
            Self::Q8_0 => 2 + 32,
            Self::Q4_K => 4 + 12 + 128,
            Self::Q5_K => 4 + 12 + 32 + 128,
            Self::Q6_K => 2 + 16 + 64 + 128,
        }
    }

    /// Bytes of a row of `len` numbers, which is a multiple of the block's length.
    #[must_use]
    pub fn row_bytes(self, len: usize) -> usize {
        len / self.block_len() * self.block_bytes()
    }

    /// candle's name of the same type.
    #[must_use]
    pub fn to_candle(self) -> candle_core::quantized::GgmlDType {
        use candle_core::quantized::GgmlDType;
        match self {
            Self::F32 => GgmlDType::F32,
            Self::F16 => GgmlDType::F16,
            Self::BF16 => GgmlDType::BF16,
            Self::Q4_0 => GgmlDType::Q4_0,
            Self::Q4_1 => GgmlDType::Q4_1,
            Self::Q5_0 => GgmlDType::Q5_0,
            Self::Q5_1 => GgmlDType::Q5_1,
            Self::Q8_0 => GgmlDType::Q8_0,
            Self::Q4_K => GgmlDType::Q4K,
            Self::Q5_K => GgmlDType::Q5K,
            Self::Q6_K => GgmlDType::Q6K,
        }
    }
}

/// Where a tensor lies and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// How its numbers are stored.
    pub quantization: Quantization,
    /// Its shape as PyTorch writes it, `(rows, row length)`: the reverse of the file's order.
    pub shape: Vec<usize>,
    /// Where it begins in the file.
    offset: usize,
    /// How many bytes it has.
    bytes: usize,
}

impl TensorInfo {
    /// How many numbers it has.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// A tensor of an open file.
#[derive(Debug, Clone, Copy)]
pub struct TensorView<'a> {
    /// How its numbers are stored.
    pub quantization: Quantization,
    /// Its shape as PyTorch writes it.
    pub shape: &'a [usize],
    /// Its stored bytes.
    pub data: &'a [u8],
}

/// An open GGUF file: cheap to clone, the mapping is shared.
#[derive(Debug, Clone)]
pub struct Gguf {
    path: PathBuf,
    map: Arc<Mmap>,
    metadata: Arc<HashMap<String, Value>>,
    stored: parse::StoredMetadata,
    tensors: Arc<HashMap<String, TensorInfo>>,
}

impl Gguf {
    /// Opens a file, reads its metadata and checks that every tensor lies inside it.
    ///
    /// # Errors
    /// Where the file is missing, foreign, truncated, damaged or uses a type that is not read.
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let read = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => GgufError::Missing {
                path: path.to_owned(),
            },
            _ => GgufError::Read {
                path: path.to_owned(),
                source,
            },
        };
        let file = File::open(path).map_err(read)?;
        if file.metadata().map_err(read)?.is_dir() {
            return Err(read(std::io::Error::new(
                std::io::ErrorKind::IsADirectory,
                "it is a folder",
            )));
        }
        let map = map_file(&file).map_err(read)?;
        let contents = parse::parse(path, &map)?;
        Ok(Self {
            path: path.to_owned(),
            map: Arc::new(map),
            metadata: Arc::new(contents.metadata),
            stored: contents.stored,
            tensors: Arc::new(contents.tensors),
        })
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All metadata.
    #[must_use]
    pub fn metadata(&self) -> &HashMap<String, Value> {
        &self.metadata
    }

    /// The metadata's own bytes, with the number of keys and the alignment of tensors. `file_type` takes the place of
    /// `general.file_type` where there is one (ggml's `enum llama_ftype`).
    pub(crate) fn stored_metadata(&self, file_type: u32) -> (u64, Vec<u8>, u64) {
        let mut bytes = self.map[self.stored.bytes.clone()].to_vec();
        if let Some(place) = self.stored.file_type {
            let place = place - self.stored.bytes.start;
            bytes[place..place + 4].copy_from_slice(&file_type.to_le_bytes());
        }
        (self.stored.count, bytes, self.stored.alignment)
    }

    /// The metadata under a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// The text under a key.
    ///
    /// # Errors
    /// Where there is none.
    pub fn string(&self, key: &str) -> Result<&str, GgufError> {
        self.get(key)
            .and_then(Value::as_str)
            .ok_or_else(|| self.missing_key(key))
    }

    /// The whole number under a key, of whatever width.
    ///
    /// # Errors
    /// Where there is none, or it is negative.
    pub fn unsigned(&self, key: &str) -> Result<usize, GgufError> {
        let number = self
            .get(key)
            .and_then(Value::as_u64)
            .and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| self.missing_key(key))
    }

    /// The number under a key.
    ///
    /// # Errors
    /// Where there is none.
    pub fn float(&self, key: &str) -> Result<f64, GgufError> {
        self.get(key)
            .and_then(Value::as_f64)
            .ok_or_else(|| self.missing_key(key))
    }

    /// The tensors' names and what they are, in no order.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &TensorInfo)> {
        self.tensors.iter().map(|(name, info)| (name.as_str(), info))
    }

    /// A tensor, where there is one of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<TensorView<'_>> {
        let info = self.tensors.get(name)?;
        let data = self.map.get(info.offset..info.offset + info.bytes)?;
        Some(TensorView {
            quantization: info.quantization,
            shape: &info.shape,
            data,
        })
    }

    /// A tensor of that name and shape.
    ///
    /// # Errors
    /// Where there is none, or it has another shape.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<TensorView<'_>, GgufError> {
        let view = self.find(name).ok_or_else(|| self.missing_tensor(name))?;
        if view.shape == shape {
            return Ok(view);
        }
        let what = format!(
            "tensor {name} has shape {:?} where {shape:?} is expected",
            view.shape
        );
        Err(GgufError::Malformed {
            path: self.path.clone(),
            what,
        })
    }

    /// Lets go of the memory that read pages take, once weights were copied from them. They are read again when needed.
    #[expect(
        unsafe_code,
        reason = "the advice is dangerous for memory that is written, which a map of a file is not"
    )]
    pub fn release(&self) {
        #[cfg(unix)]
        {
            // SAFETY: the map is of a file and never written: a dropped page is read from the file again.
            let released = unsafe { self.map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
            if let Err(error) = released {
                tracing::debug!(%error, "pages of the model file are not released");
            }
        }
    }

    fn missing_key(&self, key: &str) -> GgufError {
        GgufError::MissingKey {
            path: self.path.clone(),
            key: key.to_owned(),
        }
    }

    fn missing_tensor(&self, name: &str) -> GgufError {
        GgufError::MissingTensor {
            path: self.path.clone(),
            tensor: name.to_owned(),
        }
    }
}

#[expect(
    unsafe_code,
    reason = "a memory map is the one way to read rows of a large table without copying it"
)]
fn map_file(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is only read. A model file is replaced by renaming (`store`), never written in place, so the
    // mapped bytes stay as they are for as long as the map lives.
    unsafe { Mmap::map(file) }
}
