//! Tables, columns and routines in BigQuery's own words, and the immutable snapshot that analysis sees.
//!
//! The shapes follow the REST resources `tables.get` and `routines.get`
//! (<https://cloud.google.com/bigquery/docs/reference/rest/v2/tables>). A type that this module does not
//! know becomes [`DataType::Other`]: one surprise never loses a table. There is no I/O here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

mod listing;
mod lookup;
mod resource;
pub use listing::{Listing, ProjectListing, TableNames};
pub use lookup::{TableMatch, UnknownTable};
pub use resource::{ResourceError, read_resources};

/// A table's full name. The project may be unknown (empty) where a catalog does not tell it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableReference {
    /// Project id, such as `bigquery-public-data`; empty where unknown.
    pub project: String,
    /// Dataset id.
    pub dataset: String,
    /// Table id; a date-sharded family ends in `*`.
    pub table: String,
}

/// What kind of object stands behind a table name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TableKind {
    /// A native table.
    #[default]
    Table,
    /// A logical view.
    View,
    /// A materialized view.
    MaterializedView,
    /// An external table.
    External,
    /// A table snapshot.
    Snapshot,
    /// A clone of another table, which can be written.
    Clone,
}

impl TableKind {
    /// In words for people; none for a plain table.
    #[must_use]
    pub fn words(self) -> Option<&'static str> {
        match self {
            Self::Table => None,
            Self::View => Some("view"),
            Self::MaterializedView => Some("materialized view"),
            Self::External => Some("external table"),
            Self::Snapshot => Some("snapshot"),
            Self::Clone => Some("clone"),
        }
    }
}

impl TableSchema {
    /// Columns that are there without being in the schema
    /// (<https://cloud.google.com/bigquery/docs/querying-partitioned-tables>, `querying-wildcard-tables`,
    /// `query-cloud-storage-data`). `wildcard` says that the table is written with a `*`.
    #[must_use]
    pub fn pseudo_columns(&self, wildcard: bool) -> Vec<(&'static str, DataType)> {
        let mut columns = Vec::new();
        if wildcard {
            columns.push(("_TABLE_SUFFIX", DataType::String));
        }
        if let Some(Partitioning {
            column: None, kind, ..
        }) = &self.partitioning
        {
            columns.push(("_PARTITIONTIME", DataType::Timestamp));
            if kind.is_empty() || kind.eq_ignore_ascii_case("DAY") {
                columns.push(("_PARTITIONDATE", DataType::Date));
            }
        }
        if self.kind == TableKind::External {
            columns.push(("_FILE_NAME", DataType::String));
        }
        columns.retain(|(name, _)| !self.columns.iter().any(|c| c.name.eq_ignore_ascii_case(name)));
        columns
    }
}

/// A column's type, without its mode.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DataType {
    /// `STRING`
    String,
    /// `BYTES`
    Bytes,
    /// `INT64` (`INTEGER` in the API)
    Int64,
    /// `FLOAT64` (`FLOAT` in the API)
    Float64,
    /// `NUMERIC`
    Numeric,
    /// `BIGNUMERIC`
    BigNumeric,
    /// `BOOL` (`BOOLEAN` in the API)
    Bool,
    /// `DATE`
    Date,
    /// `DATETIME`
    DateTime,
    /// `TIME`
    Time,
    /// `TIMESTAMP`
    Timestamp,
    /// `INTERVAL`
    Interval,
    /// `JSON`
    Json,
    /// `GEOGRAPHY`
    Geography,
    /// `STRUCT` (`RECORD` in the API); the fields stand in [`Column::fields`]
    Struct,
    /// Any other type, as BigQuery spelled it
    Other(String),
}

/// Whether a column may be null or is an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// May be null.
    #[default]
    Nullable,
    /// Never null.
    Required,
    /// An array.
    Repeated,
}

