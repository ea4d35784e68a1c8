//! The catalogs that an instance keeps registered, so that a statement over known tables need not register them.
//!
//! Registering takes tens of milliseconds, most of them for the built-in functions, and more for each column.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bigquill_analysis::schema::{Column, TableReference};
use prost::Message;

use crate::catalog::{self, Content, Scope};
use crate::messages::{RegisterCatalogRequest, RegisterResponse, UnregisterRequest};
use crate::module::instance::CallError;
use crate::module::pool::Lease;
use crate::references::References;
use crate::resolved::Resolved;

/// Catalogs that an instance keeps registered.
const MAX_REGISTERED: usize = 6;
/// Columns, those in structs counted too, that a registered catalog may grow to hold: registering takes time for
/// each, so a statement with more gets a catalog of its own.
const MAX_FIELDS: usize = 500;

/// What is kept with an instance: the catalogs that are registered there, the one last used at the end.
#[derive(Default)]
pub(crate) struct Session {
    registered: Vec<Registered>,
}

struct Registered {
    id: i64,
    content: Content,
    /// Names of the tables by serialization id, from 1.
    names: Vec<String>,
}

/// The id of a registered catalog in which every path of the statement means what it means in the snapshot.
pub(crate) fn register(
    lease: &mut Lease<Session>,
    needed: &References,
    scope: &Arc<Scope>,
    deadline: Duration,
) -> Result<i64, CallError> {
    let session = lease
        .state()
        .ok_or(CallError::Trap("the analyzer is gone".to_owned()))?;
    let fits = |r: &Registered| of_same(&r.content, needed, scope) && fits(&r.content, needed);
    if let Some(index) = session.registered.iter().rposition(fits) {
        let hit = session.registered.remove(index);
        let id = hit.id;
        session.registered.push(hit);
        return Ok(id);
    }
    // The catalog last used grows by what is new, so that a file's statements soon share one.
    let base = session
        .registered
        .last()
        .filter(|r| of_same(&r.content, needed, scope));
    let grown = base.and_then(|r| grown(&r.content, needed));
    let stale = match &grown {
        Some(_) => session.registered.pop(),
        None if session.registered.len() >= MAX_REGISTERED => Some(session.registered.remove(0)),
        None => None,
    };
    let content = grown.unwrap_or_else(|| only(needed, scope));
    if let Some(stale) = stale {
        let request = UnregisterRequest {
            registered_id: Some(stale.id),
        };
        lease.call("UnregisterCatalog", request.encode_to_vec(), deadline)?;
    }
    let request = RegisterCatalogRequest {
        simple_catalog: Some(catalog::message(&content)),
    };
    let answer = lease.call("RegisterCatalog", request.encode_to_vec(), deadline)?;
    let id = RegisterResponse::decode(answer.as_slice())
        .ok()
        .and_then(|r| r.registered_id)
        .unwrap_or_default();
    let names = content
        .tables
        .values()
        .map(|b| b.table.reference.to_string())
        .collect();
    if let Some(session) = lease.state() {
        session.registered.push(Registered { id, content, names });
    }
    Ok(id)
}

/// Whether a catalog holds the same script's names, and bare names mean the same dataset's tables.
fn of_same(content: &Content, needed: &References, scope: &Arc<Scope>) -> bool {
    content.scope == *scope && content.dataset == needed.dataset
}

fn fits(content: &Content, needed: &References) -> bool {
    needed
        .tables
        .iter()
        .all(|(key, binding)| content.tables.get(key) == binding.as_ref())
        && needed
            .routines
            .iter()
            .all(|(key, binding)| content.routines.get(key) == binding.as_ref())
}

/// The content with what is needed added; none where they contradict each other or it grows too large.
fn grown(content: &Content, needed: &References) -> Option<Content> {
    let agree = needed.tables.iter().all(|(key, binding)| {
        content
            .tables
            .get(key)
            .is_none_or(|had| Some(had) == binding.as_ref())
    }) && needed.routines.iter().all(|(key, binding)| {
        content
            .routines
            .get(key)
            .is_none_or(|had| Some(had) == binding.as_ref())
    });
    if !agree {
        return None;
    }
    let mut grown = content.clone();
    add(&mut grown, needed);
    let fields: usize = grown.tables.values().map(|b| fields(&b.table.columns)).sum();
    (fields <= MAX_FIELDS).then_some(grown)
}

/// Columns and the fields in them.
fn fields(columns: &[Column]) -> usize {
    columns.iter().map(|column| 1 + fields(&column.fields)).sum()
}

fn only(needed: &References, scope: &Arc<Scope>) -> Content {
    let mut content = Content {
        scope: Arc::clone(scope),
        dataset: needed.dataset.clone(),
        ..Content::default()
    };
    add(&mut content, needed);
    content
}

fn add(content: &mut Content, needed: &References) {
    let tables = needed
        .tables
        .iter()
        .filter_map(|(key, b)| Some((key.clone(), b.clone()?)));
    content.tables.extend(tables);
    let routines = needed
        .routines
        .iter()
        .filter_map(|(key, b)| Some((key.clone(), b.clone()?)));
    content.routines.extend(routines);
}

impl Session {
    /// The tables of the catalog last used that a statement reads or writes, sorted, each once.
    pub(crate) fn tables(&self, resolved: &Resolved<'_>) -> Vec<TableReference> {
        let Some(registered) = self.registered.last() else {
            return Vec::new();
        };
        let bindings: Vec<_> = registered.content.tables.values().collect();
        let found = resolved.tables(&registered.names);
        let references = found
            .into_iter()
            .map(|index| bindings[index].table.reference.clone());
        let tables: BTreeSet<_> = references.collect();
        tables.into_iter().collect()
    }
}
