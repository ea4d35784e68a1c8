//! Partitioned tables that a statement reads without a condition on their partitions.
//!
//! A doubt means no finding: BigQuery carries conditions from outer queries into inner ones, so that any condition of
//! the statement on a column of that name, or on a name that stands for it, counts.

use std::collections::HashSet;
use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    Expr, Ident, Join, JoinConstraint, JoinOperator, PipeOperator, Query, Select, SelectItem, TableFactor,
    TableWithJoins, Visit, Visitor,
};

use super::scope::{Relation, Scope, Source};
use super::table::constraint;
use super::{Meaning, Resolver};
use crate::check::Diagnostic;
use crate::check::partition_filter::{Unfiltered, diagnostic};
use crate::schema::{DataType, TableReference};
use crate::types::Type;

/// Smaller tables cost so little (a GiB is less than a cent) that a condition is not worth a word.
const WORTH_IT: u64 = 1 << 30;

/// What the conditions of a statement mention, and the tables that want one.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    /// For each SELECT, and each row of pipes, the names in its conditions, in small letters.
    conditions: Vec<HashSet<String>>,
    candidates: Vec<Candidate>,
    /// Names that stand for expressions outside of their query: what an expression mentions, then its name.
    aliases: Vec<(Vec<String>, String)>,
}

#[derive(Debug)]
struct Candidate {
    table: TableReference,
    range: Range<usize>,
    /// Which of the [`conditions`](Partitions::conditions) are those of its own SELECT, which were looked at already.
    own: usize,
    /// The columns of which one must be mentioned; the first is named in the message.
    columns: Vec<String>,
    data_type: Option<DataType>,
    qualifier: Option<String>,
    required: bool,
    /// A condition in WHERE would leave the rows of an outer join, or brackets of a join, wrong.
    joined_loosely: bool,
}

impl Resolver<'_> {
    /// Looks at the tables and conditions of one SELECT.
    pub(super) fn partitions_of(&mut self, select: &Select, scope: &Scope<'_>) {
        if self.muted > 0 {
            return;
        }
        let mut mentions = Mentions::default();
        conditions(select, &mut mentions);
        for relation in &scope.relations {
            let Some(mut candidate) = self.candidate(relation, scope.relations.len() > 1) else {
                continue;
            };
            if mentions.name_one(relation.alias.as_deref(), &candidate.columns) {
                continue;
            }
            candidate.joined_loosely = joined_loosely(&select.from);
            self.partitions.candidates.push(candidate);
        }
        self.partitions
            .aliases
            .extend(select.projection.iter().filter_map(alias));
        self.partitions.conditions.push(mentions.names());
    }

    /// What pipes mention.
    pub(super) fn partitions_of_pipes(&mut self, operators: &[PipeOperator]) {
        let mut mentions = Mentions::default();
        // Whatever they mention: EXTEND gives a column another name, JOIN has conditions of its own.
        for operator in operators {
            let _ = operator.visit(&mut mentions);
            if let PipeOperator::Join(join) = operator {
                condition_of(join, &mut mentions);
            }
        }
        self.partitions.conditions.push(mentions.names());
    }

    fn candidate(&self, relation: &Relation, several: bool) -> Option<Candidate> {
        let Source::Table {
            reference,
            wildcard: false,
        } = &relation.source
        else {
            return None;
        };
        let table = self.snapshot.table(reference)?;
        let partitioning = table.partitioning.as_ref()?;
        if !partitioning.require_filter && table.num_bytes.is_some_and(|bytes| bytes < WORTH_IT) {
            return None;
        }
        let (columns, data_type) = match &partitioning.column {
            Some(column) => {
                let field = relation.column(column)?;
                let data_type = match &field.data_type {
                    Type::Scalar(data_type) => Some(data_type.clone()),
                    _ => None,
                };
                (vec![column.clone()], data_type)
            }
            None => {
                let pseudo = ["_PARTITIONTIME", "_PARTITIONDATE"].map(str::to_owned).to_vec();
                (pseudo, Some(DataType::Timestamp))
            }
        };
        let named = |meaning: &Meaning| matches!(meaning, Meaning::Table(table) if table == reference);
        let place = self.result.uses.iter().rev().find(|u| named(&u.what))?;
        Some(Candidate {
            table: reference.clone(),
            range: place.range.clone(),
            own: self.partitions.conditions.len(),
            columns,
            data_type,
            qualifier: relation.alias.clone().filter(|_| several),
            required: partitioning.require_filter,
            joined_loosely: false,
        })
    }

    /// The findings, once the whole statement was looked at.
    pub(super) fn unfiltered_partitions(&mut self) -> Vec<Diagnostic> {
        let Partitions {
            conditions,
            candidates,
            aliases,
        } = std::mem::take(&mut self.partitions);
        let elsewhere = |candidate: &Candidate, name: &str| {
            let mut others = conditions.iter().enumerate();
            others.any(|(at, names)| at != candidate.own && names.contains(name))
        };
        let filtered = |candidate: &Candidate| {
            let mut names: HashSet<String> = candidate.columns.iter().map(|c| c.to_lowercase()).collect();
            // A name may stand for a name that stands for the column.
            loop {
                let known = names.len();
                for (mentioned, alias) in &aliases {
                    if mentioned.iter().any(|name| names.contains(name)) {
                        names.insert(alias.clone());
                    }
                }
                if names.len() == known {
                    break;
                }
            }
            names.iter().any(|name| elsewhere(candidate, name))
        };
        let finding = |candidate: &Candidate| {
            let table = self.snapshot.display_name(&candidate.table);
            diagnostic(
                self.text,
                &Unfiltered {
                    range: candidate.range.clone(),
                    table: &table,
                    column: &candidate.columns[0],
                    data_type: candidate.data_type.clone(),
                    qualifier: candidate.qualifier.as_deref(),
                    required: candidate.required,
                    fixable: !candidate.joined_loosely,
                },
            )
        };
        candidates
            .iter()
            .filter(|candidate| !filtered(candidate))
            .map(finding)
            .collect()
    }
}