/// A column, or a field of a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name as BigQuery keeps it; names compare without case.
    pub name: String,
    /// Type without mode.
    pub data_type: DataType,
    /// Nullable, required or repeated.
    pub mode: Mode,
    /// Description; empty where there is none.
    pub description: String,
    /// Fields of a struct; empty for every other type.
    pub fields: Vec<Column>,
}

/// A foreign key: columns of this table that refer to columns of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The table referred to.
    pub table: TableReference,
    /// Pairs (referencing column, referenced column).
    pub columns: Vec<(String, String)>,
}

/// How a table is partitioned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partitioning {
    /// The partitioning column; none for ingestion time (`_PARTITIONTIME`).
    pub column: Option<String>,
    /// `DAY`, `HOUR`, `MONTH`, `YEAR` or `RANGE`.
    pub kind: String,
    /// Queries must filter on the partition.
    pub require_filter: bool,
}

/// A table, view or wildcard family with its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSchema {
    /// Its name.
    pub reference: TableReference,
    /// Table, view, …
    pub kind: TableKind,
    /// Description; empty where there is none.
    pub description: String,
    /// Top-level columns in order.
    pub columns: Vec<Column>,
    /// Columns of the primary key.
    pub primary_key: Vec<String>,
    /// Foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// Partitioning, if any.
    pub partitioning: Option<Partitioning>,
    /// Clustering columns.
    pub clustering: Vec<String>,
    /// Rows, where known.
    pub num_rows: Option<u64>,
    /// Logical bytes, where known.
    pub num_bytes: Option<u64>,
    /// What people want to know of it and no statement hangs on.
    pub notes: TableNotes,
}

/// What is told of a table and decides nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableNotes {
    /// Labels, by key.
    pub labels: Vec<(String, String)>,
    /// Columns with policy tags, by their path (`address.street`), each with the names of its tags: who reads such a
    /// column needs a right of its own.
    pub policy_tags: Vec<(String, Vec<String>)>,
    /// The table that a snapshot or clone was made of.
    pub base: Option<TableReference>,
}

/// A routine's argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Name; may be empty.
    pub name: String,
    /// Type as SQL text (`ARRAY<INT64>`); none for `ANY TYPE`.
    pub data_type: Option<String>,
}

/// What kind of routine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoutineKind {
    /// A scalar function.
    Scalar,
    /// An aggregate function.
    Aggregate,
    /// A table-valued function.
    Table,
    /// A stored procedure.
    Procedure,
}

/// A user-defined function or procedure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routine {
    /// Its name; `table` holds the routine id.
    pub reference: TableReference,
    /// Scalar, aggregate, table function or procedure.
    pub kind: RoutineKind,
    /// Description; empty where there is none.
    pub description: String,
    /// Arguments in order.
    pub arguments: Vec<Argument>,
    /// Return type as SQL text; none for procedures and for inferred types.
    pub return_type: Option<String>,
    /// Result columns of a table function, where declared.
    pub return_columns: Vec<Column>,
}

impl Routine {
    /// Its arguments as SQL texts, `x INT64`; of no known type `ANY TYPE`.
    #[must_use]
    pub fn parameters(&self) -> Vec<String> {
        let parameter = |a: &Argument| {
            let of = a.data_type.as_deref().unwrap_or("ANY TYPE");
            format!("{} {of}", a.name).trim().to_owned()
        };
        self.arguments.iter().map(parameter).collect()
    }

    /// `name(x INT64) -> STRING`, under the name that is written.
    #[must_use]
    pub fn signature(&self, name: &str) -> String {
        let result = match (&self.return_type, self.return_columns.as_slice()) {
            (Some(of), _) => format!(" -> {of}"),
            (None, []) => String::new(),
            (None, columns) => {
                let column = |c: &Column| format!("{} {}", quote_name(&c.name), c.sql_type());
                let columns: Vec<String> = columns.iter().map(column).collect();
                format!(" -> TABLE<{}>", columns.join(", "))
            }
        };
        format!("{name}({}){result}", self.parameters().join(", "))
    }
}

