//! What a name is: a table's card, a column's type and description, a function's signatures.

use std::fmt::Write as _;
use std::ops::Range;

use super::Place;
use crate::functions;
use crate::resolve::Meaning;
use crate::schema::{CatalogSnapshot, RoutineKind, TableMatch, TableReference, TableSchema};
use crate::syntax::lexer::{Token, unquote};
use crate::types::Field;

/// Text for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hover {
    /// The name's bytes.
    pub range: Range<usize>,
    /// Markdown. What comes from a catalog is escaped.
    pub markdown: String,
    /// The table that it is, or that it comes from.
    pub table: Option<TableReference>,
}

/// Columns that a table's card shows.
const COLUMNS: usize = 30;

/// What the name at an offset is; none where nothing is known of it.
#[must_use]
pub fn hover(text: &str, offset: usize, snapshot: &CatalogSnapshot) -> Option<Hover> {
    let place = Place::new(text, offset);
    let token = *place.token_at(offset)?;
    if !token.is_name() {
        return None;
    }
    let resolution = place.resolution(text, snapshot);
    let found = resolution
        .iter()
        .flat_map(|r| &r.uses)
        .filter(|u| u.range.start <= offset && offset <= u.range.end)
        .min_by_key(|u| (u.range.len(), !matches!(u.what, Meaning::Column(..))));
    if let Some(found) = found {
        let markdown = match &found.what {
            Meaning::Table(reference) => table_card(snapshot, snapshot.table(reference)?),
            Meaning::Column(field, table) => column_card(snapshot, field, table.as_ref()),
            Meaning::Cte(_) => format!("`{}`: a query of WITH", escape(token.text(text))),
            Meaning::Alias(_, Some(reference)) => {
                let card = table_card(snapshot, snapshot.table(reference)?);
                format!("`{}` is\n\n{card}", escape(token.text(text)))
            }
            Meaning::Alias(_, None) => format!("`{}`: a relation of this query", escape(token.text(text))),
        };
        let table = match &found.what {
            Meaning::Table(reference) | Meaning::Alias(_, Some(reference)) => Some(reference.clone()),
            Meaning::Column(_, table) => table.clone(),
            Meaning::Cte(_) | Meaning::Alias(_, None) => None,
        };
        return Some(Hover {
            range: found.range.clone(),
            markdown,
            table,
        });
    }
    function_card(text, &place, &token, snapshot).or_else(|| table_by_path(text, &place, &token, snapshot))
}

/// Without a tree the tokens still tell a table's path.
fn table_by_path(text: &str, place: &Place, token: &Token, snapshot: &CatalogSnapshot) -> Option<Hover> {
    let tokens = &place.split.tokens;
    let at = tokens.iter().position(|t| t == token)?;
    let (mut first, mut last) = (at, at);
    while first >= 2 && tokens[first - 1].is_symbol(text, ".") && tokens[first - 2].is_name() {
        first -= 2;
    }
    while tokens.get(last + 1).is_some_and(|t| t.is_symbol(text, "."))
        && tokens.get(last + 2).is_some_and(Token::is_name)
    {
        last += 2;
    }
    let joined: Vec<String> = tokens[first..=last]
        .iter()
        .step_by(2)
        .map(|t| unquote(t.text(text)))
        .collect();
    let joined = joined.join(".");
    let parts: Vec<&str> = joined.split('.').collect();
    match snapshot.find(&parts) {
        TableMatch::Found { table, .. } => Some(Hover {
            range: tokens[first].start..tokens[last].end,
            markdown: table_card(snapshot, &table),
            table: Some(table.reference.clone()),
        }),
        TableMatch::Unknown(_) => None,
    }
}

fn function_card(text: &str, place: &Place, token: &Token, snapshot: &CatalogSnapshot) -> Option<Hover> {
    let tokens = &place.split.tokens;
    let at = tokens.iter().position(|t| t == token)?;
    let mut first = at;
    while first >= 2 && tokens[first - 1].is_symbol(text, ".") && tokens[first - 2].is_name() {
        first -= 2;
    }
    let called = tokens.get(at + 1).is_some_and(|t| t.is_symbol(text, "("));
    let parts: Vec<String> = tokens[first..=at]
        .iter()
        .step_by(2)
        .map(|t| unquote(t.text(text)))
        .collect();
    let name = parts.join(".");
    let upper = name.to_ascii_uppercase();
    let plain = upper.strip_prefix("SAFE.").unwrap_or(&upper);
    let range = tokens[first].start..token.end;
    if let Some(builtin) = functions::builtin(plain).filter(|_| called || plain.starts_with("CURRENT_")) {
        let mut markdown = String::from("```sql\n");
        for signature in &builtin.signatures {
            let _ = writeln!(markdown, "{}{}", builtin.name, signature.label());
        }
        if builtin.signatures.is_empty() {
            let _ = writeln!(markdown, "{}(…)", builtin.name);
        }
        markdown.push_str("```\n");
        markdown.push_str(match builtin.kind {
            functions::FunctionKind::Aggregate => "Aggregate function",
            functions::FunctionKind::Analytic => "Window function: needs OVER",
            _ => "Function",
        });
        return Some(Hover {
            range,
            markdown,
            table: None,
        });
    }
    let dotted: Vec<&str> = name.split('.').collect();
    let routine = snapshot.routine(&dotted)?;
    let kind = match routine.kind {
        RoutineKind::Scalar => "function",
        RoutineKind::Aggregate => "aggregate function",
        RoutineKind::Table => "table function",
        RoutineKind::Procedure => "procedure",
    };
    // In a code block nothing of it is markup, but for the end of the block.
    let signature = routine
        .signature(&snapshot.display_name(&routine.reference))
        .replace('`', "");
    let mut markdown = format!("```sql\n{signature}\n```\n{kind} (routine)");
    if !routine.description.is_empty() {
        let _ = write!(markdown, "\n\n{}", escape(&routine.description));
    }
    Some(Hover {
        range,
        markdown,
        table: None,
    })
}

