//! The one thread that owns the device: it loads the model, takes requests from a queue and streams answers.
//!
//! Nothing here is async, and nothing async touches a tensor. [`Engine::start`] returns at once; requests wait in the
//! queue until the model is loaded, or get the reason why it is not. Dropping a [`Generation`] closes its channel, which
//! the thread sees between chunks of the prompt and between tokens: there is no other way to cancel.

mod adapters;
mod answer;
mod load;
mod vocabulary;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use crate::decoder::Architecture;
use crate::generate::{EventSender, GenerateError, GenerateRequest, Generation, Generator};
use crate::gguf::Quantization;
use crate::tokenizer::Tokenizer;

use load::Model;

/// What an engine runs.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineOptions {
    /// The GGUF file.
    pub model: PathBuf,
    /// Which adapter is applied, unless a request comes by [`Engine::with_adapter`]. Where it cannot be used, the engine
    /// cannot.
    pub adapter: AdapterChoice,
    /// Where it computes.
    pub device: DeviceChoice,
    /// Threads that compute on the CPU; as many as the machine has cores where none is given.
    pub threads: Option<usize>,
    /// Most bytes of keys and values that are kept between questions.
    pub prefix_cache_bytes: usize,
}

/// Which adapter is applied to the model. One in a folder is read again when the folder changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AdapterChoice {
    /// The embedded one that was made for the model, where there is one.
    #[default]
    Default,
    /// None: the base model answers.
    None,
    /// A PEFT folder.
    Path(PathBuf),
}

/// Where a model computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// On the processor.
    #[default]
    Cpu,
    /// On the first NVIDIA GPU; needs a build with the feature `cuda`.
    Cuda,
    /// On Apple's GPU; needs a build with the feature `metal`.
    Metal,
}

/// What was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineInfo {
    /// What the file calls the model.
    pub name: String,
    /// The architecture.
    pub architecture: Architecture,
    /// Numbers in its tensors.
    pub parameters: usize,
    /// How its layers are mostly stored.
    pub quantization: Quantization,
    /// Most tokens of prompt and answer together.
    pub context: usize,
    /// Where it computes, in words.
    pub device: String,
    /// The adapter's name, where one is applied.
    pub adapter: Option<String>,
    /// How long loading took.
    pub load_time: Duration,
}

/// How far an engine is.
#[derive(Debug, Clone, PartialEq)]
pub enum EngineState {
    /// The model is being loaded; requests wait.
    Loading,
    /// Requests are answered.
    Ready(EngineInfo),
    /// The model cannot be loaded: why, and what to do. Every request gets this text.
    Failed(String),
}

/// A running engine. The thread ends when the engine is dropped and its queue is empty.
#[derive(Debug)]
pub struct Engine {
    queue: mpsc::Sender<Job>,
    shared: Arc<Shared>,
    adapter: AdapterChoice,
}

/// An engine that answers with another adapter than its own. Any number of these share the base.
#[derive(Debug, Clone)]
pub struct AdaptedEngine {
    engine: Arc<Engine>,
    adapter: AdapterChoice,
}

/// What the thread is to do.
enum Job {
    /// Answer a request with an adapter.
    Answer(GenerateRequest, AdapterChoice, EventSender),
    /// Read an adapter, for the first request not to wait for it.
    Read(AdapterChoice),
}

/// What the thread tells the others.
#[derive(Debug)]
struct Shared {
    status: Mutex<Status>,
    changed: Condvar,
}

#[derive(Debug)]
struct Status {
    state: EngineState,
    /// There before the weights are loaded: budgets need it first.
    tokenizer: Option<Arc<Tokenizer>>,
}

impl EngineOptions {
    /// The defaults for a model: its embedded adapter, on the CPU, with all cores and 512 MiB of kept prefixes.
    #[must_use]
    pub fn new(model: PathBuf) -> Self {
        Self {
            model,
            adapter: AdapterChoice::default(),
            device: DeviceChoice::default(),
            threads: None,
            prefix_cache_bytes: 512 << 20,
        }
    }
}

impl Engine {
    /// Starts the thread, which loads the model. Returns at once.
    #[must_use]
    pub fn start(options: EngineOptions) -> Self {
        let status = Status {
            state: EngineState::Loading,
            tokenizer: None,
        };
        let shared = Arc::new(Shared {
            status: Mutex::new(status),
            changed: Condvar::new(),
        });
        let (queue, jobs) = mpsc::channel();
        let adapter = options.adapter.clone();
        let thread_shared = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("bigquill-engine".to_owned());
        if let Err(error) = thread.spawn(move || run(&options, &jobs, &thread_shared)) {
            shared.set_state(EngineState::Failed(format!(
                "the engine's thread did not start: {error}"
            )));
        }
        Self {
            queue,
            shared,
            adapter,
        }
    }

    /// This engine with another adapter. A folder need not hold one yet: until it does, the base answers, and every
    /// generation tells so; so does one whose adapter is refused.
    #[must_use]
    pub fn with_adapter(self: &Arc<Self>, adapter: AdapterChoice) -> AdaptedEngine {
        // A thread that has ended is told to whoever asks it something.
        let _ = self.queue.send(Job::Read(adapter.clone()));
        AdaptedEngine {
            engine: Arc::clone(self),
            adapter,
        }
    }

