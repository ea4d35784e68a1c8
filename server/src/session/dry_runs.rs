//! Dry runs of open documents: at most one call for a document at a time, given up where its text changes or a newer
//! one is wanted. An answer belongs to the text that was asked, wherever that stands now.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;
use tower_lsp::lsp_types::request::{CodeLensRefresh, InlayHintRefreshRequest};
use tower_lsp::lsp_types::{MessageType, Url};

use super::Session;
use crate::bigquery::job::Query;
use crate::bigquery::parameter::{Declared, ParameterError, Parameters};
use crate::bigquery::unit::{Unit, has_template, units};
use crate::bigquery::{BigQuery, BigQueryError, DryRun};
use crate::settings::Settings;

/// What BigQuery said of the statements of a document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DryRuns {
    /// The schemas at that time: with others the answer may be another.
    catalog_epoch: u64,
    answers: HashMap<String, (Parameters, DryRun)>,
}

/// Who wants a dry run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedBy {
    /// A save: what is known is not asked again, and no message pops up.
    Save,
    /// The person.
    Person,
}

/// The dry runs of one open document.
#[derive(Debug, Default)]
pub(super) struct DryRunSlot {
    answers: Mutex<Arc<DryRuns>>,
    task: Mutex<Option<AbortHandle>>,
}

impl DryRuns {
    /// The parts of a text that were asked with the values that their parameters have now, each with its answer.
    #[must_use]
    pub fn of<'a>(&'a self, text: &'a str, settings: &Settings) -> Vec<(Unit, &'a DryRun)> {
        if self.answers.is_empty() {
            return Vec::new();
        }
        let declared = Declared::read(text, &settings.parameters);
        let answered = |unit: Unit| {
            let sql = text.get(unit.range.clone())?;
            let (parameters, answer) = self.answers.get(sql)?;
            (declared.of(sql).as_ref() == Ok(parameters)).then_some((unit, answer))
        };
        units(text).into_iter().filter_map(answered).collect()
    }

    fn answer(&self, query: &Query) -> Option<&DryRun> {
        let (parameters, answer) = self.answers.get(&query.sql)?;
        (*parameters == query.parameters).then_some(answer)
    }
}

impl DryRunSlot {
    pub(super) fn answers(&self) -> Arc<DryRuns> {
        Arc::clone(&self.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the call that is on its way.
    pub(super) fn cancel(&self) {
        self.begin(None);
    }

    fn begin(&self, task: Option<AbortHandle>) {
        let mut running = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = std::mem::replace(&mut *running, task) {
            before.abort();
        }
    }

    fn put(&self, answers: Arc<DryRuns>) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner) = answers;
    }
}

impl Session {
    /// Has BigQuery say what the statements of a document would read, and what is wrong with them.
    pub fn dry_run(self: &Arc<Self>, uri: &Url, wanted_by: WantedBy) {
        let Some(slot) = self.documents.get(uri).map(|open| Arc::clone(&open.dry_runs)) else {
            return;
        };
        let (session, uri) = (Arc::clone(self), uri.clone());
        let of_task = Arc::clone(&slot);
        let task = tokio::spawn(async move { session.ask_dry_runs(&uri, &of_task, wanted_by).await });
        slot.begin(Some(task.abort_handle()));
    }

