//! BigQuery's own functions: names, kinds, signatures.
//!
//! The list is `data/functions.tsv` (its head says where it comes from). A function with an unknown signature is known
//! by name only, and nothing is said of its arguments.

use std::collections::HashMap;
use std::sync::OnceLock;

/// What a function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionKind {
    /// One result a row.
    Scalar,
    /// One result a group.
    Aggregate,
    /// Only with OVER.
    Analytic,
    /// Known by name only.
    Other,
}

/// A built-in function.
#[derive(Debug, Clone)]
pub struct Builtin {
    /// Name in capitals, `NET.HOST` with its family.
    pub name: &'static str,
    /// What it is.
    pub kind: FunctionKind,
    /// Whether it may have OVER.
    pub over: bool,
    /// Its signatures; empty where they are not known.
    pub signatures: Vec<Signature>,
}

/// One way to call a function.
#[derive(Debug, Clone)]
pub struct Signature {
    /// Arguments in order.
    pub arguments: Vec<Parameter>,
    /// The result's type as SQL; `ANY_1` is the type of the argument of that name.
    pub result: &'static str,
}

/// An argument of a signature.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Name, where it may be passed by name.
    pub name: Option<&'static str>,
    /// Type as the list writes it.
    pub data_type: &'static str,
    /// May be left out.
    pub optional: bool,
    /// May stand any number of times, also never.
    pub repeated: bool,
}

/// The function of this name (in any case; family and name parted by a dot).
#[must_use]
pub fn builtin(name: &str) -> Option<&'static Builtin> {
    let mut buffer = [0_u8; 64];
    let upper = buffer.get_mut(..name.len())?;
    upper.copy_from_slice(name.as_bytes());
    upper.make_ascii_uppercase();
    table().get(std::str::from_utf8(upper).ok()?)
}

/// All built-in functions, by name.
pub fn all() -> impl Iterator<Item = &'static Builtin> {
    static ORDER: OnceLock<Vec<&'static Builtin>> = OnceLock::new();
    ORDER
        .get_or_init(|| {
            let mut list: Vec<&'static Builtin> = table().values().collect();
            list.sort_by_key(|b| b.name);
            list
        })
        .iter()
        .copied()
}

impl Builtin {
    /// The least and the greatest number of positional arguments; none where it is not known or not bounded.
    #[must_use]
    pub fn arity(&self) -> Option<(usize, Option<usize>)> {
        let mut bounds: Option<(usize, Option<usize>)> = None;
        for signature in &self.signatures {
            let least = signature
                .arguments
                .iter()
                .filter(|a| !a.optional && !a.repeated)
                .count();
            let open = signature.arguments.iter().any(|a| a.repeated);
            let most = (!open).then_some(signature.arguments.len());
            bounds = Some(match bounds {
                None => (least, most),
                Some((l, m)) => (l.min(least), m.zip(most).map(|(a, b)| a.max(b))),
            });
        }
        bounds
    }
}

impl Signature {
    /// As the documentation would print it: `(STRING, INT64[, INT64]) -> STRING`.
    #[must_use]
    pub fn label(&self) -> String {
        let mut out = String::from("(");
        for (i, argument) in self.arguments.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            let body = argument.label();
            if argument.optional {
                out.push_str(&format!("[{comma}{body}]"));
            } else if argument.repeated {
                out.push_str(&format!("{comma}{body}, …"));
            } else {
                out.push_str(&format!("{comma}{body}"));
            }
        }
        out.push_str(") -> ");
        out.push_str(&readable(self.result));
        out
    }
}

impl Parameter {
    /// Its type, with its name where it has one.
    #[must_use]
    pub fn label(&self) -> String {
        let data_type = readable(self.data_type);
        self.name
            .map_or(data_type.clone(), |n| format!("{n} => {data_type}"))
    }
}

/// Types of the list in the documentation's words.
fn readable(data_type: &str) -> String {
    match data_type {
        "ANY_1" | "ANY_2" | "ANY_3" | "ARBITRARY" => "T".to_owned(),
        "ARRAY_TYPE_ANY_1" => "ARRAY<T>".to_owned(),
        "RANGE_TYPE_ANY_1" => "RANGE<T>".to_owned(),
        "DateTimestampPart" => "date_part".to_owned(),
        other => other.to_owned(),
    }
}

