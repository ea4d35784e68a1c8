//! Relations of a FROM clause: tables, CTEs, arrays, subqueries, joins.

use std::ops::Range;
use std::sync::Arc;

use sqlparser::ast::{
    Expr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, Spanned, TableAlias, TableFactor,
    TableFunctionArgs, TableWithJoins,
};

use super::scope::{Found, Relation, Scope, Source};
use super::{Meaning, Output, Resolver, range_of};
use crate::check::{duplicate_alias, not_an_array, unknown_column, unknown_table};
use crate::schema::{DataType, TableMatch, UnknownTable};
use crate::syntax::adapt::bytes;
use crate::syntax::lexer::{self, TokenKind};
use crate::types::{Field, Type};

/// A name of a dotted path and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPart {
    /// The name without quotes.
    pub name: String,
    /// Its bytes, without quotes where several names share a pair.
    pub range: Range<usize>,
}

impl Resolver<'_> {
    /// Resolves the tables of a FROM clause into a scope.
    pub(super) fn tables_of(&mut self, from: &[TableWithJoins], scope: &mut Scope<'_>) {
        for item in from {
            self.table_with_joins(item, scope);
        }
        self.duplicate_aliases(scope);
    }

    pub(super) fn table_with_joins(&mut self, item: &TableWithJoins, scope: &mut Scope<'_>) {
        self.table_factor(&item.relation, scope);
        for join in &item.joins {
            self.join(join, scope);
        }
    }

    pub(super) fn join(&mut self, join: &Join, scope: &mut Scope<'_>) {
        let left = scope.relations.len();
        self.table_factor(&join.relation, scope);
        match constraint(&join.join_operator) {
            Some(JoinConstraint::On(condition)) => {
                self.expression(condition, scope);
                self.misplaced_calls(condition, "ON");
            }
            Some(JoinConstraint::Using(columns)) => {
                for column in columns {
                    self.using(column, scope, left);
                }
            }
            Some(JoinConstraint::Natural) => scope.open = true,
            _ => {}
        }
    }

    fn using(&mut self, column: &ObjectName, scope: &mut Scope<'_>, left: usize) {
        let Some(ident) = column.0.last().and_then(|p| p.as_ident()) else {
            return;
        };
        let (before, after) = scope.relations.split_at(left.min(scope.relations.len()));
        for (relations, side) in [(before, "left"), (after, "right")] {
            let known = relations.iter().all(|r| !r.open) && !relations.is_empty();
            let has = |r: &Relation| {
                r.column(&ident.value).is_some()
                    || r.pseudo_column(&ident.value).is_some()
                    || (r.value.is_some()
                        && r.alias
                            .as_deref()
                            .is_some_and(|a| a.eq_ignore_ascii_case(&ident.value)))
            };
            if relations.iter().any(has) {
                continue;
            }
            if known && !scope.open {
                let names: Vec<&str> = relations
                    .iter()
                    .flat_map(|r| r.columns.iter().map(|f| &*f.name))
                    .collect();
                let diagnostic = unknown_column::in_using(range_of(ident), &ident.value, side, names);
                if self.muted == 0 {
                    self.result.diagnostics.push(diagnostic);
                }
            } else if self.muted == 0 {
                self.result
                    .unproved
                    .push(format!("column `{}` of USING", ident.value));
            }
        }
        scope.merged.insert(ident.value.to_lowercase());
    }

    pub(super) fn table_factor(&mut self, factor: &TableFactor, scope: &mut Scope<'_>) {
        match factor {
            TableFactor::Table {
                name, alias, args, ..
            } => self.named_table(name, alias.as_ref(), args.as_ref(), scope),
            TableFactor::Derived {
                subquery,
                alias,
                lateral,
                ..
            } => {
                let output = if *lateral {
                    self.query(subquery, Some(scope))
                } else {
                    self.query(subquery, scope.parent)
                };
                scope.relations.push(relation_of(output, alias.as_ref()));
            }
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset,
                with_offset_alias,
                ..
            } => {
                self.unnest(array_exprs, alias.as_ref(), scope);
                if *with_offset {
                    let name = with_offset_alias.as_ref().map_or("offset", |a| a.value.as_str());
                    let defined = with_offset_alias.as_ref().map_or(0..0, range_of);
                    scope
                        .relations
                        .push(value_relation(Some(name), defined, Type::Scalar(DataType::Int64)));
                }
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias,
            } => match alias {
                None => self.table_with_joins(table_with_joins, scope),
                Some(alias) => {
                    let mut inner = Scope::inside(scope.parent);
                    self.table_with_joins(table_with_joins, &mut inner);
                    scope.relations.push(open_relation(Some(alias)));
                }
            },
            TableFactor::Pivot {
                table,
                aggregate_functions,
                value_column,
                alias,
                ..
            } => {
                let mut inner = Scope::inside(scope.parent);
                self.table_factor(table, &mut inner);
                for function in aggregate_functions {
                    self.expression(&function.expr, &inner);
                }
                for column in value_column {
                    self.expression(column, &inner);
                }
                self.unproved(|| "the columns of PIVOT".to_owned());
                scope.relations.push(open_relation(alias.as_ref()));
            }
            TableFactor::Unpivot { table, alias, .. } => {
                let mut inner = Scope::inside(scope.parent);
                self.table_factor(table, &mut inner);
                self.unproved(|| "the columns of UNPIVOT".to_owned());
                scope.relations.push(open_relation(alias.as_ref()));
            }
            TableFactor::TableFunction { expr, alias } => {
                self.expression(expr, scope);
                self.unproved(|| "the columns of a table function".to_owned());
                scope.relations.push(open_relation(alias.as_ref()));
            }
            _ => {
                self.unproved(|| "a relation of an unknown kind".to_owned());
                scope.relations.push(open_relation(None));
                scope.open = true;
            }
        }
    }

    fn named_table(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
        args: Option<&TableFunctionArgs>,
        scope: &mut Scope<'_>,
    ) {
        let parts = self.path_parts(name);
        if let Some(args) = args {
            return self.table_function(&parts, alias, args, scope);
        }
        let Some(first) = parts.first() else { return };
        let cte = if parts.len() == 1 {
            self.cte(&first.name)
                .map(|c| (c.output.clone(), c.defined.clone()))
        } else {
            None
        };
        let relation = if let Some((output, defined)) = cte {
            self.used(first.range.clone(), Meaning::Cte(defined));
            let mut relation = relation_of(output, alias);
            relation.source = Source::Cte(first.name.clone());
            relation
        } else if parts.len() > 1 && self.is_array_path(first, scope) {
            let (data_type, last) = self.array_path(&parts, scope);
            self.array_relation(data_type, alias, last.as_ref())
        } else {
            self.table(&parts, alias)
        };
        let mut relation = relation;
        if relation.alias.is_none()
            && let Some(last) = parts.last()
        {
            relation.alias = Some(last.name.clone());
            relation.defined = last.range.clone();
        }
        scope.relations.push(relation);
    }

    /// Whether `a.b` in FROM is an array of a relation before it.
    fn is_array_path(&self, first: &PathPart, scope: &Scope<'_>) -> bool {
        scope.range_variable(&first.name).is_some()
            || (matches!(scope.find(&first.name), Found::Column(..))
                && self.snapshot.tables_of(&first.name).is_empty())
    }

    fn array_path(&mut self, parts: &[PathPart], scope: &Scope<'_>) -> (Type, Option<PathPart>) {
        let idents: Vec<Ident> = parts
            .iter()
            .map(|p| Ident {
                value: p.name.clone(),
                quote_style: None,
                span: crate::syntax::adapt::span(&p.range),
            })
            .collect();
        (self.path(&idents, scope), parts.last().cloned())
    }

    fn array_relation(
        &mut self,
        data_type: Type,
        alias: Option<&TableAlias>,
        last: Option<&PathPart>,
    ) -> Relation {
        let (name, defined) = match (alias, last) {
            (Some(alias), _) => (Some(alias.name.value.as_str()), range_of(&alias.name)),
            (None, Some(last)) => (Some(last.name.as_str()), last.range.clone()),
            (None, None) => (None, 0..0),
        };
        match data_type {
            Type::Array(element) => value_relation(name, defined, (*element).clone()),
            Type::Unknown => {
                self.unproved(|| "an array of unknown type".to_owned());
                let mut relation = value_relation(name, defined, Type::Unknown);
                relation.open = true;
                relation
            }
            other => {
                let range = last.map_or(0..0, |l| l.range.clone());
                self.report(not_an_array::diagnostic(range, &other));
                let mut relation = value_relation(name, defined, Type::Unknown);
                relation.open = true;
                relation
            }
        }
    }

    fn unnest(&mut self, arrays: &[Expr], alias: Option<&TableAlias>, scope: &mut Scope<'_>) {
        for array in arrays {
            self.expression(array, scope);
        }
        let data_type = match arrays {
            [only] => self.infer(only, scope),
            _ => Type::Unknown,
        };
        let place = arrays.first().and_then(|a| bytes(&a.span()));
        let path_name = match arrays {
            [Expr::Identifier(ident)] => Some(ident),
            [Expr::CompoundIdentifier(idents)] => idents.last(),
            _ => None,
        };
        let last = place.map(|range| PathPart {
            name: String::new(),
            range: path_name.map_or(range, range_of),
        });
        let mut relation = self.array_relation(data_type, alias, last.as_ref());
        if alias.is_none() {
            relation.alias = None;
        }
        scope.relations.push(relation);
    }

    fn table_function(
        &mut self,
        parts: &[PathPart],
        alias: Option<&TableAlias>,
        args: &TableFunctionArgs,
        scope: &mut Scope<'_>,
    ) {
        for argument in &args.args {
            self.function_argument(argument, scope);
        }
        let path: Vec<&str> = parts.iter().map(|p| p.name.as_str()).collect();
        let columns = self
            .snapshot
            .routine(&path)
            .map(|r| r.return_columns.clone())
            .unwrap_or_default();
        let mut relation = open_relation(alias);
        if columns.is_empty() {
            self.unproved(|| format!("the columns of the table function `{}`", path.join(".")));
        } else {
            relation.columns = Arc::new(crate::types::fields(&columns));
            relation.open = false;
        }
        if relation.alias.is_none() {
            relation.alias = parts.last().map(|p| p.name.clone());
        }
        scope.relations.push(relation);
    }

    /// The relation that a table's path means.
    pub(super) fn table(&mut self, parts: &[PathPart], alias: Option<&TableAlias>) -> Relation {
        let mut relation = open_relation(alias);
        relation.source = Source::UnknownTable;
        let names: Vec<&str> = parts.iter().map(|p| p.name.as_str()).collect();
        let joined = names.join(".");
        let lower = names[names.len().saturating_sub(2)..].join(".").to_lowercase();
        if names.iter().any(|n| n.eq_ignore_ascii_case("INFORMATION_SCHEMA"))
            || names.iter().any(|n| n.starts_with("__TABLES"))
        {
            self.unproved(|| format!("the columns of `{joined}`"));
            return relation;
        }
        if self.file.tables.contains(&lower)
            || self
                .file
                .tables
                .contains(&names.last().copied().unwrap_or_default().to_lowercase())
            || joined.starts_with('@')
        {
            self.unproved(|| format!("the columns of `{joined}`, which this text makes"));
            return relation;
        }
        if !self.snapshot.is_given() || (self.snapshot.is_empty() && names.len() > 1) {
            self.unproved(|| "there is no catalog".to_owned());
            return relation;
        }
        match self.snapshot.find(&names) {
            TableMatch::Found {
                table,
                wildcard,
                exact,
            } => {
                let whole =
                    parts.first().map_or(0, |p| p.range.start)..parts.last().map_or(0, |p| p.range.end);
                if !exact {
                    self.report(unknown_table::other_case(parts, &table.reference));
                }
                relation.columns = self.snapshot.fields(&table);
                relation.open = table.columns.is_empty();
                if relation.open {
                    self.unproved(|| format!("the columns of `{joined}`"));
                }
                relation.source = Source::Table {
                    reference: table.reference.clone(),
                    wildcard,
                };
                self.used(whole, Meaning::Table(table.reference.clone()));
                if self.muted == 0 && !self.result.tables.contains(&table.reference) {
                    self.result.tables.push(table.reference.clone());
                }
            }
            TableMatch::Unknown(how) => {
                self.unproved(|| format!("the table `{joined}`"));
                if how == UnknownTable::InUnknownProject && self.snapshot.may_be_unlisted(&names) {
                    return relation;
                }
                let ctes: Vec<String> = if how == UnknownTable::NoDataset {
                    self.ctes.iter().map(|c| c.name.clone()).collect()
                } else {
                    Vec::new()
                };
                let diagnostic = unknown_table::diagnostic(self.text, parts, how, self.snapshot, &ctes);
                self.report(diagnostic);
            }
        }
        relation
    }

    /// Reports on a table that stands as an argument.
    pub(super) fn table_argument(&mut self, range: Range<usize>) {
        let text = self.text.get(range.clone()).unwrap_or_default();
        let mut parts = Vec::new();
        for token in lexer::tokens(text) {
            if token.is_name() {
                let at = range.start + token.start..range.start + token.end;
                parts.extend(split_quoted(
                    token.kind == TokenKind::Quoted,
                    token.text(text),
                    at,
                ));
            }
        }
        if parts.len() > 1 {
            self.table(&parts, None);
        }
    }

    /// The names of a path, with their places.
    pub(super) fn path_parts(&self, name: &ObjectName) -> Vec<PathPart> {
        let mut parts: Vec<PathPart> = Vec::new();
        let mut last: Option<Range<usize>> = None;
        for part in &name.0 {
            let Some(ident) = part.as_ident() else { continue };
            let range = range_of(ident);
            if last.as_ref() == Some(&range) && ident.quote_style.is_some() {
                continue; // sqlparser cut one quoted name into several
            }
            let source = self.text.get(range.clone()).unwrap_or_default();
            let quoted = source.starts_with('`');
            parts.extend(split_quoted(
                quoted,
                if quoted { source } else { &ident.value },
                range.clone(),
            ));
            last = Some(range);
        }
        // `domain.com:project` is one name.
        if let Some(colon) = parts.iter().position(|p| p.name.contains(':'))
            && colon > 0
        {
            let joined: Vec<&str> = parts[..=colon].iter().map(|p| p.name.as_str()).collect();
            let merged = PathPart {
                name: joined.join("."),
                range: parts[0].range.start..parts[colon].range.end,
            };
            parts.splice(..=colon, [merged]);
        }
        parts
    }

    pub(super) fn duplicate_aliases(&mut self, scope: &Scope<'_>) {
        for (index, relation) in scope.relations.iter().enumerate() {
            let Some(alias) = relation.alias.as_deref().filter(|a| !a.is_empty()) else {
                continue;
            };
            let earlier = scope.relations[..index]
                .iter()
                .any(|r| r.alias.as_deref().is_some_and(|a| a.eq_ignore_ascii_case(alias)));
            if earlier && relation.defined != (0..0) {
                self.report(duplicate_alias::diagnostic(relation.defined.clone(), alias));
            }
        }
    }
}