    fn queue(&self, request: GenerateRequest, adapter: AdapterChoice) -> Result<Generation, GenerateError> {
        if let EngineState::Failed(why) = self.state() {
            return Err(GenerateError::Unavailable(why));
        }
        let (events, generation) = Generation::channel();
        let queued = self.queue.send(Job::Answer(request, adapter, events));
        queued
            .map_err(|_| GenerateError::Unavailable("the engine has ended; restart bigquill".to_owned()))?;
        Ok(generation)
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> EngineState {
        self.shared.status().state.clone()
    }

    /// Waits until the model is loaded, or is not. Blocks the calling thread: not for async code.
    ///
    /// # Errors
    /// Where the model cannot be loaded.
    pub fn wait(&self) -> Result<EngineInfo, GenerateError> {
        let loading = |status: &mut Status| status.state == EngineState::Loading;
        match &self.shared.wait_while(loading).state {
            EngineState::Ready(info) => Ok(info.clone()),
            EngineState::Failed(why) => Err(GenerateError::Unavailable(why.clone())),
            EngineState::Loading => Err(GenerateError::Unavailable(
                "the model is still being loaded".to_owned(),
            )),
        }
    }
}

impl Generator for Engine {
    fn generate(&self, request: GenerateRequest) -> Result<Generation, GenerateError> {
        self.queue(request, self.adapter.clone())
    }

    /// Waits for the tokenizer, which is there a fraction of a second after the start.
    fn count_tokens(&self, text: &str) -> usize {
        let waiting =
            |status: &mut Status| status.tokenizer.is_none() && status.state == EngineState::Loading;
        let tokenizer = self.shared.wait_while(waiting).tokenizer.clone();
        // Without a model nothing is generated, and any number will do.
        tokenizer.map_or(text.len() / 3 + 1, |tokenizer| tokenizer.count(text))
    }
}

impl Generator for AdaptedEngine {
    fn generate(&self, request: GenerateRequest) -> Result<Generation, GenerateError> {
        self.engine.queue(request, self.adapter.clone())
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.engine.count_tokens(text)
    }
}

impl AdapterChoice {
    /// The folder, where it is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Path(folder) => Some(folder),
            Self::Default | Self::None => None,
        }
    }
}

impl Shared {
    /// A panic while the lock was held leaves a whole status: each change is one assignment.
    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, condition: impl FnMut(&mut Status) -> bool) -> MutexGuard<'_, Status> {
        self.changed
            .wait_while(self.status(), condition)
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn set_state(&self, state: EngineState) {
        self.status().state = state;
        self.changed.notify_all();
    }

    fn set_tokenizer(&self, tokenizer: Arc<Tokenizer>) {
        self.status().tokenizer = Some(tokenizer);
        self.changed.notify_all();
    }
}

/// The thread's life: load, then answer until the engine is dropped.
fn run(options: &EngineOptions, jobs: &mpsc::Receiver<Job>, shared: &Shared) {
    let loaded = catch_unwind(AssertUnwindSafe(|| {
        Model::load(options, |t| shared.set_tokenizer(t))
    }));
    match loaded.unwrap_or_else(|panic| Err(panic_text(&*panic))) {
        Ok((model, info)) => {
            tracing::info!(
                model = info.name,
                device = info.device,
                adapter = info.adapter,
                "model loaded"
            );
            shared.set_state(EngineState::Ready(info));
            serve(model, jobs);
        }
        Err(why) => {
            // Whoever waits for the model is told; an error in the log, too, would be said twice.
            tracing::info!(why, "model not loaded");
            shared.set_state(EngineState::Failed(why.clone()));
            for job in jobs {
                if let Job::Answer(_, _, events) = job {
                    events.send(Err(GenerateError::Unavailable(why.clone())));
                }
            }
        }
    }
}

fn serve(mut model: Model, jobs: &mpsc::Receiver<Job>) {
    for job in jobs {
        let (request, adapter, events) = match job {
            Job::Answer(request, adapter, events) => (request, adapter, events),
            Job::Read(adapter) => {
                let read = catch_unwind(AssertUnwindSafe(|| model.read_adapter(&adapter)));
                if let Err(panic) = read {
                    tracing::error!(error = panic_text(&*panic), "reading an adapter failed");
                }
                continue;
            }
        };
        if events.is_cancelled() {
            continue;
        }
        let answered = catch_unwind(AssertUnwindSafe(|| model.answer(&request, &adapter, &events)));
        let answered = answered.unwrap_or_else(|panic| {
            // The weights are never changed; what the panic may have left half done is the kept prefixes.
            model.forget();
            Err(GenerateError::Failed(panic_text(&*panic)))
        });
        if let Err(error) = answered {
            tracing::error!(%error, "generation failed");
            events.send(Err(error));
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!(
        "an internal error, please report it: {}",
        text.unwrap_or_else(|| "no message".to_owned())
    )
}
