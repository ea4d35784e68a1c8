//! Names in expressions: every identifier, field access and call, at the scope where it stands.

use std::collections::HashSet;
use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    Query, SetExpr, Visit, Visitor,
};

use super::scope::{Found, Scope, Source};
use super::{Captured, Meaning, Resolver, range_of};
use crate::check::{
    ambiguous_column, date_part, subquery_columns, unknown_column, unknown_field, unknown_function,
};
use crate::functions;
use crate::schema::DataType;
use crate::syntax::adapt::{OBJECT_ARGUMENT, TYPED_ARRAY, bytes};
use crate::types::{Field, Type};

impl Resolver<'_> {
    /// Resolves all names of an expression, also those of queries in it.
    pub(super) fn expression(&mut self, expr: &Expr, scope: &Scope<'_>) {
        let mut walker = Walker {
            resolver: self,
            scope,
            depth: 0,
            skip: HashSet::new(),
            locals: Vec::new(),
        };
        let _ = expr.visit(&mut walker);
    }

    /// [`Resolver::expression`] of a function's argument.
    pub(super) fn function_argument(&mut self, argument: &FunctionArg, scope: &Scope<'_>) {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
        | FunctionArg::Named {
            arg: FunctionArgExpr::Expr(expr),
            ..
        } = argument
        {
            self.expression(expr, scope);
        }
    }

    /// The type of a dotted path of names; reports what of it is not there.
    pub(super) fn path(&mut self, idents: &[Ident], scope: &Scope<'_>) -> Type {
        let [first, rest @ ..] = idents else {
            return Type::Unknown;
        };
        self.capture_at(first, scope);
        if first.value.starts_with('@') || first.value == OBJECT_ARGUMENT {
            return Type::Unknown;
        }
        match scope.find(&first.value) {
            Found::Range(relation) => {
                let source = relation.table().cloned();
                self.used(
                    range_of(first),
                    Meaning::Alias(relation.defined.clone(), source.clone()),
                );
                let Some((second, deeper)) = rest.split_first() else {
                    return relation.value.clone().unwrap_or_else(|| match relation.open {
                        true => Type::Unknown,
                        false => Type::Struct(relation.columns.clone()),
                    });
                };
                self.capture_field(second, relation.columns.as_slice());
                if let Some(field) = relation.column(&second.value) {
                    self.used(range_of(second), Meaning::Column(field.clone(), source));
                    let data_type = field.data_type.clone();
                    return self.fields_of(data_type, second, deeper);
                }
                if let Some(data_type) = relation.pseudo_column(&second.value) {
                    return self.fields_of(data_type, second, deeper);
                }
                if let Some(Type::Scalar(DataType::Json)) = relation.value {
                    return Type::Scalar(DataType::Json);
                }
                if relation.open {
                    self.unproved(|| format!("column `{}.{}`", first.value, second.value));
                    return Type::Unknown;
                }
                self.missing_in_relation(first, second, relation, scope);
                Type::Unknown
            }
            Found::Column(field, relation) => {
                let source = relation.table().cloned();
                self.used(range_of(first), Meaning::Column(field.clone(), source));
                let data_type = field.data_type.clone();
                self.fields_of(data_type, first, rest)
            }
            Found::Value(data_type) => self.fields_of(data_type, first, rest),
            Found::Ambiguous(relations) => {
                let names: Vec<&str> = relations.iter().filter_map(|r| r.alias.as_deref()).collect();
                let diagnostic = ambiguous_column::diagnostic(range_of(first), &first.value, &names);
                self.report(diagnostic);
                Type::Unknown
            }
            Found::Open => {
                self.unproved(|| format!("name `{}`", first.value));
                Type::Unknown
            }
            Found::Missing => {
                self.missing(first, rest, scope);
                Type::Unknown
            }
        }
    }

    /// Follows fields: `value.a.b`, where `owner` is the name before them.
    fn fields_of(&mut self, mut data_type: Type, owner: &Ident, fields: &[Ident]) -> Type {
        let mut owner = owner;
        for ident in fields {
            data_type = self.field(&data_type, ident, Some(&owner.value));
            owner = ident;
        }
        data_type
    }

    /// The type of a field of this type; reports where it has none.
    pub(super) fn field(&mut self, data_type: &Type, ident: &Ident, owner: Option<&str>) -> Type {
        match data_type {
            Type::Struct(fields) => {
                self.capture_field(ident, fields);
                if let Some(field) = fields.iter().find(|f| f.is_named(&ident.value)) {
                    self.used(range_of(ident), Meaning::Column(field.clone(), None));
                    return field.data_type.clone();
                }
                if fields.iter().any(|f| f.name.is_empty()) {
                    return Type::Unknown;
                }
                self.report(unknown_field::in_struct(range_of(ident), &ident.value, fields));
                Type::Unknown
            }
            Type::Array(element) => {
                if let Type::Struct(fields) = element.as_ref() {
                    self.capture_field(ident, fields);
                }
                self.report(unknown_field::in_array(
                    range_of(ident),
                    &ident.value,
                    owner,
                    data_type,
                ));
                Type::Unknown
            }
            Type::Scalar(DataType::Json) => Type::Scalar(DataType::Json),
            Type::Scalar(DataType::Other(_)) | Type::Unknown => {
                self.unproved(|| format!("field `{}`", ident.value));
                Type::Unknown
            }
            Type::Scalar(_) => {
                self.report(unknown_field::in_scalar(range_of(ident), &ident.value, data_type));
                Type::Unknown
            }
        }
    }

    fn missing_in_relation(
        &mut self,
        first: &Ident,
        second: &Ident,
        relation: &super::Relation,
        scope: &Scope<'_>,
    ) {
        if self.muted > 0 {
            return;
        }
        let elsewhere: Vec<String> = scope
            .all_relations()
            .into_iter()
            .filter(|r| r.column(&second.value).is_some())
            .filter_map(|r| r.alias.clone())
            .filter(|a| !a.eq_ignore_ascii_case(&first.value))
            .collect();
        let diagnostic = unknown_column::in_relation(
            range_of(first),
            range_of(second),
            (&first.value, &second.value),
            relation,
            &elsewhere,
        );
        self.report(diagnostic);
    }

    fn missing(&mut self, first: &Ident, rest: &[Ident], scope: &Scope<'_>) {
        let lower = first.value.to_lowercase();
        if self.file.variables.contains(&lower) || range_of(first) == (0..0) {
            self.unproved(|| format!("variable `{}`", first.value));
            return;
        }
        if first.quote_style.is_none() && rest.is_empty() && first.value.eq_ignore_ascii_case("DEFAULT") {
            return;
        }
        if self.muted > 0 {
            return;
        }
        let relations = scope.all_relations();
        if let Some(next) = rest.first() {
            let aliases: Vec<&str> = relations.iter().filter_map(|r| r.alias.as_deref()).collect();
            let having: Vec<&str> = relations
                .iter()
                .filter(|r| r.column(&next.value).is_some())
                .filter_map(|r| r.alias.as_deref())
                .collect();
            // `dataset.table.column`, though the table is in FROM under its own name or an alias.
            let tables: Vec<(&str, &str)> = relations
                .iter()
                .filter_map(|r| match &r.source {
                    Source::Table { reference, .. } => Some((reference.table.as_str(), r.alias.as_deref()?)),
                    _ => None,
                })
                .collect();
            let columns: Vec<&str> = relations
                .iter()
                .flat_map(|r| r.columns.iter().map(|f| &*f.name))
                .collect();
            let diagnostic = unknown_column::unknown_qualifier(
                (&first.value, range_of(first)),
                (&next.value, range_of(next)),
                &unknown_column::Visible {
                    aliases: &aliases,
                    having: &having,
                    tables: &tables,
                    columns: &columns,
                },
            );
            return self.report(diagnostic);
        }
        let columns = relations.iter().flat_map(|r| {
            r.columns
                .iter()
                .map(|f| f.name.to_string())
                .chain(r.alias.clone())
        });
        let names = scope.all_names().into_iter().map(|f| f.name.to_string());
        let candidates: Vec<String> = columns
            .chain(names)
            .chain(self.file.variables.iter().cloned())
            .collect();
        let blind = scope.is_blind();
        self.report(unknown_column::diagnostic(
            range_of(first),
            &first.value,
            &candidates,
            blind,
        ));
    }

    /// A query that stands for a value, or for the values of IN, has one column.
    fn one_column(&mut self, query: &Query) {
        let Some(output) = self.outputs.get(&std::ptr::from_ref(query)) else {
            return;
        };
        if output.open || output.value.is_some() || output.columns.len() < 2 {
            return;
        }
        let count = output.columns.len();
        let range = query_start(query);
        self.report(subquery_columns::diagnostic(range, count));
    }

    fn capture_at(&mut self, ident: &Ident, scope: &Scope<'_>) {
        let Some(wanted) = self.capture else { return };
        let range = range_of(ident);
        if self.muted > 0 || range.start > wanted || range.end < wanted || range == (0..0) {
            return;
        }
        let captured = Captured {
            relations: scope.all_relations().into_iter().cloned().collect(),
            names: scope.all_names().into_iter().cloned().collect(),
            ctes: self.ctes.iter().map(|c| c.name.clone()).collect(),
        };
        self.result.captured = Some(captured);
    }

    fn capture_field(&mut self, ident: &Ident, fields: &[Field]) {
        let Some(wanted) = self.capture else { return };
        let range = range_of(ident);
        if self.muted == 0 && range.start <= wanted && wanted <= range.end && range != (0..0) {
            self.result.captured = Some(Captured {
                names: fields.to_vec(),
                ..Captured::default()
            });
        }
    }

    /// `root[…].a.b`: the type of the whole.
    pub(super) fn field_access(&mut self, root: &Expr, chain: &[AccessExpr], scope: &Scope<'_>) -> Type {
        let mut data_type = self.infer(root, scope);
        for access in chain {
            data_type = match access {
                AccessExpr::Subscript(_) => match data_type {
                    Type::Scalar(DataType::Json) => data_type,
                    other => other.element(),
                },
                AccessExpr::Dot(Expr::Identifier(ident)) => self.field(&data_type, ident, None),
                AccessExpr::Dot(_) => Type::Unknown,
            };
        }
        data_type
    }
}

