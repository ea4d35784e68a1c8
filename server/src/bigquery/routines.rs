//! Functions and procedures of a dataset.

use serde_json::Value;

use super::{BigQuery, BigQueryError};

impl BigQuery {
    /// Routines of a dataset as `routines.list` gives them, with name, kind and time of change but without signatures;
    /// and whether these are all. None at all where BigQuery is an emulator that has no such list.
    ///
    /// # Errors
    /// Where BigQuery cannot be asked or does not answer.
    pub async fn routines(
        &self,
        project: &str,
        dataset: &str,
    ) -> Result<Option<(Vec<Value>, bool)>, BigQueryError> {
        let path = ["projects", project, "datasets", dataset, "routines"];
        match self.items(&path, "routines").await {
            Ok(routines) => Ok(Some(routines)),
            Err(BigQueryError::Refused { reason, .. }) if reason == super::refused::UNSUPPORTED => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A routine as `routines.get` gives it.
    ///
    /// # Errors
    /// [`BigQueryError::NotFound`] where there is no such routine, and where BigQuery cannot be asked.
    pub async fn routine(&self, project: &str, dataset: &str, routine: &str) -> Result<Value, BigQueryError> {
        let path = ["projects", project, "datasets", dataset, "routines", routine];
        self.transport.get(&path, &[]).await
    }
}
