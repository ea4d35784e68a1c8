//! The one writer of a session's store.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use bigquill_model::corpus::{Corpus, CorpusError, Outcome};
use tokio::sync::{mpsc, oneshot};
use tower_lsp::lsp_types::MessageType;

use super::{Offer, Placed};
use crate::accepted::Kept;
use crate::document::Document;
use crate::session::Session;

/// What is to be written.
pub(super) enum Job {
    /// It was shown.
    Offered(Arc<Offer>),
    /// It was put in.
    Taken(Arc<Offer>),
    /// Another one took its place.
    Replaced(Arc<Offer>),
    /// The document may hold something else now.
    Read(Arc<Document>, Vec<Placed>),
    /// Everything before is to be written first.
    Flush(oneshot::Sender<()>),
}

/// Writes until the session is gone.
pub(super) async fn run(mut jobs: mpsc::UnboundedReceiver<Job>, session: Weak<Session>) {
    let mut writer = Writer::default();
    while let Some(job) = jobs.recv().await {
        let work = move || {
            let written = writer.work(job);
            (writer, written)
        };
        let Ok((next, written)) = tokio::task::spawn_blocking(work).await else {
            return;
        };
        writer = next;
        if let Err(error) = written
            && let Some(session) = session.upgrade()
        {
            let message = format!("What became of a completion was not kept: {error}");
            session.editor.show_once(MessageType::WARNING, &message).await;
        }
    }
}

#[derive(Default)]
struct Writer {
    stores: HashMap<PathBuf, Corpus>,
    /// By the number of the offer.
    rows: HashMap<u64, Row>,
}

/// An offer in its store.
struct Row {
    id: i64,
    kept: Kept,
}

impl Writer {
    fn work(&mut self, job: Job) -> Result<(), CorpusError> {
        let plainly = |outcome| Kept { outcome, sql: None };
        match job {
            Job::Offered(offer) => self.put(&offer, plainly(Outcome::Shown)),
            Job::Taken(offer) => self.put(&offer, plainly(Outcome::Accepted)),
            Job::Replaced(offer) => self.put(&offer, plainly(Outcome::Rejected)),
            Job::Read(document, placed) => {
                let read = |place: &Placed| {
                    (
                        Arc::clone(&place.offer),
                        place.offer.kept(&document.text, &place.range),
                    )
                };
                let all = placed.iter().map(read);
                // One that cannot be written must not keep the others away.
                all.map(|(offer, kept)| self.put(&offer, kept))
                    .fold(Ok(()), Result::and)
            }
            Job::Flush(written) => {
                // Who asked may have gone.
                let _ = written.send(());
                Ok(())
            }
        }
    }

    fn put(&mut self, offer: &Offer, kept: Kept) -> Result<(), CorpusError> {
        let known = self.rows.get(&offer.number);
        if known.is_some_and(|row| row.kept == kept) {
            return Ok(());
        }
        let id = known.map(|row| row.id);
        let completion = offer.completion(kept.clone());
        let store = self.store(&offer.store)?;
        let id = match id {
            // Forgotten meanwhile: it stays so.
            Some(id) => {
                store.update(id, &completion)?;
                id
            }
            None => store.add(&completion)?,
        };
        self.rows.insert(offer.number, Row { id, kept });
        Ok(())
    }

    fn store(&mut self, path: &Path) -> Result<&Corpus, CorpusError> {
        if !self.stores.contains_key(path) {
            let store = Corpus::open(path)?;
            self.stores.insert(path.to_owned(), store);
        }
        Ok(&self.stores[path])
    }
}
