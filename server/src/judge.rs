//! The judge of this server: what statements mean to it beyond their text. How it is opened, the model crate knows, whose
//! store has its module.

use bigquill_analysis::schema::CatalogSnapshot;
use bigquill_judge::{Context, Unlisted};

pub use bigquill_model::judge::{OpenError, Readiness, open, readiness};

/// What a statement means beyond its text and the catalog. A given catalog is taken for whole; where there is none,
/// a statement is judged as far as its tables do not matter.
#[must_use]
pub fn context(catalog: &CatalogSnapshot) -> Context {
    Context {
        unlisted: if catalog.is_given() {
            Unlisted::Refused
        } else {
            Unlisted::NoVerdict
        },
        ..Context::default()
    }
}
