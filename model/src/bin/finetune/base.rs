//! The base model that is trained or measured: file, sizes, tokenizer, hash, devices.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bigquill_model::decoder::Config;
use bigquill_model::gguf::Gguf;
use bigquill_model::store::{KNOWN_MODELS, ModelStore, Purpose};
use bigquill_model::tokenizer::Tokenizer;
use candle_core::Device;
use sha2::{Digest, Sha256};

/// An opened base.
pub(crate) struct Base {
    pub(crate) gguf: Gguf,
    pub(crate) config: Config,
    pub(crate) tokenizer: Tokenizer,
}

impl Base {
    /// The model of this path, or of this name among those that bigquill knows.
    pub(crate) fn open(model: &Path) -> anyhow::Result<Self> {
        let path = known(model)?.unwrap_or_else(|| model.to_owned());
        let gguf = Gguf::open(&path)?;
        let config = Config::read(&gguf)?;
        let tokenizer = Tokenizer::from_gguf(&gguf)?;
        if tokenizer.vocabulary_size() > config.vocabulary {
            bail!(
                "{} has {} tokens and {} embeddings; fetch the model again",
                path.display(),
                tokenizer.vocabulary_size(),
                config.vocabulary
            );
        }
        Ok(Self {
            gguf,
            config,
            tokenizer,
        })
    }

    /// SHA-256 of its file.
    pub(crate) fn hash(&self) -> anyhow::Result<String> {
        sha256(self.gguf.path())
    }

    /// What the model calls itself, else its file.
    pub(crate) fn name(&self) -> String {
        if self.config.name.is_empty() {
            let name = self.gguf.path().file_stem().unwrap_or_default();
            name.to_string_lossy().into_owned()
        } else {
            self.config.name.clone()
        }
    }

    /// Its chat template, where the file has one.
    pub(crate) fn template(&self) -> Option<&str> {
        self.gguf.string("tokenizer.chat_template").ok()
    }

    /// Numbers in its tensors.
    pub(crate) fn parameters(&self) -> usize {
        self.gguf.tensors().map(|(_, info)| info.elements()).sum()
    }
}

/// The file of the model of this name, if bigquill knows one and there is no such file.
fn known(model: &Path) -> anyhow::Result<Option<PathBuf>> {
    let known = KNOWN_MODELS.iter().find(|known| Path::new(known.name) == model);
    match known.filter(|known| known.purpose == Purpose::Model && !model.exists()) {
        Some(known) => Ok(Some(ModelStore::open()?.path(known.name)?)),
        None => Ok(None),
    }
}

/// SHA-256 of a file in hexadecimal digits.
fn sha256(path: &Path) -> anyhow::Result<String> {
    let mut file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut Hasher(&mut hash))
        .with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(hex(&hash.finalize()))
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Hasher<'a>(&'a mut Sha256);

impl std::io::Write for Hasher<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A device by name: `cpu`, `cuda`, `cuda:1`, `metal`.
pub(crate) fn device(name: &str) -> anyhow::Result<Device> {
    let unavailable = |feature: &str| {
        format!("{name} cannot be used; choose another --device, or build with `--features {feature}`")
    };
    let (kind, number) = name.split_once(':').unwrap_or((name, "0"));
    let number = number
        .parse()
        .with_context(|| format!("the device {name} has no number; write for instance cuda:0"))?;
    match kind {
        "cpu" => Ok(Device::Cpu),
        "cuda" => Device::new_cuda_with_stream(number).with_context(|| unavailable("cuda")),
        "metal" => Device::new_metal(number).with_context(|| unavailable("metal")),
        _ => bail!("there is no device {name}; choose cpu, cuda, cuda:1 or metal"),
    }
}

/// The name under which an adapter's folder is known.
pub(crate) fn folder_name(folder: &Path) -> String {
    let whole: PathBuf = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    whole.file_name().map_or_else(
        || "adapter".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// How many threads a decoder on the CPU gets.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
