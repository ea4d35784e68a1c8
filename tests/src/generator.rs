//! A generator that answers when the test says so.

use std::ops::ControlFlow;
use std::sync::Arc;

use bigquill::models::OpenError;
use bigquill::session::ModelSource;
use bigquill::settings::Settings;
use bigquill_model::generate::{
    EventSender, FinishReason, GenerateError, GenerateRequest, Generation, GenerationEvent, Generator,
};
use tokio::sync::{Mutex, mpsc};

/// The generator's side: each request waits until the test takes and answers it.
pub struct Gated {
    calls: mpsc::UnboundedSender<Call>,
}

/// The test's side.
pub struct Gate {
    calls: Mutex<mpsc::UnboundedReceiver<Call>>,
}

/// One request for a generation.
pub struct Call {
    /// What was asked.
    pub request: GenerateRequest,
    events: EventSender,
}

/// A generator and the gate that holds it.
#[must_use]
pub fn gated() -> (Arc<Gated>, Gate) {
    let (calls, receiver) = mpsc::unbounded_channel();
    let gate = Gate {
        calls: Mutex::new(receiver),
    };
    (Arc::new(Gated { calls }), gate)
}

impl Generator for Gated {
    fn generate(&self, request: GenerateRequest) -> Result<Generation, GenerateError> {
        let (events, generation) = Generation::channel();
        let call = Call { request, events };
        self.calls
            .send(call)
            .map_err(|_| GenerateError::Unavailable("the test is over".into()))?;
        Ok(generation)
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }
}

impl Gate {
    /// Waits for the next request.
    pub async fn next(&self) -> Call {
        self.calls
            .lock()
            .await
            .recv()
            .await
            .expect("the generator lives as long as the server")
    }

    /// Whether no request waits.
    pub async fn is_empty(&self) -> bool {
        self.calls.lock().await.is_empty()
    }
}

impl Call {
    /// The whole answer.
    pub fn answer(&self, text: &str) {
        self.begin();
        self.text(text);
        self.end();
    }

    /// The prompt is read.
    pub fn begin(&self) {
        self.events.send(Ok(GenerationEvent::Started {
            prompt_tokens: 10,
            reused_tokens: 0,
        }));
    }

    /// A piece of the answer.
    pub fn text(&self, text: &str) {
        self.events.send(Ok(GenerationEvent::Text(text.to_owned())));
    }

    /// The end of the answer.
    pub fn end(&self) {
        self.events.send(Ok(GenerationEvent::Finished {
            reason: FinishReason::Stop,
            tokens: 5,
            prefill_ms: 1.0,
            decode_ms: 1.0,
        }));
    }

    /// The engine fails.
    pub fn fail(&self, error: GenerateError) {
        self.events.send(Err(error));
    }

    /// Whether the server no longer wants it.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.events.is_cancelled()
    }

    /// The question and the tables as the model sees them.
    #[must_use]
    pub fn prompt(&self) -> String {
        let messages = self.request.prompt.messages.iter();
        messages
            .map(|message| message.content.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// A source with this generator, whatever the settings.
pub struct Ready(pub Arc<dyn Generator>);

impl ModelSource for Ready {
    fn open(&self, _: &Settings) -> Result<Arc<dyn Generator>, OpenError> {
        Ok(Arc::clone(&self.0))
    }

    fn fetch(&self, _: &Settings, _: &mut dyn FnMut(u64, u64) -> ControlFlow<()>) -> Result<(), String> {
        Ok(())
    }
}

/// A source that has no usable model.
pub struct Broken(pub OpenError);

impl ModelSource for Broken {
    fn open(&self, _: &Settings) -> Result<Arc<dyn Generator>, OpenError> {
        Err(self.0.clone())
    }

    fn fetch(&self, _: &Settings, _: &mut dyn FnMut(u64, u64) -> ControlFlow<()>) -> Result<(), String> {
        Err("there is no network".into())
    }
}

/// A source whose model must be fetched first.
pub struct Fetchable {
    generator: Arc<dyn Generator>,
    fetched: std::sync::atomic::AtomicBool,
}

impl Fetchable {
    /// A source that has this generator once it is fetched.
    #[must_use]
    pub fn new(generator: Arc<dyn Generator>) -> Self {
        Self {
            generator,
            fetched: false.into(),
        }
    }
}

impl ModelSource for Fetchable {
    fn open(&self, _: &Settings) -> Result<Arc<dyn Generator>, OpenError> {
        if self.fetched.load(std::sync::atomic::Ordering::SeqCst) {
            Ok(Arc::clone(&self.generator))
        } else {
            Err(OpenError::Missing {
                name: "small".into(),
                bytes: 3_000_000,
            })
        }
    }

    fn fetch(
        &self,
        _: &Settings,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<(), String> {
        for done in 1..=3 {
            if progress(done * 1_000_000, 3_000_000).is_break() {
                return Err("stopped".into());
            }
        }
        self.fetched.store(true, std::sync::atomic::Ordering::SeqCst);
        Ok(())
    }
}
