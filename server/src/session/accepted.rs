//! What becomes of the completions of a session, written into the store where the person wants that.
//!
//! Nothing here waits: one task writes, in the order in which things happened, away from the threads that serve messages.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bigquill_model::corpus::{Completion, PromptMessage, now};
use bigquill_model::generate::Role;
use bigquill_model::prompt::shown_tables;
use tokio::sync::{mpsc, oneshot};
use tower_lsp::lsp_types::{MessageType, Url};

use super::{OpenDocument, Session};
use crate::accepted::{Kept, Offered, moved};
use crate::document::{Document, Replacement};
use crate::pipeline::Answer;

mod writer;

use writer::Job;

/// How many offers are remembered for when they are taken.
const REMEMBERED: usize = 256;
/// How long to wait for the version that has the text: an editor may tell of it after the command.
const NEXT_VERSION: Duration = Duration::from_secs(2);
/// How long it is waited until everything is written.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// What is offered and what is to be written.
pub(super) struct AcceptedSlot {
    offers: Mutex<VecDeque<Arc<Offer>>>,
    /// Offers of an earlier server that an editor still names must not be taken for ours.
    first_number: u64,
    jobs: mpsc::UnboundedSender<Job>,
    /// The writer's end until it is started.
    waiting: Mutex<Option<mpsc::UnboundedReceiver<Job>>>,
}

/// An answer that a person saw.
pub(super) struct Offer {
    number: u64,
    question: String,
    answer: Arc<Answer>,
    /// In milliseconds since 1970.
    offered_at: i64,
    /// The same answer offered again is another completion then.
    taken: AtomicBool,
    /// What the settings call the model.
    model: String,
    store: PathBuf,
    redact: bool,
}

/// Where an offer that was taken stands in its document.
#[derive(Clone)]
pub(super) struct Placed {
    offer: Arc<Offer>,
    range: Range<usize>,
}

impl Default for AcceptedSlot {
    fn default() -> Self {
        let (jobs, waiting) = mpsc::unbounded_channel();
        Self {
            offers: Mutex::default(),
            // Whole numbers up to 2^53 are the same for every editor.
            first_number: fastrand::u64(..1 << 52),
            jobs,
            waiting: Mutex::new(Some(waiting)),
        }
    }
}

impl Offer {
    fn offered<'a>(&'a self, remark: Option<&'a str>) -> Offered<'a> {
        Offered {
            question: &self.question,
            sql: &self.answer.sql,
            remark,
        }
    }

    /// Whether it offers this answer and was not taken yet.
    fn is_open(&self, answer: &Arc<Answer>) -> bool {
        Arc::ptr_eq(&self.answer, answer) && !self.taken.load(Ordering::Relaxed)
    }

    fn locate(&self, text: &str) -> Option<Range<usize>> {
        self.offered(None).locate(text)
    }

    fn kept(&self, text: &str, place: &Range<usize>) -> Kept {
        let remark = self.answer.remark();
        self.offered(remark.as_deref()).kept(text, place)
    }

