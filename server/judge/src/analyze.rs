//! One statement through one instance: register the tables it names, analyze it, read the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bigquill_analysis::schema::{CatalogSnapshot, Column, TableMatch, TableReference, UnknownTable};
use bigquill_analysis::suggest;
use bigquill_analysis::syntax::lexer::Token;
use prost::Message;

use crate::catalog::{self, Content, Scope};
use crate::dialect;
use crate::judge::{Context, Unlisted};
use crate::messages::{
    AnalyzeRequest, AnalyzeResponse, RegisterCatalogRequest, RegisterResponse, Type, UnregisterRequest,
};
use crate::module::instance::CallError;
use crate::module::pool::Lease;
use crate::references::{self, References};
use crate::refusal;
use crate::resolved::{Made, Resolved};
use crate::verdict::{Accepted, NoVerdict, Refusal, RefusalKind, Verdict};

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

/// A statement and all that decides over it.
pub(crate) struct Statement<'a> {
    pub(crate) text: &'a str,
    /// Its tokens but for comments.
    pub(crate) tokens: &'a [Token],
    pub(crate) snapshot: &'a CatalogSnapshot,
    pub(crate) context: &'a Context,
    pub(crate) scope: &'a Arc<Scope>,
    /// What it names, as far as the snapshot knows it.
    pub(crate) references: &'a References,
}

/// What an accepted statement leaves to the ones after it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Effects {
    /// What a CREATE makes, and under which path.
    pub(crate) made: Option<(Vec<String>, Made)>,
    /// The type of the first output column: a variable's, in a probe.
    pub(crate) first_type: Option<Type>,
}

/// The verdict on a statement.
pub(crate) fn analyze(
    lease: &mut Lease<Session>,
    statement: &Statement<'_>,
    deadline: Duration,
) -> (Verdict, Effects) {
    let (needed, unknown) = needed(statement.references.clone());
    let answer = register(lease, &needed, statement.scope, deadline).and_then(|id| {
        let request = AnalyzeRequest {
            options: Some(options(statement)),
            registered_catalog_id: Some(id),
            sql_statement: Some(statement.text.to_owned()),
        };
        lease.call("Analyze", request.encode_to_vec(), deadline)
    });
    match answer {
        Ok(bytes) => accepted(lease, statement, &bytes),
        Err(CallError::Refused(error)) => {
            let refusal = refusal::refusal(statement.text, statement.tokens, &error);
            let verdict = match refusal.map(|refusal| settled(refusal, statement, &needed, &unknown)) {
                Ok(verdict) => verdict,
                Err(reason) => Verdict::Unknown(reason),
            };
            (verdict, Effects::default())
        }
        Err(error) => (Verdict::Unknown(reason(&error)), Effects::default()),
    }
}

/// The analyzer's options for this statement, encoded.
fn options(statement: &Statement<'_>) -> Vec<u8> {
    let positional = statement.tokens.iter().any(|t| t.text(statement.text) == "?");
    dialect::analyzer(positional, &statement.context.parameters).encode_to_vec()
}

/// Why a lost call brings no verdict.
pub(crate) fn reason(error: &CallError) -> NoVerdict {
    match error {
        CallError::Deadline => NoVerdict::Deadline,
        CallError::Memory => NoVerdict::Memory,
        CallError::Stack => NoVerdict::Nesting,
        CallError::Refused(message) | CallError::Trap(message) => NoVerdict::Analyzer(message.clone()),
    }
}

/// References that can be registered, by path; and why some cannot.
type Needed = References;

/// Splits off the tables and routines whose schema is not known well enough to register them.
fn needed(mut references: References) -> (Needed, BTreeMap<String, NoVerdict>) {
    let mut unknown = BTreeMap::new();
    for (key, binding) in &mut references.tables {
        if let Some(reason) = binding.as_ref().and_then(|b| catalog::unknown_table(b)) {
            unknown.insert(key.clone(), reason);
            *binding = None;
        }
    }
    for (key, binding) in &mut references.routines {
        if let Some(reason) = binding
            .as_ref()
            .and_then(|b| catalog::unknown_routine(&b.routine))
        {
            unknown.insert(key.clone(), reason);
            *binding = None;
        }
    }
    (references, unknown)
}

