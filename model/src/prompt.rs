//! The prompt: rules, the tables that matter with types, descriptions and joins, and the question.
//!
//! One function renders it for serving, training and measuring, in exactly the form that the default adapter is
//! trained on. All that comes out of a catalog is data: line breaks and control characters are taken out, so that
//! a description can neither begin a line of its own nor end its quotes. Everything up to `Question:` depends on
//! the tables shown and the evidence alone, which is what a prefix cache lives on.

use std::sync::Arc;

use bigquill_analysis::schema::{CatalogSnapshot, TableReference, TableSchema};

use crate::generate::{Message, Prompt, Role};

mod budget;
mod render;

pub(crate) use render::one_line;
pub use render::table_path;

/// The rules that every prompt begins with.
pub const SYSTEM: &str = "You translate questions into BigQuery SQL. Answer with one query and nothing else.";

/// Tokens that a prompt may have, where nobody says otherwise: what the adapter was trained on.
pub const DEFAULT_BUDGET: usize = 1000;

/// What a prompt is made of.
#[derive(Debug, Clone, Copy)]
pub struct PromptInput<'a> {
    /// What is asked, in plain language.
    pub question: &'a str,
    /// Further knowledge that the question needs, where there is some.
    pub evidence: Option<&'a str>,
    /// The tables that there are.
    pub snapshot: &'a CatalogSnapshot,
    /// Tokens that rules, tables and question may have together; [`DEFAULT_BUDGET`] is usual. A question that is
    /// longer than that alone is not cut.
    pub budget: usize,
}

/// The prompt of a question. `count` tells how many tokens a text has.
///
/// Over the budget first the descriptions go, then the tables that have least to do with the question, then
/// columns. Tables stand in the catalog's order, those of more than 200 in the order of their names.
#[must_use]
pub fn build(input: &PromptInput<'_>, count: &dyn Fn(&str) -> usize) -> Prompt {
    build_with(input, &[], count)
}

/// The prompt of a question, in which tables of `required` stay whatever the budget: whoever learns an answer must be
/// shown what it names.
#[must_use]
pub fn build_with(
    input: &PromptInput<'_>,
    required: &[TableReference],
    count: &dyn Fn(&str) -> usize,
) -> Prompt {
    let selection = budget::select(input, required, count);
    let user = render::user_text(input, &selection);
    Prompt {
        messages: vec![
            message(Role::System, SYSTEM.to_owned()),
            message(Role::User, user),
        ],
    }
}

/// The prompt that asks again: the answer that did not hold, and what the check found in it.
#[must_use]
pub fn repair(prompt: &Prompt, sql: &str, findings: &[String]) -> Prompt {
    let mut text = "This query is not valid:\n".to_owned();
    for finding in findings {
        text.push_str("- ");
        text.push_str(&render::one_line(finding));
        text.push('\n');
    }
    text.push_str("Answer with the corrected query and nothing else.");
    let mut repaired = prompt.clone();
    repaired.messages.push(message(Role::Assistant, sql.to_owned()));
    repaired.messages.push(message(Role::User, text));
    repaired
}

/// The paths of the tables that a rendered prompt shows, in its order; none where it is of another form.
pub fn shown_tables(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().skip_while(|line| *line != "Tables:").skip(1);
    lines
        .map_while(|line| line.strip_prefix("- "))
        .filter_map(|line| Some(line.split_once(": ")?.0))
}

fn message(role: Role, content: String) -> Message {
    Message { role, content }
}

/// What a prompt shows, in the catalog's order.
#[derive(Debug, Clone, Default)]
struct Selection {
    tables: Vec<ShownTable>,
    descriptions: bool,
}

/// A table and which of its columns are shown.
#[derive(Debug, Clone)]
struct ShownTable {
    schema: Arc<TableSchema>,
    /// Indices into the table's columns, ascending; none where all are shown.
    columns: Option<Vec<usize>>,
}

#[cfg(test)]
mod tests;