/// The first word of a query.
fn query_start(query: &Query) -> Range<usize> {
    let token = match (&query.with, query.body.as_ref()) {
        (Some(with), _) => Some(&with.with_token),
        (None, SetExpr::Select(select)) => Some(&select.select_token),
        _ => None,
    };
    token.and_then(|t| bytes(&t.0.span)).unwrap_or(0..0)
}

/// Words that stand where a function expects a date part.
const DATE_PARTS: &[&str] = &[
    "MICROSECOND",
    "MILLISECOND",
    "SECOND",
    "MINUTE",
    "HOUR",
    "DAY",
    "DAYOFWEEK",
    "DAYOFYEAR",
    "WEEK",
    "ISOWEEK",
    "MONTH",
    "QUARTER",
    "YEAR",
    "ISOYEAR",
    "DATE",
    "TIME",
    "DATETIME",
    "NANOSECOND",
];

/// Functions whose argument of this index is a word, not a value.
fn word_argument(name: &str, index: usize) -> Option<bool> {
    let last = match name {
        "DATE_TRUNC" | "DATETIME_TRUNC" | "TIMESTAMP_TRUNC" | "TIME_TRUNC" | "LAST_DAY" => 1,
        "DATE_DIFF" | "DATETIME_DIFF" | "TIMESTAMP_DIFF" | "TIME_DIFF" => 2,
        "NORMALIZE" | "NORMALIZE_AND_CASEFOLD" => return (index == 1).then_some(false),
        _ => return None,
    };
    (index == last).then_some(true)
}