fn table() -> &'static HashMap<&'static str, Builtin> {
    static TABLE: OnceLock<HashMap<&'static str, Builtin>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let lines = include_str!("../data/functions.tsv")
            .lines()
            .filter(|l| !l.starts_with('#'));
        lines.filter_map(read_line).map(|b| (b.name, b)).collect()
    })
}

fn read_line(line: &'static str) -> Option<Builtin> {
    let mut cells = line.split('\t');
    let name = cells.next()?;
    let kind = match cells.next()? {
        "S" => FunctionKind::Scalar,
        "A" => FunctionKind::Aggregate,
        "N" => FunctionKind::Analytic,
        _ => FunctionKind::Other,
    };
    let over = cells.next()? == "o";
    let signatures = cells
        .next()
        .unwrap_or_default()
        .split("; ")
        .filter_map(read_signature)
        .collect();
    Some(Builtin {
        name,
        kind,
        over,
        signatures,
    })
}

fn read_signature(text: &'static str) -> Option<Signature> {
    let (arguments, result) = text.rsplit_once("-> ")?;
    let arguments = split_top(arguments.trim())
        .into_iter()
        .filter(|a| !a.is_empty())
        .map(read_parameter)
        .collect();
    Some(Signature { arguments, result })
}

fn read_parameter(text: &'static str) -> Parameter {
    let optional = text.starts_with('?');
    let repeated = text.starts_with('*');
    let text = text.trim_start_matches(['?', '*']);
    let (name, data_type) = match text.split_once('=') {
        Some((name, data_type)) => (Some(name), data_type),
        None => (None, text),
    };
    Parameter {
        name,
        data_type,
        optional,
        repeated,
    }
}

