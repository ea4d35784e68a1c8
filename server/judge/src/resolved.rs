//! What the judge takes from a resolved statement: its kind, its output columns, its tables, what it makes.

use prost::Message;

use crate::messages::{FunctionSignature, ResolvedColumnDefinition, ResolvedOutputColumn, TableRef, Type};
use crate::types;
use crate::verdict::OutputColumn;
use crate::wire::{self, Value};

/// A kind of statement in `AnyResolvedStatementProto` or one of the unions below it.
struct Node {
    /// Field number in the union: the number of the kind in `ResolvedNodeKind`, or of a union of kinds.
    number: u32,
    name: &'static str,
    /// Field with `ResolvedOutputColumnProto`s, counted from the message that has it; 0 where it has none.
    output: u32,
    /// How often to follow field 1 (`parent`) to reach the message with column definitions, and its field there.
    definitions: Option<(usize, u32)>,
}

const UNION: &str = "";

const fn node(number: u32, name: &'static str, output: u32, definitions: Option<(usize, u32)>) -> Node {
    Node {
        number,
        name,
        output,
        definitions,
    }
}

/// The statement kinds that BigQuery has. The numbers of all unions are distinct, so one list serves them all.
const NODES: &[Node] = &[
    node(38, "QueryStmt", 2, None),
    node(39, UNION, 0, None),  // AnyResolvedCreateStatementProto
    node(68, UNION, 0, None),  // AnyResolvedGrantOrRevokeStmtProto
    node(106, UNION, 0, None), // AnyResolvedCreateTableStmtBaseProto
    node(108, UNION, 0, None), // AnyResolvedCreateViewBaseProto
    node(114, UNION, 0, None), // AnyResolvedAlterObjectStmtProto
    node(248, UNION, 0, None), // AnyResolvedCreateSchemaStmtBaseProto
    node(40, "CreateTableAsSelectStmt", 2, Some((1, 3))),
    node(90, "CreateTableStmt", 0, Some((1, 3))),
    node(42, "CreateExternalTableStmt", 0, Some((1, 3))),
    node(41, "CreateViewStmt", 0, None),
    node(119, "CreateMaterializedViewStmt", 0, None),
    node(43, "ExportDataStmt", 3, None),
    node(47, "BeginStmt", 0, None),
    node(48, "CommitStmt", 0, None),
    node(49, "RollbackStmt", 0, None),
    node(50, "DropStmt", 0, None),
    node(63, "InsertStmt", 0, None),
    node(64, "DeleteStmt", 0, None),
    node(66, "UpdateStmt", 0, None),
    node(69, "GrantStmt", 0, None),
    node(70, "RevokeStmt", 0, None),
    node(71, "AlterTableSetOptionsStmt", 0, None),
    node(73, "CreateRowAccessPolicyStmt", 0, None),
    node(74, "DropRowAccessPolicyStmt", 0, None),
    node(75, "AlterRowAccessPolicyStmt", 0, None),
    node(76, "CreateFunctionStmt", 0, None),
    node(80, "DropFunctionStmt", 0, None),
    node(83, "CallStmt", 0, None),
    node(88, "CreateTableFunctionStmt", 8, None),
    node(97, "CreateIndexStmt", 0, None),
    node(98, "AssertStmt", 0, None),
    node(101, "MergeStmt", 0, None),
    node(107, "CreateModelStmt", 0, None),
    node(115, "AlterTableStmt", 0, None),
    node(118, "AlterViewStmt", 0, None),
    node(121, "DropMaterializedViewStmt", 0, None),
    node(125, "CreateProcedureStmt", 0, None),
    node(127, "AlterMaterializedViewStmt", 0, None),
    node(133, "TruncateStmt", 0, None),
    node(140, "ExecuteImmediateStmt", 0, None),
    node(142, "AssignmentStmt", 0, None),
    node(152, "ExportModelStmt", 0, None),
    node(154, "CreateEntityStmt", 0, None),
    node(155, "AlterEntityStmt", 0, None),
    node(157, "CreateSchemaStmt", 0, None),
    node(160, "AlterSchemaStmt", 0, None),
    node(175, "DropTableFunctionStmt", 0, None),
    node(182, "CreateSnapshotTableStmt", 0, None),
    node(183, "DropSnapshotTableStmt", 0, None),
    node(186, "AuxLoadDataStmt", 2, None),
    node(205, "AlterModelStmt", 0, None),
    node(223, "CreatePropertyGraphStmt", 0, None),
    node(227, "UndropStmt", 0, None),
    node(242, "DropIndexStmt", 0, None),
    node(249, "CreateExternalSchemaStmt", 0, None),
    node(250, "AlterExternalSchemaStmt", 0, None),
    node(263, "CreateConnectionStmt", 0, None),
    node(264, "AlterConnectionStmt", 0, None),
    node(292, "AlterIndexStmt", 0, None),
];