/// Immutable schemas with the time they were read: the only schema that analysis ever sees.
///
/// Lookups are without regard to case for columns, with regard to case for tables (as in BigQuery).
#[derive(Debug, Clone, Default)]
pub struct CatalogSnapshot {
    /// Project whose tables may be written `dataset.table`; none where the catalog names no project.
    pub default_project: Option<String>,
    /// When the schemas were read, where known.
    pub read_at: Option<SystemTime>,
    tables: BTreeMap<TableReference, Arc<TableSchema>>,
    order: Vec<TableReference>,
    routines: Vec<Arc<Routine>>,
    listing: Arc<Listing>,
    index: lookup::Index,
    given: bool,
}

impl CatalogSnapshot {
    /// A snapshot of these tables and routines. Without a `default_project` the only project that the tables name
    /// becomes it, if there is just one. A later table of the same name replaces an earlier one.
    #[must_use]
    pub fn new(
        default_project: Option<String>,
        tables: impl IntoIterator<Item = TableSchema>,
        routines: impl IntoIterator<Item = Routine>,
    ) -> Self {
        Self::shared(
            default_project,
            tables.into_iter().map(Arc::new),
            routines.into_iter().map(Arc::new),
        )
    }

    /// As [`new`](Self::new), of schemas that other snapshots may share.
    #[must_use]
    pub fn shared(
        default_project: Option<String>,
        tables: impl IntoIterator<Item = Arc<TableSchema>>,
        routines: impl IntoIterator<Item = Arc<Routine>>,
    ) -> Self {
        let mut snapshot = Self {
            routines: routines.into_iter().collect(),
            given: true,
            ..Self::default()
        };
        for table in tables {
            let reference = table.reference.clone();
            if snapshot.tables.insert(reference.clone(), table).is_none() {
                snapshot.order.push(reference);
            }
        }
        snapshot.default_project = default_project.or_else(|| snapshot.only_project());
        snapshot
    }

    fn only_project(&self) -> Option<String> {
        let first = &self.order.first()?.project;
        let same = self.order.iter().all(|t| &t.project == first);
        (same && !first.is_empty()).then(|| first.clone())
    }

    /// All tables, in the catalog's own order.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<TableSchema>> {
        self.order.iter().filter_map(|r| self.tables.get(r))
    }

    /// The table of exactly this name.
    #[must_use]
    pub fn table(&self, reference: &TableReference) -> Option<&Arc<TableSchema>> {
        self.tables.get(reference)
    }

    /// All routines.
    pub fn routines(&self) -> impl Iterator<Item = &Arc<Routine>> {
        self.routines.iter()
    }

    /// Whether there is a catalog, be it an empty one. There is none in [`CatalogSnapshot::default`]: then no name is
    /// judged, only grammar.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.given
    }

    /// Whether there is no table at all: then nothing can be said of any name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty() && self.listing.is_empty()
    }

    /// How a table is written in SQL here: without its project where that is the default one.
    #[must_use]
    pub fn display_name(&self, reference: &TableReference) -> String {
        if reference.project.is_empty() || self.default_project.as_deref() == Some(reference.project.as_str())
        {
            format!("{}.{}", reference.dataset, reference.table)
        } else {
            reference.to_string()
        }
    }
}

impl fmt::Display for TableReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.project.is_empty() {
            write!(f, "{}.", self.project)?;
        }
        write!(f, "{}.{}", self.dataset, self.table)
    }
}