/// The id of a registered catalog in which every path of the statement means what it means in the snapshot.
fn register(
    lease: &mut Lease<Session>,
    needed: &Needed,
    scope: &Arc<Scope>,
    deadline: Duration,
) -> Result<i64, CallError> {
    let session = lease
        .state()
        .ok_or(CallError::Trap("the analyzer is gone".to_owned()))?;
    let fits = |r: &Registered| r.content.scope == *scope && fits(&r.content, needed);
    if let Some(index) = session.registered.iter().rposition(fits) {
        let hit = session.registered.remove(index);
        let id = hit.id;
        session.registered.push(hit);
        return Ok(id);
    }
    // The catalog last used grows by what is new, so that a file's statements soon share one.
    let base = session.registered.last().filter(|r| r.content.scope == *scope);
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

fn fits(content: &Content, needed: &Needed) -> bool {
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
fn grown(content: &Content, needed: &Needed) -> Option<Content> {
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

fn only(needed: &Needed, scope: &Arc<Scope>) -> Content {
    let mut content = Content {
        scope: Arc::clone(scope),
        ..Content::default()
    };
    add(&mut content, needed);
    content
}

fn add(content: &mut Content, needed: &Needed) {
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

fn accepted(lease: &mut Lease<Session>, statement: &Statement<'_>, answer: &[u8]) -> (Verdict, Effects) {
    let response = AnalyzeResponse::decode(answer);
    let Some(bytes) = response.ok().and_then(|r| r.resolved_statement) else {
        let reason = NoVerdict::Analyzer("an answer without a statement".to_owned());
        return (Verdict::Unknown(reason), Effects::default());
    };
    let resolved = Resolved::new(&bytes);
    if let Some(verb) = resolved.unconditional() {
        return (
            Verdict::Refused(without_where(verb, statement)),
            Effects::default(),
        );
    }
    let registered = lease.state().and_then(|s| s.registered.last());
    let accepted = Accepted {
        statement: resolved.name,
        columns: resolved.columns(),
        tables: registered.map_or_else(Vec::new, |r| r.tables(&resolved)),
    };
    let effects = Effects {
        made: resolved.made(),
        first_type: resolved.first_type(),
    };
    (Verdict::Accepted(accepted), effects)
}

/// BigQuery's own rule, which GoogleSQL has not: DELETE and UPDATE say which rows, be it with `WHERE TRUE`.
fn without_where(verb: &str, statement: &Statement<'_>) -> Refusal {
    Refusal {
        kind: RefusalKind::NotInBigQuery,
        message: format!("{verb} must have a WHERE clause"),
        range: statement.tokens.first().map_or(0..0, Token::range),
        suggestion: None,
    }
}

impl Registered {
    /// The tables of this catalog that a statement reads or writes, sorted, each once.
    fn tables(&self, resolved: &Resolved<'_>) -> Vec<TableReference> {
        let bindings: Vec<_> = self.content.tables.values().collect();
        let found = resolved.tables(&self.names);
        let references = found
            .into_iter()
            .map(|index| bindings[index].table.reference.clone());
        let tables: BTreeSet<_> = references.collect();
        tables.into_iter().collect()
    }
}

/// A refusal, unless it speaks of what is not known here.
fn settled(
    mut refusal: Refusal,
    statement: &Statement<'_>,
    needed: &Needed,
    unknown: &BTreeMap<String, NoVerdict>,
) -> Verdict {
    use RefusalKind as K;
    match refusal.kind {
        K::UnknownTable | K::UnknownFunction => {
            let name = statement.text.get(refusal.range.clone()).unwrap_or_default();
            let path = references::written(name);
            if let Some(reason) = unknown.get(&references::key(&path)) {
                return Verdict::Unknown(reason.clone());
            }
            if refusal.kind == K::UnknownFunction {
                refusal.suggestion = refusal.suggestion.map(|proposed| in_case_of(name, proposed));
            }
            if is_open(&refusal, &path.join("."), statement) {
                return Verdict::Unknown(NoVerdict::Unlisted(name.to_owned()));
            }
            if refusal.kind == K::UnknownTable
                && let Some(nearest) = nearest_table(&path.join("."), statement.snapshot)
            {
                refusal.suggestion = Some(nearest);
            }
        }
        K::UnknownName | K::UnknownField | K::UnknownNameInList => {
            let open = needed.tables.values().flatten().find(|b| b.open);
            if let Some(binding) = open {
                return Verdict::Unknown(NoVerdict::UnknownColumns(binding.table.reference.clone()));
            }
        }
        _ => {}
    }
    Verdict::Refused(refusal)
}

/// A function's proposed name, which GoogleSQL has in small letters, in capitals where the wrong one was.
fn in_case_of(written: &str, proposed: String) -> String {
    if written.chars().any(char::is_lowercase) {
        proposed
    } else {
        proposed.to_uppercase()
    }
}

/// Whether a table or function that is not in the catalog may exist all the same.
fn is_open(refusal: &Refusal, path: &str, statement: &Statement<'_>) -> bool {
    if !statement.snapshot.is_given() || refusal.message.starts_with("Model not found") {
        return true;
    }
    let partial = statement.context.unlisted == Unlisted::NoVerdict;
    let parts: Vec<&str> = path.split('.').collect();
    if refusal.kind == RefusalKind::UnknownFunction {
        return dialect::is_open_function(path) || is_open_routine(&parts, partial, statement.snapshot);
    }
    let unknown = statement.snapshot.find(&parts);
    partial || matches!(unknown, TableMatch::Unknown(UnknownTable::InUnknownProject))
}

/// Many catalogs list tables only: where none of a dataset's routines is listed, one more proves nothing.
fn is_open_routine(path: &[&str], partial: bool, snapshot: &CatalogSnapshot) -> bool {
    match path {
        [.., dataset, _] => {
            !dialect::is_namespace(dataset) && (partial || !snapshot.knows_routines_of(dataset))
        }
        _ => false,
    }
}

/// The table that a path most likely means: GoogleSQL proposes from the few that are registered.
fn nearest_table(path: &str, snapshot: &CatalogSnapshot) -> Option<String> {
    let (before, _) = path.rsplit_once('.')?;
    let dataset = before.rsplit('.').next()?;
    let of_dataset: Vec<String> = snapshot
        .tables_of(dataset)
        .iter()
        .map(|t| snapshot.display_name(t))
        .collect();
    let all = || {
        snapshot
            .tables()
            .map(|t| snapshot.display_name(&t.reference))
            .collect()
    };
    let names = if of_dataset.is_empty() { all() } else { of_dataset };
    // A project that is the default one is not displayed.
    let default = snapshot.default_project.as_deref().unwrap_or_default();
    let short = path
        .strip_prefix(default)
        .and_then(|rest| rest.strip_prefix('.'))
        .unwrap_or(path);
    suggest::nearest(short, names.iter().map(String::as_str)).map(|nearest| nearest.name.to_owned())
}
