//! Where aggregates and window functions may stand, and which columns must be grouped.

use std::ops::{ControlFlow, Range};

use sqlparser::ast::{Expr, Function, Query, Select, Visit, Visitor};

use super::scope::Scope;
use super::{Resolver, range_of};
use crate::check::aggregate;
use crate::functions::{self, FunctionKind};

impl Resolver<'_> {
    /// Reports aggregates and window functions in a clause that takes neither.
    pub(super) fn misplaced_calls(&mut self, condition: &Expr, clause: &str) {
        for call in calls(condition) {
            if call.windowed {
                self.report(aggregate::window_not_allowed(call.range, &call.name, clause));
            } else if call.aggregate {
                self.report(aggregate::not_allowed(call.range, &call.name, clause));
            }
        }
    }

    /// Reports aggregates of aggregates, and columns that would have to be grouped.
    pub(super) fn aggregates(&mut self, select: &Select, scope: &Scope<'_>) {
        self.ungrouped(select, scope);
        for item in &select.projection {
            let (sqlparser::ast::SelectItem::UnnamedExpr(expr)
            | sqlparser::ast::SelectItem::ExprWithAlias { expr, .. }) = item
            else {
                continue;
            };
            for call in calls(expr) {
                if call.aggregate && !call.windowed && call.inside_aggregate {
                    self.report(aggregate::nested(call.range, &call.name));
                }
            }
        }
    }
}

/// A call of an aggregate or window function.
pub(super) struct Call {
    range: Range<usize>,
    name: String,
    pub(super) aggregate: bool,
    pub(super) windowed: bool,
    /// It is an argument of an aggregate without OVER.
    inside_aggregate: bool,
}

/// Such calls in an expression, not those in its queries.
pub(super) fn calls(expr: &Expr) -> Vec<Call> {
    let mut finder = Finder {
        depth: 0,
        aggregates: 0,
        found: Vec::new(),
    };
    let _ = expr.visit(&mut finder);
    finder.found
}

struct Finder {
    depth: usize,
    aggregates: usize,
    found: Vec<Call>,
}

impl Finder {
    fn classify(function: &Function) -> Option<(String, bool, bool)> {
        let [part] = function.name.0.as_slice() else {
            return None;
        };
        let name = part.as_ident()?.value.to_ascii_uppercase();
        let builtin = functions::builtin(&name)?;
        let windowed = function.over.is_some();
        let aggregate =
            builtin.kind == FunctionKind::Aggregate || matches!(name.as_str(), "MAX_BY" | "MIN_BY");
        (aggregate || windowed).then_some((name, aggregate, windowed))
    }
}

impl Visitor for Finder {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Function(function) = expr
            && let Some((name, aggregate, windowed)) = Self::classify(function)
        {
            let range = function
                .name
                .0
                .first()
                .and_then(|p| p.as_ident())
                .map_or(0..0, range_of);
            self.found.push(Call {
                range,
                name,
                aggregate,
                windowed,
                inside_aggregate: self.aggregates > 0,
            });
            if aggregate && !windowed {
                self.aggregates += 1;
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Function(function) = expr
            && let Some((_, true, false)) = Self::classify(function)
        {
            self.aggregates -= 1;
        }
        ControlFlow::Continue(())
    }
}
