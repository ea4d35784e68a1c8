//! What a generator is asked and what streams back, whichever engine stands behind it.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use tokio::sync::mpsc;

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The rules.
    System,
    /// The person, or the pipeline for the person.
    User,
    /// The model's earlier answer.
    Assistant,
}

/// One message of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said: plain text, never control tokens.
    pub content: String,
}

/// A chat that ends with a user's message; the model's template is put around it by the generator.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prompt {
    /// Messages, oldest first.
    pub messages: Vec<Message>,
}

/// How the next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// The likeliest token.
    Greedy,
    /// Drawn from the nucleus.
    Nucleus {
        /// Divides the logits; above 0.
        temperature: f64,
        /// Probability mass that is kept, in (0, 1].
        top_p: f64,
        /// The same seed gives the same answer on the same device.
        seed: u64,
    },
}

/// One generation.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRequest {
    /// The chat.
    pub prompt: Prompt,
    /// Most tokens of the answer.
    pub max_tokens: usize,
    /// Greedy or seeded.
    pub sampling: Sampling,
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its answer.
    Stop,
    /// `max_tokens` was reached.
    Length,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// What the model calls itself.
    pub model: String,
    /// The adapter's name and the beginning of its weights' hash, `team@1a2b3c4d`, where one is applied.
    pub adapter: Option<String>,
}

/// What happens during a generation, in this order: one `Author` where the generator tells it, one `Started`, any number of
/// `Text`, one `Finished`.
#[derive(Debug, Clone, PartialEq)]
pub enum GenerationEvent {
    /// Who answers.
    Author {
        /// The model and its adapter.
        author: Author,
        /// Why it is not the adapter that was asked for, for people.
        remark: Option<String>,
    },
    /// The prompt is tokenized and its work begins.
    Started {
        /// Tokens of the whole prompt.
        prompt_tokens: usize,
        /// Of these, tokens whose keys and values were kept from an earlier prompt.
        reused_tokens: usize,
    },
    /// More text of the answer; joined, the pieces are the answer.
    Text(String),
    /// The answer is whole.
    Finished {
        /// Why it ended.
        reason: FinishReason,
        /// Tokens generated, the end token not counted.
        tokens: usize,
        /// Milliseconds from the start of the work to the first token.
        prefill_ms: f64,
        /// Milliseconds from the first token to the last.
        decode_ms: f64,
    },
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GenerateError {
    /// The prompt and the answer do not fit into the model's context.
    #[error("the prompt has {prompt_tokens} tokens; with the answer the model takes {context}")]
    ContextFull {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Tokens that the model takes.
        context: usize,
    },
    /// The model could not be loaded, or was not; the text says why and what to do.
    #[error("{0}")]
    Unavailable(String),
    /// The engine failed while it computed.
    #[error("the model failed: {0}")]
    Failed(String),
}

/// The stream of one generation. Dropping it cancels the generation.
#[derive(Debug)]
pub struct Generation {
    events: mpsc::UnboundedReceiver<Result<GenerationEvent, GenerateError>>,
}

/// Where a generator puts the events of one generation. Once [`is_cancelled`](Self::is_cancelled), nobody listens.
#[derive(Debug, Clone)]
pub struct EventSender {
    events: mpsc::UnboundedSender<Result<GenerationEvent, GenerateError>>,
}

impl Generation {
    /// A generation and the sender that feeds it.
    #[must_use]
    pub fn channel() -> (EventSender, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (EventSender { events: sender }, Self { events: receiver })
    }
}

impl EventSender {
    /// Sends an event; does nothing where the generation was dropped.
    pub fn send(&self, event: Result<GenerationEvent, GenerateError>) {
        // A closed channel is a cancelled generation, which the engine sees by `is_cancelled`.
        let _ = self.events.send(event);
    }

    /// Whether the generation was dropped.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.events.is_closed()
    }
}

impl Stream for Generation {
    type Item = Result<GenerationEvent, GenerateError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_recv(context)
    }
}

/// Something that answers prompts: the engine of this crate, or a remote server.
pub trait Generator: Send + Sync {
    /// Queues the request. Dropping the returned stream cancels it.
    ///
    /// # Errors
    /// Where the generator cannot take the request at all; later errors come by the stream.
    fn generate(&self, request: GenerateRequest) -> Result<Generation, GenerateError>;

    /// How many tokens this text has, for budgets; an estimate where the tokenizer is not at hand.
    fn count_tokens(&self, text: &str) -> usize;
}
