//! Findings about a text: what does not parse, and names that mean nothing in the snapshot.
//!
//! Each finding has a file of its own: its explanation, the message, the fix. A finding of severity error or warning is
//! one that can be proved; what sqlparser alone says is a hint ([`not_parsed`]). Where a relation's columns cannot be
//! known, no name of its scope is judged, and text with template tags is not judged at all.

use std::ops::Range;

use crate::resolve::{FileContext, Resolution, resolve};
use crate::schema::CatalogSnapshot;
use crate::syntax::lexer::{Token, TokenKind};
use crate::syntax::parse::{Parsed, parse_with};
use crate::syntax::split::{Piece, PieceKind, Split, split};

pub mod aggregate;
pub mod ambiguous_column;
mod checker;
pub mod date_part;
pub mod duplicate_alias;
pub mod foreign_syntax;
pub mod not_an_array;
pub mod not_parsed;
pub mod partition_filter;
mod prove;
mod repair;
pub mod set_operation;
pub mod subquery_columns;
mod syntax_error;
pub mod ungrouped_column;
pub mod unknown_column;
pub mod unknown_field;
pub mod unknown_function;
pub mod unknown_table;

pub use checker::Checker;
pub use prove::{Proof, prove};
pub use repair::{apply_edits, repair};

/// What a finding is about. The text form is what editors and reports show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// GoogleSQL's grammar does not have it: certain.
    SyntaxError,
    /// Syntax of another SQL dialect: certain.
    ForeignSyntax,
    /// sqlparser could not read the statement: uncertain.
    NotParsed,
    /// No such table.
    UnknownTable,
    /// No such column, alias or variable.
    UnknownColumn,
    /// No such struct field.
    UnknownField,
    /// No such alias before a dot.
    UnknownQualifier,
    /// A column that several relations have.
    AmbiguousColumn,
    /// Two relations of one name.
    DuplicateAlias,
    /// No such function.
    UnknownFunction,
    /// Too few or too many arguments.
    ArgumentCount,
    /// No such date part.
    UnknownDatePart,
    /// UNNEST of something else than an array.
    NotAnArray,
    /// Sides of a set operation with different numbers of columns.
    SetOperationColumns,
    /// A subquery of several columns where a value is wanted.
    SubqueryColumns,
    /// A column beside aggregates that is not grouped.
    UngroupedColumn,
    /// An aggregate where none may stand.
    AggregateNotAllowed,
    /// A window function where none may stand.
    WindowNotAllowed,
    /// An aggregate of an aggregate.
    NestedAggregate,
    /// A name that differs in case only.
    TableCase,
    /// No condition on the column that a table is partitioned by: all of it is read.
    MissingPartitionFilter,
    /// GoogleSQL's own refusal, by the short name of its reason.
    Refused(&'static str),
    /// BigQuery's own refusal of a dry run.
    DryRun,
}

/// Who says what a finding says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// This crate.
    Bigquill,
    /// BigQuery's own analyzer, asked by `bigquill-judge`.
    GoogleSql,
    /// BigQuery itself, by a dry run.
    BigQuery,
}

/// How sure and how bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// BigQuery will refuse the statement.
    Error,
    /// Probably wrong.
    Warning,
    /// Good to know.
    Information,
    /// Uncertain.
    Hint,
}

/// A change that removes a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// What it does, for a menu.
    pub title: String,
    /// Replacements in the text that was checked; they do not overlap.
    pub edits: Vec<(Range<usize>, String)>,
    /// Good enough to be applied unasked.
    pub preferred: bool,
}

/// A finding: a value, never an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What it is about.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The bytes of the name or token that is at fault.
    pub range: Range<usize>,
    /// One sentence that names it, with the remedy where there is one.
    pub message: String,
    /// More about it.
    pub notes: Vec<String>,
    /// Changes that remove it.
    pub fixes: Vec<Fix>,
}

impl Code {
    /// The code as editors and reports show it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SyntaxError => "syntax-error",
            Self::ForeignSyntax => "foreign-syntax",
            Self::NotParsed => "not-parsed",
            Self::UnknownTable => "unknown-table",
            Self::UnknownColumn => "unknown-column",
            Self::UnknownField => "unknown-field",
            Self::UnknownQualifier => "unknown-qualifier",
            Self::AmbiguousColumn => "ambiguous-column",
            Self::DuplicateAlias => "duplicate-alias",
            Self::UnknownFunction => "unknown-function",
            Self::ArgumentCount => "argument-count",
            Self::UnknownDatePart => "unknown-date-part",
            Self::NotAnArray => "not-an-array",
            Self::SetOperationColumns => "set-operation-columns",
            Self::SubqueryColumns => "subquery-columns",
            Self::UngroupedColumn => "ungrouped-column",
            Self::AggregateNotAllowed => "aggregate-not-allowed",
            Self::WindowNotAllowed => "window-not-allowed",
            Self::NestedAggregate => "nested-aggregate",
            Self::TableCase => "table-case",
            Self::MissingPartitionFilter => "missing-partition-filter",
            Self::Refused(reason) => reason,
            Self::DryRun => "dry-run",
        }
    }

    /// Who says it.
    #[must_use]
    pub fn source(self) -> Source {
        match self {
            Self::Refused(_) => Source::GoogleSql,
            Self::DryRun => Source::BigQuery,
            _ => Source::Bigquill,
        }
    }
}

