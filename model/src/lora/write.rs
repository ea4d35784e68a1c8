//! Writing an adapter as PEFT does, so that PEFT, `bigquill` and everything else that reads PEFT's layout can load it.
//!
//! `adapter_config.json` gets its name last: a folder that has one is whole. Each file gets its name when all of them are
//! on the disk, so that neither a kill nor a full disk leaves half of an adapter, nor harms one that was there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::config::SEQUENCE_CLASSIFICATION;
use super::{CONFIG, LoraAdapter, LoraError, LoraWeights, Projection, SCORE, WEIGHTS};

const CARD: &str = "README.md";

/// What is written of an adapter beside its pairs.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdapterAbout<'a> {
    /// What the configuration calls the base model.
    pub base: &'a str,
    /// The text of `README.md`.
    pub card: &'a str,
    /// The share that was dropped in training; serving drops nothing.
    pub dropout: f64,
    /// The weights of a regression's head, `(hidden)`: the adapter is then one for sequence classification with one
    /// label.
    pub score: Option<&'a [f32]>,
    /// Names and values that stand beside the weights.
    pub metadata: &'a [(&'a str, String)],
}

impl LoraAdapter {
    /// An adapter of these modules, whose numbers are in the checkpoint's order of rows.
    #[must_use]
    pub fn new(name: String, modules: impl IntoIterator<Item = (usize, Projection, LoraWeights)>) -> Self {
        let modules: BTreeMap<(usize, Projection), LoraWeights> = modules
            .into_iter()
            .map(|(layer, projection, weights)| ((layer, projection), weights))
            .collect();
        let mut hash = Sha256::new();
        for weights in modules.values() {
            hash.update(bytes(&weights.a));
            hash.update(bytes(&weights.b));
        }
        Self {
            name,
            fingerprint: hash.finalize().into(),
            modules,
        }
    }

    /// Writes the adapter's folder: weights, card, configuration.
    ///
    /// Everything is on the disk before the first file gets its name, so that an adapter that was there is whole until
    /// then; its configuration goes away first where the new one differs, so that it never stands with other weights.
    ///
    /// # Errors
    /// Where the folder cannot be written, or the modules differ in rank or scale, which is not written here.
    pub fn write(&self, folder: &Path, about: &AdapterAbout<'_>) -> Result<(), LoraError> {
        let failed = |path: &Path, error: std::io::Error| LoraError::Write {
            path: path.display().to_string(),
            reason: error.to_string(),
        };
        let config = self.config(about)?;
        let weights = self.safetensors(about)?;
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        let mut prepared = Vec::new();
        for (name, content) in [
            (WEIGHTS, weights.as_slice()),
            (CARD, about.card.as_bytes()),
            (CONFIG, config.as_bytes()),
        ] {
            let path = folder.join(name);
            prepared.push(Prepared::write(&path, content).map_err(|error| failed(&path, error))?);
        }
        let old = folder.join(CONFIG);
        if std::fs::read(&old).is_ok_and(|old| old != config.as_bytes()) {
            std::fs::remove_file(&old).map_err(|error| failed(&old, error))?;
        }
        for file in prepared {
            let path = file.path.clone();
            file.put().map_err(|error| failed(&path, error))?;
        }
        Ok(())
    }

    /// `adapter_config.json` with the keys that PEFT 0.21 wants.
    fn config(&self, about: &AdapterAbout<'_>) -> Result<String, LoraError> {
        let mut forms: Vec<(usize, f32)> = self.modules.values().map(|w| (w.rank, w.scale)).collect();
        forms.dedup();
        let &[(rank, scale)] = forms.as_slice() else {
            let what = format!("{} ranks or scales, where one is written", forms.len());
            return Err(LoraError::Unsupported(what));
        };
        let targets: std::collections::BTreeSet<&str> = self
            .modules
            .keys()
            .filter_map(|(_, projection)| projection.module().rsplit('.').next())
            .collect();
        let config = json!({
            "peft_type": "LORA",
            "task_type": if about.score.is_some() { SEQUENCE_CLASSIFICATION } else { "CAUSAL_LM" },
            "base_model_name_or_path": about.base,
            "r": rank,
            "lora_alpha": (f64::from(scale) * rank as f64 * 1e6).round() / 1e6,
            "lora_dropout": about.dropout,
            "bias": "none",
            "target_modules": targets,
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "use_rslora": false,
            "use_dora": false,
            "modules_to_save": about.score.map(|_| ["score"]),
            "rank_pattern": {},
            "alpha_pattern": {},
        });
        Ok(format!("{config:#}\n"))
    }

    /// The weights in F32 under PEFT's names.
    fn safetensors(&self, about: &AdapterAbout<'_>) -> Result<Vec<u8>, LoraError> {
        let malformed = |error: safetensors::SafeTensorError| LoraError::Malformed(error.to_string());
        let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        for ((layer, projection), weights) in &self.modules {
            let name = |half: &str| {
                format!(
                    "base_model.model.model.layers.{layer}.{}.lora_{half}.weight",
                    projection.module()
                )
            };
            let rank = weights.rank;
            tensors.push((name("A"), vec![rank, weights.a.len() / rank], bytes(&weights.a)));
            tensors.push((name("B"), vec![weights.b.len() / rank, rank], bytes(&weights.b)));
        }
        if let Some(score) = about.score {
            tensors.push((SCORE.to_owned(), vec![1, score.len()], bytes(score)));
        }
        let views: Vec<(&str, TensorView<'_>)> = tensors
            .iter()
            .map(|(name, shape, data)| {
                let view = TensorView::new(Dtype::F32, shape.clone(), data).map_err(malformed)?;
                Ok((name.as_str(), view))
            })
            .collect::<Result<_, LoraError>>()?;
        // PEFT asks for the key.
        let format = ("format".to_owned(), "pt".to_owned());
        let others = about
            .metadata
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let metadata = std::iter::once(format).chain(others).collect();
        serialize(views, Some(metadata)).map_err(malformed)
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Writes a file so that its name always stands for the old content or the new one, never for a part.
///
/// # Errors
/// Where the folder cannot be written; the temporary file is then taken away.
pub fn write_atomically(path: &Path, content: &[u8]) -> std::io::Result<()> {
    Prepared::write(path, content)?.put()
}

/// A file that is on the disk and has not its name yet; it is taken away where it never gets it.
struct Prepared {
    path: PathBuf,
    temporary: PathBuf,
}

impl Prepared {
    fn write(path: &Path, content: &[u8]) -> std::io::Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let prepared = Self {
            temporary: path.with_file_name(name),
            path: path.to_owned(),
        };
        let mut file = File::create(&prepared.temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        Ok(prepared)
    }

    fn put(self) -> std::io::Result<()> {
        std::fs::rename(&self.temporary, &self.path)?;
        // The name itself is on the disk once its folder is; not every file system can do that.
        if let Some(folder) = self.path.parent().and_then(|folder| File::open(folder).ok()) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        // Gone already where it has got its name; else the first error is the one to tell.
        let _ = std::fs::remove_file(&self.temporary);
    }
}
