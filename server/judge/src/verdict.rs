//! The answer type: what GoogleSQL says of one statement.
//!
//! A verdict is a value, never an error: where the analyzer cannot be asked or its answer would prove nothing,
//! the verdict is [`Verdict::Unknown`] with the reason.

use std::fmt;
use std::ops::Range;

use bigquill_analysis::schema::TableReference;

/// What GoogleSQL says of a statement against a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Accepted(Accepted),
    /// It does not hold.
    Refused(Refusal),
    /// Nothing is proved either way.
    Unknown(NoVerdict),
}

/// An accepted statement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accepted {
    /// GoogleSQL's name for the statement: `QueryStmt`, `CreateViewStmt`, `MergeStmt`, …
    pub statement: &'static str,
    /// Columns of the result, or of the table or view that it makes; empty where it has none.
    pub columns: Vec<OutputColumn>,
    /// Tables of the catalog that it reads or writes, in order of name, each once.
    pub tables: Vec<TableReference>,
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumn {
    /// Its name; none for an expression without an alias.
    pub name: Option<String>,
    /// Its type as BigQuery writes it: `INT64`, `ARRAY<STRUCT<a STRING>>`.
    pub sql_type: String,
}

/// Why a statement does not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub kind: RefusalKind,
    /// GoogleSQL's words, without the position and the proposal at their end.
    pub message: String,
    /// Bytes at fault in the text that was given: the name, path, literal or symbol that GoogleSQL points at.
    pub range: Range<usize>,
    /// The name to write instead, where GoogleSQL or the catalog has a near one.
    pub suggestion: Option<String>,
}

/// A short name for the reason of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalKind {
    /// The text is no statement.
    Syntax,
    /// GoogleSQL has the statement, BigQuery has not.
    NotInBigQuery,
    /// A table is not in the catalog.
    UnknownTable,
    /// A name means nothing where it stands.
    UnknownName,
    /// A struct has no such field.
    UnknownField,
    /// A column list (EXCEPT, USING, INSERT, …) names a column that is not there.
    UnknownNameInList,
    /// No such function.
    UnknownFunction,
    /// No such type.
    UnknownType,
    /// A name means two things.
    AmbiguousName,
    /// A name is given twice.
    DuplicateName,
    /// A function has too few or too many arguments.
    ArgumentCount,
    /// A function does not take these argument types.
    ArgumentTypes,
    /// An argument is wrong in another way.
    ArgumentOther,
    /// An operator does not take these operand types.
    OperatorTypes,
    /// A column is neither grouped nor aggregated.
    NotGrouped,
    /// An aggregate function stands where none may.
    AggregateNotAllowed,
    /// A window function stands where none may.
    WindowNotAllowed,
    /// An aggregate function stands in another.
    NestedAggregate,
    /// The sides of a set operation have different columns.
    SetOperationColumns,
    /// A subquery has more columns than fit there.
    SubqueryColumns,
    /// A value cannot become this type.
    BadCast,
    /// UNNEST or IN UNNEST of what is no array.
    NotAnArray,
    /// No such part of a date or time.
    DatePart,
    /// `GROUP BY 3` or `ORDER BY 3` where there is no third column.
    Ordinal,
    /// Anything else.
    Other,
}

/// Why there is no verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoVerdict {
    /// Whoever asked did not want to wait any longer.
    Stopped,
    /// The deadline passed.
    Deadline,
    /// The analyzer's memory limit was reached.
    Memory,
    /// The statement is nested more deeply than the analyzer can follow.
    Nesting,
    /// The text has no statement: it is empty, or comments only.
    Empty,
    /// The text has template tags: it is no SQL yet.
    Template,
    /// The statement is longer than is analyzed.
    Length,
    /// The analyzer itself failed; its words.
    Analyzer(String),
    /// The columns of this table are not known.
    UnknownColumns(TableReference),
    /// What this routine takes or returns is not known.
    UnknownRoutine(TableReference),
    /// A table or routine that the statement names is not in the catalog, and the catalog need not be whole.
    Unlisted(String),
    /// Script control flow, or a statement whose effect is known only when it runs.
    Script(&'static str),
}

impl Verdict {
    /// The refusal, if it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Accepted(_) | Self::Unknown(_) => None,
        }
    }

    /// What was accepted, if it was.
    #[must_use]
    pub fn accepted(&self) -> Option<&Accepted> {
        match self {
            Self::Accepted(accepted) => Some(accepted),
            Self::Refused(_) | Self::Unknown(_) => None,
        }
    }
}

impl RefusalKind {
    /// The name, in lower case with dashes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::NotInBigQuery => "not-in-bigquery",
            Self::UnknownTable => "unknown-table",
            Self::UnknownName => "unknown-name",
            Self::UnknownField => "unknown-field",
            Self::UnknownNameInList => "unknown-name-in-list",
            Self::UnknownFunction => "unknown-function",
            Self::UnknownType => "unknown-type",
            Self::AmbiguousName => "ambiguous-name",
            Self::DuplicateName => "duplicate-name",
            Self::ArgumentCount => "argument-count",
            Self::ArgumentTypes => "argument-types",
            Self::ArgumentOther => "argument-other",
            Self::OperatorTypes => "operator-types",
            Self::NotGrouped => "not-grouped",
            Self::AggregateNotAllowed => "aggregate-not-allowed",
            Self::WindowNotAllowed => "window-not-allowed",
            Self::NestedAggregate => "nested-aggregate",
            Self::SetOperationColumns => "set-operation-columns",
            Self::SubqueryColumns => "subquery-columns",
            Self::BadCast => "bad-cast",
            Self::NotAnArray => "not-an-array",
            Self::DatePart => "date-part",
            Self::Ordinal => "ordinal",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for RefusalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for NoVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("it was not analyzed yet"),
            Self::Deadline => f.write_str("the analysis took too long"),
            Self::Memory => f.write_str("the analysis needs more memory than it may have"),
            Self::Nesting => f.write_str("the statement is nested too deeply"),
            Self::Empty => f.write_str("the text has no statement"),
            Self::Template => f.write_str("the text is a template"),
            Self::Length => f.write_str("the statement is too long"),
            Self::Analyzer(message) => write!(f, "the analyzer failed: {message}"),
            Self::UnknownColumns(table) => write!(f, "the columns of {table} are not known"),
            Self::UnknownRoutine(routine) => write!(f, "the signature of {routine} is not known"),
            Self::Unlisted(name) => write!(f, "{name} is not in the catalog"),
            Self::Script(what) => write!(f, "{what} is not analyzed"),
        }
    }
}
