//! From settings to a running generator on this machine: which file, is it there, fetch it, start it.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bigquill_model::engine::{AdapterChoice, DeviceChoice, Engine, EngineOptions, EngineState};
use bigquill_model::generate::Generator;
use bigquill_model::store::{self, JUDGE_MODULE, KnownModel, ModelStore, PullEvent, Purpose};
use tokio::sync::mpsc;

use crate::settings::{Device, Settings};

/// The model that settings name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedModel {
    /// One that the store knows; the file, where it is there.
    Known(&'static KnownModel, Option<PathBuf>),
    /// A file of the person's own.
    File(PathBuf),
}

/// Which model the settings name.
///
/// # Errors
/// Where the name is unknown, the file is not there, or the user has no home folder; the message says what to do.
pub fn named(settings: &Settings) -> Result<NamedModel, OpenError> {
    let name = settings.model.as_str();
    if is_file_name(name) {
        let path = PathBuf::from(name);
        if path.is_file() {
            return Ok(NamedModel::File(path));
        }
        return Err(OpenError::Failed(format!(
            "{name}: there is no such model file; correct `model`, or leave it out for the default model"
        )));
    }
    let model = store::known(name).map_err(failed)?;
    if model.purpose != Purpose::Model {
        return Err(OpenError::Failed(format!(
            "{name} writes no SQL; set `model` to another one of `bigquill model list`"
        )));
    }
    let path = ModelStore::open().map_err(failed)?.path(name).ok();
    Ok(NamedModel::Known(model, path))
}

/// Why there is no generator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A known model that is not on this machine.
    #[error("the model {name} is not on this machine; get it with `bigquill model pull {name}`")]
    Missing {
        /// Its name.
        name: String,
        /// Bytes to fetch; 0 where only the hub tells.
        bytes: u64,
    },
    /// The model cannot be used; the text says why and what to do.
    #[error("{0}")]
    Failed(String),
}

/// An engine that stays while only the adapter changes: each adapter is applied to the one base.
#[derive(Debug, Default)]
pub struct SharedEngine {
    running: Mutex<Option<(EngineOptions, Arc<Engine>)>>,
}

impl SharedEngine {
    /// The generator that the settings name, loaded. What is wrong with an adapter in a folder, or that it is not there
    /// yet, is told with every answer. Blocks: not for async code.
    ///
    /// # Errors
    /// Where the model's file is not there, or cannot be used.
    pub fn open(&self, settings: &Settings) -> Result<Arc<dyn Generator>, OpenError> {
        let options = EngineOptions {
            adapter: AdapterChoice::None,
            ..engine_options(settings, model_file(settings)?)
        };
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let same = running
            .take()
            .filter(|(of, engine)| *of == options && !matches!(engine.state(), EngineState::Failed(_)));
        // The one before goes first: there may not be memory for two.
        let (options, engine) = same.unwrap_or_else(|| {
            let engine = Arc::new(Engine::start(options.clone()));
            (options, engine)
        });
        *running = Some((options, Arc::clone(&engine)));
        drop(running);
        engine.wait().map_err(failed)?;
        Ok(Arc::new(engine.with_adapter(adapter_choice(settings))))
    }
}

/// Starts the engine; it loads the model in its own thread.
///
/// # Errors
/// [`OpenError::Missing`] where a known model is not on this machine yet.
pub fn start(settings: &Settings) -> Result<Engine, OpenError> {
    Ok(Engine::start(engine_options(settings, model_file(settings)?)))
}

fn model_file(settings: &Settings) -> Result<PathBuf, OpenError> {
    match named(settings)? {
        NamedModel::Known(_, Some(path)) | NamedModel::File(path) => Ok(path),
        NamedModel::Known(model, None) => Err(OpenError::Missing {
            name: model.name.to_owned(),
            bytes: model.bytes.unwrap_or_default(),
        }),
    }
}

/// The adapter that the settings name.
#[must_use]
pub fn adapter_choice(settings: &Settings) -> AdapterChoice {
    match settings.adapter.as_str() {
        "default" => AdapterChoice::Default,
        "none" => AdapterChoice::None,
        folder => AdapterChoice::Path(PathBuf::from(folder)),
    }
}

