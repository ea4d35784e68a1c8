//! Types between BigQuery's words and GoogleSQL's messages.

use bigquill_analysis::schema::{Column, DataType, Mode};
use bigquill_analysis::syntax::lexer::{Token, TokenKind, tokens, unquote};

use crate::messages::{ElementType, StructField, StructType, Type};

/// Values of `zetasql.TypeKind`.
mod kind {
    pub(super) const INT64: i32 = 2;
    pub(super) const BOOL: i32 = 5;
    pub(super) const FLOAT: i32 = 6;
    pub(super) const DOUBLE: i32 = 7;
    pub(super) const STRING: i32 = 8;
    pub(super) const BYTES: i32 = 9;
    pub(super) const DATE: i32 = 10;
    pub(super) const ENUM: i32 = 15;
    pub(super) const ARRAY: i32 = 16;
    pub(super) const STRUCT: i32 = 17;
    pub(super) const TIMESTAMP: i32 = 19;
    pub(super) const TIME: i32 = 20;
    pub(super) const DATETIME: i32 = 21;
    pub(super) const GEOGRAPHY: i32 = 22;
    pub(super) const NUMERIC: i32 = 23;
    pub(super) const BIGNUMERIC: i32 = 24;
    pub(super) const JSON: i32 = 26;
    pub(super) const INTERVAL: i32 = 27;
    pub(super) const RANGE: i32 = 29;
}

/// BigQuery's simple types, the first of each kind being the name that is shown.
const NAMES: &[(&str, i32)] = &[
    ("INT64", kind::INT64),
    ("FLOAT64", kind::DOUBLE),
    ("BOOL", kind::BOOL),
    ("STRING", kind::STRING),
    ("BYTES", kind::BYTES),
    ("DATE", kind::DATE),
    ("TIMESTAMP", kind::TIMESTAMP),
    ("TIME", kind::TIME),
    ("DATETIME", kind::DATETIME),
    ("GEOGRAPHY", kind::GEOGRAPHY),
    ("NUMERIC", kind::NUMERIC),
    ("BIGNUMERIC", kind::BIGNUMERIC),
    ("JSON", kind::JSON),
    ("INTERVAL", kind::INTERVAL),
    ("FLOAT32", kind::FLOAT),
    ("FLOAT", kind::DOUBLE),
    ("INTEGER", kind::INT64),
    ("INT", kind::INT64),
    ("SMALLINT", kind::INT64),
    ("BIGINT", kind::INT64),
    ("TINYINT", kind::INT64),
    ("BYTEINT", kind::INT64),
    ("BOOLEAN", kind::BOOL),
    ("DECIMAL", kind::NUMERIC),
    ("BIGDECIMAL", kind::BIGNUMERIC),
];

/// Other names of types that SQL may use, as the catalog needs them told.
pub(crate) fn aliases() -> impl Iterator<Item = (&'static str, Type)> {
    let aliases = [
        "INTEGER",
        "INT",
        "SMALLINT",
        "BIGINT",
        "TINYINT",
        "BYTEINT",
        "BOOLEAN",
        "DECIMAL",
        "BIGDECIMAL",
    ];
    NAMES
        .iter()
        .filter(move |(name, _)| aliases.contains(name))
        .map(|(name, kind)| (*name, simple(*kind)))
}

/// A type that has nothing but its kind.
fn simple(kind: i32) -> Type {
    Type {
        type_kind: Some(kind),
        ..Type::default()
    }
}

/// The simple type of this name.
pub(crate) fn named(name: &str) -> Option<Type> {
    NAMES
        .iter()
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, kind)| simple(*kind))
}

/// An array of this type.
pub(crate) fn array(element: Type) -> Type {
    Type {
        array_type: Some(Box::new(of(element))),
        ..simple(kind::ARRAY)
    }
}

