//! Types of expressions, where they follow from columns, literals and signatures; unknown otherwise.

use std::sync::Arc;

use sqlparser::ast::{
    BinaryOperator, DataType as Sql, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query,
    UnaryOperator, Value,
};

use super::query::implicit_name;
use super::scope::Scope;
use super::{Output, Resolver};
use crate::functions;
use crate::schema::DataType;
use crate::syntax::adapt::TYPED_ARRAY;
use crate::syntax::{adapt, lexer};
use crate::types::{Field, Type};

impl Resolver<'_> {
    /// The type of an expression; reports nothing.
    pub(super) fn infer(&mut self, expr: &Expr, scope: &Scope<'_>) -> Type {
        self.muted(|r| r.infer_type(expr, scope))
    }

    fn infer_type(&mut self, expr: &Expr, scope: &Scope<'_>) -> Type {
        match expr {
            Expr::Identifier(ident) => self.path(std::slice::from_ref(ident), scope),
            Expr::CompoundIdentifier(idents) => self.path(idents, scope),
            Expr::CompoundFieldAccess { root, access_chain } => self.field_access(root, access_chain, scope),
            Expr::Nested(inner) => self.infer_type(inner, scope),
            Expr::Value(value) => literal(&value.value),
            Expr::TypedString(string) => sql_type(&string.data_type),
            Expr::Cast { data_type, .. } => sql_type(data_type),
            Expr::Interval(_) => Type::Scalar(DataType::Interval),
            Expr::Function(function) => self.call(function, scope),
            Expr::Subquery(query) => self.output(query, scope).row_type(),
            Expr::Array(array) => match array.elem.first() {
                Some(first) => {
                    let element = self.infer_type(first, scope);
                    if element.is_unknown() {
                        Type::Unknown
                    } else {
                        Type::Array(Arc::new(element))
                    }
                }
                None => Type::Unknown,
            },
            Expr::Struct { values, fields } => self.struct_type(values, fields, scope),
            Expr::Named { expr, .. } => self.infer_type(expr, scope),
            Expr::Case {
                conditions,
                else_result,
                ..
            } => {
                let results = conditions.iter().map(|c| &c.result).chain(else_result.as_deref());
                self.first_known(results, scope)
            }
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right, scope),
            Expr::UnaryOp {
                op: UnaryOperator::Not,
                ..
            } => Type::Scalar(DataType::Bool),
            Expr::UnaryOp { expr, .. } => self.infer_type(expr, scope),
            Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::InList { .. }
            | Expr::InSubquery { .. }
            | Expr::InUnnest { .. }
            | Expr::Between { .. }
            | Expr::Like { .. }
            | Expr::Exists { .. } => Type::Scalar(DataType::Bool),
            _ => Type::Unknown,
        }
    }

    fn binary(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr, scope: &Scope<'_>) -> Type {
        use BinaryOperator as B;
        match op {
            B::And | B::Or | B::Eq | B::NotEq | B::Lt | B::LtEq | B::Gt | B::GtEq => {
                Type::Scalar(DataType::Bool)
            }
            B::StringConcat => self.first_known([left, right].into_iter(), scope),
            B::Plus | B::Minus | B::Multiply => {
                let (a, b) = (self.infer_type(left, scope), self.infer_type(right, scope));
                match (&a, &b) {
                    (Type::Scalar(DataType::Int64), Type::Scalar(DataType::Int64)) => a,
                    (Type::Scalar(DataType::Float64), Type::Scalar(DataType::Int64 | DataType::Float64)) => a,
                    (Type::Scalar(DataType::Int64), Type::Scalar(DataType::Float64)) => b,
                    _ => Type::Unknown,
                }
            }
            _ => Type::Unknown,
        }
    }

    fn first_known<'e>(&mut self, mut exprs: impl Iterator<Item = &'e Expr>, scope: &Scope<'_>) -> Type {
        exprs
            .find_map(|e| Some(self.infer_type(e, scope)).filter(|t| !t.is_unknown()))
            .unwrap_or_default()
    }

    fn struct_type(
        &mut self,
        values: &[Expr],
        declared: &[sqlparser::ast::StructField],
        scope: &Scope<'_>,
    ) -> Type {
        if !declared.is_empty() {
            let fields = declared.iter().map(|f| {
                Field::new(
                    f.field_name.as_ref().map_or("", |n| n.value.as_str()),
                    sql_type(&f.field_type),
                )
            });
            return Type::Struct(Arc::new(fields.collect()));
        }
        let fields = values.iter().map(|value| {
            let name = match value {
                Expr::Named { name, .. } => Some(name.value.as_str()),
                other => implicit_name(other),
            };
            let data_type = self.infer_type(value, scope);
            Field::new(name.unwrap_or_default(), data_type)
        });
        Type::Struct(Arc::new(fields.collect()))
    }

    /// The output of a query in an expression: as walked before, where it was.
    fn output(&mut self, query: &Query, scope: &Scope<'_>) -> Output {
        match self.outputs.get(&std::ptr::from_ref(query)) {
            Some(output) => output.clone(),
            None => self.query(query, Some(scope)),
        }
    }

    fn call(&mut self, function: &Function, scope: &Scope<'_>) -> Type {
        let parts: Vec<&str> = function
            .name
            .0
            .iter()
            .filter_map(|p| p.as_ident())
            .flat_map(|i| i.value.split('.'))
            .collect();
        let parts = match parts.as_slice() {
            [first, rest @ ..] if first.eq_ignore_ascii_case("SAFE") && !rest.is_empty() => rest,
            all => all,
        };
        let name = parts.join(".");
        if let Some(number) = name.strip_prefix(TYPED_ARRAY) {
            let index: Option<usize> = number.parse().ok();
            return index
                .and_then(|i| self.parsed.adapted.arrays.get(i))
                .cloned()
                .unwrap_or_default();
        }
        let upper = name.to_ascii_uppercase();
        match &function.args {
            FunctionArguments::Subquery(query) if upper == "ARRAY" => {
                let row = self.output(query, scope).row_type();
                return if row.is_unknown() {
                    Type::Unknown
                } else {
                    Type::Array(Arc::new(row))
                };
            }
            FunctionArguments::List(list) => {
                let arguments: Vec<&Expr> = list.args.iter().filter_map(argument).collect();
                return self.call_of(&upper, parts, &arguments, scope);
            }
            _ => {}
        }
        self.call_of(&upper, parts, &[], scope)
    }

    fn call_of(&mut self, name: &str, parts: &[&str], arguments: &[&Expr], scope: &Scope<'_>) -> Type {
        match name {
            "IF" => return self.first_known(arguments.iter().skip(1).copied(), scope),
            "COALESCE" | "IFNULL" | "NULLIF" | "ANY_VALUE" | "MIN" | "MAX" | "GREATEST" | "LEAST" | "LAG"
            | "LEAD" | "FIRST_VALUE" | "LAST_VALUE" | "NTH_VALUE" | "ARRAY_REVERSE" | "MAX_BY" | "MIN_BY"
            | "ARRAY_CONCAT" | "ARRAY_CONCAT_AGG" | "ARRAY_SLICE" => {
                return self.first_known(
                    arguments
                        .iter()
                        .take(if name == "COALESCE" { usize::MAX } else { 1 })
                        .copied(),
                    scope,
                );
            }
            "ARRAY_AGG" => {
                let element = arguments
                    .first()
                    .map_or(Type::Unknown, |a| self.infer_type(a, scope));
                return if element.is_unknown() {
                    Type::Unknown
                } else {
                    Type::Array(Arc::new(element))
                };
            }
            "ARRAY_FIRST" | "ARRAY_LAST" => {
                return arguments
                    .first()
                    .map_or(Type::Unknown, |a| self.infer_type(a, scope))
                    .element();
            }
            "APPROX_TOP_COUNT" | "APPROX_TOP_SUM" => {
                let value = arguments
                    .first()
                    .map_or(Type::Unknown, |a| self.infer_type(a, scope));
                let second = if name == "APPROX_TOP_COUNT" {
                    Type::Scalar(DataType::Int64)
                } else {
                    Type::Unknown
                };
                let label = if name == "APPROX_TOP_COUNT" {
                    "count"
                } else {
                    "sum"
                };
                let row = Type::Struct(Arc::new(vec![
                    Field::new("value", value),
                    Field::new(label, second),
                ]));
                return Type::Array(Arc::new(row));
            }
            _ => {}
        }
        if let Some(builtin) = functions::builtin(name) {
            let mut results = builtin.signatures.iter().map(|s| s.result);
            let Some(first) = results.next() else {
                return Type::Unknown;
            };
            return if results.all(|r| r == first) {
                type_text(first)
            } else {
                Type::Unknown
            };
        }
        let routine = self.snapshot.routine(parts);
        routine
            .and_then(|r| r.return_type.as_deref())
            .map_or(Type::Unknown, type_text)
    }
}