impl Source {
    /// The name as editors and reports show it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bigquill => "bigquill",
            Self::GoogleSql => "GoogleSQL",
            Self::BigQuery => "BigQuery",
        }
    }
}

impl Diagnostic {
    /// An error without notes and fixes.
    #[must_use]
    pub fn error(code: Code, range: Range<usize>, message: String) -> Self {
        Self {
            code,
            severity: Severity::Error,
            range,
            message,
            notes: Vec::new(),
            fixes: Vec::new(),
        }
    }

    /// With "did you mean" and its fix, where a nearest name is known.
    #[must_use]
    pub fn suggesting(mut self, range: Range<usize>, nearest: Option<crate::suggest::Nearest<'_>>) -> Self {
        if let Some(nearest) = nearest {
            self.message
                .push_str(&format!("; did you mean `{}`?", nearest.name));
            let new = crate::schema::quote_name(nearest.name);
            self.fixes.push(Fix {
                title: format!("Change to `{}`", nearest.name),
                edits: vec![(range, new)],
                preferred: nearest.sure,
            });
        }
        self
    }

    /// The same finding in a text that stands `by` bytes further on.
    #[must_use]
    pub(crate) fn moved(mut self, by: usize) -> Self {
        let shift = |r: &Range<usize>| r.start + by..r.end + by;
        self.range = shift(&self.range);
        for (range, _) in self.fixes.iter_mut().flat_map(|f| &mut f.edits) {
            *range = shift(range);
        }
        self
    }
}

/// All findings of a text, in order of place.
#[must_use]
pub fn check(text: &str, snapshot: &CatalogSnapshot) -> Vec<Diagnostic> {
    let split = split(text);
    let file = FileContext::read(text, &split);
    let mut found: Vec<Diagnostic> = split
        .pieces
        .iter()
        .flat_map(|piece| check_piece(text, &split, piece, snapshot, &file))
        .collect();
    found.sort_by_key(|d| (d.range.start, d.range.end));
    found
}

/// Findings of one piece, with byte ranges of the whole text.
pub(crate) fn check_piece(
    text: &str,
    split: &Split,
    piece: &Piece,
    snapshot: &CatalogSnapshot,
    file: &FileContext,
) -> Vec<Diagnostic> {
    let tokens = split.tokens.get(piece.tokens.clone()).unwrap_or_default();
    check_tokens(text, tokens, piece.kind, snapshot, file)
}

fn check_tokens(
    text: &str,
    tokens: &[Token],
    kind: PieceKind,
    snapshot: &CatalogSnapshot,
    file: &FileContext,
) -> Vec<Diagnostic> {
    if file.template || is_template(text, tokens) {
        return Vec::new();
    }
    let mut found = foreign_syntax::find(text, tokens, kind);
    found.extend(parse_with(text, tokens, kind, |parsed| {
        resolved(text, tokens, kind, parsed, snapshot, file)
    }));
    found
}

fn resolved(
    text: &str,
    tokens: &[Token],
    kind: PieceKind,
    parsed: &Parsed,
    snapshot: &CatalogSnapshot,
    file: &FileContext,
) -> Vec<Diagnostic> {
    match &parsed.error {
        Some(error) => not_parsed::diagnostic(text, tokens, kind, error)
            .into_iter()
            .collect(),
        None => resolution(text, parsed, snapshot, file).diagnostics,
    }
}

pub(crate) fn resolution(
    text: &str,
    parsed: &Parsed,
    snapshot: &CatalogSnapshot,
    file: &FileContext,
) -> Resolution {
    let mut resolution = resolve(text, parsed, snapshot, file, None);
    if !snapshot.is_given() {
        // Without a catalog no name is judged, be it a function's that a dataset may have: grammar only.
        resolution.diagnostics.clear();
    }
    // The same name is walked more than once where it is part of several clauses.
    let mut seen: Vec<(Range<usize>, Code)> = Vec::new();
    resolution.diagnostics.retain(|d| {
        let key = (d.range.clone(), d.code);
        let new = !seen.contains(&key) && d.range != (0..0);
        seen.push(key);
        new
    });
    resolution
}

/// Whether these tokens hold a template tag, or a name that is one.
pub(crate) fn is_template(text: &str, tokens: &[Token]) -> bool {
    tokens.iter().any(|t| match t.kind {
        TokenKind::Template => true,
        TokenKind::Quoted => t.text(text).contains(['{', '$']),
        _ => false,
    })
}
