//! The catalog of one statement, as GoogleSQL takes it: the tables and routines it names, and what a script made.

use std::collections::BTreeMap;
use std::sync::Arc;

use bigquill_analysis::schema::{Argument, Routine, RoutineKind, TableReference};

use crate::dialect::{self, number};
use crate::messages::{
    Function, FunctionArgumentType, FunctionArgumentTypeOptions, FunctionSignature, FunctionSignatureOptions,
    NamedType, NullValue, Procedure, Relation, SimpleCatalog, SimpleColumn, SimpleConstant, SimpleTable,
    TableValuedFunction, Type,
};
use crate::references::{RoutineBinding, TableBinding};
use crate::types;
use crate::verdict::NoVerdict;

/// A table or view that a script made: its path, and its columns.
pub(crate) type MadeTable = (Vec<String>, Vec<(String, Type)>);

/// What a script's earlier statements leave to the later ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Scope {
    /// Variables by name.
    pub(crate) variables: Vec<(String, Type)>,
    /// Tables and views by path, with their columns.
    pub(crate) tables: Vec<MadeTable>,
    /// Functions, by the path in `name_path`.
    pub(crate) functions: Vec<Function>,
}

impl Scope {
    /// The names that it holds, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let variables = self.variables.iter().map(|(name, _)| name.as_str());
        let tables = self.tables.iter().flat_map(|(path, _)| path).map(String::as_str);
        let functions = self
            .functions
            .iter()
            .flat_map(|f| &f.name_path)
            .map(String::as_str);
        variables.chain(tables).chain(functions)
    }
}

/// The tables and routines that one registered catalog holds, by path.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Content {
    pub(crate) tables: BTreeMap<String, TableBinding>,
    pub(crate) routines: BTreeMap<String, RoutineBinding>,
    pub(crate) scope: Arc<Scope>,
    /// The dataset before bare names, for which these tables were found.
    pub(crate) dataset: Option<TableReference>,
}

/// The message of this content; its tables and routines are those that are known.
pub(crate) fn message(content: &Content) -> SimpleCatalog {
    let mut root = Node::default();
    for (path, columns) in content.scope.tables.iter().rev() {
        let columns: Vec<_> = columns
            .iter()
            .map(|(name, of)| simple_column(name, of.clone(), false))
            .collect();
        for written in spellings(path) {
            root.table(&written, columns.clone(), None);
        }
    }
    for (id, binding) in (1..).zip(content.tables.values()) {
        root.table(
            &binding.written,
            table_columns(binding),
            Some((id, &binding.table.reference)),
        );
    }
    for function in content.scope.functions.iter().rev() {
        for written in spellings(&function.name_path) {
            root.function(written, function.clone());
        }
    }
    for function in dialect::extra_functions() {
        root.function(function.name_path.clone(), function);
    }
    for binding in content.routines.values() {
        root.routine(binding);
    }
    let mut message = root.message("");
    message.named_type = types::aliases()
        .map(|(name, of)| NamedType {
            name: Some(name.to_owned()),
            r#type: Some(of),
        })
        .collect();
    message.builtin_function_options = Some(dialect::builtin_functions());
    message.constant = content
        .scope
        .variables
        .iter()
        .map(|(name, of)| SimpleConstant {
            name_path: vec![name.clone()],
            r#type: Some(of.clone()),
            value: Some(NullValue {}),
        })
        .collect();
    message
}

/// Why this table cannot be registered, if its columns are not all known.
pub(crate) fn unknown_table(binding: &TableBinding) -> Option<NoVerdict> {
    let columns = &binding.table.columns;
    let known = !columns.is_empty() && columns.iter().all(|column| types::column(column).is_some());
    (!known).then(|| NoVerdict::UnknownColumns(binding.table.reference.clone()))
}

/// Why this routine cannot be registered, if its signature is not known.
pub(crate) fn unknown_routine(routine: &Routine) -> Option<NoVerdict> {
    signature(routine)
        .is_none()
        .then(|| NoVerdict::UnknownRoutine(routine.reference.clone()))
}

/// Every way to cut a path into parts: `a.b.c`, `a.b`.c, a.`b.c`, a.b.c.
fn spellings(path: &[String]) -> Vec<Vec<String>> {
    let flat: Vec<&str> = path.iter().flat_map(|part| part.split('.')).collect();
    let joints = flat.len().saturating_sub(1).min(4);
    let spelling = |cuts: usize| {
        let mut parts = vec![flat[0].to_owned()];
        for (i, part) in flat.iter().enumerate().skip(1) {
            match parts.last_mut() {
                Some(last) if cuts & (1 << (i - 1)) == 0 => {
                    last.push('.');
                    last.push_str(part);
                }
                _ => parts.push((*part).to_owned()),
            }
        }
        parts
    };
    (0..1 << joints).map(spelling).collect()
}

/// A catalog under construction; children and tables are found without case.
#[derive(Default)]
struct Node {
    children: BTreeMap<String, (String, Node)>,
    tables: BTreeMap<String, SimpleTable>,
    functions: BTreeMap<String, Function>,
    table_functions: BTreeMap<String, TableValuedFunction>,
    procedures: BTreeMap<String, Procedure>,
}

