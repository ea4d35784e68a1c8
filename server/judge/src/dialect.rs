//! What makes GoogleSQL BigQuery: features, statements, reserved words, functions out and in, system variables.

use crate::messages::{
    AllowedHintsAndOptions, AnalyzerOptions, BuiltinFunctionOptions, Function, FunctionArgumentType,
    FunctionArgumentTypeOptions, FunctionOptions, FunctionSignature, FunctionSignatureOptions,
    LanguageOptions, NamedType, SystemVariable, Type,
};
use crate::types;

mod tables;

/// `PRODUCT_EXTERNAL`: FLOAT64 is so called, and internal types are hidden.
const PRODUCT_EXTERNAL: i32 = 1;
/// `ERROR_MESSAGE_ONE_LINE`: the position stands at the end of the message.
const ERROR_MESSAGE_ONE_LINE: i32 = 1;

/// Words that are reserved in BigQuery and not in GoogleSQL at large.
const RESERVED: &[&str] = &["QUALIFY", "MATCH_RECOGNIZE", "GRAPH_TABLE"];
/// What `CREATE`, `ALTER` and `DROP` may name beside tables and the like.
const ENTITIES: &[&str] = &[
    "CAPACITY",
    "RESERVATION",
    "ASSIGNMENT",
    "BI_CAPACITY",
    "PROJECT",
    "ORGANIZATION",
    "DATA_POLICY",
];
const SUB_ENTITIES: &[&str] = &["REPLICA"];

/// Statements that BigQuery has, as `zetasql.ResolvedNodeKind` numbers.
const STATEMENTS: &[i32] = &[
    38,  // query
    40,  // CREATE TABLE AS SELECT
    41,  // CREATE VIEW
    42,  // CREATE EXTERNAL TABLE
    43,  // EXPORT DATA
    47,  // BEGIN TRANSACTION
    48,  // COMMIT
    49,  // ROLLBACK
    50,  // DROP
    63,  // INSERT
    64,  // DELETE
    66,  // UPDATE
    69,  // GRANT
    70,  // REVOKE
    71,  // ALTER TABLE SET OPTIONS
    73,  // CREATE ROW ACCESS POLICY
    74,  // DROP ROW ACCESS POLICY
    75,  // ALTER ROW ACCESS POLICY
    76,  // CREATE FUNCTION
    80,  // DROP FUNCTION
    83,  // CALL
    88,  // CREATE TABLE FUNCTION
    90,  // CREATE TABLE
    97,  // CREATE SEARCH INDEX, CREATE VECTOR INDEX
    98,  // ASSERT
    101, // MERGE
    107, // CREATE MODEL
    115, // ALTER TABLE
    118, // ALTER VIEW
    119, // CREATE MATERIALIZED VIEW
    121, // DROP MATERIALIZED VIEW
    125, // CREATE PROCEDURE
    127, // ALTER MATERIALIZED VIEW
    133, // TRUNCATE TABLE
    140, // EXECUTE IMMEDIATE
    142, // SET
    152, // EXPORT MODEL
    154, // CREATE CAPACITY, RESERVATION, …
    155, // ALTER of the same
    157, // CREATE SCHEMA
    160, // ALTER SCHEMA
    175, // DROP TABLE FUNCTION
    182, // CREATE SNAPSHOT TABLE
    183, // DROP SNAPSHOT TABLE
    186, // LOAD DATA
    205, // ALTER MODEL
    223, // CREATE PROPERTY GRAPH
    227, // UNDROP
    242, // DROP SEARCH INDEX, DROP VECTOR INDEX
    249, // CREATE EXTERNAL SCHEMA
    250, // ALTER EXTERNAL SCHEMA
    263, // CREATE CONNECTION
    264, // ALTER CONNECTION
    292, // ALTER VECTOR INDEX
];

/// System variables and their types (<https://cloud.google.com/bigquery/docs/reference/system-variables>).
const SYSTEM_VARIABLES: &[(&str, &str)] = &[
    ("current_job_id", "STRING"),
    ("dataset_id", "STRING"),
    ("dataset_project_id", "STRING"),
    ("error.formatted_stack_trace", "STRING"),
    ("error.message", "STRING"),
    (
        "error.stack_trace",
        "ARRAY<STRUCT<line INT64, column INT64, filename STRING, location STRING>>",
    ),
    ("error.statement_text", "STRING"),
    ("last_job_id", "STRING"),
    ("location", "STRING"),
    ("project_id", "STRING"),
    ("query_label", "STRING"),
    ("reservation", "STRING"),
    ("row_count", "INT64"),
    ("script.bytes_billed", "INT64"),
    ("script.bytes_processed", "INT64"),
    ("script.creation_time", "TIMESTAMP"),
    ("script.job_id", "STRING"),
    ("script.num_child_jobs", "INT64"),
    ("script.slot_ms", "INT64"),
    ("session_id", "STRING"),
    ("time_zone", "STRING"),
    ("transaction_id", "STRING"),
];