/// The expression that is passed.
pub(super) fn argument(argument: &FunctionArg) -> Option<&Expr> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
        | FunctionArg::Named {
            arg: FunctionArgExpr::Expr(expr),
            ..
        } => Some(expr),
        _ => None,
    }
}

/// A type written as SQL text; unknown for type variables.
pub(super) fn type_text(text: &str) -> Type {
    if text.contains("ANY_") || text == "ARBITRARY" {
        return Type::Unknown;
    }
    adapt::read_type(text, &lexer::tokens(text), 0, 0).map_or(Type::Unknown, |(t, _)| t)
}

/// sqlparser's type as ours.
pub(super) fn sql_type(data_type: &Sql) -> Type {
    match data_type {
        Sql::Array(_) | Sql::Struct(..) => type_text(&data_type.to_string()),
        Sql::Custom(name, _) => Type::from_name(&name.to_string()),
        Sql::Datetime(_) => Type::Scalar(DataType::DateTime),
        Sql::Timestamp(..) => Type::Scalar(DataType::Timestamp),
        Sql::Time(..) => Type::Scalar(DataType::Time),
        Sql::String(_) => Type::Scalar(DataType::String),
        Sql::Bytes(_) => Type::Scalar(DataType::Bytes),
        other => {
            let text = other.to_string();
            Type::from_name(text.split(['(', ' ']).next().unwrap_or_default())
        }
    }
}

fn literal(value: &Value) -> Type {
    match value {
        Value::Number(text, _) => {
            let float = text.contains(['.', 'e', 'E']) && !text.starts_with("0x");
            Type::Scalar(if float { DataType::Float64 } else { DataType::Int64 })
        }
        Value::SingleQuotedString(_) => Type::Scalar(DataType::String),
        Value::SingleQuotedByteStringLiteral(_) => Type::Scalar(DataType::Bytes),
        Value::Boolean(_) => Type::Scalar(DataType::Bool),
        _ => Type::Unknown,
    }
}
