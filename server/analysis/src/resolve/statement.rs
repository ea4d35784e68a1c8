//! Statements other than queries: DML, CREATE with a query, functions; the rest is walked for the queries in it.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Assignment, AssignmentTarget, CreateFunction, CreateFunctionBody, Delete, Expr, FromTable, Ident, Insert,
    Merge, MergeAction, MergeInsertKind, MergeUpdateKind, ObjectName, Query, Statement, TableObject,
    TableWithJoins, Update, UpdateTableFromKind, Visit, Visitor,
};

use super::scope::{Relation, Scope};
use super::{Resolver, infer, range_of};
use crate::check::unknown_column;
use crate::types::Field;

impl Resolver<'_> {
    pub(super) fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Query(query) => {
                let output = self.query(query, None);
                self.result.output = Some(output);
            }
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => self.update(update),
            Statement::Delete(delete) => self.delete(delete),
            Statement::Merge(merge) => self.merge(merge),
            Statement::CreateView(view) => {
                let output = self.query(&view.query, None);
                self.result.output = Some(output);
            }
            Statement::CreateTable(table) => {
                if let Some(query) = &table.query {
                    let output = self.query(query, None);
                    self.result.output = Some(output);
                }
                if let Some(source) = &table.clone {
                    let parts = self.path_parts(source);
                    self.table(&parts, None);
                }
            }
            Statement::CreateFunction(function) => self.create_function(function),
            other => self.queries_in(other),
        }
    }

    /// Queries inside a statement of another kind; names around them may be anything.
    fn queries_in(&mut self, statement: &Statement) {
        let mut scope = Scope::inside(None);
        scope.open = true;
        let mut walker = Queries {
            resolver: self,
            scope: &scope,
            depth: 0,
        };
        let _ = statement.visit(&mut walker);
    }

    fn create_function(&mut self, function: &CreateFunction) {
        let mut scope = Scope::inside(None);
        for argument in function.args.iter().flatten() {
            if let Some(name) = &argument.name {
                scope
                    .names
                    .push(Field::new(&name.value, infer::sql_type(&argument.data_type)));
            }
        }
        if let Some(
            CreateFunctionBody::AsBeforeOptions { body, .. }
            | CreateFunctionBody::AsAfterOptions(body)
            | CreateFunctionBody::Return(body)
            | CreateFunctionBody::AsReturnExpr(body),
        ) = &function.function_body
        {
            self.expression(body, &scope);
        }
    }

    fn target(&mut self, name: &ObjectName, alias: Option<&Ident>) -> Relation {
        let parts = self.path_parts(name);
        let mut relation = self.table(&parts, None);
        relation.alias = alias
            .map(|a| a.value.clone())
            .or_else(|| parts.last().map(|p| p.name.clone()));
        relation.defined = alias.map_or(0..0, range_of);
        relation
    }

    fn insert(&mut self, insert: &Insert) {
        let TableObject::TableName(name) = &insert.table else {
            return;
        };
        let target = self.target(name, None);
        for column in &insert.columns {
            self.target_column(column, &target, "INSERT");
        }
        if let Some(source) = &insert.source {
            self.query(source, None);
        }
    }

    fn target_column(&mut self, column: &ObjectName, target: &Relation, clause: &str) {
        let Some(ident) = column.0.last().and_then(|p| p.as_ident()) else {
            return;
        };
        if column.0.len() > 1 || target.open || target.column(&ident.value).is_some() {
            return;
        }
        if target.pseudo_column(&ident.value).is_some() {
            return;
        }
        let names = target.columns.iter().map(|f| &*f.name);
        self.report(unknown_column::in_list(
            range_of(ident),
            &ident.value,
            clause,
            names,
        ));
    }

    fn update(&mut self, update: &Update) {
        let mut scope = Scope::inside(None);
        self.table_with_joins(&update.table, &mut scope);
        let target = scope.relations.first().cloned().unwrap_or_default();
        if let Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) = &update.from
        {
            self.tables_of(from, &mut scope);
        }
        self.assignments(&update.assignments, &target, &scope);
        if let Some(condition) = &update.selection {
            self.expression(condition, &scope);
        }
    }

    fn assignments(&mut self, assignments: &[Assignment], target: &Relation, scope: &Scope<'_>) {
        let mut own = Scope::inside(None);
        own.relations.push(target.clone());
        for assignment in assignments {
            if let AssignmentTarget::ColumnName(name) = &assignment.target {
                let idents: Vec<Ident> = name.0.iter().filter_map(|p| p.as_ident().cloned()).collect();
                self.path(&idents, &own);
            }
            self.expression(&assignment.value, scope);
        }
    }

    fn delete(&mut self, delete: &Delete) {
        let mut scope = Scope::inside(None);
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let tables: &[TableWithJoins] = from;
        self.tables_of(tables, &mut scope);
        if let Some(condition) = &delete.selection {
            self.expression(condition, &scope);
        }
    }

    fn merge(&mut self, merge: &Merge) {
        let mut scope = Scope::inside(None);
        self.table_factor(&merge.table, &mut scope);
        let target = scope.relations.first().cloned().unwrap_or_default();
        self.table_factor(&merge.source, &mut scope);
        self.expression(&merge.on, &scope);
        for clause in &merge.clauses {
            if let Some(predicate) = &clause.predicate {
                self.expression(predicate, &scope);
            }
            match &clause.action {
                MergeAction::Insert(insert) => {
                    for column in &insert.columns {
                        self.target_column(column, &target, "MERGE INSERT");
                    }
                    if let MergeInsertKind::Values(values) = &insert.kind {
                        for expr in values.rows.iter().flat_map(|r| r.content.iter()) {
                            // VALUES see the source only, but a target's column is no unknown name.
                            self.expression(expr, &scope);
                        }
                    }
                }
                MergeAction::Update(update) => {
                    if let MergeUpdateKind::Set(assignments) = &update.kind {
                        self.assignments(assignments, &target, &scope);
                    }
                }
                _ => {}
            }
        }
    }
}

struct Queries<'w, 'r, 's> {
    resolver: &'w mut Resolver<'r>,
    scope: &'w Scope<'s>,
    depth: usize,
}

impl Visitor for Queries<'_, '_, '_> {
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

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
