//! The protobuf messages of `zetasql.local_service` that the judge sends and reads, declared by field number.
//!
//! Only the fields in use stand here: what GoogleSQL sends beyond them is skipped, what we do not send has its
//! default there. The numbers are those of the descriptors that the module's wheel carries
//! (`zetasql/wasi/_pb2/**`). Resolved trees are not declared at all: [`crate::wire`] walks them.

use prost::Message;

/// `zetasql.local_service.AnalyzeRequest`; the target is always a statement.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AnalyzeRequest {
    /// An encoded [`AnalyzerOptions`]: it is the same for every statement, so it is encoded once.
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) options: Option<Vec<u8>>,
    #[prost(int64, optional, tag = "4")]
    pub(crate) registered_catalog_id: Option<i64>,
    #[prost(string, optional, tag = "5")]
    pub(crate) sql_statement: Option<String>,
}

/// `zetasql.local_service.AnalyzeResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AnalyzeResponse {
    /// `AnyResolvedStatementProto`, not decoded.
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) resolved_statement: Option<Vec<u8>>,
}

/// `zetasql.local_service.ParseRequest`; the target is always a statement or a script.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ParseRequest {
    #[prost(string, optional, tag = "1")]
    pub(crate) sql_statement: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub(crate) options: Option<LanguageOptions>,
    #[prost(bool, optional, tag = "4")]
    pub(crate) allow_script: Option<bool>,
}

/// `zetasql.local_service.RegisterCatalogRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RegisterCatalogRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) simple_catalog: Option<SimpleCatalog>,
}

/// `zetasql.local_service.RegisterResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RegisterResponse {
    #[prost(int64, optional, tag = "1")]
    pub(crate) registered_id: Option<i64>,
}

/// `zetasql.local_service.UnregisterRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct UnregisterRequest {
    #[prost(int64, optional, tag = "1")]
    pub(crate) registered_id: Option<i64>,
}

/// `zetasql.LanguageOptionsProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct LanguageOptions {
    #[prost(int32, optional, tag = "2")]
    pub(crate) name_resolution_mode: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) product_mode: Option<i32>,
    #[prost(int32, repeated, packed = "false", tag = "5")]
    pub(crate) enabled_language_features: Vec<i32>,
    #[prost(int32, repeated, packed = "false", tag = "6")]
    pub(crate) supported_statement_kinds: Vec<i32>,
    #[prost(string, repeated, tag = "7")]
    pub(crate) supported_generic_entity_types: Vec<String>,
    #[prost(string, repeated, tag = "8")]
    pub(crate) reserved_keywords: Vec<String>,
    #[prost(string, repeated, tag = "9")]
    pub(crate) supported_generic_sub_entity_types: Vec<String>,
}

/// `zetasql.ZetaSQLBuiltinFunctionOptionsProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BuiltinFunctionOptions {
    #[prost(message, optional, tag = "1")]
    pub(crate) language_options: Option<LanguageOptions>,
    #[prost(int32, repeated, packed = "false", tag = "3")]
    pub(crate) exclude_function_ids: Vec<i32>,
}

/// `zetasql.AnalyzerOptionsProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AnalyzerOptions {
    #[prost(message, optional, tag = "1")]
    pub(crate) language_options: Option<LanguageOptions>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) query_parameters: Vec<NamedType>,
    #[prost(int32, optional, tag = "6")]
    pub(crate) error_message_mode: Option<i32>,
    #[prost(string, optional, tag = "7")]
    pub(crate) default_timezone: Option<String>,
    #[prost(bool, optional, tag = "9")]
    pub(crate) prune_unused_columns: Option<bool>,
    #[prost(bool, optional, tag = "10")]
    pub(crate) allow_undeclared_parameters: Option<bool>,
    /// Every hint and option is let through: BigQuery's are more than GoogleSQL knows.
    #[prost(message, optional, tag = "11")]
    pub(crate) allowed_hints_and_options: Option<AllowedHintsAndOptions>,
    #[prost(message, repeated, tag = "12")]
    pub(crate) positional_query_parameters: Vec<Type>,
    #[prost(int32, optional, tag = "13")]
    pub(crate) parameter_mode: Option<i32>,
    #[prost(message, repeated, tag = "15")]
    pub(crate) ddl_pseudo_columns: Vec<NamedType>,
    #[prost(bool, optional, tag = "17")]
    pub(crate) preserve_column_aliases: Option<bool>,
    #[prost(message, repeated, tag = "18")]
    pub(crate) system_variables: Vec<SystemVariable>,
}

