//! Which columns of a select list are neither grouped nor aggregated.
//!
//! Only what is certain: the columns of this query's own relations, reached through operators and known scalar
//! functions. What an unknown function, a subquery or a window does with a column is not judged.

use std::collections::HashSet;

use sqlparser::ast::{Expr, Function, GroupByExpr, Ident, Select, SelectItem, Value};

use super::aggregates::calls;
use super::infer::argument;
use super::query::implicit_name;
use super::scope::{Found, Scope};
use super::{Resolver, range_of};
use crate::check::ungrouped_column;
use crate::functions::{self, FunctionKind};
use crate::types::Type;

/// A column: its relation's place in FROM (none for one that USING merged), then its name and fields, lower-cased.
type Identity = (Option<usize>, Vec<String>);

#[derive(Default)]
struct Keys {
    columns: Vec<Identity>,
    /// Whole expressions, printed.
    expressions: HashSet<String>,
    /// Select items that are keys, by alias or ordinal.
    items: HashSet<usize>,
    /// Columns inside whole expressions: with them nothing is certain.
    doubtful: Vec<Identity>,
}

impl Resolver<'_> {
    /// Reports columns of the select list that would have to be grouped.
    pub(super) fn ungrouped(&mut self, select: &Select, scope: &Scope<'_>) {
        let GroupByExpr::Expressions(grouped, modifiers) = &select.group_by else {
            return;
        };
        let aggregates = select
            .projection
            .iter()
            .filter_map(item_expr)
            .any(|e| calls(e).iter().any(|c| c.aggregate && !c.windowed));
        if !modifiers.is_empty() || (grouped.is_empty() && !aggregates && select.having.is_none()) {
            return;
        }
        let Some(keys) = keys(grouped, select, scope) else {
            return;
        };
        for (index, item) in select.projection.iter().enumerate() {
            if keys.items.contains(&index) {
                continue;
            }
            if let Some(expr) = item_expr(item) {
                self.ungrouped_in(expr, &keys, scope, !grouped.is_empty(), 0);
            }
        }
    }

    fn ungrouped_in(&mut self, expr: &Expr, keys: &Keys, scope: &Scope<'_>, grouped: bool, depth: usize) {
        if depth > 200 || (!keys.expressions.is_empty() && keys.expressions.contains(&printed(expr))) {
            return;
        }
        let deeper = depth + 1;
        match expr {
            Expr::Identifier(ident) => self.column_grouped(std::slice::from_ref(ident), keys, scope, grouped),
            Expr::CompoundIdentifier(idents) => self.column_grouped(idents, keys, scope, grouped),
            Expr::Nested(inner)
            | Expr::UnaryOp { expr: inner, .. }
            | Expr::Cast { expr: inner, .. }
            | Expr::IsNull(inner)
            | Expr::IsNotNull(inner)
            | Expr::Extract { expr: inner, .. }
            | Expr::Named { expr: inner, .. } => {
                self.ungrouped_in(inner, keys, scope, grouped, deeper);
            }
            Expr::BinaryOp { left, right, .. } => {
                self.ungrouped_in(left, keys, scope, grouped, deeper);
                self.ungrouped_in(right, keys, scope, grouped, deeper);
            }
            Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => {
                let parts = conditions.iter().flat_map(|c| [&c.condition, &c.result]);
                for part in operand
                    .as_deref()
                    .into_iter()
                    .chain(parts)
                    .chain(else_result.as_deref())
                {
                    self.ungrouped_in(part, keys, scope, grouped, deeper);
                }
            }
            Expr::Function(function) if is_scalar(function) => {
                if let sqlparser::ast::FunctionArguments::List(list) = &function.args {
                    for argument in list.args.iter().filter_map(argument) {
                        self.ungrouped_in(argument, keys, scope, grouped, deeper);
                    }
                }
            }
            _ => {}
        }
    }

    fn column_grouped(&mut self, idents: &[Ident], keys: &Keys, scope: &Scope<'_>, grouped: bool) {
        let Some(column) = identity(idents, scope) else {
            return;
        };
        let covers = |key: &Identity| key.0 == column.0 && column.1.starts_with(&key.1);
        let doubt = |key: &Identity| key.0 == column.0 && key.1.first() == column.1.first();
        if keys.columns.iter().any(covers) || keys.doubtful.iter().any(doubt) {
            return;
        }
        let (Some(first), Some(last)) = (idents.first(), idents.last()) else {
            return;
        };
        let range = range_of(first).start..range_of(last).end;
        let name: Vec<&str> = idents.iter().map(|i| i.value.as_str()).collect();
        self.report(ungrouped_column::diagnostic(range, &name.join("."), grouped));
    }
}

