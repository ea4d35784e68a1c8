//! A name that no visible relation has, or an alias that is not there.

use std::ops::Range;

use super::{Code, Diagnostic, Fix};
use crate::resolve::{Relation, Source};
use crate::schema::quote_name;
use crate::suggest::nearest;
use crate::types::Type;

/// What is visible where a qualifier is missing.
#[derive(Debug)]
pub struct Visible<'v> {
    /// Range variables.
    pub aliases: &'v [&'v str],
    /// Range variables whose relation has the column.
    pub having: &'v [&'v str],
    /// Tables with their range variables.
    pub tables: &'v [(&'v str, &'v str)],
    /// Columns of all relations.
    pub columns: &'v [&'v str],
}

/// No relation has the column `name`; `blind` where there is no FROM at all.
#[must_use]
pub fn diagnostic(range: Range<usize>, name: &str, candidates: &[String], blind: bool) -> Diagnostic {
    let found = nearest(name, candidates.iter().map(String::as_str));
    let message = format!("there is no column `{name}` here");
    let mut diagnostic =
        Diagnostic::error(Code::UnknownColumn, range.clone(), message).suggesting(range, found);
    if blind {
        diagnostic
            .notes
            .push("the query has no FROM clause that could give it columns".to_owned());
    }
    diagnostic
}

/// The relation before the dot has no such column; `elsewhere` are relations that do.
#[must_use]
pub fn in_relation(
    qualifier: Range<usize>,
    range: Range<usize>,
    (alias, name): (&str, &str),
    relation: &Relation,
    elsewhere: &[String],
) -> Diagnostic {
    let scalar = relation.value.as_ref().filter(|v| !matches!(v, Type::Struct(_)));
    let message = match (&relation.source, scalar) {
        (_, Some(value)) => format!(
            "`{alias}` is a value of type {}, without a column `{name}`",
            value.sql()
        ),
        (Source::Table { reference, .. }, _) if !reference.table.eq_ignore_ascii_case(alias) => {
            format!(
                "`{alias}` (`{}.{}`) has no column `{name}`",
                reference.dataset, reference.table
            )
        }
        _ => format!("`{alias}` has no column `{name}`"),
    };
    let mut diagnostic = Diagnostic::error(Code::UnknownColumn, range.clone(), message);
    let found = nearest(name, relation.columns.iter().map(|f| &*f.name));
    match (elsewhere, &found) {
        // The name is right and the qualifier wrong, unless the relation has nearly the same name.
        ([only], None) => {
            diagnostic.message.push_str(&format!("; `{only}` has it"));
            diagnostic.fixes.push(Fix {
                title: format!("Use `{only}.{name}`"),
                edits: vec![(qualifier, quote_name(only))],
                preferred: true,
            });
            diagnostic
        }
        (others, _) => {
            let mut diagnostic = diagnostic.suggesting(range, found);
            for other in others {
                diagnostic.fixes.push(Fix {
                    title: format!("Use `{other}.{name}`"),
                    edits: vec![(qualifier.clone(), quote_name(other))],
                    preferred: false,
                });
            }
            if let [only] = others {
                // The exact name in one other relation is a better guess than a similar one here.
                for fix in &mut diagnostic.fixes {
                    fix.preferred = fix.title.contains(&format!("`{only}.{name}`"));
                }
            }
            diagnostic
        }
    }
}

/// No relation or column of the name before the dot.
#[must_use]
pub fn unknown_qualifier(
    (name, range): (&str, Range<usize>),
    (column, column_range): (&str, Range<usize>),
    visible: &Visible<'_>,
) -> Diagnostic {
    let message = format!("there is no table, alias or column `{name}` here");
    let mut diagnostic = Diagnostic::error(Code::UnknownQualifier, range.clone(), message);
    if let Some((table, alias)) = visible.tables.iter().find(|(t, _)| t.eq_ignore_ascii_case(name)) {
        diagnostic
            .message
            .push_str(&format!("; the table `{table}` is called `{alias}` here"));
        diagnostic.fixes.push(replace(&range, alias, true));
        return diagnostic;
    }
    if let Some((table, alias)) = visible
        .tables
        .iter()
        .find(|(t, _)| t.eq_ignore_ascii_case(column))
    {
        // `dataset.table.column`
        diagnostic
            .message
            .push_str(&format!("; the table `{table}` is called `{alias}` here"));
        diagnostic
            .fixes
            .push(replace(&(range.start..column_range.end), alias, true));
        return diagnostic;
    }
    let names = visible.aliases.iter().chain(visible.columns).copied();
    if let Some(found) = nearest(name, names)
        && (visible.having.is_empty() || visible.having.contains(&found.name))
    {
        return diagnostic.suggesting(range, Some(found));
    }
    if let [only] = visible.having {
        diagnostic
            .message
            .push_str(&format!("; `{only}` has a column `{column}`"));
        diagnostic.fixes.push(replace(&range, only, true));
    }
    diagnostic
}

fn replace(range: &Range<usize>, name: &str, preferred: bool) -> Fix {
    Fix {
        title: format!("Change to `{name}`"),
        edits: vec![(range.clone(), quote_name(name))],
        preferred,
    }
}

/// A column of a list (EXCEPT, REPLACE, INSERT, pipe DROP) that is not there.
#[must_use]
pub fn in_list<'n>(
    range: Range<usize>,
    name: &str,
    clause: &str,
    names: impl Iterator<Item = &'n str>,
) -> Diagnostic {
    let message = format!("there is no column `{name}` for {clause}");
    Diagnostic::error(Code::UnknownColumn, range.clone(), message).suggesting(range, nearest(name, names))
}

/// A column of USING that one side does not have.
#[must_use]
pub fn in_using(range: Range<usize>, name: &str, side: &str, names: Vec<&str>) -> Diagnostic {
    let message = format!("column `{name}` of USING is not on the {side} side of the join");
    Diagnostic::error(Code::UnknownColumn, range.clone(), message).suggesting(range, nearest(name, names))
}

/// Says where an alias of the select list, used in WHERE, is visible.
pub fn note_select_alias(diagnostic: &mut Diagnostic, aliases: &[&str]) {
    if diagnostic.code != Code::UnknownColumn {
        return;
    }
    let named = aliases.iter().find(|a| {
        diagnostic
            .message
            .starts_with(&format!("there is no column `{a}` here"))
    });
    if let Some(alias) = named {
        diagnostic.notes.push(format!(
            "`{alias}` is an alias of the select list, which WHERE does not see"
        ));
    }
}