fn table_card(snapshot: &CatalogSnapshot, table: &TableSchema) -> String {
    let mut card = format!("**{}**", escape(&snapshot.display_name(&table.reference)));
    if let Some(kind) = table.kind.words() {
        let _ = write!(card, " · {kind}");
        if let Some(base) = &table.notes.base {
            let _ = write!(card, " of `{}`", escape(&snapshot.display_name(base)));
        }
    }
    if let Some(rows) = table.num_rows {
        let _ = write!(card, " · {rows} rows");
    }
    if let Some(bytes) = table.num_bytes {
        let _ = write!(card, " · {}", size(bytes));
    }
    if !table.description.is_empty() {
        let _ = write!(card, "\n\n{}", escape(&table.description));
    }
    if let Some(partitioning) = &table.partitioning {
        let column = partitioning.column.as_deref().unwrap_or("_PARTITIONTIME");
        let _ = write!(
            card,
            "\n\nPartitioned by `{}` ({})",
            escape(column),
            escape(&partitioning.kind)
        );
        if partitioning.require_filter {
            card.push_str(", a filter on it is required");
        }
    }
    if !table.clustering.is_empty() {
        let columns: Vec<String> = table
            .clustering
            .iter()
            .map(|c| format!("`{}`", escape(c)))
            .collect();
        let _ = write!(card, "\n\nClustered by {}", columns.join(", "));
    }
    for key in &table.foreign_keys {
        let pair = |(own, other): &(String, String)| format!("`{}` → `{}`", escape(own), escape(other));
        let pairs: Vec<String> = key.columns.iter().map(pair).collect();
        let other = escape(&snapshot.display_name(&key.table));
        let _ = write!(card, "\n\nRefers to `{other}`: {}", pairs.join(", "));
    }
    if !table.notes.labels.is_empty() {
        let label = |(key, value): &(String, String)| format!("`{}: {}`", escape(key), escape(value));
        let labels: Vec<String> = table.notes.labels.iter().map(label).collect();
        let _ = write!(card, "\n\nLabels {}", labels.join(", "));
    }
    card.push_str("\n\n| column | type | |\n|---|---|---|");
    for column in table.columns.iter().take(COLUMNS) {
        let short: String = column.description.chars().take(80).collect();
        let tagged = policy_tags(table, &column.name).next().is_some();
        let key = match (table.primary_key.contains(&column.name), tagged) {
            (true, true) => " (key, policy tag)",
            (true, false) => " (key)",
            (false, true) => " (policy tag)",
            (false, false) => "",
        };
        let _ = write!(
            card,
            "\n| `{}`{key} | {} | {} |",
            escape(&column.name),
            escape(&column.sql_type()),
            escape(&short)
        );
    }
    if table.columns.len() > COLUMNS {
        let _ = write!(card, "\n\n… and {} more columns", table.columns.len() - COLUMNS);
    }
    card
}

fn column_card(snapshot: &CatalogSnapshot, field: &Field, table: Option<&TableReference>) -> String {
    let mut card = format!("**{}** `{}`", escape(&field.name), escape(&field.data_type.sql()));
    if let Some(table) = table {
        let _ = write!(card, " · {}", escape(&snapshot.display_name(table)));
    }
    if !field.description.is_empty() {
        let _ = write!(card, "\n\n{}", escape(&field.description));
    }
    let table = table.and_then(|table| snapshot.table(table));
    for tag in table
        .into_iter()
        .flat_map(|table| policy_tags(table, &field.name))
    {
        let _ = write!(
            card,
            "\n\nPolicy tag `{}`: reading it needs Fine-Grained Reader on the tag",
            escape(tag)
        );
    }
    card
}

/// The policy tags of a column and of what is in it.
fn policy_tags<'a>(table: &'a TableSchema, column: &str) -> impl Iterator<Item = &'a str> {
    let within = move |path: &str| {
        let top = path.split('.').next().unwrap_or(path);
        top.eq_ignore_ascii_case(column)
    };
    let tags = table.notes.policy_tags.iter();
    let of_column: Vec<&'a str> = tags
        .filter(|(path, _)| within(path))
        .flat_map(|(_, tags)| tags.iter().map(String::as_str))
        .collect();
    of_column.into_iter()
}

