//! A function that BigQuery does not have, or one called with too few or too many arguments.

use std::ops::Range;

use sqlparser::ast::{Function, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::{Code, Diagnostic, Fix, Severity};
use crate::functions::{self, Builtin};
use crate::schema::CatalogSnapshot;
use crate::suggest::nearest;

/// Families of built-in functions of which all members are known.
#[must_use]
pub fn is_family(name: &str) -> bool {
    ["NET", "HLL_COUNT", "KLL_QUANTILES", "AEAD", "KEYS"]
        .iter()
        .any(|f| f.eq_ignore_ascii_case(name))
}

/// There is no function of this name.
#[must_use]
pub fn diagnostic(range: Range<usize>, name: &str) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(
        Code::UnknownFunction,
        range.clone(),
        format!("BigQuery has no function `{name}`"),
    );
    if let Some(other) = functions::foreign(name) {
        diagnostic.message.push_str(&format!("; here it is `{other}`"));
        // Only names whose arguments are the same may simply be exchanged.
        if matches!(
            other,
            "IFNULL"
                | "LOWER"
                | "UPPER"
                | "LENGTH"
                | "AVG"
                | "COUNT"
                | "IF"
                | "SAFE_CAST"
                | "MAX"
                | "MIN"
                | "SUM"
                | "STDDEV"
                | "LOGICAL_AND"
                | "LOGICAL_OR"
                | "RAND"
                | "GENERATE_UUID"
                | "REGEXP_CONTAINS"
        ) {
            diagnostic.fixes.push(Fix {
                title: format!("Change to {other}"),
                edits: vec![(range, other.to_owned())],
                preferred: true,
            });
        }
        return diagnostic;
    }
    let names = functions::all().map(|b| b.name).filter(|n| !n.contains('.'));
    let Some(found) = nearest(name, names) else {
        // It may be newer than the list, or a temporary function that another statement of the session makes.
        diagnostic.severity = Severity::Information;
        return diagnostic;
    };
    diagnostic
        .message
        .push_str(&format!("; did you mean `{}`?", found.name));
    diagnostic.fixes.push(Fix {
        title: format!("Change to {}", found.name),
        edits: vec![(range, found.name.to_owned())],
        preferred: found.sure,
    });
    diagnostic
}

/// The dataset or family is known, and has no such function.
#[must_use]
pub fn in_family(range: Range<usize>, names: &[&str], snapshot: &CatalogSnapshot) -> Diagnostic {
    let joined = names.join(".");
    let message = format!("there is no function `{joined}`");
    let diagnostic = Diagnostic::error(Code::UnknownFunction, range.clone(), message);
    let builtin = functions::all()
        .map(|b| b.name)
        .filter(|n| n.contains('.'))
        .map(str::to_owned);
    let own = snapshot.routines().map(|r| {
        if names.len() > 2 {
            r.reference.to_string()
        } else {
            format!("{}.{}", r.reference.dataset, r.reference.table)
        }
    });
    let all: Vec<String> = builtin.chain(own).collect();
    let Some(found) = nearest(&joined, all.iter().map(String::as_str)) else {
        return diagnostic;
    };
    let mut diagnostic = diagnostic;
    diagnostic
        .message
        .push_str(&format!("; did you mean `{}`?", found.name));
    diagnostic.fixes.push(Fix {
        title: format!("Change to {}", found.name),
        edits: vec![(range, found.name.to_owned())],
        preferred: found.sure,
    });
    diagnostic
}

/// Reports a number of arguments that no signature takes.
pub fn check_arguments(
    builtin: &Builtin,
    function: &Function,
    range: &Range<usize>,
    report: &mut dyn FnMut(Diagnostic),
) {
    let FunctionArguments::List(list) = &function.args else {
        return;
    };
    let plain = list
        .args
        .iter()
        .all(|a| matches!(a, FunctionArg::Unnamed(FunctionArgExpr::Expr(_))));
    if !plain || EXEMPT.contains(&builtin.name) {
        return;
    }
    let Some((least, most)) = arity(builtin) else {
        return;
    };
    let count = list.args.len();
    if count >= least && most.is_none_or(|m| count <= m) {
        return;
    }
    let wanted = match most {
        Some(most) if most == least => format!("{least}"),
        Some(most) => format!("{least} to {most}"),
        None => format!("at least {least}"),
    };
    let mut diagnostic = Diagnostic::error(
        Code::ArgumentCount,
        range.clone(),
        format!("`{}` takes {wanted} arguments, not {count}", builtin.name),
    );
    diagnostic.notes = builtin
        .signatures
        .iter()
        .map(|s| format!("{}{}", builtin.name, s.label()))
        .collect();
    report(diagnostic);
}

/// The list counts `INTERVAL n part` as two arguments; the tree as one.
fn arity(builtin: &Builtin) -> Option<(usize, Option<usize>)> {
    let (least, most) = builtin.arity()?;
    let date = ["DATE", "DATETIME", "TIME", "TIMESTAMP"].iter().any(|d| {
        builtin
            .name
            .strip_prefix(d)
            .is_some_and(|rest| matches!(rest, "_ADD" | "_SUB"))
    });
    Some(match builtin.name {
        _ if date => (2, Some(2)),
        "GENERATE_DATE_ARRAY" => (2, Some(3)),
        "GENERATE_TIMESTAMP_ARRAY" => (3, Some(3)),
        _ => (least, most),
    })
}

/// Functions whose number of arguments says nothing: the list has not all their forms.
const EXEMPT: &[&str] = &[
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_DATETIME",
    "CURRENT_TIMESTAMP",
    "STRUCT",
    "ARRAY",
];
