//! The generator of a session: loaded in the background at the first need, fetched where the person agrees.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bigquill_model::generate::Generator;
use tokio::sync::{mpsc, watch};
use tower_lsp::lsp_types::{MessageType, ProgressToken};

use super::{Progress, Session};
use crate::models::{self, OpenError, SharedEngine};
use crate::settings::{Device, Settings};

/// Where generators come from. Both methods block.
pub trait ModelSource: Send + Sync {
    /// Loads the generator that the settings name.
    ///
    /// # Errors
    /// Where its files are not there, or cannot be used.
    fn open(&self, settings: &Settings) -> Result<Arc<dyn Generator>, OpenError>;

    /// Fetches the files that [`open`](Self::open) missed. `progress` gets bytes done and bytes in all, and may stop
    /// it; what is there then is used by the next try.
    ///
    /// # Errors
    /// A message that says what to do.
    fn fetch(
        &self,
        settings: &Settings,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<(), String>;
}

/// The models of this machine.
#[derive(Debug, Default)]
pub struct LocalModels {
    engine: SharedEngine,
}

impl ModelSource for LocalModels {
    fn open(&self, settings: &Settings) -> Result<Arc<dyn Generator>, OpenError> {
        self.engine.open(settings)
    }

    fn fetch(
        &self,
        settings: &Settings,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<(), String> {
        models::fetch(settings, progress)
    }
}

/// Who needs the generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeededBy {
    /// The editor, unasked: nothing is asked twice, no failed load is tried again.
    Editor,
    /// The person.
    Person,
}

type Opened = Result<Arc<dyn Generator>, OpenError>;

/// The place of the generator.
pub struct GeneratorSlot {
    models: Arc<dyn ModelSource>,
    state: Mutex<Option<Load>>,
    fetching: tokio::sync::Mutex<()>,
    fetch: Mutex<Option<Fetch>>,
    offered: AtomicBool,
}

/// A load that runs or ran.
struct Load {
    key: ModelKey,
    result: watch::Receiver<Option<Opened>>,
}

/// A download that runs.
struct Fetch {
    token: Option<ProgressToken>,
    stop: Arc<AtomicBool>,
}

/// The settings that name a generator.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ModelKey {
    model: String,
    adapter: String,
    device: Device,
    threads: Option<usize>,
}

impl ModelKey {
    fn of(settings: &Settings) -> Self {
        Self {
            model: settings.model.clone(),
            adapter: settings.adapter.clone(),
            device: settings.device,
            threads: settings.threads,
        }
    }
}

impl GeneratorSlot {
    pub(super) fn new(models: Arc<dyn ModelSource>) -> Self {
        Self {
            models,
            state: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
            fetch: Mutex::default(),
            offered: AtomicBool::new(false),
        }
    }

    /// Forgets the generator where the settings name another one now.
    pub(super) fn settings_changed(&self, settings: &Settings) {
        let key = ModelKey::of(settings);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.as_ref().is_some_and(|load| load.key != key) {
            *state = None;
            self.offered.store(false, Ordering::Relaxed);
        }
    }

    /// Stops the download that shows this progress.
    pub fn cancel(&self, token: &ProgressToken) {
        let fetch = self.fetch.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fetch) = fetch.as_ref().filter(|f| f.token.as_ref() == Some(token)) {
            fetch.stop.store(true, Ordering::Relaxed);
        }
    }

    /// The generator, loaded now where it is not yet.
    async fn open(&self, settings: &Arc<Settings>, retry: bool) -> Opened {
        let mut result = self.begin(settings, retry);
        let opened = result.wait_for(Option::is_some).await;
        match opened.as_deref() {
            Ok(Some(opened)) => opened.clone(),
            _ => Err(OpenError::Failed(
                "loading the model was interrupted; try again".into(),
            )),
        }
    }

    fn begin(&self, settings: &Arc<Settings>, retry: bool) -> watch::Receiver<Option<Opened>> {
        let key = ModelKey::of(settings);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(load) = state.as_ref().filter(|load| load.key == key) {
            let failed = match &*load.result.borrow() {
                Some(opened) => opened.is_err(),
                // Without a sender the load ended in a panic.
                None => load.result.has_changed().is_err(),
            };
            if !(failed && retry) {
                return load.result.clone();
            }
        }
        let (sender, result) = watch::channel(None);
        *state = Some(Load {
            key,
            result: result.clone(),
        });
        let models = Arc::clone(&self.models);
        let settings = Arc::clone(settings);
        tokio::task::spawn_blocking(move || sender.send_replace(Some(models.open(&settings))));
        result
    }
}

