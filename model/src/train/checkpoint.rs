//! A training run as one file: parameters, moments, the best parameters so far, how far it got, and the settings it
//! belongs to.
//!
//! The file is replaced as a whole, so that a kill at any moment leaves the last checkpoint or the one before it.
//! The order of the data and the numbers that A begins with follow from the seed and need no place here.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde_json::json;

use crate::lora::write_atomically;

use super::TrainError;

/// The layout's name; a later one gets another.
const FORMAT: &str = "bigquill-checkpoint-1";
const TENSORS: [&str; 3] = ["parameters", "first", "second"];
/// The name of the best parameters, and of what is known of them.
const BEST: &str = "best";

/// What decides the course of a run, by name: settings and hashes of model and data.
pub type Settings = BTreeMap<String, String>;

/// How far a run got.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Updates made.
    pub steps: u64,
    /// Parameters, first and second moments, `(parameters)` each.
    pub(crate) tensors: [Tensor; 3],
    /// The best parameters so far, where epochs are measured.
    pub best: Option<Best>,
}

/// Parameters of an earlier moment that may be kept rather than the last ones.
#[derive(Debug, Clone)]
pub struct Best {
    /// Updates made by then.
    pub steps: u64,
    /// How good they are: compared number by number, the larger is better.
    pub rank: Vec<f64>,
    /// `(parameters)`
    pub(crate) parameters: Tensor,
}

impl Best {
    /// Whether these are better than others.
    #[must_use]
    pub fn beats(&self, other: &Self) -> bool {
        let pairs = self.rank.iter().zip(&other.rank);
        let mut order = pairs.map(|(a, b)| a.total_cmp(b));
        order
            .find(|order| order.is_ne())
            .is_some_and(std::cmp::Ordering::is_gt)
    }
}

impl Checkpoint {
    /// Writes the file.
    ///
    /// # Errors
    /// Where it cannot be written; the old file is then still there.
    pub fn write(&self, path: &Path, settings: &Settings) -> Result<(), TrainError> {
        let failed = |reason: String| TrainError::CheckpointWrite {
            path: path.to_owned(),
            reason,
        };
        let mut data = Vec::new();
        let best = self.best.as_ref().map(|best| &best.parameters);
        for tensor in self.tensors.iter().chain(best) {
            let values: Vec<f32> = tensor.to_device(&Device::Cpu)?.to_vec1()?;
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            data.push((values.len(), bytes));
        }
        let mut views = Vec::new();
        for (name, (len, bytes)) in TENSORS.into_iter().chain([BEST]).zip(&data) {
            let view = TensorView::new(Dtype::F32, vec![*len], bytes);
            views.push((name, view.map_err(|error| failed(error.to_string()))?));
        }
        let settings = serde_json::to_string(settings).map_err(|error| failed(error.to_string()))?;
        let mut metadata: HashMap<String, String> = [
            ("format".to_owned(), FORMAT.to_owned()),
            ("steps".to_owned(), self.steps.to_string()),
            ("settings".to_owned(), settings),
        ]
        .into();
        if let Some(best) = &self.best {
            metadata.insert(BEST.to_owned(), json!([best.steps, best.rank]).to_string());
        }
        let bytes = serialize(views, Some(metadata)).map_err(|error| failed(error.to_string()))?;
        write_atomically(path, &bytes).map_err(|error| failed(error.to_string()))
    }