/// A resolved statement, not decoded but for its kind.
pub(crate) struct Resolved<'a> {
    pub(crate) name: &'static str,
    body: &'a [u8],
    node: Option<&'static Node>,
    whole: &'a [u8],
}

/// What a CREATE statement makes for the statements after it.
#[derive(Debug, Clone)]
pub(crate) enum Made {
    /// A table or view with these columns.
    Relation(Vec<(String, Type)>),
    /// A function with this signature.
    Function(Box<MadeFunction>),
}

/// A function that a script made.
#[derive(Debug, Clone)]
pub(crate) struct MadeFunction {
    pub(crate) signature: FunctionSignature,
    pub(crate) aggregate: bool,
    /// Argument names and body in SQL: what a function of `ANY TYPE` is resolved from at each call.
    pub(crate) arguments: Vec<String>,
    pub(crate) body: Option<String>,
}

impl<'a> Resolved<'a> {
    /// Reads an `AnyResolvedStatementProto`.
    pub(crate) fn new(any: &'a [u8]) -> Self {
        let mut body = any;
        loop {
            let Some((number, Value::Bytes(inner))) = wire::fields(body).next() else {
                return Self {
                    name: "Stmt",
                    body,
                    node: None,
                    whole: any,
                };
            };
            body = inner;
            let node = NODES.iter().find(|node| node.number == number);
            match node {
                Some(node) if node.name == UNION => {}
                _ => {
                    return Self {
                        name: node.map_or("Stmt", |n| n.name),
                        body,
                        node,
                        whole: any,
                    };
                }
            }
        }
    }

    /// Output columns: of a query's result, of a new table or view, of what a DML statement returns.
    pub(crate) fn columns(&self) -> Vec<OutputColumn> {
        let relation = self.relation();
        relation
            .into_iter()
            .map(|(name, of)| OutputColumn {
                name,
                sql_type: types::sql(&of),
            })
            .collect()
    }

    fn relation(&self) -> Vec<(Option<String>, Type)> {
        let Some(node) = self.node else { return Vec::new() };
        let outputs = match node.name {
            "CreateViewStmt" => outputs(parent(self.body, 1), 3),
            "CreateMaterializedViewStmt" => outputs(parent(self.body, 1), 3),
            // RETURNING: field 10, 6 or 9 holds a clause whose field 2 lists the columns.
            "InsertStmt" => returning(self.body, 10),
            "DeleteStmt" => returning(self.body, 6),
            "UpdateStmt" => returning(self.body, 9),
            _ if node.output > 0 => outputs(self.body, node.output),
            _ => Vec::new(),
        };
        match node.definitions {
            Some((parents, field)) if outputs.is_empty() => definitions(parent(self.body, parents), field),
            _ => outputs,
        }
    }

    /// The registered tables that are scanned or written, as their serialization ids.
    ///
    /// A table stands in the tree as a `TableRefProto`; it is known by its content, a registered name together
    /// with that table's id, wherever in the tree it is.
    pub(crate) fn tables(&self, names: &[String]) -> Vec<usize> {
        let mut found = vec![false; names.len()];
        scan(self.whole, names, &mut found, 0);
        (0..names.len()).filter(|&i| found[i]).collect()
    }