impl DataType {
    /// The type that BigQuery means by this word, in the API's or in SQL's spelling.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name.to_ascii_uppercase().as_str() {
            "STRING" => Self::String,
            "BYTES" => Self::Bytes,
            "INTEGER" | "INT64" => Self::Int64,
            "FLOAT" | "FLOAT64" => Self::Float64,
            "NUMERIC" => Self::Numeric,
            "BIGNUMERIC" => Self::BigNumeric,
            "BOOLEAN" | "BOOL" => Self::Bool,
            "DATE" => Self::Date,
            "DATETIME" => Self::DateTime,
            "TIME" => Self::Time,
            "TIMESTAMP" => Self::Timestamp,
            "INTERVAL" => Self::Interval,
            "JSON" => Self::Json,
            "GEOGRAPHY" => Self::Geography,
            "RECORD" | "STRUCT" => Self::Struct,
            _ => Self::Other(name.to_owned()),
        }
    }

    /// The name in SQL; `STRUCT` without its fields.
    #[must_use]
    pub fn sql_name(&self) -> &str {
        match self {
            Self::String => "STRING",
            Self::Bytes => "BYTES",
            Self::Int64 => "INT64",
            Self::Float64 => "FLOAT64",
            Self::Numeric => "NUMERIC",
            Self::BigNumeric => "BIGNUMERIC",
            Self::Bool => "BOOL",
            Self::Date => "DATE",
            Self::DateTime => "DATETIME",
            Self::Time => "TIME",
            Self::Timestamp => "TIMESTAMP",
            Self::Interval => "INTERVAL",
            Self::Json => "JSON",
            Self::Geography => "GEOGRAPHY",
            Self::Struct => "STRUCT",
            Self::Other(name) => name,
        }
    }
}

impl Column {
    /// The whole type as SQL: `INT64`, `ARRAY<STRING>`, `STRUCT<a INT64, b ARRAY<STRING>>`.
    #[must_use]
    pub fn sql_type(&self) -> String {
        let element = if self.data_type == DataType::Struct {
            let fields: Vec<String> = self
                .fields
                .iter()
                .map(|f| format!("{} {}", quote_name(&f.name), f.sql_type()))
                .collect();
            format!("STRUCT<{}>", fields.join(", "))
        } else {
            self.data_type.sql_name().to_owned()
        };
        match self.mode {
            Mode::Repeated => format!("ARRAY<{element}>"),
            Mode::Nullable | Mode::Required => element,
        }
    }
}

/// A name as SQL takes it: in backquotes where it is no plain identifier or is a reserved word.
#[must_use]
pub fn quote_name(name: &str) -> String {
    let plain = name
        .chars()
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain && !is_reserved(name) {
        name.to_owned()
    } else {
        format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
    }
}

/// Whether this word is one of GoogleSQL's reserved keywords
/// (<https://cloud.google.com/bigquery/docs/reference/standard-sql/lexical#reserved_keywords>).
#[must_use]
pub fn is_reserved(word: &str) -> bool {
    RESERVED
        .binary_search(&word.to_ascii_uppercase().as_str())
        .is_ok()
}

const RESERVED: &[&str] = &[
    "ALL",
    "AND",
    "ANY",
    "ARRAY",
    "AS",
    "ASC",
    "ASSERT_ROWS_MODIFIED",
    "AT",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COLLATE",
    "CONTAINS",
    "CREATE",
    "CROSS",
    "CUBE",
    "CURRENT",
    "DEFAULT",
    "DEFINE",
    "DESC",
    "DISTINCT",
    "ELSE",
    "END",
    "ENUM",
    "ESCAPE",
    "EXCEPT",
    "EXCLUDE",
    "EXISTS",
    "EXTRACT",
    "FALSE",
    "FETCH",
    "FOLLOWING",
    "FOR",
    "FROM",
    "FULL",
    "GROUP",
    "GROUPING",
    "GROUPS",
    "HASH",
    "HAVING",
    "IF",
    "IGNORE",
    "IN",
    "INNER",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "LATERAL",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LOOKUP",
    "MERGE",
    "NATURAL",
    "NEW",
    "NO",
    "NOT",
    "NULL",
    "NULLS",
    "OF",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PRECEDING",
    "PROTO",
    "QUALIFY",
    "RANGE",
    "RECURSIVE",
    "RESPECT",
    "RIGHT",
    "ROLLUP",
    "ROWS",
    "SELECT",
    "SET",
    "SOME",
    "STRUCT",
    "TABLESAMPLE",
    "THEN",
    "TO",
    "TREAT",
    "TRUE",
    "UNBOUNDED",
    "UNION",
    "UNNEST",
    "USING",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "WITHIN",
];