    async fn ask_dry_runs(self: &Arc<Self>, uri: &Url, slot: &DryRunSlot, wanted_by: WantedBy) {
        let Some(snapshot) = self.snapshot(uri).await else {
            return;
        };
        let text = snapshot.document.text.clone();
        let parameters = snapshot.settings.parameters.clone();
        let Ok((queries, left_out)) = tokio::task::spawn_blocking(move || askable(&text, &parameters)).await
        else {
            return;
        };
        let before = slot.answers();
        let known = wanted_by == WantedBy::Save && before.catalog_epoch == snapshot.catalog_epoch;
        let mut answers = DryRuns {
            catalog_epoch: snapshot.catalog_epoch,
            answers: HashMap::new(),
        };
        if known {
            let still = |query: &Query| {
                let answer = before.answer(query)?.clone();
                Some((query.sql.clone(), (query.parameters.clone(), answer)))
            };
            answers.answers.extend(queries.iter().filter_map(still));
        }
        let failed = self.ask_each(&queries, &mut answers, slot).await.err();
        slot.put(Arc::new(answers));
        self.show_dry_runs(uri);
        let why = match (failed, left_out) {
            (Some(error), _) => error.to_string(),
            (None, Some(left_out)) if wanted_by == WantedBy::Person => left_out.to_string(),
            (None, _) => return,
        };
        let message = format!("BigQuery was not asked what this would read: {why}");
        match wanted_by {
            WantedBy::Person => self.editor.show(MessageType::ERROR, &message).await,
            WantedBy::Save => self.editor.log(MessageType::INFO, &message).await,
        }
    }

    /// Asks what is not answered yet. An answer counts at once: a change of the text may end this at any time.
    async fn ask_each(
        &self,
        queries: &[Query],
        answers: &mut DryRuns,
        slot: &DryRunSlot,
    ) -> Result<(), BigQueryError> {
        let mut bigquery: Option<Arc<BigQuery>> = None;
        for query in queries {
            if answers.answer(query).is_some() {
                continue;
            }
            let bigquery = match &bigquery {
                Some(bigquery) => bigquery,
                None => bigquery.insert(self.connection.get(&self.settings()).await?),
            };
            let asked = (query.parameters.clone(), bigquery.plan(query).await?);
            answers.answers.insert(query.sql.clone(), asked);
            slot.put(Arc::new(answers.clone()));
        }
        Ok(())
    }

    /// Has findings and code lenses of a document shown anew.
    fn show_dry_runs(self: &Arc<Self>, uri: &Url) {
        if let Some(open) = self.documents.get(uri) {
            open.changed.notify_one();
        }
        self.refresh_pulled();
        let session = Arc::clone(self);
        tokio::spawn(async move {
            let abilities = session.abilities();
            if abilities.refreshes_lenses
                && let Err(error) = session.editor.ask::<CodeLensRefresh>(()).await
            {
                tracing::debug!(%error, "no code lens refresh");
            }
            if abilities.refreshes_hints
                && let Err(error) = session.editor.ask::<InlayHintRefreshRequest>(()).await
            {
                tracing::debug!(%error, "no inlay hint refresh");
            }
        });
    }
}

/// The parts of a text that BigQuery can be asked about as they stand: a template is no SQL yet, and a parameter needs
/// a value. And why one was left out, where a parameter is the cause.
fn askable(text: &str, parameters: &BTreeMap<String, String>) -> (Vec<Query>, Option<ParameterError>) {
    let declared = Declared::read(text, parameters);
    let (mut queries, mut left_out) = (Vec::new(), None);
    for unit in units(text) {
        let sql = text.get(unit.range).unwrap_or_default();
        if has_template(sql) {
            continue;
        }
        match declared.of(sql) {
            Ok(parameters) => queries.push(Query {
                sql: sql.to_owned(),
                parameters,
                maximum_bytes_billed: None,
            }),
            Err(error) => left_out = left_out.or(Some(error)),
        }
    }
    (queries, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_sql_yet_is_not_asked() {
        let text =
            "-- @n INT64 = 1\nSELECT @n;\nSELECT @day;\nSELECT {{ x }};\nSELECT @@time_zone; SELECT '@a ?'";
        let (queries, left_out) = askable(text, &BTreeMap::new());
        let asked: Vec<&str> = queries.iter().map(|query| query.sql.as_str()).collect();
        assert_eq!(asked, ["SELECT @n", "SELECT @@time_zone", "SELECT '@a ?'"]);
        let name = "day".to_owned();
        assert_eq!(left_out, Some(ParameterError::Missing { name }));
    }
}
