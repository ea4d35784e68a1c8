//! What each name of a statement means: relations, columns, struct fields, and what of it cannot be known.
//!
//! The walk follows GoogleSQL's name resolution
//! (<https://cloud.google.com/bigquery/docs/reference/standard-sql/query-syntax#range_variables>). A relation is *known*
//! (all columns are) or *open*; a name that an open relation might have is never judged.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use sqlparser::ast::{Ident, Query, Statement};

use crate::check::Diagnostic;
use crate::schema::{CatalogSnapshot, TableReference};
use crate::syntax::adapt::bytes;
use crate::syntax::parse::Parsed;
use crate::types::{Field, Type};

mod aggregates;
pub mod context;
mod expression;
mod grouping;
mod infer;
mod partitions;
mod query;
pub mod scope;
mod statement;
mod table;

pub use context::FileContext;
use partitions::Partitions;
pub use scope::{Found, Relation, Scope, Source};
pub use table::PathPart;

/// The result of resolving one statement.
#[derive(Debug, Default)]
pub struct Resolution {
    /// Findings, in no order.
    pub diagnostics: Vec<Diagnostic>,
    /// Why not every name is proved; empty where all are.
    pub unproved: Vec<String>,
    /// Tables of the snapshot that the statement uses.
    pub tables: Vec<TableReference>,
    /// The columns of a query, where the statement is one.
    pub output: Option<Output>,
    /// What each name refers to: the name's range, then what it is.
    pub uses: Vec<Use>,
    /// The relations and names visible at the place that was asked for.
    pub captured: Option<Captured>,
}

/// Names visible at a place.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    /// Relations, innermost first.
    pub relations: Vec<Relation>,
    /// Aliases and variables.
    pub names: Vec<Field>,
    /// CTEs.
    pub ctes: Vec<String>,
}

/// A name and what it refers to.
#[derive(Debug, Clone, PartialEq)]
pub struct Use {
    /// Where the name stands.
    pub range: Range<usize>,
    /// What it is.
    pub what: Meaning,
}

/// What a name means.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// A table of the snapshot.
    Table(TableReference),
    /// A CTE: where it is defined.
    Cte(Range<usize>),
    /// A range variable: where its alias stands, and the table behind it, if it is one.
    Alias(Range<usize>, Option<TableReference>),
    /// A column or a struct field, with the table that it comes from.
    Column(Field, Option<TableReference>),
}

/// The columns that a query gives.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    /// Columns in order.
    pub columns: Vec<Field>,
    /// There may be others.
    pub open: bool,
    /// `SELECT AS STRUCT` or `AS VALUE`: the rows are values of this type.
    pub value: Option<Type>,
}

impl Output {
    fn open() -> Self {
        Self {
            open: true,
            ..Self::default()
        }
    }

    /// The type of a row where the query stands as `ARRAY(…)` or as a value.
    fn row_type(&self) -> Type {
        match (&self.value, self.columns.as_slice(), self.open) {
            (Some(value), _, _) => value.clone(),
            (None, [only], false) => only.data_type.clone(),
            _ => Type::Unknown,
        }
    }
}

/// Walks one statement.
pub(crate) struct Resolver<'a> {
    pub(crate) text: &'a str,
    pub(crate) snapshot: &'a CatalogSnapshot,
    pub(crate) file: &'a FileContext,
    parsed: &'a Parsed,
    result: Resolution,
    /// CTEs in scope, innermost last.
    ctes: Vec<Cte>,
    /// Above zero, nothing is reported: the walk only infers.
    muted: usize,
    /// Columns of the queries walked so far, by their place in the tree.
    outputs: HashMap<*const Query, Output>,
    /// The place whose visible names are wanted.
    capture: Option<usize>,
    partitions: Partitions,
}

struct Cte {
    name: String,
    defined: Range<usize>,
    output: Output,
}

/// Resolves a parsed statement against a snapshot.
#[must_use]
pub fn resolve(
    text: &str,
    parsed: &Parsed,
    snapshot: &CatalogSnapshot,
    file: &FileContext,
    capture: Option<usize>,
) -> Resolution {
    let mut resolver = Resolver {
        text,
        snapshot,
        file,
        parsed,
        result: Resolution::default(),
        ctes: Vec::new(),
        muted: 0,
        outputs: HashMap::new(),
        capture,
        partitions: Partitions::default(),
    };
    if let Some(statement) = &parsed.statement {
        resolver.statement(statement);
        for path in &parsed.adapted.table_arguments {
            resolver.table_argument(path.clone());
        }
        // Conditions of other statements stand elsewhere, and those of a view's readers in their queries.
        if matches!(statement, Statement::Query(_) | Statement::CreateTable(_)) {
            for finding in resolver.unfiltered_partitions() {
                resolver.report(finding);
            }
        }
    }
    let mut result = resolver.result;
    let unproved: BTreeSet<String> = std::mem::take(&mut result.unproved).into_iter().collect();
    result.unproved = unproved.into_iter().collect();
    result
}

impl Resolver<'_> {
    fn report(&mut self, diagnostic: Diagnostic) {
        if self.muted == 0 {
            self.result.diagnostics.push(diagnostic);
        }
    }

    fn unproved(&mut self, reason: impl FnOnce() -> String) {
        if self.muted == 0 && self.result.unproved.len() < 20 {
            self.result.unproved.push(reason());
        }
    }

    fn used(&mut self, range: Range<usize>, what: Meaning) {
        if self.muted == 0 {
            self.result.uses.push(Use { range, what });
        }
    }

    fn muted<R>(&mut self, walk: impl FnOnce(&mut Self) -> R) -> R {
        self.muted += 1;
        let result = walk(self);
        self.muted -= 1;
        result
    }

    fn cte(&self, name: &str) -> Option<&Cte> {
        self.ctes.iter().rev().find(|c| c.name.eq_ignore_ascii_case(name))
    }
}

/// Where a name stands; empty at 0 for a name that the rewriting put in.
fn range_of(ident: &Ident) -> Range<usize> {
    bytes(&ident.span).unwrap_or(0..0)
}