impl Session {
    /// Loads the generator in the background, where its files are there; says nothing where they are not.
    pub fn warm_up(self: &Arc<Self>) {
        let session = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(OpenError::Failed(message)) = session.generator.open(&session.settings(), false).await
            {
                session.editor.show_once(MessageType::ERROR, &message).await;
            }
        });
    }

    /// The generator. Where the model is not on this machine, the person is asked whether to fetch it; where it
    /// cannot be used, the person is told why.
    ///
    /// # Errors
    /// Where there is none; the person knows already.
    pub async fn generator(self: &Arc<Self>, needed_by: NeededBy) -> Opened {
        let person = needed_by == NeededBy::Person;
        let settings = self.settings();
        match self.generator.open(&settings, person).await {
            Err(error @ OpenError::Missing { .. }) => {
                if person {
                    return self.fetched(settings).await;
                }
                if !self.generator.offered.swap(true, Ordering::Relaxed) {
                    let session = Arc::clone(self);
                    tokio::spawn(async move { session.fetched(settings).await });
                }
                Err(error)
            }
            Err(OpenError::Failed(message)) => {
                if person {
                    self.editor.show(MessageType::ERROR, &message).await;
                } else {
                    self.editor.show_once(MessageType::ERROR, &message).await;
                }
                Err(OpenError::Failed(message))
            }
            opened => opened,
        }
    }

    /// Asks whether to fetch the model, fetches and loads it.
    async fn fetched(self: &Arc<Self>, settings: Arc<Settings>) -> Opened {
        let _one_at_a_time = self.generator.fetching.lock().await;
        // It may have come while another request fetched it.
        let Err(error) = self.generator.open(&settings, true).await else {
            return self.generator.open(&settings, false).await;
        };
        let OpenError::Missing { name, bytes } = &error else {
            return Err(error);
        };
        let download = match bytes {
            0 => "Download".to_owned(),
            bytes => format!("Download ({} MB)", bytes.div_ceil(1_000_000)),
        };
        let question = format!(
            "bigquill needs the model {name} to write SQL. It is fetched once and runs on this machine."
        );
        let choices = [download.clone(), "Not now".to_owned()];
        let choice = self.editor.choose(MessageType::INFO, question, &choices).await;
        if choice.as_ref() != Some(&download) {
            return Err(error);
        }
        // In a task of its own: a download goes on where the generation that wanted it is given up.
        let session = Arc::clone(self);
        let name = name.clone();
        let fetch = tokio::spawn(async move { session.fetch(&settings, &name).await });
        fetch.await.unwrap_or(Err(error))
    }

    async fn fetch(self: &Arc<Self>, settings: &Arc<Settings>, name: &str) -> Opened {
        let title = format!("Downloading {name}");
        let progress = self
            .editor
            .begin(self.abilities().progress, &title, None, true)
            .await;
        let stop = Arc::new(AtomicBool::new(false));
        self.note_fetch(Some(Fetch {
            token: progress.token().cloned(),
            stop: Arc::clone(&stop),
        }));
        let result = self.fetch_files(settings, &progress, Arc::clone(&stop)).await;
        self.note_fetch(None);
        match result {
            Ok(()) => progress.end(Some("done".into())).await,
            Err(message) => {
                progress.end(Some("not finished".into())).await;
                if stop.load(Ordering::Relaxed) {
                    return Err(OpenError::Failed(
                        "the download was stopped; the next one goes on from here".into(),
                    ));
                }
                let message = format!("The model {name} could not be fetched: {message}");
                self.editor.show(MessageType::ERROR, &message).await;
                return Err(OpenError::Failed(message));
            }
        }
        // It came along with the model.
        let session = Arc::clone(self);
        tokio::spawn(async move { session.open_judge().await });
        let opened = self.generator.open(settings, true).await;
        if let Err(error) = &opened {
            self.editor.show(MessageType::ERROR, &error.to_string()).await;
        }
        opened
    }

    async fn fetch_files(
        &self,
        settings: &Arc<Settings>,
        progress: &Progress,
        stop: Arc<AtomicBool>,
    ) -> Result<(), String> {
        let (sender, mut reports) = mpsc::unbounded_channel();
        let models = Arc::clone(&self.generator.models);
        let settings = Arc::clone(settings);
        let work = tokio::task::spawn_blocking(move || {
            let mut last = None;
            models.fetch(&settings, &mut |done, all| {
                let percent = u32::try_from(done * 100 / all.max(1)).unwrap_or(100).min(100);
                if last.replace(percent) != Some(percent) {
                    // Nobody listens only when the session is gone.
                    let _ = sender.send((done, all, percent));
                }
                if stop.load(Ordering::Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
        });
        while let Some((done, all, percent)) = reports.recv().await {
            let message = format!("{} of {} MB", done / 1_000_000, all.div_ceil(1_000_000));
            progress.report(message, Some(percent)).await;
        }
        work.await
            .unwrap_or_else(|_| Err("the download broke off; try again".into()))
    }

    fn note_fetch(&self, fetch: Option<Fetch>) {
        *self
            .generator
            .fetch
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = fetch;
    }
}