    /// The path that a CREATE statement makes, and what it makes there.
    pub(crate) fn made(&self) -> Option<(Vec<String>, Made)> {
        let (create, made) = match self.name {
            "CreateTableStmt" | "CreateTableAsSelectStmt" | "CreateExternalTableStmt" => {
                let definitions = definitions(parent(self.body, 1), 3);
                let columns = if definitions.is_empty() {
                    self.relation()
                } else {
                    definitions
                };
                (parent(self.body, 2), Made::Relation(named(columns)))
            }
            "CreateViewStmt" | "CreateMaterializedViewStmt" => {
                (parent(self.body, 2), Made::Relation(named(self.relation())))
            }
            "CreateFunctionStmt" => (parent(self.body, 1), Made::Function(Box::new(self.function()?))),
            _ => return None,
        };
        let path: Vec<String> = wire::all(create, 2)
            .map(|p| String::from_utf8_lossy(p).into_owned())
            .collect();
        (!path.is_empty()).then_some((path, made))
    }

    fn function(&self) -> Option<MadeFunction> {
        let aggregate = wire::fields(self.body).any(|field| field == (8, Value::Number(1)));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let sql = wire::field(self.body, 4).is_some_and(|language| language.eq_ignore_ascii_case(b"SQL"));
        Some(MadeFunction {
            signature: FunctionSignature::decode(wire::field(self.body, 10)?).ok()?,
            aggregate,
            arguments: wire::all(self.body, 11).map(text).collect(),
            body: wire::field(self.body, 5).filter(|_| sql).map(text),
        })
    }

    /// The type of the first output column.
    pub(crate) fn first_type(&self) -> Option<Type> {
        self.relation().into_iter().next().map(|(_, of)| of)
    }
}

/// The message that `steps` times field 1 lead to.
fn parent(message: &[u8], steps: usize) -> &[u8] {
    (0..steps).fold(message, |message, _| wire::field(message, 1).unwrap_or_default())
}

fn outputs(message: &[u8], field: u32) -> Vec<(Option<String>, Type)> {
    let read = |bytes| {
        let column = ResolvedOutputColumn::decode(bytes).ok()?;
        // A name that begins with $ is GoogleSQL's own, for an expression that has none.
        let name = column
            .name
            .filter(|name| !name.starts_with('$') && !name.is_empty());
        Some((name, column.column?.r#type?))
    };
    wire::all(message, field).filter_map(read).collect()
}

fn definitions(message: &[u8], field: u32) -> Vec<(Option<String>, Type)> {
    let read = |bytes| {
        let column = ResolvedColumnDefinition::decode(bytes).ok()?;
        Some((column.name, column.r#type?))
    };
    wire::all(message, field).filter_map(read).collect()
}

fn returning(message: &[u8], field: u32) -> Vec<(Option<String>, Type)> {
    wire::field(message, field).map_or_else(Vec::new, |clause| outputs(clause, 2))
}

fn named(columns: Vec<(Option<String>, Type)>) -> Vec<(String, Type)> {
    columns
        .into_iter()
        .filter_map(|(name, of)| Some((name?, of)))
        .collect()
}

/// Deeper than any tree that GoogleSQL's own stack allows.
const MAX_DEPTH: usize = 2_000;

fn scan(message: &[u8], names: &[String], found: &mut [bool], depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    let mut fields = wire::fields(message);
    if fields.by_ref().count() == 0 || !fields.sound {
        return;
    }
    if let Some(index) = table_reference(message, names) {
        found[index] = true;
        return;
    }
    for (_, value) in wire::fields(message) {
        if let Value::Bytes(bytes) = value
            && bytes.len() > 4
        {
            scan(bytes, names, found, depth + 1);
        }
    }
}

/// The table that this message refers to, if it is a `TableRefProto`.
fn table_reference(message: &[u8], names: &[String]) -> Option<usize> {
    let (1, Value::Bytes(_)) = wire::fields(message).next()? else {
        return None;
    };
    let table = TableRef::decode(message).ok()?;
    let index = usize::try_from(table.serialization_id?).ok()?.checked_sub(1)?;
    (names.get(index) == Some(&table.name?)).then_some(index)
}