    /// Reads the file of a run with these settings and so many parameters.
    ///
    /// # Errors
    /// Where it cannot be read, is damaged, or belongs to another run.
    pub fn read(
        path: &Path,
        settings: &Settings,
        parameters: usize,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let failed = |reason: String| TrainError::Checkpoint {
            path: path.to_owned(),
            reason,
        };
        let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let damaged = |error: safetensors::SafeTensorError| failed(format!("it is damaged ({error})"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        if metadata.get("format").map(String::as_str) != Some(FORMAT) {
            return Err(failed("it was written by another version".to_owned()));
        }
        let stored: Option<Settings> = metadata
            .get("settings")
            .and_then(|text| serde_json::from_str(text).ok());
        let steps = metadata.get("steps").and_then(|steps| steps.parse().ok());
        let (Some(stored), Some(steps)) = (stored, steps) else {
            return Err(failed("it is damaged (no settings)".to_owned()));
        };
        if let Some((setting, stored, given)) = first_difference(&stored, settings) {
            return Err(TrainError::Settings {
                path: path.to_owned(),
                setting,
                stored,
                given,
            });
        }
        let tensors = SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let read = |name: &str| -> Result<Tensor, TrainError> {
            let view = tensors.tensor(name).map_err(damaged)?;
            if view.dtype() != Dtype::F32 || view.shape() != [parameters] {
                return Err(failed(format!("it has no {parameters} {name}")));
            }
            let (numbers, _) = view.data().as_chunks::<4>();
            let values: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            Ok(Tensor::from_vec(values, parameters, device)?)
        };
        let [last, first, second] = TENSORS;
        let best = match metadata.get(BEST) {
            None => None,
            Some(text) => {
                let (steps, rank) =
                    serde_json::from_str(text).map_err(|error| failed(format!("it is damaged ({error})")))?;
                let parameters = read(BEST)?;
                Some(Best {
                    steps,
                    rank,
                    parameters,
                })
            }
        };
        Ok(Self {
            steps,
            tensors: [read(last)?, read(first)?, read(second)?],
            best,
        })
    }
}

/// The first setting that differs, what is stored of it and what is given.
#[must_use]
pub fn first_difference(stored: &Settings, given: &Settings) -> Option<(String, String, String)> {
    let absent = || "absent".to_owned();
    let keys = stored.keys().chain(given.keys());
    keys.map(|key| (key, stored.get(key), given.get(key)))
        .find(|(_, stored, given)| stored != given)
        .map(|(key, stored, given)| {
            let value = |value: Option<&String>| value.cloned().unwrap_or_else(absent);
            (key.clone(), value(stored), value(given))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(rate: &str) -> Settings {
        [("learning rate".to_owned(), rate.to_owned())].into()
    }

    fn checkpoint() -> Checkpoint {
        let tensor = |start: f32| Tensor::new(&[start, start + 0.1, -start], &Device::Cpu).unwrap();
        Checkpoint {
            steps: 42,
            tensors: [tensor(1.0), tensor(2.0), tensor(3.0)],
            best: Some(Best {
                steps: 40,
                rank: vec![0.5, -0.1],
                parameters: tensor(4.0),
            }),
        }
    }

    #[test]
    fn a_checkpoint_comes_back_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        checkpoint().write(&path, &settings("1e-4")).unwrap();
        let read = Checkpoint::read(&path, &settings("1e-4"), 3, &Device::Cpu).unwrap();
        assert_eq!(read.steps, 42);
        for (a, b) in read.tensors.iter().zip(&checkpoint().tensors) {
            assert_eq!(a.to_vec1::<f32>().unwrap(), b.to_vec1::<f32>().unwrap());
        }
        let (best, expected) = (read.best.unwrap(), checkpoint().best.unwrap());
        assert_eq!((best.steps, &best.rank), (40, &expected.rank));
        assert_eq!(
            best.parameters.to_vec1::<f32>().unwrap(),
            expected.parameters.to_vec1::<f32>().unwrap()
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_first_number_that_differs_decides_which_is_better() {
        let best = |rank: &[f64]| Best {
            rank: rank.to_vec(),
            ..checkpoint().best.unwrap()
        };
        assert!(best(&[0.5, -0.2]).beats(&best(&[0.4, -0.1])));
        assert!(best(&[0.5, -0.1]).beats(&best(&[0.5, -0.2])));
        assert!(!best(&[0.5, -0.1]).beats(&best(&[0.5, -0.1])));
    }

    #[test]
    fn what_does_not_belong_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        checkpoint().write(&path, &settings("1e-4")).unwrap();
        let error = Checkpoint::read(&path, &settings("2e-4"), 3, &Device::Cpu).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("learning rate 1e-4 where it is 2e-4"), "{text}");
        let error = Checkpoint::read(&path, &settings("1e-4"), 4, &Device::Cpu).unwrap_err();
        assert!(matches!(error, TrainError::Checkpoint { .. }), "{error}");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let error = Checkpoint::read(&path, &settings("1e-4"), 3, &Device::Cpu).unwrap_err();
        assert!(error.to_string().contains("start anew"), "{error}");
    }

    #[test]
    fn a_checkpoint_that_cannot_be_written_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let error = checkpoint()
            .write(&folder.path().join("nowhere/file"), &settings("1"))
            .unwrap_err();
        assert!(matches!(error, TrainError::CheckpointWrite { .. }), "{error}");
    }
}