/// A struct of these fields.
pub(crate) fn structure(fields: impl IntoIterator<Item = (String, Type)>) -> Type {
    let field = fields
        .into_iter()
        .map(|(name, r#type)| StructField {
            field_name: Some(name),
            field_type: Some(r#type),
        })
        .collect();
    Type {
        struct_type: Some(StructType { field }),
        ..simple(kind::STRUCT)
    }
}

fn of(element: Type) -> ElementType {
    ElementType {
        element_type: Some(Box::new(element)),
    }
}

/// A column's type; none where a part of it is not known.
pub(crate) fn column(column: &Column) -> Option<Type> {
    let element = match &column.data_type {
        DataType::Struct if column.fields.is_empty() => return None,
        DataType::Struct => {
            let fields: Option<Vec<_>> = column
                .fields
                .iter()
                .map(|f| Some((f.name.clone(), self::column(f)?)))
                .collect();
            structure(fields?)
        }
        DataType::Other(text) => parse(text)?,
        known => named(known.sql_name())?,
    };
    Some(match column.mode {
        Mode::Repeated => array(element),
        Mode::Nullable | Mode::Required => element,
    })
}

/// A type written in SQL: `ARRAY<STRUCT<a INT64, NUMERIC(10, 2)>>`; none where it is no type that BigQuery has.
pub(crate) fn parse(text: &str) -> Option<Type> {
    let tokens = tokens(text);
    let mut parser = Parser {
        text,
        tokens: &tokens,
        at: 0,
        depth: 0,
    };
    let parsed = parser.parse()?;
    (parser.at == tokens.len()).then_some(parsed)
}

struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn parse(&mut self) -> Option<Type> {
        self.depth += 1;
        if self.depth > 32 {
            return None;
        }
        let name = self
            .tokens
            .get(self.at)
            .filter(|t| t.kind == TokenKind::Word)?
            .text(self.text)
            .to_ascii_uppercase();
        self.at += 1;
        let parsed = match name.as_str() {
            "ARRAY" => array(self.bracketed(Self::parse)?),
            "RANGE" => {
                let element = self.bracketed(Self::parse)?;
                Type {
                    range_type: Some(Box::new(of(element))),
                    ..simple(kind::RANGE)
                }
            }
            "STRUCT" => structure(self.bracketed(Self::fields)?),
            name => named(name)?,
        };
        self.parameters()?;
        self.depth -= 1;
        Some(parsed)
    }

    fn fields(&mut self) -> Option<Vec<(String, Type)>> {
        let mut fields = Vec::new();
        loop {
            // `name type` or `type`: a name is what another word follows.
            let named = self
                .tokens
                .get(self.at + 1)
                .is_some_and(|t| t.kind == TokenKind::Word);
            let name = if named {
                let name = unquote(self.tokens.get(self.at)?.text(self.text));
                self.at += 1;
                name
            } else {
                String::new()
            };
            fields.push((name, self.parse()?));
            if !self.symbol(",") {
                return Some(fields);
            }
        }
    }

    fn bracketed<T>(&mut self, inner: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let open = self.symbol("<");
        let parsed = open.then(|| inner(self)).flatten()?;
        self.symbol(">").then_some(parsed)
    }

    /// Skips type parameters, `(10, 2)`: they change no name and no signature.
    fn parameters(&mut self) -> Option<()> {
        if self.symbol("(") {
            while !self.symbol(")") {
                self.tokens.get(self.at)?;
                self.at += 1;
            }
        }
        Some(())
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        let found = self
            .tokens
            .get(self.at)
            .is_some_and(|t| t.is_symbol(self.text, symbol));
        self.at += usize::from(found);
        found
    }
}

/// A type as BigQuery writes it.
pub(crate) fn sql(r#type: &Type) -> String {
    let element = |e: &Option<Box<ElementType>>| {
        let element = e.as_ref().and_then(|e| e.element_type.as_deref());
        element.map_or_else(|| "UNKNOWN".to_owned(), sql)
    };
    match r#type.type_kind.unwrap_or_default() {
        kind::ARRAY => format!("ARRAY<{}>", element(&r#type.array_type)),
        kind::RANGE => format!("RANGE<{}>", element(&r#type.range_type)),
        kind::STRUCT => {
            let fields = r#type.struct_type.iter().flat_map(|s| &s.field).map(|field| {
                let of = field
                    .field_type
                    .as_ref()
                    .map_or_else(|| "UNKNOWN".to_owned(), sql);
                match field.field_name.as_deref() {
                    None | Some("") => of,
                    Some(name) => format!("{name} {of}"),
                }
            });
            format!("STRUCT<{}>", fields.collect::<Vec<_>>().join(", "))
        }
        kind::ENUM => {
            let name = r#type.enum_type.as_ref().and_then(|e| e.enum_name.as_deref());
            format!("ENUM<{}>", name.unwrap_or_default())
        }
        kind => NAMES
            .iter()
            .find(|(_, k)| *k == kind)
            .map_or("UNKNOWN", |(name, _)| name)
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_back_as_they_are_written() {
        for text in [
            "INT64",
            "ARRAY<STRING>",
            "STRUCT<a INT64, b ARRAY<STRUCT<c DATE>>>",
            "RANGE<DATE>",
            "STRUCT<INT64, STRING>",
        ] {
            assert_eq!(parse(text).as_ref().map(sql).as_deref(), Some(text));
        }
        assert_eq!(
            parse("numeric(10, 2)").as_ref().map(sql).as_deref(),
            Some("NUMERIC")
        );
        assert_eq!(
            parse("struct<`a` string(5)>").as_ref().map(sql).as_deref(),
            Some("STRUCT<a STRING>")
        );
    }

    #[test]
    fn what_is_no_type_is_none() {
        for text in [
            "",
            "NOTYPE",
            "ARRAY",
            "ARRAY<INT64",
            "INT64 INT64",
            "STRUCT<>",
            "NUMERIC(",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"ARRAY<".repeat(10_000)), None);
    }
}
