//! Whether GoogleSQL can judge here.

use bigquill_model::store::{JUDGE_MODULE, ModelStore};

use super::Item;
use super::model::{fetch_again, hash};
use crate::judge::{self, Readiness};
use crate::settings::Settings;

/// Reports the judge's module and its compiled form.
pub(super) fn report(settings: &Settings, verify: bool) -> Vec<Item> {
    if !settings.judge {
        return vec![Item::lack(
            "switched off: the resolver alone checks SQL",
            "set `judge = true`",
        )];
    }
    let mut items = vec![match judge::readiness() {
        Ok(Readiness::Ready) => Item::fine("GoogleSQL is compiled for this machine"),
        Ok(Readiness::NotCompiled) => Item::lack(
            "GoogleSQL is here, but not compiled for this machine yet",
            format!("`bigquill model pull {JUDGE_MODULE}` does it, or the first use (half a minute)"),
        ),
        Ok(Readiness::Missing) => Item::lack(
            "GoogleSQL is not on this machine: the resolver alone checks SQL",
            format!("`bigquill model pull {JUDGE_MODULE}` fetches it (8 MB) and compiles it"),
        ),
        Err(error) => Item::fault(error.to_string(), fetch_again(JUDGE_MODULE)),
    }];
    if verify && ModelStore::open().is_ok_and(|store| store.path(JUDGE_MODULE).is_ok()) {
        items.push(hash(JUDGE_MODULE));
    }
    items
}