impl Node {
    /// The catalog that the path's parts but the last lead to, and the last.
    fn descend<'a>(&mut self, path: &'a [String]) -> Option<(&mut Node, &'a String)> {
        let (last, before) = path.split_last()?;
        let node = before.iter().fold(self, |node, part| {
            &mut node
                .children
                .entry(part.to_lowercase())
                .or_insert_with(|| (part.clone(), Node::default()))
                .1
        });
        Some((node, last))
    }

    fn table(&mut self, path: &[String], column: Vec<SimpleColumn>, of: Option<(i64, &TableReference)>) {
        let Some((node, name)) = self.descend(path) else {
            return;
        };
        let (serialization_id, full_name) = match of {
            Some((id, reference)) => (Some(id), reference.to_string()),
            None => (None, path.join(".")),
        };
        node.tables
            .entry(name.to_lowercase())
            .or_insert_with(|| SimpleTable {
                name: Some(full_name),
                serialization_id,
                column,
                name_in_catalog: Some(name.clone()),
                full_name: None,
            });
    }

    fn function(&mut self, path: Vec<String>, mut function: Function) {
        let Some((node, name)) = self.descend(&path) else {
            return;
        };
        function.name_path = vec![name.clone()];
        node.functions.entry(name.to_lowercase()).or_insert(function);
    }

    fn routine(&mut self, binding: &RoutineBinding) {
        let routine = &binding.routine;
        let Some(signature) = signature(routine) else {
            return;
        };
        let Some((node, name)) = self.descend(&binding.written) else {
            return;
        };
        let (key, path) = (name.to_lowercase(), vec![name.clone()]);
        match routine.kind {
            RoutineKind::Scalar | RoutineKind::Aggregate => {
                let aggregate = routine.kind == RoutineKind::Aggregate;
                let function = dialect::function(path, aggregate, signature);
                node.functions.entry(key).or_insert(function);
            }
            RoutineKind::Table => {
                node.table_functions.entry(key).or_insert(TableValuedFunction {
                    name_path: path,
                    signature: Some(signature),
                    r#type: Some(1), // FIXED_OUTPUT_SCHEMA_TVF
                });
            }
            RoutineKind::Procedure => {
                node.procedures.entry(key).or_insert(Procedure {
                    name_path: path,
                    signature: Some(signature),
                });
            }
        }
    }

    fn message(self, name: &str) -> SimpleCatalog {
        SimpleCatalog {
            name: Some(name.to_owned()),
            table: self.tables.into_values().collect(),
            catalog: self
                .children
                .into_values()
                .map(|(name, node)| node.message(&name))
                .collect(),
            custom_function: self.functions.into_values().collect(),
            custom_tvf: self.table_functions.into_values().collect(),
            procedure: self.procedures.into_values().collect(),
            ..SimpleCatalog::default()
        }
    }
}

fn simple_column(name: &str, of: Type, pseudo: bool) -> SimpleColumn {
    SimpleColumn {
        name: Some(name.to_owned()),
        r#type: Some(of),
        is_pseudo_column: Some(pseudo),
        is_writable_column: Some(!pseudo),
    }
}

fn table_columns(binding: &TableBinding) -> Vec<SimpleColumn> {
    let columns = &binding.table.columns;
    let mut message: Vec<_> = columns
        .iter()
        .filter_map(|c| Some(simple_column(&c.name, types::column(c)?, false)))
        .collect();
    for (name, of) in binding.table.pseudo_columns(binding.wildcard) {
        message.extend(types::named(of.sql_name()).map(|of| simple_column(name, of, true)));
    }
    message
}

/// What a routine takes and returns, where that is known.
fn signature(routine: &Routine) -> Option<FunctionSignature> {
    let argument = |a: &Argument| match a.data_type.as_deref() {
        Some(text) => types::parse(text).map(|of| dialect::argument_of(Some(of))),
        None => Some(dialect::argument_of(None)),
    };
    let result = match routine.kind {
        RoutineKind::Procedure => FunctionArgumentType {
            kind: Some(number::VOID),
            ..dialect::argument_of(None)
        },
        RoutineKind::Table => relation(routine)?,
        RoutineKind::Scalar | RoutineKind::Aggregate => {
            dialect::argument_of(Some(types::parse(routine.return_type.as_deref()?)?))
        }
    };
    Some(FunctionSignature {
        argument: routine.arguments.iter().map(argument).collect::<Option<_>>()?,
        return_type: Some(result),
        context_id: None,
        options: Some(FunctionSignatureOptions {}),
    })
}

fn relation(routine: &Routine) -> Option<FunctionArgumentType> {
    if routine.return_columns.is_empty() {
        return None;
    }
    let column: Option<Vec<_>> = routine
        .return_columns
        .iter()
        .map(|c| {
            Some(NamedType {
                name: Some(c.name.clone()),
                r#type: Some(types::column(c)?),
            })
        })
        .collect();
    Some(FunctionArgumentType {
        kind: Some(number::RELATION),
        options: Some(FunctionArgumentTypeOptions {
            cardinality: Some(number::REQUIRED),
            relation_input_schema: Some(Relation { column: column? }),
            ..FunctionArgumentTypeOptions::default()
        }),
        ..dialect::argument_of(None)
    })
}
