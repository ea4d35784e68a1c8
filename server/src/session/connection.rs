//! The connection to BigQuery for what a person asks or saves, made at the first need and kept while the settings stay.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::Session;
use crate::bigquery::{BigQuery, BigQueryError, ConnectOptions};
use crate::pipeline::DryRunStep;
use crate::settings::Settings;

/// The place of the connection.
pub(super) struct ConnectionSlot {
    options: ConnectOptions,
    connected: Mutex<Option<(Key, Arc<BigQuery>)>>,
}

/// The settings that a connection hangs on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key([Option<String>; 5]);

impl ConnectionSlot {
    pub(super) fn new(options: ConnectOptions) -> Self {
        Self {
            options,
            connected: Mutex::default(),
        }
    }

    /// The connection of these settings.
    ///
    /// # Errors
    /// Where the credentials or the endpoint cannot be used. The next call tries again.
    pub(super) async fn get(&self, settings: &Settings) -> Result<Arc<BigQuery>, BigQueryError> {
        let key = Key([
            settings.project.clone(),
            settings.billing_project.clone(),
            settings.location.clone(),
            settings.credentials.clone(),
            settings.endpoint.clone(),
        ]);
        let mut connected = self.connected.lock().await;
        if let Some((of, bigquery)) = &*connected
            && *of == key
        {
            return Ok(Arc::clone(bigquery));
        }
        let bigquery = Arc::new(BigQuery::connect_with(settings, &self.options).await?);
        *connected = Some((key, Arc::clone(&bigquery)));
        Ok(bigquery)
    }
}

impl Session {
    /// The last step of every answer, where the settings want it and a connection can be had.
    pub async fn dry_run_step(&self, settings: &Settings) -> Option<DryRunStep> {
        if !settings.dry_runs() {
            return None;
        }
        DryRunStep::over(self.connection.get(settings).await, settings)
    }
}