/// `zetasql.AllowedHintsAndOptionsProto`, always empty.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AllowedHintsAndOptions {}

/// `AnalyzerOptionsProto.QueryParameterProto` and `SimpleCatalogProto.NamedTypeProto`: both are a name and a type.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct NamedType {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub(crate) r#type: Option<Type>,
}

/// `AnalyzerOptionsProto.SystemVariableProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SystemVariable {
    #[prost(string, repeated, tag = "1")]
    pub(crate) name_path: Vec<String>,
    #[prost(message, optional, tag = "2")]
    pub(crate) r#type: Option<Type>,
}

/// `zetasql.SimpleCatalogProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SimpleCatalog {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) table: Vec<SimpleTable>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) named_type: Vec<NamedType>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) catalog: Vec<SimpleCatalog>,
    #[prost(message, optional, tag = "5")]
    pub(crate) builtin_function_options: Option<BuiltinFunctionOptions>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) custom_function: Vec<Function>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) procedure: Vec<Procedure>,
    #[prost(message, repeated, tag = "9")]
    pub(crate) custom_tvf: Vec<TableValuedFunction>,
    #[prost(message, repeated, tag = "10")]
    pub(crate) constant: Vec<SimpleConstant>,
}

/// `zetasql.SimpleTableProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SimpleTable {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(int64, optional, tag = "2")]
    pub(crate) serialization_id: Option<i64>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) column: Vec<SimpleColumn>,
    #[prost(string, optional, tag = "5")]
    pub(crate) name_in_catalog: Option<String>,
    #[prost(string, optional, tag = "10")]
    pub(crate) full_name: Option<String>,
}

/// `zetasql.SimpleColumnProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SimpleColumn {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub(crate) r#type: Option<Type>,
    #[prost(bool, optional, tag = "3")]
    pub(crate) is_pseudo_column: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    pub(crate) is_writable_column: Option<bool>,
}

/// `zetasql.SimpleConstantProto`; a variable of a script is one (its value is never looked at).
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SimpleConstant {
    #[prost(string, repeated, tag = "1")]
    pub(crate) name_path: Vec<String>,
    #[prost(message, optional, tag = "2")]
    pub(crate) r#type: Option<Type>,
    #[prost(message, optional, tag = "3")]
    pub(crate) value: Option<NullValue>,
}

/// `zetasql.ValueProto` without a value: NULL.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct NullValue {}

/// `zetasql.FunctionProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Function {
    #[prost(string, repeated, tag = "1")]
    pub(crate) name_path: Vec<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) group: Option<String>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) mode: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) signature: Vec<FunctionSignature>,
    #[prost(message, optional, tag = "5")]
    pub(crate) options: Option<FunctionOptions>,
    #[prost(string, repeated, tag = "7")]
    pub(crate) templated_sql_function_argument_name: Vec<String>,
    #[prost(message, optional, tag = "8")]
    pub(crate) parse_resume_location: Option<ParseResumeLocation>,
}

/// `zetasql.ParseResumeLocationProto`: the body of a templated function.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ParseResumeLocation {
    #[prost(string, optional, tag = "1")]
    pub(crate) input: Option<String>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) byte_position: Option<i32>,
    #[prost(bool, optional, tag = "3")]
    pub(crate) allow_resume: Option<bool>,
}

/// `zetasql.FunctionSignatureProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FunctionSignature {
    #[prost(message, repeated, tag = "1")]
    pub(crate) argument: Vec<FunctionArgumentType>,
    #[prost(message, optional, tag = "2")]
    pub(crate) return_type: Option<FunctionArgumentType>,
    #[prost(int64, optional, tag = "3")]
    pub(crate) context_id: Option<i64>,
    #[prost(message, optional, tag = "4")]
    pub(crate) options: Option<FunctionSignatureOptions>,
}

/// `zetasql.FunctionSignatureOptionsProto`, always its defaults.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FunctionSignatureOptions {}

/// `zetasql.FunctionArgumentTypeProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FunctionArgumentType {
    #[prost(int32, optional, tag = "1")]
    pub(crate) kind: Option<i32>,
    #[prost(message, optional, tag = "2")]
    pub(crate) r#type: Option<Type>,
    #[prost(message, optional, tag = "3")]
    pub(crate) options: Option<FunctionArgumentTypeOptions>,
    #[prost(int32, optional, tag = "4")]
    pub(crate) num_occurrences: Option<i32>,
}

/// `zetasql.FunctionArgumentTypeOptionsProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FunctionArgumentTypeOptions {
    #[prost(int32, optional, tag = "1")]
    pub(crate) cardinality: Option<i32>,
    #[prost(message, optional, tag = "10")]
    pub(crate) relation_input_schema: Option<Relation>,
    #[prost(string, optional, tag = "11")]
    pub(crate) argument_name: Option<String>,
    #[prost(int32, optional, tag = "14")]
    pub(crate) procedure_argument_mode: Option<i32>,
    #[prost(int32, optional, tag = "25")]
    pub(crate) named_argument_kind: Option<i32>,
}

/// `zetasql.FunctionOptionsProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct FunctionOptions {
    #[prost(bool, optional, tag = "1")]
    pub(crate) supports_over_clause: Option<bool>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) window_ordering_support: Option<i32>,
    #[prost(bool, optional, tag = "3")]
    pub(crate) supports_window_framing: Option<bool>,
    #[prost(bool, optional, tag = "10")]
    pub(crate) supports_order_by: Option<bool>,
    #[prost(bool, optional, tag = "12")]
    pub(crate) supports_limit: Option<bool>,
}

/// `zetasql.ProcedureProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Procedure {
    #[prost(string, repeated, tag = "1")]
    pub(crate) name_path: Vec<String>,
    #[prost(message, optional, tag = "2")]
    pub(crate) signature: Option<FunctionSignature>,
}

/// `zetasql.TableValuedFunctionProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TableValuedFunction {
    #[prost(string, repeated, tag = "1")]
    pub(crate) name_path: Vec<String>,
    #[prost(message, optional, tag = "2")]
    pub(crate) signature: Option<FunctionSignature>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) r#type: Option<i32>,
}

/// `zetasql.TVFRelationProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Relation {
    #[prost(message, repeated, tag = "1")]
    pub(crate) column: Vec<NamedType>,
}

/// `zetasql.TypeProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Type {
    #[prost(int32, optional, tag = "1")]
    pub(crate) type_kind: Option<i32>,
    #[prost(message, optional, boxed, tag = "2")]
    pub(crate) array_type: Option<Box<ElementType>>,
    #[prost(message, optional, tag = "3")]
    pub(crate) struct_type: Option<StructType>,
    #[prost(message, optional, tag = "5")]
    pub(crate) enum_type: Option<EnumType>,
    #[prost(message, optional, boxed, tag = "8")]
    pub(crate) range_type: Option<Box<ElementType>>,
}

/// `zetasql.ArrayTypeProto` and `zetasql.RangeTypeProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ElementType {
    #[prost(message, optional, boxed, tag = "1")]
    pub(crate) element_type: Option<Box<Type>>,
}

/// `zetasql.StructTypeProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StructType {
    #[prost(message, repeated, tag = "1")]
    pub(crate) field: Vec<StructField>,
}

/// `zetasql.StructFieldProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StructField {
    #[prost(string, optional, tag = "1")]
    pub(crate) field_name: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub(crate) field_type: Option<Type>,
}

/// `zetasql.EnumTypeProto`, its name alone.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct EnumType {
    #[prost(string, optional, tag = "1")]
    pub(crate) enum_name: Option<String>,
}

/// `zetasql.ResolvedOutputColumnProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ResolvedOutputColumn {
    #[prost(string, optional, tag = "2")]
    pub(crate) name: Option<String>,
    #[prost(message, optional, tag = "3")]
    pub(crate) column: Option<ResolvedColumn>,
}

/// `zetasql.ResolvedColumnProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ResolvedColumn {
    #[prost(string, optional, tag = "3")]
    pub(crate) name: Option<String>,
    #[prost(message, optional, tag = "4")]
    pub(crate) r#type: Option<Type>,
}

/// `zetasql.ResolvedColumnDefinitionProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ResolvedColumnDefinition {
    #[prost(string, optional, tag = "2")]
    pub(crate) name: Option<String>,
    #[prost(message, optional, tag = "3")]
    pub(crate) r#type: Option<Type>,
}

/// `zetasql.TableRefProto`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TableRef {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(int64, optional, tag = "2")]
    pub(crate) serialization_id: Option<i64>,
    #[prost(string, optional, tag = "3")]
    pub(crate) full_name: Option<String>,
}