/// Text as Markdown shows it, in one line. Text of a catalog is data: it must not become markup.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '|' | '*' | '[' | ']' | '<' | '>' | '`' | '\\' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

fn size(bytes: u64) -> String {
    let mut amount = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if amount < 1024.0 {
            return format!("{amount:.0} {unit}");
        }
        amount /= 1024.0;
    }
    format!("{amount:.0} PiB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::read_resources;

    /// As `bq show` prints a clone, a snapshot of it, and routines.
    const CATALOG: &str = r#"[
        {"tableReference": {"projectId": "p", "datasetId": "shop", "tableId": "people"}, "type": "TABLE",
         "labels": {"team": "sales", "cost|center": "7"}, "clustering": {"fields": ["city"]},
         "cloneDefinition": {"baseTableReference": {"projectId": "p", "datasetId": "shop", "tableId": "persons"}},
         "tableConstraints": {"primaryKey": {"columns": ["id"]}, "foreignKeys": [
           {"referencedTable": {"projectId": "p", "datasetId": "shop", "tableId": "cities"},
            "columnReferences": [{"referencingColumn": "city", "referencedColumn": "id"}]}]},
         "schema": {"fields": [
           {"name": "id", "type": "INTEGER"},
           {"name": "city", "type": "STRING"},
           {"name": "address", "type": "RECORD", "fields": [
             {"name": "street", "type": "STRING", "policyTags": {"names": ["projects/p/taxonomies/1/policyTags/2"]}}]},
           {"name": "kind", "type": "NEWTYPE", "policyTags": 7}]}},
        {"routineReference": {"projectId": "p", "datasetId": "shop", "routineId": "twice"},
         "routineType": "SCALAR_FUNCTION", "description": "Two times *x*",
         "arguments": [{"name": "x", "dataType": {"typeKind": "INT64"}}, {"name": "y"}],
         "returnType": {"typeKind": "ARRAY", "arrayElementType": {"typeKind": "INT64"}}},
        {"routineReference": {"projectId": "p", "datasetId": "shop", "routineId": "rows"},
         "routineType": "TABLE_VALUED_FUNCTION",
         "returnTableType": {"columns": [{"name": "a", "type": {"typeKind": "STRING"}}]}},
        {"routineReference": {"projectId": "q", "datasetId": "shop", "routineId": "far"}}]"#;

    fn snapshot() -> CatalogSnapshot {
        let (tables, routines, errors) = read_resources(CATALOG);
        assert!(errors.is_empty(), "{errors:?}");
        CatalogSnapshot::new(Some("p".to_owned()), tables, routines)
    }

    fn card(text: &str, name: &str) -> String {
        let offset = text.find(name).expect("the name stands there") + 1;
        hover(text, offset, &snapshot())
            .map(|h| h.markdown)
            .unwrap_or_default()
    }

    #[test]
    fn a_tables_card_tells_what_bigquery_tells() {
        let card = card("SELECT 1 FROM shop.people", "people");
        for part in [
            "**shop.people** · clone of `shop.persons`",
            "Clustered by `city`",
            "Refers to `shop.cities`: `city` → `id`",
            "Labels `cost\\|center: 7`, `team: sales`",
            "| `id` (key) |",
            "| `address` (policy tag) |",
            "| `kind` | NEWTYPE |",
        ] {
            assert!(card.contains(part), "{part}: {card}");
        }
    }

    #[test]
    fn a_columns_card_names_its_policy_tag() {
        let card = card("SELECT address FROM shop.people", "address");
        assert!(
            card.contains("Policy tag `projects/p/taxonomies/1/policyTags/2`"),
            "{card}"
        );
    }

    #[test]
    fn a_routines_card_has_its_signature() {
        let twice = card("SELECT shop.twice(1, 2)", "twice");
        assert!(
            twice.contains("shop.twice(x INT64, y ANY TYPE) -> ARRAY<INT64>\n"),
            "{twice}"
        );
        assert!(
            twice.contains("function (routine)") && twice.contains(r"Two times \*x\*"),
            "{twice}"
        );
        let rows = card("SELECT shop.rows()", "rows");
        assert!(rows.contains("shop.rows() -> TABLE<a STRING>"), "{rows}");
    }

    #[test]
    fn a_routine_is_that_of_its_project() {
        let snapshot = snapshot();
        assert!(snapshot.routine(&["shop", "far"]).is_none());
        assert!(snapshot.routine(&["q", "shop", "far"]).is_some());
        assert!(snapshot.routine(&["p", "SHOP", "twice"]).is_some());
        assert!(
            snapshot.knows_routines_of(&["shop", "x"]) && snapshot.knows_routines_of(&["q", "shop", "x"])
        );
        assert!(!snapshot.knows_routines_of(&["r", "shop", "x"]));
    }
}