/// Functions that BigQuery has and whose signature is not known here: naming one gives no verdict.
const OPEN_FUNCTIONS: &[&str] = &[
    "appends",
    "changes",
    "dlp_deterministic_decrypt",
    "dlp_deterministic_encrypt",
    "dlp_key_chain",
    "external_object_transform",
    "external_query",
    "gap_fill",
    "range_sessionize",
    "st_regionstats",
    "tf_idf",
    "vector_search",
];
/// Name spaces of built-in functions that are not known here.
const OPEN_NAMESPACES: &[&str] = &["ai", "bigquery_ml", "bq", "ml", "obj", "vector_index"];
/// Name spaces whose functions are all known here.
const NAMESPACES: &[&str] = &["aead", "hll_count", "keys", "kll_quantiles", "net", "safe"];

/// How an argument's or a result's type is given in [`EXTRA_FUNCTIONS`].
enum Argument {
    /// This type, written in SQL.
    Fixed(&'static str),
    /// Any type, the same wherever the number stands again.
    Any(i32),
    /// Any type at all.
    Arbitrary,
    /// A named argument that may be left out.
    Optional(&'static str, &'static str),
}

struct ExtraFunction {
    name: &'static str,
    aggregate: bool,
    arguments: &'static [Argument],
    result: Argument,
}

/// Functions that BigQuery documents and GoogleSQL's open-source build lacks.
const EXTRA_FUNCTIONS: &[ExtraFunction] = {
    use Argument::{Any, Arbitrary, Fixed, Optional};
    &[
        ExtraFunction {
            name: "contains_substr",
            aggregate: false,
            arguments: &[Arbitrary, Fixed("STRING"), Optional("json_scope", "STRING")],
            result: Fixed("BOOL"),
        },
        ExtraFunction {
            name: "search",
            aggregate: false,
            arguments: &[
                Arbitrary,
                Fixed("STRING"),
                Optional("json_scope", "STRING"),
                Optional("analyzer", "STRING"),
                Optional("analyzer_options", "STRING"),
            ],
            result: Fixed("BOOL"),
        },
        ExtraFunction {
            name: "max_by",
            aggregate: true,
            arguments: &[Any(1), Any(2)],
            result: Any(1),
        },
        ExtraFunction {
            name: "min_by",
            aggregate: true,
            arguments: &[Any(1), Any(2)],
            result: Any(1),
        },
        ExtraFunction {
            name: "text_analyze",
            aggregate: false,
            arguments: &[
                Fixed("STRING"),
                Optional("analyzer", "STRING"),
                Optional("analyzer_options", "STRING"),
            ],
            result: Fixed("ARRAY<STRING>"),
        },
        ExtraFunction {
            name: "bag_of_words",
            aggregate: false,
            arguments: &[Fixed("ARRAY<STRING>")],
            result: Fixed("ARRAY<STRUCT<term STRING, count INT64>>"),
        },
    ]
};

/// Numbers of `SignatureArgumentKind`, `ArgumentCardinality`, `NamedArgumentKind` and `FunctionEnums.Mode`.
pub(crate) mod number {
    pub(crate) const FIXED: i32 = 0;
    pub(crate) const ARBITRARY: i32 = 8;
    pub(crate) const RELATION: i32 = 9;
    pub(crate) const VOID: i32 = 10;
    pub(crate) const REQUIRED: i32 = 0;
    pub(crate) const OPTIONAL: i32 = 2;
    pub(crate) const POSITIONAL_OR_NAMED: i32 = 2;
    pub(crate) const SCALAR: i32 = 1;
    pub(crate) const AGGREGATE: i32 = 2;
}

/// The language.
pub(crate) fn language() -> LanguageOptions {
    let owned = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect();
    LanguageOptions {
        name_resolution_mode: Some(0),
        product_mode: Some(PRODUCT_EXTERNAL),
        enabled_language_features: tables::FEATURES.iter().map(|(_, number)| *number).collect(),
        supported_statement_kinds: STATEMENTS.to_vec(),
        supported_generic_entity_types: owned(ENTITIES),
        reserved_keywords: owned(RESERVED),
        supported_generic_sub_entity_types: owned(SUB_ENTITIES),
    }
}

/// The built-in functions.
pub(crate) fn builtin_functions() -> BuiltinFunctionOptions {
    BuiltinFunctionOptions {
        language_options: Some(language()),
        exclude_function_ids: tables::EXCLUDED_FUNCTIONS
            .iter()
            .flat_map(|(_, ids)| *ids)
            .copied()
            .collect(),
    }
}

/// How a statement is analyzed. Parameters are given by position or named, with the types that are known.
///
/// System variables and pseudo columns are declared only where the text may name one: declaring them takes longer
/// than analyzing a short query.
pub(crate) fn analyzer(text: &str, positional: bool, parameters: &[(String, String)]) -> AnalyzerOptions {
    let declared = parameters
        .iter()
        .filter(|_| !positional)
        .filter_map(|(name, of)| {
            Some(NamedType {
                name: Some(name.to_lowercase()),
                r#type: Some(types::parse(of)?),
            })
        });
    let pseudo = |name: &str, of: &str| NamedType {
        name: Some(name.to_owned()),
        r#type: types::named(of),
    };
    AnalyzerOptions {
        language_options: Some(language()),
        query_parameters: declared.collect(),
        error_message_mode: Some(ERROR_MESSAGE_ONE_LINE),
        default_timezone: Some("UTC".to_owned()),
        prune_unused_columns: Some(true),
        // A parameter that nobody declared gets its type from where it stands.
        allow_undeclared_parameters: Some(true),
        allowed_hints_and_options: Some(AllowedHintsAndOptions {}),
        parameter_mode: Some(i32::from(positional)),
        ddl_pseudo_columns: if text.to_ascii_uppercase().contains("_PARTITION") {
            vec![
                pseudo("_PARTITIONTIME", "TIMESTAMP"),
                pseudo("_PARTITIONDATE", "DATE"),
            ]
        } else {
            Vec::new()
        },
        preserve_column_aliases: Some(true),
        system_variables: SYSTEM_VARIABLES
            .iter()
            .filter(|_| text.contains("@@"))
            .map(|(name, of)| SystemVariable {
                name_path: name.split('.').map(str::to_owned).collect(),
                r#type: types::parse(of),
            })
            .collect(),
        ..AnalyzerOptions::default()
    }
}

/// Functions to add to every catalog.
pub(crate) fn extra_functions() -> Vec<Function> {
    let function = |extra: &ExtraFunction| {
        let signature = FunctionSignature {
            argument: extra.arguments.iter().map(argument).collect(),
            return_type: Some(argument(&extra.result)),
            context_id: None,
            options: Some(FunctionSignatureOptions {}),
        };
        self::function(vec![extra.name.to_owned()], extra.aggregate, signature)
    };
    EXTRA_FUNCTIONS.iter().map(function).collect()
}

/// A function with one signature, as BigQuery lets functions be called: aggregates with OVER, ORDER BY and LIMIT.
pub(crate) fn function(name_path: Vec<String>, aggregate: bool, signature: FunctionSignature) -> Function {
    let options = if aggregate {
        FunctionOptions {
            supports_over_clause: Some(true),
            window_ordering_support: Some(1), // ORDER_OPTIONAL
            supports_window_framing: Some(true),
            supports_order_by: Some(true),
            supports_limit: Some(true),
        }
    } else {
        FunctionOptions::default()
    };
    Function {
        name_path,
        group: Some("External_function".to_owned()),
        mode: Some(if aggregate {
            number::AGGREGATE
        } else {
            number::SCALAR
        }),
        signature: vec![signature],
        options: Some(options),
        ..Function::default()
    }
}

/// An argument or result of this type; of any type at all where there is none.
pub(crate) fn argument_of(r#type: Option<Type>) -> FunctionArgumentType {
    FunctionArgumentType {
        kind: Some(if r#type.is_some() {
            number::FIXED
        } else {
            number::ARBITRARY
        }),
        r#type,
        options: Some(FunctionArgumentTypeOptions {
            cardinality: Some(number::REQUIRED),
            ..FunctionArgumentTypeOptions::default()
        }),
        num_occurrences: Some(-1),
    }
}

