//! Writing an adapter as PEFT does, so that PEFT, `bigquill` and everything else that reads PEFT's layout can load it.
//!
//! `adapter_config.json` is written last, and an old one is taken away first: a folder that has one is whole. Each file
//! gets its name when it is on the disk, so that neither a kill nor a full disk leaves half of one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{CONFIG, LoraAdapter, LoraError, LoraWeights, Projection, WEIGHTS};

const CARD: &str = "README.md";

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

    /// Writes the adapter's folder: weights, card, configuration. `base` is what the configuration calls the base
    /// model, `alpha` its `lora_alpha` (scale · rank, the same for all modules), `card` the text of `README.md`.
    ///
    /// # Errors
    /// Where the folder cannot be written, or the modules differ in rank or scale, which is not written here. What was
    /// in the folder is then whole or has no configuration, and so is no adapter.
    pub fn write(&self, folder: &Path, base: &str, card: &str) -> Result<(), LoraError> {
        let config = self.config(base)?;
        let weights = self.safetensors()?;
        let failed = |path: &Path, error: std::io::Error| LoraError::Write {
            path: path.display().to_string(),
            reason: error.to_string(),
        };
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        let old = folder.join(CONFIG);
        match std::fs::remove_file(&old) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&old, error)),
            _ => {}
        }
        for (name, content) in [
            (WEIGHTS, weights.as_slice()),
            (CARD, card.as_bytes()),
            (CONFIG, config.as_bytes()),
        ] {
            let path = folder.join(name);
            write_atomically(&path, content).map_err(|error| failed(&path, error))?;
        }
        Ok(())
    }

    /// `adapter_config.json` with the keys that PEFT 0.21 wants.
    fn config(&self, base: &str) -> Result<String, LoraError> {
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
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base,
            "r": rank,
            "lora_alpha": (f64::from(scale) * rank as f64 * 1e6).round() / 1e6,
            "lora_dropout": 0.0,
            "bias": "none",
            "target_modules": targets,
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "use_rslora": false,
            "use_dora": false,
            "modules_to_save": null,
            "rank_pattern": {},
            "alpha_pattern": {},
        });
        Ok(format!("{config:#}\n"))
    }

    /// The weights in F32 under PEFT's names.
    fn safetensors(&self) -> Result<Vec<u8>, LoraError> {
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
        let views: Vec<(&str, TensorView<'_>)> = tensors
            .iter()
            .map(|(name, shape, data)| {
                let view = TensorView::new(Dtype::F32, shape.clone(), data).map_err(malformed)?;
                Ok((name.as_str(), view))
            })
            .collect::<Result<_, LoraError>>()?;
        // PEFT asks for the key.
        let metadata = [("format".to_owned(), "pt".to_owned())].into();
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
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&temporary);
        return written;
    }
    // The name itself is on the disk once its folder is; not every file system can do that.
    if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
        let _ = folder.sync_all();
    }
    Ok(())
}
