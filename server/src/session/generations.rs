//! One generation per document: the newer wins.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use futures::future::{AbortHandle, Abortable};
use tower_lsp::lsp_types::{ProgressToken, Url};

/// Who asked for a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// The editor, unasked; gives way to everything.
    Automatic,
    /// The person, for ghost text.
    Invoked,
    /// The person, by the command.
    Command,
}

/// A generation was ended by a newer one, by an edit, or by the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superseded;

/// The generations that run.
#[derive(Default)]
pub struct Generations {
    running: Arc<DashMap<Url, Running>>,
    numbers: AtomicU64,
}

struct Running {
    number: u64,
    lane: Lane,
    token: Option<ProgressToken>,
    abort: AbortHandle,
}

/// Takes a generation off the list when it ends, however it ends.
struct Guard {
    running: Arc<DashMap<Url, Running>>,
    uri: Url,
    number: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.running
            .remove_if(&self.uri, |_, running| running.number == self.number);
    }
}

impl Generations {
    /// Runs a generation for this document and drops the one that ran before. One that nobody asked for does not
    /// displace what a person asked for.
    ///
    /// # Errors
    /// [`Superseded`] where it did not come to its end.
    pub async fn run<T>(
        &self,
        uri: &Url,
        lane: Lane,
        token: Option<ProgressToken>,
        work: impl Future<Output = T>,
    ) -> Result<T, Superseded> {
        let (abort, registration) = AbortHandle::new_pair();
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let running = Running {
            number,
            lane,
            token,
            abort,
        };
        match self.running.entry(uri.clone()) {
            Entry::Occupied(mut entry) => {
                if lane == Lane::Automatic && entry.get().lane > lane {
                    return Err(Superseded);
                }
                entry.insert(running).abort.abort();
            }
            Entry::Vacant(entry) => {
                entry.insert(running);
            }
        }
        let _guard = Guard {
            running: Arc::clone(&self.running),
            uri: uri.clone(),
            number,
        };
        Abortable::new(work, registration).await.map_err(|_| Superseded)
    }

    /// Ends the generation that shows this progress.
    pub fn cancel(&self, token: &ProgressToken) {
        for running in self.running.iter().filter(|r| r.token.as_ref() == Some(token)) {
            running.abort.abort();
        }
    }

    /// The document changed: ghost text for its old state is of no use any more.
    pub fn document_changed(&self, uri: &Url) {
        if let Some(running) = self.running.get(uri).filter(|r| r.lane != Lane::Command) {
            running.abort.abort();
        }
    }

    /// The document was closed.
    pub fn document_closed(&self, uri: &Url) {
        if let Some(running) = self.running.get(uri) {
            running.abort.abort();
        }
    }
}