fn argument(argument: &Argument) -> FunctionArgumentType {
    match argument {
        Argument::Fixed(of) => argument_of(types::parse(of)),
        Argument::Arbitrary => argument_of(None),
        Argument::Any(n) => FunctionArgumentType {
            kind: Some(*n),
            ..argument_of(None)
        },
        Argument::Optional(name, of) => FunctionArgumentType {
            options: Some(FunctionArgumentTypeOptions {
                cardinality: Some(number::OPTIONAL),
                argument_name: Some((*name).to_owned()),
                named_argument_kind: Some(number::POSITIONAL_OR_NAMED),
                ..FunctionArgumentTypeOptions::default()
            }),
            ..argument_of(types::parse(of))
        },
    }
}

/// Whether BigQuery has a built-in function or table function of this name that the analyzer does not know.
pub(crate) fn is_open_function(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('`', "");
    match name.split_once('.') {
        Some((space, _)) => OPEN_NAMESPACES.contains(&space),
        None => OPEN_FUNCTIONS.contains(&name.as_str()),
    }
}

/// Whether this stands before built-in functions, and is no dataset there.
pub(crate) fn is_namespace(name: &str) -> bool {
    NAMESPACES.iter().any(|space| space.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_in_the_tables_is_one() {
        assert!(SYSTEM_VARIABLES.iter().all(|(_, of)| types::parse(of).is_some()));
        let extras = extra_functions();
        let arguments = extras.iter().flat_map(|f| &f.signature).flat_map(|s| &s.argument);
        assert!(
            arguments
                .filter(|a| a.kind == Some(number::FIXED))
                .all(|a| a.r#type.is_some())
        );
    }

    #[test]
    fn functions_that_only_bigquery_has_are_open() {
        assert!(is_open_function("ML.PREDICT"));
        assert!(is_open_function("VECTOR_SEARCH"));
        assert!(!is_open_function("UPPERCASE"));
        assert!(!is_open_function("shop.total"));
    }
}
