//! Queries: WITH, SELECT, set operations, ORDER BY, pipes.

use sqlparser::ast::{
    Expr, GroupByExpr, Ident, LimitClause, NamedWindowExpr, OrderBy, OrderByKind, PipeOperator, Query,
    Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, Spanned,
    ValueTableMode, WildcardAdditionalOptions, With,
};

use super::scope::{Relation, Scope};
use super::{Cte, Output, Resolver, range_of};
use crate::check::{set_operation, unknown_column};
use crate::syntax::adapt::bytes;
use crate::types::{Field, Type};

impl Resolver<'_> {
    /// Resolves a query inside a scope; gives its columns.
    pub(super) fn query(&mut self, query: &Query, parent: Option<&Scope<'_>>) -> Output {
        if self.muted > 3 {
            return Output::open();
        }
        let mark = self.ctes.len();
        if let Some(with) = &query.with {
            self.with(with, parent);
        }
        let order_by = query.order_by.as_ref();
        let mut output = match query.body.as_ref() {
            SetExpr::Select(select) => self.select(select, parent, order_by),
            body => {
                let output = self.set_expression(body, parent);
                if let Some(order_by) = order_by {
                    let mut scope = Scope::inside(parent);
                    scope.names = output.columns.clone();
                    scope.open = output.open;
                    self.order_by(order_by, &scope);
                }
                output
            }
        };
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            let scope = Scope::inside(None);
            for expr in limit.iter().chain(offset.as_ref().map(|o| &o.value)) {
                self.expression(expr, &scope);
            }
        }
        if !query.pipe_operators.is_empty() {
            output = self.pipes(query, output, parent);
        }
        self.ctes.truncate(mark);
        self.outputs.insert(std::ptr::from_ref(query), output.clone());
        output
    }

    fn with(&mut self, with: &With, parent: Option<&Scope<'_>>) {
        let first = self.ctes.len();
        if with.recursive {
            // Any of them may be named in any other: until it is known, each is open.
            for cte in &with.cte_tables {
                let name = &cte.alias.name;
                self.ctes.push(Cte {
                    name: name.value.clone(),
                    defined: range_of(name),
                    output: Output::open(),
                });
            }
        }
        for (index, cte) in with.cte_tables.iter().enumerate() {
            let name = &cte.alias.name;
            if with.recursive {
                if let SetExpr::SetOperation { left, .. } = cte.query.body.as_ref()
                    && cte.query.with.is_none()
                {
                    let anchor = self.muted(|r| r.set_expression(left, parent));
                    self.ctes[first + index].output = anchor;
                }
                let output = self.query(&cte.query, parent);
                self.ctes[first + index].output = output;
            } else {
                let output = self.query(&cte.query, parent);
                self.ctes.push(Cte {
                    name: name.value.clone(),
                    defined: range_of(name),
                    output,
                });
            }
        }
    }

    fn set_expression(&mut self, body: &SetExpr, parent: Option<&Scope<'_>>) -> Output {
        match body {
            SetExpr::Select(select) => self.select(select, parent, None),
            SetExpr::Query(query) => self.query(query, parent),
            SetExpr::SetOperation {
                left,
                right,
                op,
                set_quantifier,
            } => {
                let left = self.set_expression(left, parent);
                let right_output = self.set_expression(right, parent);
                self.set_operation(left, right_output, *op, *set_quantifier, right)
            }
            SetExpr::Values(values) => {
                let scope = Scope::inside(parent);
                for row in &values.rows {
                    for expr in &row.content {
                        self.expression(expr, &scope);
                    }
                }
                Output::open()
            }
            _ => {
                self.unproved(|| "a query of an unknown kind".to_owned());
                Output::open()
            }
        }
    }

    fn set_operation(
        &mut self,
        left: Output,
        right: Output,
        op: SetOperator,
        quantifier: SetQuantifier,
        place: &SetExpr,
    ) -> Output {
        let by_name = matches!(
            quantifier,
            SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName
        );
        if by_name {
            return Output { open: true, ..left };
        }
        if !left.open && !right.open && left.columns.len() != right.columns.len() {
            let range = bytes(&place.span()).unwrap_or(0..0);
            self.report(set_operation::diagnostic(
                range,
                op,
                left.columns.len(),
                right.columns.len(),
            ));
        }
        let mut columns = left.columns;
        for (column, other) in columns.iter_mut().zip(&right.columns) {
            if column.data_type.is_unknown() {
                column.data_type = other.data_type.clone();
            }
        }
        Output {
            columns,
            open: left.open,
            value: left.value,
        }
    }

    fn select(&mut self, select: &Select, parent: Option<&Scope<'_>>, order_by: Option<&OrderBy>) -> Output {
        let mut scope = Scope::inside(parent);
        self.tables_of(&select.from, &mut scope);
        if !select.lateral_views.is_empty() {
            scope.open = true;
        }
        if let Some(condition) = &select.selection {
            self.in_where(condition, &scope, &select.projection);
        }
        let output = self.projection(&select.projection, &scope, select);
        let mut after = Scope::inside(Some(&scope));
        after.names = output
            .columns
            .iter()
            .filter(|f| !f.name.is_empty())
            .cloned()
            .collect();
        self.grouping(&select.group_by, &after);
        if let Some(having) = &select.having {
            self.expression(having, &after);
        }
        for window in &select.named_window {
            if let NamedWindowExpr::WindowSpec(spec) = &window.1 {
                for expr in spec
                    .partition_by
                    .iter()
                    .chain(spec.order_by.iter().map(|o| &o.expr))
                {
                    self.expression(expr, &after);
                }
            }
        }
        if let Some(qualify) = &select.qualify {
            self.expression(qualify, &after);
        }
        if let Some(order_by) = order_by {
            self.order_by(order_by, &after);
        }
        self.aggregates(select, &scope);
        self.partitions_of(select, &scope);
        output
    }

    fn in_where(&mut self, condition: &Expr, scope: &Scope<'_>, projection: &[SelectItem]) {
        let before = self.result.diagnostics.len();
        self.expression(condition, scope);
        self.misplaced_calls(condition, "WHERE");
        // An alias of the select list in WHERE deserves its own words.
        let aliases: Vec<&str> = projection
            .iter()
            .filter_map(|item| match item {
                SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.as_str()),
                _ => None,
            })
            .collect();
        for diagnostic in self.result.diagnostics.iter_mut().skip(before) {
            unknown_column::note_select_alias(diagnostic, &aliases);
        }
    }

    fn grouping(&mut self, group_by: &GroupByExpr, scope: &Scope<'_>) {
        if let GroupByExpr::Expressions(exprs, _) = group_by {
            for expr in exprs {
                self.expression(expr, scope);
            }
        }
    }

    pub(super) fn order_by(&mut self, order_by: &OrderBy, scope: &Scope<'_>) {
        if let OrderByKind::Expressions(exprs) = &order_by.kind {
            for item in exprs {
                self.expression(&item.expr, scope);
            }
        }
    }

    fn projection(&mut self, items: &[SelectItem], scope: &Scope<'_>, select: &Select) -> Output {
        let mut output = Output::default();
        for item in items {
            self.select_item(item, scope, &mut output);
        }
        match select.value_table_mode {
            Some(ValueTableMode::AsStruct | ValueTableMode::DistinctAsStruct) => {
                output.value = Some(if output.open {
                    Type::Unknown
                } else {
                    Type::Struct(output.columns.clone().into())
                });
            }
            Some(ValueTableMode::AsValue | ValueTableMode::DistinctAsValue) => {
                let value = output
                    .columns
                    .first()
                    .map_or(Type::Unknown, |f| f.data_type.clone());
                output.open |= value.is_unknown();
                output.value = Some(value);
            }
            None => {}
        }
        output
    }

    pub(super) fn select_item(&mut self, item: &SelectItem, scope: &Scope<'_>, output: &mut Output) {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                self.expression(expr, scope);
                let name = implicit_name(expr).unwrap_or_default();
                let data_type = self.infer(expr, scope);
                output
                    .columns
                    .push(self.named(expr, scope, Field::new(name, data_type)));
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                self.expression(expr, scope);
                let data_type = self.infer(expr, scope);
                output
                    .columns
                    .push(self.named(expr, scope, Field::new(&alias.value, data_type)));
            }
            SelectItem::Wildcard(options) => {
                let (columns, open) = star(scope);
                self.wildcard(columns, open, options, scope, output);
            }
            SelectItem::QualifiedWildcard(kind, options) => {
                let (columns, open) = self.qualified_star(kind, scope);
                self.wildcard(columns, open, options, scope, output);
            }
            SelectItem::ExprWithAliases { expr, .. } => {
                self.expression(expr, scope);
                output.open = true;
            }
        }
    }

    /// A selected column keeps the description of the column that it is.
    fn named(&mut self, expr: &Expr, scope: &Scope<'_>, mut field: Field) -> Field {
        if let Expr::Identifier(ident) = expr
            && let super::Found::Column(column, _) = scope.find(&ident.value)
        {
            field.description = column.description.clone();
        }
        field
    }

    fn qualified_star(
        &mut self,
        kind: &SelectItemQualifiedWildcardKind,
        scope: &Scope<'_>,
    ) -> (Vec<Field>, bool) {
        let data_type = match kind {
            SelectItemQualifiedWildcardKind::ObjectName(name) => {
                let idents: Vec<Ident> = name.0.iter().filter_map(|p| p.as_ident().cloned()).collect();
                if let [only] = idents.as_slice()
                    && let Some(relation) = scope.range_variable(&only.value)
                {
                    let columns = relation.columns.to_vec();
                    let open = relation.open;
                    let value = super::Meaning::Alias(relation.defined.clone(), relation.table().cloned());
                    self.used(range_of(only), value);
                    if open {
                        self.unproved(|| format!("the columns of `{}`", only.value));
                    }
                    return (columns, open);
                }
                self.path(&idents, scope)
            }
            SelectItemQualifiedWildcardKind::Expr(expr) => {
                self.expression(expr, scope);
                self.infer(expr, scope)
            }
        };
        match data_type {
            Type::Struct(fields) => (fields.to_vec(), false),
            _ => {
                self.unproved(|| "the columns of `.*`".to_owned());
                (Vec::new(), true)
            }
        }
    }

    fn wildcard(
        &mut self,
        mut columns: Vec<Field>,
        open: bool,
        options: &WildcardAdditionalOptions,
        scope: &Scope<'_>,
        output: &mut Output,
    ) {
        if open {
            self.unproved(|| "the columns of `*`".to_owned());
        }
        if let Some(except) = &options.opt_except {
            for ident in std::iter::once(&except.first_element).chain(&except.additional_elements) {
                let known = columns.iter().any(|f| f.is_named(&ident.value));
                if !known && !open {
                    let names = columns.iter().map(|f| &*f.name);
                    self.report(unknown_column::in_list(
                        range_of(ident),
                        &ident.value,
                        "SELECT * EXCEPT",
                        names,
                    ));
                }
                columns.retain(|f| !f.is_named(&ident.value));
            }
        }
        if let Some(replace) = &options.opt_replace {
            for element in &replace.items {
                self.expression(&element.expr, scope);
                let ident = &element.column_name;
                let data_type = self.infer(&element.expr, scope);
                match columns.iter_mut().find(|f| f.is_named(&ident.value)) {
                    Some(column) => column.data_type = data_type,
                    None if open => {}
                    None => {
                        let names = columns.iter().map(|f| &*f.name);
                        self.report(unknown_column::in_list(
                            range_of(ident),
                            &ident.value,
                            "SELECT * REPLACE",
                            names,
                        ));
                    }
                }
            }
        }
        output.columns.extend(columns);
        output.open |= open;
    }

    fn pipes(&mut self, query: &Query, start: Output, parent: Option<&Scope<'_>>) -> Output {
        let mut scope = Scope::inside(parent);
        // A FROM query's relations stay visible to the operators after it.
        if let SetExpr::Select(select) = query.body.as_ref()
            && select.projection.is_empty()
                | matches!(select.flavor, sqlparser::ast::SelectFlavor::FromFirstNoSelect)
        {
            self.muted(|r| r.tables_of(&select.from, &mut scope));
        } else {
            scope.relations.push(derived(start));
        }
        for operator in &query.pipe_operators {
            self.pipe(operator, &mut scope);
        }
        self.partitions_of_pipes(&query.pipe_operators);
        let (columns, open) = star(&scope);
        Output {
            columns,
            open,
            value: None,
        }
    }

    fn pipe(&mut self, operator: &PipeOperator, scope: &mut Scope<'_>) {
        match operator {
            PipeOperator::Where { expr } => self.expression(expr, scope),
            PipeOperator::Limit { .. } | PipeOperator::TableSample { .. } => {}
            PipeOperator::OrderBy { exprs } => {
                for item in exprs {
                    self.expression(&item.expr, scope);
                }
            }
            PipeOperator::Select { exprs } => {
                let mut output = Output::default();
                for item in exprs {
                    self.select_item(item, scope, &mut output);
                }
                replace(scope, output);
            }
            PipeOperator::Extend { exprs } => {
                let mut output = Output::default();
                for item in exprs {
                    self.select_item(item, scope, &mut output);
                }
                scope.relations.push(derived(output));
            }
            PipeOperator::Aggregate {
                full_table_exprs,
                group_by_expr,
            } => {
                let mut output = Output::default();
                for item in group_by_expr.iter().chain(full_table_exprs) {
                    self.expression(&item.expr.expr, scope);
                    let alias = item.expr.alias.as_ref().map(|a| a.value.as_str());
                    let name = alias
                        .or_else(|| implicit_name(&item.expr.expr))
                        .unwrap_or_default();
                    let data_type = self.infer(&item.expr.expr, scope);
                    output.columns.push(Field::new(name, data_type));
                }
                replace(scope, output);
            }
            PipeOperator::As { alias } => {
                let (columns, open) = star(scope);
                replace(
                    scope,
                    Output {
                        columns,
                        open,
                        value: None,
                    },
                );
                if let Some(relation) = scope.relations.first_mut() {
                    relation.alias = Some(alias.value.clone());
                    relation.defined = range_of(alias);
                }
            }
            PipeOperator::Join(join) => self.join(join, scope),
            PipeOperator::Drop { columns } => {
                self.edit_columns(scope, columns.iter().map(|c| (c, None)), "pipe DROP");
            }
            PipeOperator::Rename { mappings } => {
                let pairs: Vec<(&Ident, Option<&Ident>)> =
                    mappings.iter().map(|m| (&m.ident, Some(&m.alias))).collect();
                self.edit_columns(scope, pairs.into_iter(), "pipe RENAME");
            }
            PipeOperator::Union { queries, .. }
            | PipeOperator::Intersect { queries, .. }
            | PipeOperator::Except { queries, .. } => {
                for query in queries {
                    self.query(query, scope.parent);
                }
                let (columns, open) = star(scope);
                replace(
                    scope,
                    Output {
                        columns,
                        open,
                        value: None,
                    },
                );
            }
            _ => {
                self.unproved(|| "the columns after a pipe operator".to_owned());
                scope.open = true;
                replace(scope, Output::open());
            }
        }
    }

    /// DROP and RENAME: each column must be there.
    fn edit_columns<'i>(
        &mut self,
        scope: &mut Scope<'_>,
        edits: impl Iterator<Item = (&'i Ident, Option<&'i Ident>)>,
        clause: &str,
    ) {
        let (mut columns, open) = star(scope);
        for (ident, renamed) in edits {
            match columns.iter().position(|f| f.is_named(&ident.value)) {
                Some(place) => match renamed {
                    Some(name) => columns[place].name = name.value.as_str().into(),
                    None => drop(columns.remove(place)),
                },
                None if open || scope.open => {}
                None => {
                    let names = columns.iter().map(|f| &*f.name);
                    self.report(unknown_column::in_list(
                        range_of(ident),
                        &ident.value,
                        clause,
                        names,
                    ));
                }
            }
        }
        // Range variables stay usable after these.
        let kept: Vec<Relation> = scope.relations.drain(..).filter(|r| r.alias.is_some()).collect();
        replace(
            scope,
            Output {
                columns,
                open,
                value: None,
            },
        );
        for mut relation in kept {
            relation.open = true;
            relation.columns = std::sync::Arc::default();
            scope.relations.push(relation);
        }
    }
}

