//! The generator of a command: fetched where it is not there yet, loaded before the first question.

use std::sync::Arc;

use bigquill_model::generate::Generator;
use bigquill_model::store::{KnownModel, ModelStore, PullEvent, Pulled};

use crate::models::{self, NamedModel};
use crate::settings::Settings;

use super::output::message;
use super::progress::download_bar;

/// The generator that the settings name.
pub(super) fn open(settings: &Settings) -> anyhow::Result<Arc<dyn Generator>> {
    if let NamedModel::Known(model, None) = models::named(settings)? {
        message(&format!(
            "the model {} is not on this machine yet; fetching it ({}, {})",
            model.name,
            megabytes(model.bytes),
            model.licence
        ));
        let pulled = pull(model)?;
        message(&describe(model, &pulled));
    }
    let engine = models::start(settings)?;
    let info = engine.wait()?;
    tracing::info!(
        model = info.name,
        device = info.device,
        adapter = info.adapter,
        "model loaded"
    );
    Ok(Arc::new(engine))
}

/// Fetches a model with progress on standard error.
pub(super) fn pull(model: &KnownModel) -> anyhow::Result<Pulled> {
    let store = ModelStore::open()?;
    let bar = download_bar(model.bytes.unwrap_or_default());
    let note = |event: PullEvent| match event {
        PullEvent::Progress { done, total } => {
            if let Some(total) = total {
                bar.set_length(total);
            }
            bar.set_position(done);
        }
        PullEvent::Verifying { done, total } => {
            bar.set_length(total);
            bar.set_position(done);
        }
        PullEvent::Waiting => bar.suspend(|| message("another bigquill fetches this model; waiting for it")),
        PullEvent::Source(source) => bar.suspend(|| message(&format!("fetching from {source}"))),
        PullEvent::Unavailable { source, reason } => {
            bar.suspend(|| message(&format!("{source} cannot be used: {reason}")));
        }
        PullEvent::Resumed(at) => {
            bar.suspend(|| {
                message(&format!(
                    "going on with an earlier download at {}",
                    megabytes(Some(at))
                ))
            });
            bar.reset_eta();
        }
    };
    let pulled = super::runtime()?.block_on(store.pull(model, &note));
    bar.finish_and_clear();
    Ok(pulled?)
}

/// Where a model came from and where it lies.
pub(super) fn describe(model: &KnownModel, pulled: &Pulled) -> String {
    let origin = match (pulled.was_there, pulled.source) {
        (true, _) => "is there already".to_owned(),
        (false, Some(source)) => format!("fetched from {source} ({})", pulled.detail),
        (false, None) => "put there by hand".to_owned(),
    };
    format!(
        "{} {origin}: {}, {}, SHA-256 {}",
        model.name,
        pulled.path.display(),
        megabytes(Some(pulled.bytes)),
        pulled.sha256
    )
}

/// A size for people.
pub(super) fn megabytes(bytes: Option<u64>) -> String {
    match bytes {
        Some(bytes) => format!("{} MB", bytes.div_ceil(1_000_000)),
        None => "size unknown".to_owned(),
    }
}