fn engine_options(settings: &Settings, model: PathBuf) -> EngineOptions {
    EngineOptions {
        adapter: adapter_choice(settings),
        device: match settings.device {
            Device::Cpu => DeviceChoice::Cpu,
            Device::Cuda => DeviceChoice::Cuda,
            Device::Metal => DeviceChoice::Metal,
        },
        threads: settings.threads,
        ..EngineOptions::new(model)
    }
}

fn is_file_name(name: &str) -> bool {
    let path = std::path::Path::new(name);
    path.components().count() > 1 || path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf"))
}

fn failed(error: impl std::fmt::Display) -> OpenError {
    OpenError::Failed(error.to_string())
}

/// Fetches the model that the settings name, and the judge's module where it is wanted. `progress` gets bytes done and bytes in all, and may stop it; what is there
/// then is used by the next try. Blocks: not for async code.
///
/// # Errors
/// A message that says what to do.
pub fn fetch(
    settings: &Settings,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<(), String> {
    let model = store::known(&settings.model).map_err(|e| e.to_string())?;
    let store = ModelStore::open().map_err(|e| e.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("no runtime for the download: {e}"))?;
    runtime.block_on(async {
        if settings.judge {
            let module = store::known(JUDGE_MODULE).map_err(|e| e.to_string())?;
            if let Err(reason) = pull(&store, module, progress).await {
                // SQL can be written without it; `bigquill doctor` tells that it is missing.
                tracing::warn!(reason, "GoogleSQL could not be fetched");
            }
        }
        pull(&store, model, progress).await
    })
}

/// Fetches a model; dropping the pull, where `progress` says so, keeps what is there for the next time.
async fn pull(
    store: &ModelStore,
    model: &KnownModel,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<(), String> {
    let (sender, mut events) = mpsc::unbounded_channel();
    let note = move |event| {
        // Nobody listens only when the pull is being dropped.
        let _ = sender.send(event);
    };
    let mut pull = std::pin::pin!(store.pull(model, &note));
    loop {
        tokio::select! {
            pulled = &mut pull => {
                let pulled = pulled.map_err(|e| e.to_string())?;
                tracing::info!(model = model.name, source = pulled.source.map(tracing::field::display), "fetched");
                return Ok(());
            }
            Some(event) = events.recv() => {
                let (done, total) = match event {
                    PullEvent::Progress { done, total } => (done, total.or(model.bytes).unwrap_or(done)),
                    PullEvent::Verifying { done, total } => (done, total),
                    _ => continue,
                };
                if progress(done, total).is_break() {
                    return Err("stopped".to_owned());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bigquill_model::decoder::Architecture;
    use bigquill_model::gguf::Quantization;
    use bigquill_model::testing::TinyModel;

    use super::*;

    #[test]
    fn another_adapter_is_no_reason_to_load_the_base_again() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let tiny = TinyModel {
            architecture: Architecture::Qwen2,
            quantization: Quantization::Q8_0,
            seed: 1,
            tied: true,
        };
        let model = folder.path().join("tiny.gguf");
        std::fs::write(&model, tiny.writer().to_bytes()).expect("write");
        let shared = SharedEngine::default();
        let engine_of = |adapter: &str, threads: usize| {
            let settings = Settings {
                model: model.to_string_lossy().into_owned(),
                adapter: adapter.to_owned(),
                threads: Some(threads),
                ..Settings::default()
            };
            shared.open(&settings).expect("a generator");
            let running = shared.running.lock().expect("nothing panicked");
            Arc::clone(&running.as_ref().expect("it runs").1)
        };
        let first = engine_of("none", 1);
        assert!(Arc::ptr_eq(&first, &engine_of("default", 1)));
        assert!(Arc::ptr_eq(&first, &engine_of("/not/there/yet", 1)));
        assert!(!Arc::ptr_eq(&first, &engine_of("none", 2)));
    }
}
