//! Writing GGUF files, version 3, as ggml's `docs/gguf.md` describes them.

use crate::gguf::{Array, Quantization, Value};

const ALIGNMENT: usize = 32;

/// A file in the making.
#[derive(Debug, Clone, Default)]
pub struct GgufWriter {
    metadata: Vec<(String, Value)>,
    tensors: Vec<Tensor>,
}

#[derive(Debug, Clone)]
struct Tensor {
    name: String,
    /// As PyTorch writes it.
    shape: Vec<usize>,
    quantization: Quantization,
    data: Vec<u8>,
}

impl GgufWriter {
    /// A file with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds metadata, replacing what the key had. Whole numbers are written in 32 bits, floats likewise.
    pub fn set(&mut self, key: &str, value: Value) -> &mut Self {
        self.metadata.retain(|(existing, _)| existing != key);
        self.metadata.push((key.to_owned(), value));
        self
    }

    /// Adds a tensor of stored bytes; the shape is PyTorch's.
    pub fn tensor(
        &mut self,
        name: &str,
        shape: &[usize],
        quantization: Quantization,
        data: Vec<u8>,
    ) -> &mut Self {
        self.tensors.push(Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            quantization,
            data,
        });
        self
    }

    /// Takes a tensor out.
    pub fn remove_tensor(&mut self, name: &str) -> &mut Self {
        self.tensors.retain(|tensor| tensor.name != name);
        self
    }

    /// The whole file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(3u32.to_le_bytes());
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            string(&mut bytes, key);
            write_value(&mut bytes, value);
        }
        let mut offset = 0;
        for tensor in &self.tensors {
            string(&mut bytes, &tensor.name);
            bytes.extend((tensor.shape.len() as u32).to_le_bytes());
            for size in tensor.shape.iter().rev() {
                bytes.extend((*size as u64).to_le_bytes());
            }
            bytes.extend(tensor.quantization.code().to_le_bytes());
            bytes.extend((offset as u64).to_le_bytes());
            offset += tensor.data.len().next_multiple_of(ALIGNMENT);
        }
        for tensor in &self.tensors {
            bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
            bytes.extend(&tensor.data);
        }
        bytes
    }
}

fn string(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn write_value(bytes: &mut Vec<u8>, value: &Value) {
    let mut kind = |code: u32| bytes.extend(code.to_le_bytes());
    match value {
        Value::Unsigned(number) => {
            kind(4);
            bytes.extend((*number as u32).to_le_bytes());
        }
        Value::Signed(number) => {
            kind(5);
            bytes.extend((*number as i32).to_le_bytes());
        }
        Value::Float(number) => {
            kind(6);
            bytes.extend((*number as f32).to_le_bytes());
        }
        Value::Bool(value) => {
            kind(7);
            bytes.push(u8::from(*value));
        }
        Value::String(text) => {
            kind(8);
            string(bytes, text);
        }
        Value::Array(array) => {
            kind(9);
            write_array(bytes, array);
        }
    }
}

fn write_array(bytes: &mut Vec<u8>, array: &Array) {
    let mut head = |code: u32, len: usize| {
        bytes.extend(code.to_le_bytes());
        bytes.extend((len as u64).to_le_bytes());
    };
    match array {
        Array::Unsigned(numbers) => {
            head(4, numbers.len());
            numbers
                .iter()
                .for_each(|number| bytes.extend((*number as u32).to_le_bytes()));
        }
        Array::Signed(numbers) => {
            head(5, numbers.len());
            numbers
                .iter()
                .for_each(|number| bytes.extend((*number as i32).to_le_bytes()));
        }
        Array::Float(numbers) => {
            head(6, numbers.len());
            numbers
                .iter()
                .for_each(|number| bytes.extend((*number as f32).to_le_bytes()));
        }
        Array::Bool(values) => {
            head(7, values.len());
            values.iter().for_each(|value| bytes.push(u8::from(*value)));
        }
        Array::String(texts) => {
            head(8, texts.len());
            texts.iter().for_each(|text| string(bytes, text));
        }
    }
}
