//! Verdicts that were found already, so that typing in one statement costs nothing for its neighbours.
//!
//! An entry answers only for the same text in the same scope and context, against the same schemas of what it
//! names. A verdict that hangs on the rest of the catalog too (a name that is not in it) answers only for the
//! same snapshot.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::analyze::{Effects, Statement};
use crate::catalog::Scope;
use crate::judge::Context;
use crate::references::References;
use crate::verdict::{NoVerdict, RefusalKind, Verdict};

/// Bytes of text beyond which a statement is not worth its place.
const MAX_TEXT: usize = 64 << 10;

/// A bounded memory of verdicts; the ones longest unused go first.
pub(crate) struct Memo {
    capacity: usize,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_hash: HashMap<u64, Entry>,
    /// Counts uses, so that the entry longest unused is known.
    now: u64,
}

struct Entry {
    text: String,
    context: Context,
    scope: Arc<Scope>,
    references: References,
    /// The only snapshot that the verdict holds for, where it hangs on more than the references.
    snapshot: Option<u64>,
    verdict: Verdict,
    effects: Effects,
    used: u64,
}

impl Memo {
    /// A memory of this many verdicts.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: Mutex::default(),
        }
    }

    /// What was found for this statement before.
    pub(crate) fn recall(&self, statement: &Statement<'_>) -> Option<(Verdict, Effects)> {
        let mut entries = self.entries();
        entries.now += 1;
        let now = entries.now;
        let entry = entries.by_hash.get_mut(&hash(statement))?;
        if !entry.answers(statement) {
            return None;
        }
        entry.used = now;
        Some((entry.verdict.clone(), entry.effects.clone()))
    }

    /// Keeps what was found, unless another try may bring another answer.
    pub(crate) fn keep(&self, statement: &Statement<'_>, (verdict, effects): &(Verdict, Effects)) {
        if self.capacity == 0 || !lasts(verdict) || statement.text.len() > MAX_TEXT {
            return;
        }
        let mut entries = self.entries();
        entries.now += 1;
        if entries.by_hash.len() >= self.capacity {
            entries.forget_oldest();
        }
        let entry = Entry {
            text: statement.text.to_owned(),
            context: statement.context.clone(),
            scope: Arc::clone(statement.scope),
            references: statement.references.clone(),
            snapshot: hangs_on_catalog(verdict).then(|| statement.snapshot.id()),
            verdict: verdict.clone(),
            effects: effects.clone(),
            used: entries.now,
        };
        entries.by_hash.insert(hash(statement), entry);
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn forget_oldest(&mut self) {
        let oldest = self.by_hash.iter().min_by_key(|(_, entry)| entry.used);
        if let Some(hash) = oldest.map(|(hash, _)| *hash) {
            self.by_hash.remove(&hash);
        }
    }
}

impl Entry {
    fn answers(&self, statement: &Statement<'_>) -> bool {
        self.text == statement.text
            && self.context == *statement.context
            && (Arc::ptr_eq(&self.scope, statement.scope) || self.scope == *statement.scope)
            && self.references == *statement.references
            && self.snapshot.is_none_or(|id| id == statement.snapshot.id())
    }
}

/// What the grammar says of a text, remembered; it hangs on nothing but the text.
pub(crate) struct GrammarMemo {
    capacity: usize,
    entries: Mutex<HashMap<Box<str>, Verdict>>,
}

impl GrammarMemo {
    /// A memory of this many verdicts.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: Mutex::default(),
        }
    }

    /// What was found for this text before.
    pub(crate) fn recall(&self, text: &str) -> Option<Verdict> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(text).cloned()
    }

    /// Keeps what was found; a full memory begins anew.
    pub(crate) fn keep(&self, text: &str, verdict: &Verdict) {
        if self.capacity == 0 || text.len() > MAX_TEXT || !lasts(verdict) {
            return;
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= self.capacity {
            entries.clear();
        }
        entries.insert(text.into(), verdict.clone());
    }
}

/// Whether another try would bring the same answer.
fn lasts(verdict: &Verdict) -> bool {
    !matches!(
        verdict,
        Verdict::Unknown(NoVerdict::Deadline | NoVerdict::Memory | NoVerdict::Analyzer(_))
    )
}

/// Whether the verdict speaks of a name that is not among what was found in the catalog.
fn hangs_on_catalog(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Refused(refusal) => matches!(
            refusal.kind,
            RefusalKind::UnknownTable | RefusalKind::UnknownFunction
        ),
        Verdict::Unknown(NoVerdict::Unlisted(_)) => true,
        Verdict::Accepted(_) | Verdict::Unknown(_) => false,
    }
}

/// Where a statement's entry lies: one text in two scopes has two entries, as far as variables and tables differ.
fn hash(statement: &Statement<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    statement.text.hash(&mut hasher);
    statement.scope.names().for_each(|name| name.hash(&mut hasher));
    hasher.finish()
}