/// Names that are called but are no functions of the list.
const SPECIAL_CALLS: &[&str] = &[
    "OFFSET",
    "SAFE_OFFSET",
    "ORDINAL",
    "SAFE_ORDINAL",
    "KEY",
    "SAFE_KEY",
    "ROLLUP",
    "CUBE",
    "GROUPING",
    "UNNEST",
    "STRUCT",
    "ARRAY",
    "INTERVAL",
    "CAST",
    "SAFE_CAST",
    "EXTRACT",
    "EXISTS",
    "IF",
    "COALESCE",
    "LEFT",
    "RIGHT",
    "WITH",
    "ANY",
    "ALL",
    "WEEK",
    "VALUES",
    "FLATTEN",
    "COLLATE",
    "TYPEOF",
    "ROW",
    "NEW",
    "AGGREGATE",
    "SOME",
];

struct Walker<'w, 'r, 's> {
    resolver: &'w mut Resolver<'r>,
    scope: &'w Scope<'s>,
    /// Queries that are open: inside one, the resolver has already walked.
    depth: usize,
    /// Identifiers that are no names of values, by their first byte.
    skip: HashSet<usize>,
    /// Lambda variables.
    locals: Vec<String>,
}

impl Visitor for Walker<'_, '_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth == 0 {
            self.resolver.query(query, Some(self.scope));
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth == 0 {
            self.visit(expr);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Subquery(query) | Expr::InSubquery { subquery: query, .. } = expr
        {
            self.resolver.one_column(query);
        }
        ControlFlow::Continue(())
    }
}

