//! BigQuery's tables in a session: started and stopped with the settings, followed, asked for what a document names.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bigquill_analysis::linking::unread_for;
use bigquill_analysis::unread::{unread_routines, unread_tables};
use serde_json::{Value, json};
use tower_lsp::lsp_types::MessageType;

use super::{DocumentSnapshot, Session};
use crate::catalog::{Contact, DatasetReference, LiveCatalog, LiveKey, LiveOptions, LiveState};
use crate::document::Document;
use crate::settings::Settings;

/// How long a person who asks waits for schemas that were never read.
const READ_WAIT: Duration = Duration::from_secs(1);

/// The place of the live catalog.
pub(super) struct LiveSlot {
    options: LiveOptions,
    catalog: Mutex<Option<Arc<LiveCatalog>>>,
    /// Held while a snapshot is made and shown.
    pub(super) publishing: tokio::sync::Mutex<()>,
}

impl LiveSlot {
    pub(super) fn new(options: LiveOptions) -> Self {
        Self {
            options,
            catalog: Mutex::default(),
            publishing: tokio::sync::Mutex::default(),
        }
    }

    fn get(&self) -> Option<Arc<LiveCatalog>> {
        self.catalog
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, catalog: Option<Arc<LiveCatalog>>) {
        *self.catalog.lock().unwrap_or_else(PoisonError::into_inner) = catalog;
    }
}

impl Session {
    /// Starts, leaves or stops the live catalog as the settings want, and waits until its cache is read.
    pub(super) async fn open_live(self: &Arc<Self>, settings: &Settings) {
        if self.is_live_of(settings) {
            return;
        }
        let Some(key) = LiveKey::of(settings) else {
            self.live.set(None);
            return;
        };
        let live = LiveCatalog::start(key, settings, self.live.options.clone());
        let mut states = live.state();
        self.live.set(Some(Arc::new(live)));
        // Its end, before anything was read, is an answer, too.
        let _ = states.wait_for(|state| state.epoch > 0).await;
        states.mark_changed();
        let session = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut told = Contact::Connecting;
            while states.changed().await.is_ok() {
                let contact = states.borrow_and_update().contact.clone();
                let Some(session) = session.upgrade() else { return };
                session.publish_catalog(None).await;
                if contact != told {
                    session.tell_contact(&contact).await;
                    told = contact;
                }
            }
        });
    }

    /// Whether the live catalog is the one of these settings, or there is none and should be none.
    pub(super) fn is_live_of(&self, settings: &Settings) -> bool {
        self.live.get().map(|live| live.key().clone()) == LiveKey::of(settings)
    }

    /// What the live catalog knows now.
    pub(super) fn live_state(&self) -> Option<LiveState> {
        self.live.get().map(|live| live.state().borrow().clone())
    }

    async fn tell_contact(&self, contact: &Contact) {
        match contact {
            Contact::Connecting | Contact::Online => {}
            Contact::Offline { why, needs_person } => {
                let message = format!("BigQuery's tables stay as they were last read: {why}");
                if *needs_person {
                    self.editor.show_once(MessageType::WARNING, &message).await;
                } else {
                    self.editor.log(MessageType::INFO, &message).await;
                }
            }
        }
    }

    /// This version of a document with the schemas of the tables that it names. Those that were never read are
    /// waited for, not for long.
    pub async fn with_tables(self: &Arc<Self>, document: Arc<Document>) -> DocumentSnapshot {
        let snapshot = self.with_catalog(document).await;
        let Some(read) = self.read_tables(&snapshot).await else {
            return snapshot;
        };
        // What comes later is shown by a later request.
        let _ = tokio::time::timeout(READ_WAIT, read).await;
        self.publish_catalog(None).await;
        self.with_catalog(snapshot.document).await
    }

    /// This snapshot with the schemas of the tables that a question may be about. What was never read is waited for,
    /// not for long.
    pub async fn with_question(
        self: &Arc<Self>,
        snapshot: &DocumentSnapshot,
        question: &str,
    ) -> DocumentSnapshot {
        let Some(live) = self.live.get() else {
            return snapshot.clone();
        };
        let read = async {
            // At the very start not even the names are known.
            let mut states = live.state();
            let _ = states
                .wait_for(|state| state.contact != Contact::Connecting)
                .await;
            self.publish_catalog(None).await;
            let catalog = self.with_catalog(Arc::clone(&snapshot.document)).await.catalog;
            let question = question.to_owned();
            let found = tokio::task::spawn_blocking(move || unread_for(&question, &catalog));
            let unread = found.await.unwrap_or_default();
            if !unread.is_empty() {
                live.need(unread).await;
            }
        };
        let _ = tokio::time::timeout(READ_WAIT, read).await;
        self.publish_catalog(None).await;
        self.with_catalog(Arc::clone(&snapshot.document)).await
    }

    /// Has the schemas read that a document names and nobody has read; new findings follow. None where there are none.
    pub async fn read_tables(
        self: &Arc<Self>,
        snapshot: &DocumentSnapshot,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let live = self.live.get()?;
        let (document, catalog) = (Arc::clone(&snapshot.document), Arc::clone(&snapshot.catalog));
        let found = tokio::task::spawn_blocking(move || {
            let datasets = unread_routines(&document.text, &catalog).into_iter();
            let datasets = datasets.map(|(project, dataset)| DatasetReference { project, dataset });
            (
                unread_tables(&document.text, &catalog),
                datasets.collect::<Vec<_>>(),
            )
        });
        let (unread, datasets) = found.await.unwrap_or_default();
        if !datasets.is_empty() {
            live.need_routines(datasets);
        }
        (!unread.is_empty()).then(|| live.need(unread))
    }

    /// Has BigQuery asked for what changed, and catalog files looked at; says what is known then.
    pub async fn refresh_everything(self: &Arc<Self>) -> Value {
        // Asked for at the very start, it is answered once there is something to refresh.
        let _ = self.catalog.subscribe().wait_for(Option::is_some).await;
        if let Some(live) = self.live.get() {
            live.refresh().await;
            self.publish_catalog(None).await;
        }
        self.refresh_catalog().await;
        let Some(state) = self.catalog_state() else {
            return Value::Null;
        };
        let contact = state.live.as_ref().map(|live| &live.contact);
        let listing = state
            .snapshot
            .listing()
            .values()
            .flat_map(|project| project.datasets.values());
        json!({
            "tables": state.snapshot.tables().count(),
            "listed": listing.flatten().map(|names| names.len()).sum::<usize>(),
            "online": contact.map(|contact| *contact == Contact::Online),
            "problem": match contact {
                Some(Contact::Offline { why, .. }) => Some(why),
                _ => None,
            },
        })
    }
}