/// Paths of names in expressions: the name before the last, and the last in small letters.
#[derive(Debug, Default)]
struct Mentions {
    paths: Vec<(Option<String>, String)>,
}

impl Mentions {
    fn names(self) -> HashSet<String> {
        self.paths.into_iter().map(|(_, name)| name).collect()
    }

    fn add(&mut self, path: &[Ident]) {
        // A path may go on into a struct: every name of it counts, with the one before it.
        for (at, ident) in path.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| path[before].value.clone());
            self.paths.push((before, ident.value.to_lowercase()));
        }
    }

    /// Whether one of these columns is mentioned, of this relation or of none that is named.
    fn name_one(&self, alias: Option<&str>, columns: &[String]) -> bool {
        self.paths.iter().any(|(before, name)| {
            let is_ours = match (before, alias) {
                (Some(before), Some(alias)) => before.eq_ignore_ascii_case(alias),
                _ => true,
            };
            is_ours && columns.iter().any(|column| column.eq_ignore_ascii_case(name))
        })
    }
}

impl Visitor for Mentions {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => self.add(std::slice::from_ref(ident)),
            Expr::CompoundIdentifier(idents) => self.add(idents),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

fn conditions(select: &Select, mentions: &mut Mentions) {
    for expr in select
        .selection
        .iter()
        .chain(&select.having)
        .chain(&select.qualify)
    {
        let _ = expr.visit(mentions);
    }
    for item in &select.from {
        conditions_of_joins(item, mentions);
    }
}

fn conditions_of_joins(item: &TableWithJoins, mentions: &mut Mentions) {
    let tables = std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation));
    for table in tables {
        if let TableFactor::NestedJoin { table_with_joins, .. } = table {
            conditions_of_joins(table_with_joins, mentions);
        }
    }
    for join in &item.joins {
        condition_of(join, mentions);
    }
}

fn condition_of(join: &Join, mentions: &mut Mentions) {
    match constraint(&join.join_operator) {
        Some(JoinConstraint::On(expr)) => {
            let _ = expr.visit(mentions);
        }
        Some(JoinConstraint::Using(columns)) => {
            for column in columns {
                if let Some(ident) = column.0.last().and_then(|part| part.as_ident()) {
                    mentions.add(std::slice::from_ref(ident));
                }
            }
        }
        _ => {}
    }
}

/// Whether a join of this FROM clause keeps rows without a partner, or stands in brackets.
fn joined_loosely(from: &[TableWithJoins]) -> bool {
    use JoinOperator as J;
    let nested = |table: &TableFactor| matches!(table, TableFactor::NestedJoin { .. });
    from.iter().any(|item| {
        nested(&item.relation)
            || item.joins.iter().any(|join| {
                let inner = matches!(join.join_operator, J::Join(_) | J::Inner(_) | J::CrossJoin(_));
                !inner || nested(&join.relation)
            })
    })
}

/// What a select item mentions, and the name that it has outside, where it has one of its own.
fn alias(item: &SelectItem) -> Option<(Vec<String>, String)> {
    let SelectItem::ExprWithAlias { expr, alias } = item else {
        return None;
    };
    let mut mentions = Mentions::default();
    let _ = expr.visit(&mut mentions);
    Some((mentions.names().into_iter().collect(), alias.value.to_lowercase()))
}
