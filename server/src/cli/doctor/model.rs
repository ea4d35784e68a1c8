//! Whether there is a model, whether it is whole, and whether it loads.

use bigquill_model::store::ModelStore;

use super::Item;
use crate::cli::generator::megabytes;
use crate::models::{self, NamedModel, OpenError};
use crate::settings::Settings;

/// Reports the model, its adapter and the device. Loads the model, which takes a moment.
pub(super) fn report(settings: &Settings, verify: bool) -> Vec<Item> {
    let named = match models::named(settings) {
        Ok(named) => named,
        Err(error) => return vec![fault(&error)],
    };
    let mut items = Vec::new();
    match named {
        NamedModel::Known(model, None) => {
            return vec![Item::lack(
                format!("{} is not on this machine", model.name),
                format!("`bigquill model pull` fetches it ({})", megabytes(model.bytes)),
            )];
        }
        NamedModel::Known(model, Some(path)) => {
            items.push(Item::fine(format!("{}: {}", model.name, path.display())));
            if verify {
                items.push(hash(model.name));
            }
        }
        NamedModel::File(path) => items.push(Item::fine(format!("{}", path.display()))),
    }
    items.extend(load(settings));
    items
}

/// Whether a fetched file is the one that it should be.
pub(super) fn hash(name: &str) -> Item {
    match ModelStore::open().and_then(|store| store.verify(name, &|_| {})) {
        Ok(digest) => Item::fine(format!("SHA-256 {}, as it should be", digest.sha256)),
        Err(error) => Item::fault(error.to_string(), fetch_again(name)),
    }
}

/// The remedy for a damaged file.
pub(super) fn fetch_again(name: &str) -> String {
    format!("`bigquill model remove {name}`, then `bigquill model pull {name}`")
}

fn load(settings: &Settings) -> Vec<Item> {
    let engine = match models::start(settings) {
        Ok(engine) => engine,
        Err(error) => return vec![fault(&error)],
    };
    match engine.wait() {
        Ok(info) => vec![
            Item::fine(format!(
                "{}, {:?}, {:.1} M parameters, context of {} tokens; loaded in {:.1} s on {}",
                info.name,
                info.architecture,
                f64::from(u32::try_from(info.parameters / 100_000).unwrap_or(u32::MAX)) / 10.0,
                info.context,
                info.load_time.as_secs_f64(),
                info.device
            )),
            match info.adapter {
                Some(adapter) => Item::fine(format!("adapter {adapter}")),
                None if settings.adapter == "none" => Item::fine("no adapter, as `adapter` says"),
                None => Item::lack(
                    "no adapter was made for this model: it answers as it is",
                    "set `adapter` to the folder of a PEFT LoRA adapter, if you have one",
                ),
            },
        ],
        Err(error) => vec![Item::fault(
            error.to_string(),
            "correct `model`, `adapter` or `device`; `bigquill model verify` looks for damage",
        )],
    }
}

fn fault(error: &OpenError) -> Item {
    Item::fault(
        error.to_string(),
        "correct `model`; `bigquill model list` tells the known ones",
    )
}