/// Parts at commas outside angle brackets.
fn split_top(text: &'static str) -> Vec<&'static str> {
    let mut depth = 0_i32;
    text.split(|c| {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .collect()
}

/// What a function of another SQL dialect is called in BigQuery.
#[must_use]
pub fn foreign(name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    FOREIGN
        .binary_search_by(|(n, _)| n.cmp(&upper.as_str()))
        .ok()
        .map(|i| FOREIGN[i].1)
}

/// Sorted by name.
const FOREIGN: &[(&str, &str)] = &[
    ("ADD_MONTHS", "DATE_ADD"),
    ("AGE", "DATE_DIFF"),
    ("ARRAY_CONTAINS", "value IN UNNEST(array)"),
    ("ARRAY_JOIN", "ARRAY_TO_STRING"),
    ("ARRAY_SIZE", "ARRAY_LENGTH"),
    ("AVERAGE", "AVG"),
    ("BOOL_AND", "LOGICAL_AND"),
    ("BOOL_OR", "LOGICAL_OR"),
    ("CHARINDEX", "STRPOS"),
    ("CNT", "COUNT"),
    ("COLLECT_LIST", "ARRAY_AGG"),
    ("COLLECT_SET", "ARRAY_AGG"),
    ("CONVERT", "CAST"),
    ("CURDATE", "CURRENT_DATE"),
    ("DATEADD", "DATE_ADD"),
    ("DATEDIFF", "DATE_DIFF"),
    ("DATEFROMPARTS", "DATE"),
    ("DATEPART", "EXTRACT"),
    ("DATE_FORMAT", "FORMAT_DATE"),
    ("DATE_PART", "EXTRACT"),
    ("DATE_TRUNCATE", "DATE_TRUNC"),
    ("DAY", "EXTRACT"),
    ("DAYNAME", "FORMAT_DATE"),
    ("DAYOFWEEK", "EXTRACT"),
    ("DECODE", "CASE"),
    ("EXPLODE", "UNNEST"),
    ("FROM_UNIXTIME", "TIMESTAMP_SECONDS"),
    ("GENERATE_SERIES", "GENERATE_ARRAY"),
    ("GETDATE", "CURRENT_TIMESTAMP"),
    ("GET_JSON_OBJECT", "JSON_VALUE"),
    ("GROUP_CONCAT", "STRING_AGG"),
    ("HOUR", "EXTRACT"),
    ("IIF", "IF"),
    ("ISNULL", "IFNULL"),
    ("JSON_EXTRACT_PATH_TEXT", "JSON_VALUE"),
    ("JULIANDAY", "DATE_DIFF"),
    ("LCASE", "LOWER"),
    ("LEN", "LENGTH"),
    ("LISTAGG", "STRING_AGG"),
    ("LOCATE", "STRPOS"),
    ("MAKE_DATE", "DATE"),
    ("MAXIMUM", "MAX"),
    ("MEDIAN", "APPROX_QUANTILES"),
    ("MINIMUM", "MIN"),
    ("MINUTE", "EXTRACT"),
    ("MONTH", "EXTRACT"),
    ("MONTHNAME", "FORMAT_DATE"),
    ("MONTHS_BETWEEN", "DATE_DIFF"),
    ("NEWID", "GENERATE_UUID"),
    ("NOW", "CURRENT_TIMESTAMP"),
    ("NVL", "IFNULL"),
    ("NVL2", "IF"),
    ("PERCENTILE", "PERCENTILE_CONT"),
    ("QUARTER", "EXTRACT"),
    ("RANDOM", "RAND"),
    ("REGEXP_LIKE", "REGEXP_CONTAINS"),
    ("REGEXP_MATCH", "REGEXP_CONTAINS"),
    ("REGEXP_MATCHES", "REGEXP_EXTRACT_ALL"),
    ("ROW_COUNT", "COUNT"),
    ("SEQUENCE", "GENERATE_ARRAY"),
    ("SIZE", "ARRAY_LENGTH"),
    ("SPLIT_PART", "SPLIT"),
    ("STDEV", "STDDEV"),
    ("STRFTIME", "FORMAT_TIMESTAMP"),
    ("STRING_SPLIT", "SPLIT"),
    ("STRING_TO_ARRAY", "SPLIT"),
    ("STRLEN", "LENGTH"),
    ("STR_TO_DATE", "PARSE_DATE"),
    ("SUBSTRING_INDEX", "SPLIT"),
    ("SYSDATE", "CURRENT_DATETIME"),
    ("TIMESTAMPADD", "TIMESTAMP_ADD"),
    ("TIMESTAMPDIFF", "TIMESTAMP_DIFF"),
    ("TOTAL", "SUM"),
    ("TO_CHAR", "FORMAT_DATE"),
    ("TO_DATE", "PARSE_DATE"),
    ("TO_JSON_OBJECT", "TO_JSON"),
    ("TO_NUMBER", "CAST"),
    ("TO_TIMESTAMP", "PARSE_TIMESTAMP"),
    ("TRUNCATE", "TRUNC"),
    ("TRY_CAST", "SAFE_CAST"),
    ("UCASE", "UPPER"),
    ("UNIX_TIMESTAMP", "UNIX_SECONDS"),
    ("UUID", "GENERATE_UUID"),
    ("WEEK", "EXTRACT"),
    ("WEEKDAY", "EXTRACT"),
    ("YEAR", "EXTRACT"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_read() {
        let substr = builtin("substr").unwrap();
        assert_eq!(
            (substr.kind, substr.arity()),
            (FunctionKind::Scalar, Some((2, Some(3))))
        );
        assert_eq!(substr.signatures[0].label(), "(STRING, INT64[, INT64]) -> STRING");
        assert_eq!(builtin("SUBSTRING").unwrap().arity(), Some((2, Some(3))));
        assert_eq!(builtin("net.host").unwrap().kind, FunctionKind::Scalar);
        assert_eq!(builtin("concat").unwrap().arity(), Some((1, None)));
        assert!(builtin("nothing").is_none() && builtin(&"x".repeat(100)).is_none());
        assert!(all().count() > 390);
    }

    #[test]
    fn foreign_names_are_sorted_and_foreign() {
        assert!(FOREIGN.windows(2).all(|w| w[0].0 < w[1].0));
        for (name, _) in FOREIGN {
            assert!(builtin(name).is_none(), "{name}");
        }
        assert_eq!(foreign("nvl"), Some("IFNULL"));
    }
}