    /// What the store is told.
    fn completion(&self, kept: Kept) -> Completion {
        let answer = &self.answer;
        let messages = &answer.prompt.messages;
        let tables = messages.iter().flat_map(|message| shown_tables(&message.content));
        let author = answer.author.as_ref();
        let mut completion = Completion {
            question: self.question.clone(),
            prompt: messages
                .iter()
                .map(|message| PromptMessage {
                    role: role(message.role).to_owned(),
                    content: message.content.clone(),
                })
                .collect(),
            tables: tables.map(str::to_owned).collect(),
            generated: answer.sql.clone(),
            kept: kept.sql,
            outcome: kept.outcome,
            proved_by: answer.proved_by.map(|by| by.as_str().to_owned()),
            model: author.map_or_else(|| self.model.clone(), |author| author.model.clone()),
            adapter: author.and_then(|author| author.adapter.clone()),
            offered_at: self.offered_at,
        };
        if self.redact {
            completion.redact();
        }
        completion
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

impl OpenDocument {
    /// Moves what was taken along with an edit.
    pub(super) fn move_placed(&self, replacements: &[Replacement]) {
        let mut placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner);
        for place in placed.iter_mut() {
            for replacement in replacements {
                place.range = moved(&place.range, replacement);
            }
        }
    }

    fn placed(&self) -> Vec<Placed> {
        self.placed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Session {
    /// Notes that an answer is shown to the person; gives the number by which it is taken. None where nothing is to be
    /// kept.
    pub fn offered(self: &Arc<Self>, question: &str, answer: &Arc<Answer>) -> Option<u64> {
        let settings = self.settings();
        if !settings.store_accepted || answer.refused {
            return None;
        }
        let store = settings.store_path()?;
        let mut offers = self
            .accepted
            .offers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(offer) = offers.iter().find(|offer| offer.is_open(answer)) {
            return Some(offer.number);
        }
        let number = offers
            .back()
            .map_or(self.accepted.first_number, |last| last.number + 1);
        let offer = Arc::new(Offer {
            number,
            question: question.to_owned(),
            answer: Arc::clone(answer),
            offered_at: now(),
            taken: AtomicBool::new(false),
            model: settings.model.clone(),
            store,
            redact: settings.redact_literals,
        });
        offers.push_back(Arc::clone(&offer));
        if offers.len() > REMEMBERED {
            offers.pop_front();
        }
        drop(offers);
        if number == self.accepted.first_number {
            self.tell_place(&offer.store);
        }
        self.write(Job::Offered(offer));
        Some(number)
    }

    /// Writes into the editor's log where completions are kept: the setting may be another person's.
    fn tell_place(self: &Arc<Self>, store: &Path) {
        let message = format!(
            "What becomes of completions is kept in {} (`store_accepted`); `bigquill accepted` shows it and forgets it.",
            store.display()
        );
        let session = Arc::clone(self);
        tokio::spawn(async move { session.editor.log(MessageType::INFO, &message).await });
    }

    /// Notes that the person took an offer, and follows it in its document. Returns when that and all before is written.
    pub async fn taken(self: &Arc<Self>, uri: &Url, number: u64) {
        if self.settings().store_accepted {
            self.note_taken(uri, number).await;
        }
        self.written().await;
    }

    async fn note_taken(self: &Arc<Self>, uri: &Url, number: u64) {
        let offer = {
            let offers = self
                .accepted
                .offers
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            offers.iter().find(|offer| offer.number == number).cloned()
        };
        let Some(offer) = offer else { return };
        offer.taken.store(true, Ordering::Relaxed);
        self.write(Job::Taken(Arc::clone(&offer)));
        let Some(document) = self.document(uri) else {
            return;
        };
        if !self.follow(&document, &offer).await {
            let next = self.newer_than(uri, document.version);
            if let Ok(Some(next)) = tokio::time::timeout(NEXT_VERSION, next).await {
                self.follow(&next, &offer).await;
            }
        }
    }

    /// Whether the offer stands in this version of the document; from there on it is followed. What stood in the same
    /// place was not wanted.
    async fn follow(self: &Arc<Self>, document: &Arc<Document>, offer: &Arc<Offer>) -> bool {
        let mut document = Arc::clone(document);
        loop {
            let work = {
                let (document, offer) = (Arc::clone(&document), Arc::clone(offer));
                move || offer.locate(&document.text)
            };
            let Ok(Some(range)) = tokio::task::spawn_blocking(work).await else {
                return false;
            };
            // Under this lock no edit comes between.
            let Some(open) = self.documents.get(&document.uri) else {
                return true;
            };
            if open.current.version != document.version {
                document = Arc::clone(&open.current);
                continue;
            }
            let mut placed = open.placed.lock().unwrap_or_else(PoisonError::into_inner);
            let overlaps = |place: &Placed| place.range.start < range.end && range.start < place.range.end;
            for before in placed.extract_if(.., |place| overlaps(place)) {
                if before.offer.number != offer.number {
                    self.write(Job::Replaced(before.offer));
                }
            }
            placed.push(Placed {
                offer: Arc::clone(offer),
                range,
            });
            return true;
        }
    }

    /// Reads what became of the completions in a document.
    pub fn read_kept(self: &Arc<Self>, uri: &Url) {
        if let Some(open) = self.documents.get(uri) {
            self.read_kept_of(&open);
        }
    }

    pub(super) fn read_kept_of(self: &Arc<Self>, open: &OpenDocument) {
        let placed = open.placed();
        if !placed.is_empty() && self.settings().store_accepted {
            self.write(Job::Read(Arc::clone(&open.current), placed));
        }
    }

    /// Reads what became of all that is followed, and waits until everything is written.
    pub async fn finish_accepted(self: &Arc<Self>) {
        for open in &self.documents {
            self.read_kept_of(&open);
        }
        self.written().await;
    }

    /// Waits until everything is written that was to be, or that takes too long.
    async fn written(&self) {
        let (written, done) = oneshot::channel();
        let started = self
            .accepted
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none();
        if started && self.accepted.jobs.send(Job::Flush(written)).is_ok() {
            // Who cannot write tells the person.
            let _ = tokio::time::timeout(LAST_WRITES, done).await;
        }
    }

    fn write(self: &Arc<Self>, job: Job) {
        let waiting = self
            .accepted
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(jobs) = waiting {
            tokio::spawn(writer::run(jobs, Arc::downgrade(self)));
        }
        // The writer ends only with the session.
        let _ = self.accepted.jobs.send(job);
    }
}
