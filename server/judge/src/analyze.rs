//! One statement through one instance: register the tables it names, analyze it, read the answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bigquill_analysis::schema::{CatalogSnapshot, TableMatch, UnknownTable};
use bigquill_analysis::suggest;
use bigquill_analysis::syntax::lexer::Token;
use prost::Message;

use crate::catalog::{self, Scope};
use crate::dialect;
use crate::judge::{Context, Unlisted};
use crate::messages::{AnalyzeRequest, AnalyzeResponse, Type};
use crate::module::instance::CallError;
use crate::module::pool::Lease;
use crate::references::{self, References};
use crate::refusal;
use crate::resolved::{Made, Resolved};
use crate::session::{Session, register};
use crate::verdict::{Accepted, NoVerdict, Refusal, RefusalKind, Verdict};

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
        Ok(bytes) => accepted(lease, &bytes),
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
    dialect::analyzer(statement.text, positional, &statement.context.parameters).encode_to_vec()
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

/// Splits off the tables and routines whose schema is not known well enough to register them.
fn needed(mut references: References) -> (References, BTreeMap<String, NoVerdict>) {
    let mut unknown = BTreeMap::new();
    for (key, binding) in &mut references.tables {
        if let Some(reason) = binding.as_ref().and_then(catalog::unknown_table) {
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

fn accepted(lease: &mut Lease<Session>, answer: &[u8]) -> (Verdict, Effects) {
    let response = AnalyzeResponse::decode(answer);
    let Some(bytes) = response.ok().and_then(|r| r.resolved_statement) else {
        let reason = NoVerdict::Analyzer("an answer without a statement".to_owned());
        return (Verdict::Unknown(reason), Effects::default());
    };
    let resolved = Resolved::new(&bytes);
    let accepted = Accepted {
        statement: resolved.name,
        columns: resolved.columns(),
        tables: lease
            .state()
            .map_or_else(Vec::new, |session| session.tables(&resolved)),
    };
    let effects = Effects {
        made: resolved.made(),
        first_type: resolved.first_type(),
    };
    (Verdict::Accepted(accepted), effects)
}

/// A refusal, unless it speaks of what is not known here.
fn settled(
    mut refusal: Refusal,
    statement: &Statement<'_>,
    needed: &References,
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
        [.., dataset, _] => !dialect::is_namespace(dataset) && (partial || !snapshot.knows_routines_of(path)),
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