fn derived(output: Output) -> Relation {
    super::table::relation_of(output, None)
}

fn replace(scope: &mut Scope<'_>, output: Output) {
    scope.relations.clear();
    scope.merged.clear();
    scope.relations.push(derived(output));
}

/// The columns of `*`: those of USING once.
pub(super) fn star(scope: &Scope<'_>) -> (Vec<Field>, bool) {
    let mut columns: Vec<Field> = Vec::new();
    let mut open = scope.open;
    for relation in &scope.relations {
        open |= relation.open;
        let value = relation.value.as_ref().filter(|v| !matches!(v, Type::Struct(_)));
        if let Some(value) = value {
            columns.push(Field::new(
                relation.alias.as_deref().unwrap_or_default(),
                value.clone(),
            ));
        }
        for field in relation.columns.iter() {
            let merged = scope.merged.contains(&field.name.to_lowercase());
            if !merged || !columns.iter().any(|c| c.is_named(&field.name)) {
                columns.push(field.clone());
            }
        }
    }
    (columns, open)
}

/// The name that a select item has without an alias.
pub(super) fn implicit_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Identifier(ident) => Some(&ident.value),
        Expr::CompoundIdentifier(idents) => idents.last().map(|i| i.value.as_str()),
        Expr::CompoundFieldAccess { access_chain, .. } => match access_chain.last() {
            Some(sqlparser::ast::AccessExpr::Dot(Expr::Identifier(ident))) => Some(&ident.value),
            _ => None,
        },
        Expr::Nested(inner) => implicit_name(inner),
        _ => None,
    }
}
