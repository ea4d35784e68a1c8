//! The judge of a session: opened in the background after the start, compiled first where that was never done.
//!
//! Nothing waits for it: until it is ready, and without it, the resolver alone answers.

use std::sync::{Arc, PoisonError, RwLock};

use bigquill_analysis::schema::CatalogSnapshot;
use bigquill_judge::{Context, Judge, JudgeOptions};
use tower_lsp::lsp_types::MessageType;

use super::Session;
use crate::judge::{self, OpenError, Readiness};

/// Where a session's judge comes from.
#[derive(Debug, Clone, Default)]
pub enum JudgeSource {
    /// There is none.
    #[default]
    Nowhere,
    /// The module in this machine's store.
    Local,
    /// This one.
    Given(Judge),
}

/// The place of the judge.
pub struct JudgeSlot {
    source: JudgeSource,
    judge: RwLock<Option<Judge>>,
    opening: tokio::sync::Mutex<()>,
}

impl JudgeSlot {
    pub(super) fn new(source: JudgeSource) -> Self {
        Self {
            source,
            judge: RwLock::default(),
            opening: tokio::sync::Mutex::default(),
        }
    }

    /// The judge, where it is ready.
    #[must_use]
    pub fn ready(&self) -> Option<Judge> {
        self.judge.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Session {
    /// Opens the judge where it is not open yet, then has open documents looked at again. Says what keeps it away.
    pub async fn open_judge(self: &Arc<Self>) {
        let _one = self.judge.opening.lock().await;
        if !self.settings().judge || self.judge.ready().is_some() {
            return;
        }
        let opened = match &self.judge.source {
            JudgeSource::Nowhere => return,
            JudgeSource::Given(judge) => Ok(judge.clone()),
            JudgeSource::Local => self.open_local_judge().await,
        };
        match opened {
            Ok(judge) => {
                *self.judge.judge.write().unwrap_or_else(PoisonError::into_inner) = Some(judge);
                self.recheck_all();
                self.refresh_pulled();
            }
            // `bigquill doctor` tells; a message at every start would be a nuisance.
            Err(error @ OpenError::Missing) => self.editor.log(MessageType::INFO, &error.to_string()).await,
            Err(error) => {
                self.editor
                    .show_once(MessageType::WARNING, &error.to_string())
                    .await
            }
        }
    }

    async fn open_local_judge(&self) -> Result<Judge, OpenError> {
        let ready = blocking(judge::readiness).await?;
        let progress = match ready {
            Readiness::NotCompiled => {
                let message = "compiling it for this machine, once".to_owned();
                let supported = self.abilities().progress;
                Some(
                    self.editor
                        .begin(supported, "GoogleSQL", Some(message), false)
                        .await,
                )
            }
            Readiness::Missing | Readiness::Ready => None,
        };
        let opened = blocking(|| {
            let judge = judge::open(JudgeOptions::default(), &|_| {})?;
            // The first analysis makes an instance, which later ones find.
            let _ = judge.verdict("SELECT 1", &CatalogSnapshot::default(), &Context::default());
            Ok(judge)
        })
        .await;
        if let Some(progress) = progress {
            progress.end(None).await;
        }
        opened
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(OpenError::Interrupted))
}
