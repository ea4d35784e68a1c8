//! Reading the header: a cursor over the mapped bytes that never believes a length before it has seen the bytes.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use super::{Array, GgufError, Quantization, TensorInfo, Value};

const MAGIC: &[u8; 4] = b"GGUF";
/// Tensors have at most four dimensions (`GGML_MAX_DIMS`).
const MAX_DIMENSIONS: u32 = 4;
/// What `general.alignment` defaults to.
const DEFAULT_ALIGNMENT: u64 = 32;

/// A file's header.
pub(super) struct Contents {
    pub(super) metadata: HashMap<String, Value>,
    pub(super) stored: StoredMetadata,
    pub(super) tensors: HashMap<String, TensorInfo>,
}

/// Where the metadata lies, for a file that takes it over as it is.
#[derive(Debug, Clone)]
pub(crate) struct StoredMetadata {
    /// Keys.
    pub(crate) count: u64,
    /// All keys with their values.
    pub(crate) bytes: Range<usize>,
    /// The 32 bits of `general.file_type`, from the file's start.
    pub(crate) file_type: Option<usize>,
    /// What tensors are aligned to.
    pub(crate) alignment: u64,
}

/// Reads the header and places the tensors.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Contents, GgufError> {
    let mut cursor = Cursor {
        path,
        bytes,
        position: 0,
    };
    if bytes.len() < MAGIC.len() || &bytes[..MAGIC.len()] != MAGIC {
        return Err(GgufError::Foreign {
            path: path.to_owned(),
        });
    }
    cursor.position = MAGIC.len();
    let version = cursor.u32()?;
    if !(2..=3).contains(&version) {
        return Err(GgufError::Version {
            path: path.to_owned(),
            version,
        });
    }
    let tensor_count = cursor.u64()?;
    let key_count = cursor.u64()?;
    let mut metadata = HashMap::new();
    let (start, mut file_type) = (cursor.position, None);
    for _ in 0..key_count {
        let key = cursor.string()?;
        let kind = cursor.u32()?;
        if key == "general.file_type" && kind == 4 {
            file_type = Some(cursor.position);
        }
        metadata.insert(key, cursor.value(kind)?);
    }
    let metadata_bytes = start..cursor.position;
    let mut placed = Vec::new();
    for _ in 0..tensor_count {
        placed.push(cursor.tensor()?);
    }
    let alignment = alignment(&cursor, &metadata)?;
    let data_start = align(cursor.position as u64, alignment);
    let mut tensors = HashMap::with_capacity(placed.len());
    for (name, tensor) in placed {
        if !tensor.offset.is_multiple_of(alignment) {
            return Err(cursor.malformed(format!("tensor {name} is not aligned")));
        }
        let info = place(&cursor, &name, tensor, data_start)?;
        if tensors.insert(name.clone(), info).is_some() {
            return Err(cursor.malformed(format!("tensor {name} is there twice")));
        }
    }
    let stored = StoredMetadata {
        count: key_count,
        bytes: metadata_bytes,
        file_type,
        alignment,
    };
    Ok(Contents {
        metadata,
        stored,
        tensors,
    })
}

/// A tensor as the header states it; the offset is from the start of the data.
struct Stated {
    quantization: Quantization,
    shape: Vec<usize>,
    offset: u64,
}

fn alignment(cursor: &Cursor<'_>, metadata: &HashMap<String, Value>) -> Result<u64, GgufError> {
    match metadata.get("general.alignment").map(Value::as_u64) {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(Some(alignment)) if alignment.is_power_of_two() && (8..=1 << 20).contains(&alignment) => {
            Ok(alignment)
        }
        Some(_) => Err(cursor.malformed("its alignment is no power of two from 8".to_owned())),
    }
}

fn align(position: u64, alignment: u64) -> u64 {
    position.div_ceil(alignment) * alignment
}

/// The tensor's place in the file, where it lies inside it.
fn place(cursor: &Cursor<'_>, name: &str, stated: Stated, start: u64) -> Result<TensorInfo, GgufError> {
    let quantization = stated.quantization;
    let oversized = || cursor.malformed(format!("tensor {name} has an impossible size"));
    let mut elements = 1usize;
    for size in &stated.shape {
        elements = elements.checked_mul(*size).ok_or_else(oversized)?;
    }
    let row = stated.shape.last().copied().unwrap_or(1);
    if !row.is_multiple_of(quantization.block_len()) {
        let name_of = quantization.name();
        return Err(cursor.malformed(format!("rows of tensor {name} are no whole blocks of {name_of}")));
    }
    let bytes = (elements / quantization.block_len())
        .checked_mul(quantization.block_bytes())
        .ok_or_else(oversized)?;
    let offset = start.checked_add(stated.offset).ok_or_else(oversized)?;
    let end = offset.checked_add(bytes as u64).ok_or_else(oversized)?;
    if end > cursor.bytes.len() as u64 {
        return Err(cursor.truncated(format!("tensor {name}"), end));
    }
    let offset = usize::try_from(offset).map_err(|_| oversized())?;
    Ok(TensorInfo {
        quantization,
        shape: stated.shape,
        offset,
        bytes,
    })
}

