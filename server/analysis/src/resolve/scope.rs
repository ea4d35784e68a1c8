//! Names visible at a point, and what one of them means.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use crate::schema::TableReference;
use crate::types::{Field, Type};

/// Where a relation comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Source {
    /// A table of the snapshot.
    Table {
        /// Which one.
        reference: TableReference,
        /// It was named with a wildcard.
        wildcard: bool,
    },
    /// A table that is not in the snapshot, or of which nothing is known.
    UnknownTable,
    /// A CTE.
    Cte(String),
    /// Anything else: a subquery, UNNEST, a table function.
    #[default]
    Derived,
}

/// A relation of a FROM clause.
#[derive(Debug, Clone, Default)]
pub struct Relation {
    /// The range variable; none for a subquery or UNNEST without alias.
    pub alias: Option<String>,
    /// Where the alias stands: the alias itself, or the path's last name.
    pub defined: Range<usize>,
    /// Its columns.
    pub columns: Arc<Vec<Field>>,
    /// There may be other columns.
    pub open: bool,
    /// Rows are values (UNNEST): the alias is one, of this type.
    pub value: Option<Type>,
    /// Where it comes from.
    pub source: Source,
}

/// Names visible at a point.
#[derive(Debug, Default)]
pub struct Scope<'p> {
    /// Relations of the FROM clause.
    pub relations: Vec<Relation>,
    /// Names without a relation: select aliases, function arguments, lambda variables.
    pub names: Vec<Field>,
    /// Columns that USING merged, lower-cased.
    pub merged: HashSet<String>,
    /// Any other name may be visible too.
    pub open: bool,
    /// What is visible around it.
    pub parent: Option<&'p Scope<'p>>,
}

/// What a name means in a scope.
#[derive(Debug, Clone)]
pub enum Found<'s> {
    /// A range variable.
    Range(&'s Relation),
    /// A column of this relation.
    Column(&'s Field, &'s Relation),
    /// Some other value of this type.
    Value(Type),
    /// Columns of several relations.
    Ambiguous(Vec<&'s Relation>),
    /// It may be a column that is not known.
    Open,
    /// Nothing that is visible.
    Missing,
}

impl Relation {
    /// The column of this name, also a pseudo column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Field> {
        self.columns.iter().find(|f| f.is_named(name))
    }

    /// The type of the pseudo column of this name, if a table may have it.
    #[must_use]
    pub fn pseudo_column(&self, name: &str) -> Option<Type> {
        if !name.starts_with('_') {
            return None;
        }
        let wildcard = match &self.source {
            Source::Table { wildcard, .. } => *wildcard,
            _ => return None,
        };
        use crate::schema::DataType as D;
        match name.to_ascii_uppercase().as_str() {
            "_PARTITIONTIME" => Some(Type::Scalar(D::Timestamp)),
            "_PARTITIONDATE" => Some(Type::Scalar(D::Date)),
            "_FILE_NAME" | "_CHANGE_TYPE" => Some(Type::Scalar(D::String)),
            "_CHANGE_TIMESTAMP" => Some(Type::Scalar(D::Timestamp)),
            "_TABLE_SUFFIX" if wildcard => Some(Type::Scalar(D::String)),
            _ => None,
        }
    }

    /// The table behind it.
    #[must_use]
    pub fn table(&self) -> Option<&TableReference> {
        match &self.source {
            Source::Table { reference, .. } => Some(reference),
            _ => None,
        }
    }
}

impl<'p> Scope<'p> {
    /// An empty scope inside another.
    #[must_use]
    pub fn inside(parent: Option<&'p Scope<'p>>) -> Self {
        Self {
            parent,
            ..Self::default()
        }
    }

    /// Whether nothing is visible here, also around.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        self.relations.is_empty() && self.names.is_empty() && self.parent.is_none_or(Scope::is_blind)
    }

    /// What this name means: the innermost scope that has it decides.
    #[must_use]
    pub fn find(&self, name: &str) -> Found<'_> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            match here.find_here(name) {
                Found::Missing => scope = here.parent,
                found => return found,
            }
        }
        Found::Missing
    }

    fn find_here(&self, name: &str) -> Found<'_> {
        if let Some(field) = self.names.iter().find(|f| f.is_named(name)) {
            return Found::Value(field.data_type.clone());
        }
        let aliased = |r: &&Relation| r.alias.as_deref().is_some_and(|a| a.eq_ignore_ascii_case(name));
        if let Some(relation) = self.relations.iter().find(aliased) {
            return Found::Range(relation);
        }
        let having: Vec<(&Field, &Relation)> = self
            .relations
            .iter()
            .filter_map(|r| r.column(name).map(|f| (f, r)))
            .collect();
        match having.as_slice() {
            [] => {}
            [(field, relation)] => return Found::Column(field, relation),
            [(field, relation), ..] if self.merged.contains(&name.to_lowercase()) => {
                return Found::Column(field, relation);
            }
            several => return Found::Ambiguous(several.iter().map(|(_, r)| *r).collect()),
        }
        if let Some(pseudo) = self.relations.iter().find_map(|r| r.pseudo_column(name)) {
            return Found::Value(pseudo);
        }
        if self.open || self.relations.iter().any(|r| r.open) {
            return Found::Open;
        }
        Found::Missing
    }

    /// The range variable of this name, here or around.
    #[must_use]
    pub fn range_variable(&self, name: &str) -> Option<&Relation> {
        let here = self
            .relations
            .iter()
            .find(|r| r.alias.as_deref().is_some_and(|a| a.eq_ignore_ascii_case(name)));
        here.or_else(|| self.parent.and_then(|p| p.range_variable(name)))
    }

    /// All relations, innermost first.
    #[must_use]
    pub fn all_relations(&self) -> Vec<&Relation> {
        let mut all: Vec<&Relation> = self.relations.iter().collect();
        if let Some(parent) = self.parent {
            all.extend(parent.all_relations());
        }
        all
    }

    /// All names without relation, innermost first.
    #[must_use]
    pub fn all_names(&self) -> Vec<&Field> {
        let mut all: Vec<&Field> = self.names.iter().collect();
        if let Some(parent) = self.parent {
            all.extend(parent.all_names());
        }
        all
    }
}