/// A quoted name that holds several: `` `p.d.t` ``.
fn split_quoted(quoted: bool, source: &str, range: Range<usize>) -> Vec<PathPart> {
    if !quoted {
        return vec![PathPart {
            name: source.to_owned(),
            range,
        }];
    }
    let name = lexer::unquote(source);
    if !name.contains('.') || name.len() + 2 != source.len() {
        return vec![PathPart { name, range }];
    }
    let mut at = range.start + 1;
    name.split('.')
        .map(|part| {
            let place = at..at + part.len();
            at += part.len() + 1;
            PathPart {
                name: part.to_owned(),
                range: place,
            }
        })
        .collect()
}

pub(super) fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    use JoinOperator as J;
    match operator {
        J::Join(c)
        | J::Inner(c)
        | J::Left(c)
        | J::LeftOuter(c)
        | J::Right(c)
        | J::RightOuter(c)
        | J::FullOuter(c)
        | J::CrossJoin(c)
        | J::Semi(c)
        | J::LeftSemi(c)
        | J::RightSemi(c)
        | J::Anti(c)
        | J::LeftAnti(c)
        | J::RightAnti(c)
        | J::StraightJoin(c) => Some(c),
        _ => None,
    }
}

pub(super) fn relation_of(output: Output, alias: Option<&TableAlias>) -> Relation {
    let mut relation = open_relation(alias);
    relation.open = output.open;
    relation.value = output.value.clone();
    relation.columns = match &output.value {
        Some(Type::Struct(fields)) => Arc::clone(fields),
        Some(_) => Arc::new(Vec::new()),
        None => Arc::new(output.columns),
    };
    if let Some(alias) = alias
        && !alias.columns.is_empty()
    {
        // Column aliases rename by place.
        let columns = relation
            .columns
            .iter()
            .enumerate()
            .map(|(i, f)| match alias.columns.get(i) {
                Some(column) => Field {
                    name: column.name.value.as_str().into(),
                    ..f.clone()
                },
                None => f.clone(),
            });
        relation.columns = Arc::new(columns.collect());
    }
    relation
}

pub(super) fn open_relation(alias: Option<&TableAlias>) -> Relation {
    Relation {
        alias: alias.map(|a| a.name.value.clone()),
        defined: alias.map_or(0..0, |a| range_of(&a.name)),
        open: true,
        ..Relation::default()
    }
}

fn value_relation(name: Option<&str>, defined: Range<usize>, value: Type) -> Relation {
    let columns = match &value {
        Type::Struct(fields) => Arc::clone(fields),
        _ => Arc::new(Vec::new()),
    };
    Relation {
        alias: name.filter(|n| !n.is_empty()).map(str::to_owned),
        defined,
        columns,
        open: value.is_unknown(),
        value: Some(value),
        source: Source::Derived,
    }
}
