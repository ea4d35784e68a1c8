//! The tensors of a model by their GGUF names, checked for shape.

use crate::gguf::{Gguf, GgufError, Quantization, TensorView, dequantize};
use crate::lora::Projection;

use super::Config;

/// The weight of a linear layer, `(out, in)`.
pub(crate) fn linear<'a>(
    gguf: &'a Gguf,
    config: &Config,
    layer: usize,
    projection: Projection,
) -> Result<TensorView<'a>, GgufError> {
    let (rows, columns) = projection.shape(config);
    gguf.tensor(
        &format!("blk.{layer}.{}.weight", projection.tensor()),
        &[rows, columns],
    )
}

/// The bias of a linear layer, where there is one.
pub(crate) fn bias(
    gguf: &Gguf,
    config: &Config,
    layer: usize,
    projection: Projection,
) -> Result<Option<Vec<f32>>, GgufError> {
    let name = format!("blk.{layer}.{}.bias", projection.tensor());
    let (rows, _) = projection.shape(config);
    gguf.find(&name).map(|_| floats(gguf, &name, &[rows])).transpose()
}

/// The weight of a layer's norm; `kind` is `attn_norm` or `ffn_norm`.
pub(crate) fn norm(gguf: &Gguf, config: &Config, layer: usize, kind: &str) -> Result<Vec<f32>, GgufError> {
    floats(gguf, &format!("blk.{layer}.{kind}.weight"), &[config.hidden])
}

/// The weight of the last norm.
pub(crate) fn output_norm(gguf: &Gguf, config: &Config) -> Result<Vec<f32>, GgufError> {
    floats(gguf, "output_norm.weight", &[config.hidden])
}

/// The embedding table, `(vocabulary, hidden)`.
pub(crate) fn embedding<'a>(gguf: &'a Gguf, config: &Config) -> Result<TensorView<'a>, GgufError> {
    gguf.tensor("token_embd.weight", &[config.vocabulary, config.hidden])
}

/// The output layer, `(vocabulary, hidden)`: its own, or the embedding table where the two are tied.
pub(crate) fn output<'a>(gguf: &'a Gguf, config: &Config) -> Result<TensorView<'a>, GgufError> {
    match gguf.find("output.weight") {
        Some(_) => gguf.tensor("output.weight", &[config.vocabulary, config.hidden]),
        None => embedding(gguf, config),
    }
}

/// A small tensor as floats.
pub(crate) fn floats(gguf: &Gguf, name: &str, shape: &[usize]) -> Result<Vec<f32>, GgufError> {
    let view = gguf.tensor(name, shape)?;
    let mut values = vec![0.0; shape.iter().product()];
    dequantize::row(view.quantization, view.data, &mut values);
    Ok(values)
}

/// How the layers' linear weights are mostly stored, by bytes: what people call the file's quantization.
pub(crate) fn main_quantization(gguf: &Gguf) -> Quantization {
    let bytes_of = |quantization: Quantization| -> usize {
        let of_layers = gguf.tensors().filter(|(name, _)| name.starts_with("blk."));
        of_layers
            .filter(|(_, info)| info.quantization == quantization)
            .map(|(_, info)| info.elements())
            .sum()
    };
    Quantization::ALL
        .into_iter()
        .max_by_key(|quantization| bytes_of(*quantization))
        .unwrap_or(Quantization::F32)
}