fn item_expr(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// A built-in scalar function without OVER: a column in its arguments is a column of the whole.
fn is_scalar(function: &Function) -> bool {
    let parts: Vec<&str> = function
        .name
        .0
        .iter()
        .filter_map(|p| p.as_ident())
        .map(|i| i.value.as_str())
        .collect();
    let parts = match parts.as_slice() {
        [first, rest @ ..] if first.eq_ignore_ascii_case("SAFE") && !rest.is_empty() => rest,
        all => all,
    };
    let known = functions::builtin(&parts.join(".")).is_some_and(|b| b.kind == FunctionKind::Scalar);
    // A date part is an identifier too.
    let words = parts.last().is_some_and(|n| {
        ["TRUNC", "DIFF", "LAST_DAY", "NORMALIZE"]
            .iter()
            .any(|w| n.to_ascii_uppercase().contains(w))
    });
    known && function.over.is_none() && !words
}

/// What the query groups by; none where that cannot be told for certain.
fn keys(grouped: &[Expr], select: &Select, scope: &Scope<'_>) -> Option<Keys> {
    let mut keys = Keys::default();
    for expr in grouped {
        match expr {
            Expr::Value(value) => {
                let Value::Number(text, _) = &value.value else {
                    return None;
                };
                let ordinal: usize = text.parse().ok()?;
                let before = select.projection.get(..ordinal)?;
                // A star before it shifts the count.
                if !before.iter().all(|i| item_expr(i).is_some()) {
                    return None;
                }
                let index = ordinal.checked_sub(1)?;
                keys.items.insert(index);
                add_expression(item_expr(select.projection.get(index)?)?, scope, &mut keys)?;
            }
            Expr::Identifier(ident) => {
                for (index, item) in select.projection.iter().enumerate() {
                    let alias = match item {
                        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.as_str()),
                        other => item_expr(other).and_then(implicit_name),
                    };
                    if alias.is_some_and(|a| a.eq_ignore_ascii_case(&ident.value)) {
                        keys.items.insert(index);
                        add_expression(item_expr(item)?, scope, &mut keys)?;
                    }
                }
                add_expression(expr, scope, &mut keys)?;
            }
            Expr::Function(f) if !is_scalar(f) => add_expression(expr, scope, &mut keys)?,
            Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_) | Expr::Tuple(_) => return None,
            other => add_expression(other, scope, &mut keys)?,
        }
    }
    Some(keys)
}

fn add_expression(expr: &Expr, scope: &Scope<'_>, keys: &mut Keys) -> Option<()> {
    match expr {
        Expr::Identifier(ident) => add_column(std::slice::from_ref(ident), scope, keys),
        Expr::CompoundIdentifier(idents) => add_column(idents, scope, keys),
        Expr::Nested(inner) => add_expression(inner, scope, keys),
        Expr::Function(f) => {
            let name = f
                .name
                .0
                .last()
                .and_then(|p| p.as_ident())
                .map(|i| i.value.to_ascii_uppercase())
                .unwrap_or_default();
            if ["ROLLUP", "CUBE"].contains(&name.as_str()) {
                return None;
            }
            whole(expr, scope, keys);
            Some(())
        }
        other => {
            whole(other, scope, keys);
            Some(())
        }
    }
}

fn add_column(idents: &[Ident], scope: &Scope<'_>, keys: &mut Keys) -> Option<()> {
    match identity(idents, scope) {
        Some(column) => keys.columns.push(column),
        // A whole row as a key, or a name that is not known: nothing is certain.
        None if matches!(
            scope.find(&idents.first()?.value),
            Found::Value(_) | Found::Missing
        ) => {}
        None => return None,
    }
    Some(())
}

/// A key that is an expression: it counts as a whole, and its columns become doubtful.
fn whole(expr: &Expr, scope: &Scope<'_>, keys: &mut Keys) {
    keys.expressions.insert(printed(expr));
    let _ = sqlparser::ast::visit_expressions(expr, |inner| {
        let column = match inner {
            Expr::Identifier(ident) => identity(std::slice::from_ref(ident), scope),
            Expr::CompoundIdentifier(idents) => identity(idents, scope),
            _ => None,
        };
        keys.doubtful.extend(column);
        std::ops::ControlFlow::<()>::Continue(())
    });
}

fn printed(expr: &Expr) -> String {
    // Long expressions are never keys; printing them would cost.
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => String::new(),
        other => other.to_string().to_lowercase(),
    }
}

/// The column of this query's own relations that a path means.
fn identity(idents: &[Ident], scope: &Scope<'_>) -> Option<Identity> {
    let place = |relation: &super::Relation| scope.relations.iter().position(|r| std::ptr::eq(r, relation));
    let lower = |idents: &[Ident]| -> Vec<String> { idents.iter().map(|i| i.value.to_lowercase()).collect() };
    let (first, rest) = idents.split_first()?;
    let merged = |name: &str| scope.merged.contains(&name.to_lowercase());
    match scope.find(&first.value) {
        Found::Range(relation) => {
            let index = place(relation)?;
            if relation.value.is_some() {
                return Some((Some(index), lower(rest)));
            }
            let second = rest.first()?;
            if merged(&second.value) {
                return Some((None, lower(rest)));
            }
            relation.column(&second.value)?;
            Some((Some(index), lower(rest)))
        }
        Found::Column(_, relation) => {
            let index = place(relation)?;
            if merged(&first.value) {
                return Some((None, lower(idents)));
            }
            // A field of a value relation is a field of its value.
            let unknown = relation.value.as_ref().is_some_and(Type::is_unknown);
            (!unknown).then(|| (Some(index), lower(idents)))
        }
        _ => None,
    }
}