impl Walker<'_, '_, '_> {
    fn visit(&mut self, expr: &Expr) {
        match expr {
            Expr::Identifier(ident) => self.name(std::slice::from_ref(ident)),
            Expr::CompoundIdentifier(idents) => self.name(idents),
            Expr::CompoundFieldAccess { root, access_chain } => {
                for access in access_chain {
                    if let AccessExpr::Dot(Expr::Identifier(ident)) = access {
                        self.skip.insert(range_of(ident).start);
                    }
                }
                if !self.is_local(root) {
                    self.resolver.field_access(root, access_chain, self.scope);
                }
            }
            Expr::Function(function) => self.function(function),
            Expr::Lambda(lambda) => {
                for parameter in &lambda.params {
                    self.locals.push(parameter.name.value.to_lowercase());
                }
            }
            // `x -> f(x)` where the parser sees an operator.
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Arrow,
                ..
            } => self.arrow(left),
            _ => {}
        }
    }

    fn arrow(&mut self, parameters: &Expr) {
        match parameters {
            Expr::Identifier(ident) => self.locals.push(ident.value.to_lowercase()),
            Expr::Tuple(items) => items.iter().for_each(|i| self.arrow(i)),
            Expr::Nested(inner) => self.arrow(inner),
            _ => {}
        }
    }

    fn is_local(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Identifier(ident) => self.locals.contains(&ident.value.to_lowercase()),
            Expr::CompoundIdentifier(idents) => idents
                .first()
                .is_some_and(|i| self.locals.contains(&i.value.to_lowercase())),
            _ => false,
        }
    }

    fn name(&mut self, idents: &[Ident]) {
        let Some(first) = idents.first() else { return };
        let local = self.locals.contains(&first.value.to_lowercase());
        if local || self.skip.contains(&range_of(first).start) {
            return;
        }
        self.resolver.path(idents, self.scope);
    }

    fn function(&mut self, function: &Function) {
        let parts: Vec<&Ident> = function.name.0.iter().filter_map(|p| p.as_ident()).collect();
        // One pair of quotes may hold the whole path.
        let mut names: Vec<&str> = parts.iter().flat_map(|i| i.value.split('.')).collect();
        let safe = names.len() > 1 && names[0].eq_ignore_ascii_case("SAFE");
        if safe {
            names.remove(0);
        }
        let name = names.join(".").to_ascii_uppercase();
        if name.starts_with(&TYPED_ARRAY.to_ascii_uppercase()) {
            return;
        }
        let arguments: &[FunctionArg] = match &function.args {
            FunctionArguments::List(list) => &list.args,
            _ => &[],
        };
        for (index, argument) in arguments.iter().enumerate() {
            if let Some(is_date) = word_argument(&name, index) {
                self.word(argument, is_date, &name);
            }
        }
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
            return;
        };
        let range = range_of(first).start..range_of(last).end;
        self.known(&name, &names, range, function);
    }

    /// An argument that is a word: it is no column.
    fn word(&mut self, argument: &FunctionArg, is_date: bool, function: &str) {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument else {
            return;
        };
        let ident = match expr {
            Expr::Identifier(ident) => ident,
            Expr::Function(call) => {
                // WEEK(MONDAY)
                if let FunctionArguments::List(list) = &call.args
                    && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(day)))) =
                        list.args.first()
                {
                    self.skip.insert(range_of(day).start);
                }
                return;
            }
            _ => return,
        };
        self.skip.insert(range_of(ident).start);
        let known = DATE_PARTS.iter().any(|p| ident.value.eq_ignore_ascii_case(p));
        if is_date && !known && ident.quote_style.is_none() {
            let is_name = !matches!(self.scope.find(&ident.value), Found::Missing | Found::Open)
                || self.resolver.file.variables.contains(&ident.value.to_lowercase());
            if !is_name {
                self.resolver.report(date_part::diagnostic(
                    range_of(ident),
                    &ident.value,
                    function,
                    DATE_PARTS,
                ));
            }
        }
    }

    fn known(&mut self, name: &str, names: &[&str], range: Range<usize>, function: &Function) {
        if range == (0..0) {
            return;
        }
        if let Some(builtin) = functions::builtin(name) {
            unknown_function::check_arguments(builtin, function, &range, &mut |d| self.resolver.report(d));
            return;
        }
        let file = &self.resolver.file.functions;
        let last = names.last().copied().unwrap_or_default();
        if file.contains(&last.to_lowercase()) || SPECIAL_CALLS.contains(&name) || name.starts_with("@@") {
            return;
        }
        if names.len() > 1 {
            if self.resolver.snapshot.routine(names).is_some() {
                return;
            }
            let dataset = names[names.len() - 2];
            let snapshot = self.resolver.snapshot;
            self.resolver
                .unproved(|| format!("function `{}`", names.join(".")));
            if snapshot.knows_routines_of(names) || unknown_function::is_family(dataset) {
                let diagnostic = unknown_function::in_family(range, names, snapshot);
                self.resolver.report(diagnostic);
            }
            return;
        }
        self.resolver.unproved(|| format!("function `{name}`"));
        self.resolver.report(unknown_function::diagnostic(
            range,
            names.first().copied().unwrap_or_default(),
        ));
    }
}