struct Cursor<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    fn malformed(&self, what: String) -> GgufError {
        GgufError::Malformed {
            path: self.path.to_owned(),
            what,
        }
    }

    fn truncated(&self, what: String, needed: u64) -> GgufError {
        GgufError::Truncated {
            path: self.path.to_owned(),
            what,
            needed,
            size: self.bytes.len() as u64,
        }
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], GgufError> {
        let end = (self.position as u64).saturating_add(count);
        if end > self.bytes.len() as u64 {
            return Err(self.truncated("its header".to_owned(), end));
        }
        let taken = &self.bytes[self.position..end as usize];
        self.position = end as usize;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    fn u32(&mut self) -> Result<u32, GgufError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, GgufError> {
        self.array().map(u64::from_le_bytes)
    }

    fn string(&mut self) -> Result<String, GgufError> {
        let length = self.u64()?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn value(&mut self, kind: u32) -> Result<Value, GgufError> {
        Ok(match kind {
            8 => Value::String(self.string()?),
            9 => Value::Array(self.values()?),
            0 | 2 | 4 | 10 => Value::Unsigned(self.unsigned(kind)?),
            1 | 3 | 5 | 11 => Value::Signed(self.signed(kind)?),
            6 | 12 => Value::Float(self.float(kind)?),
            7 => Value::Bool(self.array::<1>()?[0] != 0),
            _ => return Err(self.malformed(format!("a metadata value has the unknown type {kind}"))),
        })
    }

    fn unsigned(&mut self, kind: u32) -> Result<u64, GgufError> {
        Ok(match kind {
            0 => u64::from(self.array::<1>()?[0]),
            2 => u64::from(u16::from_le_bytes(self.array()?)),
            4 => u64::from(self.u32()?),
            _ => self.u64()?,
        })
    }

    fn signed(&mut self, kind: u32) -> Result<i64, GgufError> {
        Ok(match kind {
            1 => i64::from(i8::from_le_bytes(self.array()?)),
            3 => i64::from(i16::from_le_bytes(self.array()?)),
            5 => i64::from(i32::from_le_bytes(self.array()?)),
            _ => i64::from_le_bytes(self.array()?),
        })
    }

    fn float(&mut self, kind: u32) -> Result<f64, GgufError> {
        Ok(match kind {
            6 => f64::from(f32::from_le_bytes(self.array()?)),
            _ => f64::from_le_bytes(self.array()?),
        })
    }

    /// The elements of an array. Vectors grow as elements are read, so that a false count allocates nothing.
    fn values(&mut self) -> Result<Array, GgufError> {
        let kind = self.u32()?;
        let count = self.u64()?;
        Ok(match kind {
            0 | 2 | 4 | 10 => Array::Unsigned(self.repeat(count, |cursor| cursor.unsigned(kind))?),
            1 | 3 | 5 | 11 => Array::Signed(self.repeat(count, |cursor| cursor.signed(kind))?),
            6 | 12 => Array::Float(self.repeat(count, |cursor| cursor.float(kind))?),
            7 => Array::Bool(self.repeat(count, |cursor| Ok(cursor.array::<1>()?[0] != 0))?),
            8 => Array::String(self.repeat(count, Self::string)?),
            9 => return Err(self.malformed("it has arrays of arrays".to_owned())),
            _ => return Err(self.malformed(format!("a metadata array has the unknown type {kind}"))),
        })
    }

    fn repeat<T>(
        &mut self,
        count: u64,
        mut read: impl FnMut(&mut Self) -> Result<T, GgufError>,
    ) -> Result<Vec<T>, GgufError> {
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(read(self)?);
        }
        Ok(elements)
    }

    fn tensor(&mut self) -> Result<(String, Stated), GgufError> {
        let name = self.string()?;
        let dimensions = self.u32()?;
        if dimensions > MAX_DIMENSIONS {
            return Err(self.malformed(format!("tensor {name} has {dimensions} dimensions")));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            let size = self.u64()?;
            let size = usize::try_from(size)
                .map_err(|_| self.malformed(format!("tensor {name} has an impossible size")))?;
            shape.push(size);
        }
        shape.reverse();
        let code = self.u32()?;
        let offset = self.u64()?;
        let quantization = Quantization::from_code(code).ok_or_else(|| GgufError::Quantization {
            path: self.path.to_owned(),
            tensor: name.clone(),
            code,
        })?;
        Ok((
            name,
            Stated {
                quantization,
                shape,
                offset,
            },
        ))
    }
}
