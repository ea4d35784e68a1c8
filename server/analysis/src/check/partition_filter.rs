//! A partitioned table without a condition on its partitions: BigQuery reads, and bills, all of it, or refuses where
//! the table wants such a condition
//! (<https://cloud.google.com/bigquery/docs/querying-partitioned-tables#require_a_partition_filter_in_queries>).

use std::ops::Range;

use super::{Code, Diagnostic, Fix, Severity};
use crate::schema::{DataType, quote_name};
use crate::syntax::lexer::{Token, TokenKind, tokens};

/// Words that end a FROM clause, or the WHERE clause after it.
const NEXT_CLAUSE: &[&str] = &[
    "WHERE",
    "GROUP",
    "HAVING",
    "QUALIFY",
    "WINDOW",
    "ORDER",
    "LIMIT",
    "UNION",
    "INTERSECT",
    "EXCEPT",
];

/// A table that is read without a condition on its partitions.
#[derive(Debug, Clone)]
pub struct Unfiltered<'a> {
    /// Where it is named.
    pub range: Range<usize>,
    /// Its name as a person says it.
    pub table: &'a str,
    /// What it is partitioned by.
    pub column: &'a str,
    /// The column's type; none where it is not known.
    pub data_type: Option<DataType>,
    /// What must stand before the column's name.
    pub qualifier: Option<&'a str>,
    /// BigQuery refuses to read it so.
    pub required: bool,
    /// A condition in WHERE changes nothing but what is read.
    pub fixable: bool,
}

/// The finding: an error where BigQuery refuses, information where it only costs.
#[must_use]
pub fn diagnostic(text: &str, unfiltered: &Unfiltered<'_>) -> Diagnostic {
    let Unfiltered { table, column, .. } = unfiltered;
    let message = if unfiltered.required {
        format!("`{table}` cannot be read without a condition on `{column}`, which it is partitioned by")
    } else {
        format!(
            "all partitions of `{table}` are read: no condition on `{column}`, which it is partitioned by"
        )
    };
    let mut diagnostic = Diagnostic::error(Code::MissingPartitionFilter, unfiltered.range.clone(), message);
    if !unfiltered.required {
        diagnostic.severity = Severity::Information;
    }
    if unfiltered.fixable {
        diagnostic.fixes.extend(fix(text, unfiltered));
    }
    diagnostic
}

fn fix(text: &str, unfiltered: &Unfiltered<'_>) -> Option<Fix> {
    let column = match unfiltered.qualifier {
        Some(qualifier) => format!("{}.{}", quote_name(qualifier), quote_name(unfiltered.column)),
        None => quote_name(unfiltered.column),
    };
    let since = match unfiltered.data_type.as_ref()? {
        DataType::Date => "DATE_SUB(CURRENT_DATE(), INTERVAL 7 DAY)",
        DataType::DateTime => "DATETIME_SUB(CURRENT_DATETIME(), INTERVAL 7 DAY)",
        DataType::Timestamp => "TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 7 DAY)",
        _ => return None,
    };
    Some(Fix {
        title: format!("Read the last seven days of `{}` only", unfiltered.table),
        edits: edits(text, unfiltered.range.end, &format!("{column} >= {since}"))?,
        preferred: false,
    })
}

/// The condition put into the WHERE clause of the query that names the table here, or a new one.
fn edits(text: &str, table_end: usize, condition: &str) -> Option<Vec<(Range<usize>, String)>> {
    let all = tokens(text);
    let code: Vec<&Token> = all.iter().filter(|token| !token.is_comment()).collect();
    let from = code.partition_point(|token| token.end <= table_end);
    let stop = clause_end(text, &code, from);
    let last = code.get(stop.checked_sub(1)?)?;
    if ["OUTER", "FULL", "LEFT", "INNER"]
        .iter()
        .any(|word| last.is_word(text, word))
    {
        return None; // of `FULL OUTER UNION ALL BY NAME`
    }
    let before = last.end;
    match code.get(stop) {
        Some(word) if word.is_word(text, "WHERE") => {
            let end = clause_end(text, &code, stop + 1);
            let last = code.get(end.checked_sub(1)?)?;
            let first = code.get(stop + 1)?;
            if has_or(text, code.get(stop + 1..end)?) {
                Some(vec![
                    (first.start..first.start, format!("{condition} AND (")),
                    (last.end..last.end, ")".to_owned()),
                ])
            } else {
                Some(vec![(first.start..first.start, format!("{condition} AND "))])
            }
        }
        Some(pipe) if pipe.is_symbol(text, "|>") => {
            Some(vec![(before..before, format!("\n|> WHERE {condition}"))])
        }
        _ => Some(vec![(before..before, format!("\nWHERE {condition}"))]),
    }
}

/// The first token from here on that ends a clause: the word of the next, `|>`, `;`, or what closes a bracket around it.
fn clause_end(text: &str, code: &[&Token], from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in code.iter().enumerate().skip(from) {
        match token.text(text) {
            "(" | "[" => depth += 1,
            ")" | "]" if depth == 0 => return at,
            ")" | "]" => depth -= 1,
            ";" | "|>" if depth == 0 => return at,
            _ if depth == 0
                && NEXT_CLAUSE.iter().any(|word| token.is_word(text, word))
                && !(at > 0 && code[at - 1].is_symbol(text, ".")) =>
            {
                return at;
            }
            _ => {}
        }
    }
    code.len()
}

fn has_or(text: &str, code: &[&Token]) -> bool {
    let mut depth = 0_usize;
    code.iter().any(|token| {
        match token.text(text) {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && token.kind == TokenKind::Word && token.is_word(text, "OR")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{apply_edits, check};
    use crate::schema::{CatalogSnapshot, read_resources};

    fn snapshot(partitioning: &str) -> CatalogSnapshot {
        let table = |name: &str, more: &str| {
            format!(
                r#"{{"tableReference": {{"projectId": "p", "datasetId": "d", "tableId": "{name}"}}, {more}
                "schema": {{"fields": [{{"name": "day", "type": "DATE"}}, {{"name": "at", "type": "TIMESTAMP"}},
                {{"name": "id", "type": "INTEGER"}}]}}}}"#
            )
        };
        let json = format!("[{}, {}]", table("logs", partitioning), table("plain", ""));
        let (tables, routines, problems) = read_resources(&json);
        assert!(problems.is_empty(), "{problems:?}");
        CatalogSnapshot::new(None, tables, routines)
    }

    const BY_DAY: &str = r#""timePartitioning": {"type": "DAY", "field": "day"},"#;
    const REQUIRED: &str =
        r#""timePartitioning": {"type": "DAY", "field": "day"}, "requirePartitionFilter": true,"#;
    const INGESTION: &str = r#""timePartitioning": {"type": "DAY"},"#;

    fn found(sql: &str, snapshot: &CatalogSnapshot) -> Vec<Diagnostic> {
        let mut found = check(sql, snapshot);
        found.retain(|d| d.code == Code::MissingPartitionFilter);
        found
    }

    #[test]
    fn a_condition_anywhere_that_reaches_the_partitions_is_enough() {
        let snapshot = snapshot(BY_DAY);
        for sql in [
            "SELECT id FROM d.logs WHERE day = CURRENT_DATE()",
            "SELECT id FROM d.logs l JOIN d.plain p ON l.day = p.day",
            "SELECT id FROM d.logs JOIN d.plain USING (day)",
            "SELECT * FROM (SELECT * FROM d.logs) WHERE day > '2024-01-01'",
            "WITH x AS (SELECT DATE_TRUNC(day, MONTH) AS month, id FROM d.logs) SELECT id FROM x WHERE month = '2024-01-01'",
            "FROM d.logs |> WHERE day > '2024-01-01' |> SELECT id",
            "SELECT id FROM d.plain",
            "SELECT e FROM (SELECT c AS e FROM (SELECT day AS c FROM d.logs)) WHERE e > '2024-01-01'",
            "FROM d.logs |> EXTEND day AS c |> WHERE c > '2024-01-01'",
            "SELECT a.id FROM (d.logs a JOIN d.plain b ON a.day = b.day)",
            "UPDATE d.plain SET id = 1 FROM (SELECT * FROM d.logs) l WHERE l.day = plain.day",
            "CREATE VIEW d.v AS SELECT id FROM d.logs",
            "SELECT (SELECT COUNT(*) FROM d.logs WHERE logs.day = p.day) FROM d.plain p",
        ] {
            assert_eq!(found(sql, &snapshot), [], "{sql}");
        }
        for sql in [
            "SELECT id FROM d.logs",
            "SELECT day, COUNT(*) FROM d.logs GROUP BY day",
            "SELECT id FROM d.logs WHERE id = 3",
            "SELECT l.id FROM d.logs l JOIN d.plain p USING (id) WHERE p.day = '2024-01-01'",
        ] {
            let found = found(sql, &snapshot);
            assert_eq!(found.len(), 1, "{sql}");
            assert_eq!(found[0].severity, Severity::Information);
            assert_eq!(&sql[found[0].range.clone()], "d.logs");
        }
    }

    #[test]
    fn where_bigquery_refuses_it_is_an_error_and_where_little_is_read_nothing() {
        let sql = "SELECT id FROM d.logs";
        let required = found(sql, &snapshot(REQUIRED));
        assert_eq!(required[0].severity, Severity::Error);
        assert_eq!(
            required[0].message,
            "`d.logs` cannot be read without a condition on `day`, which it is partitioned by"
        );
        let small = format!(r#"{BY_DAY} "numBytes": "1000","#);
        assert_eq!(found(sql, &snapshot(&small)), []);
    }

    #[test]
    fn the_fix_puts_the_condition_where_it_belongs() {
        let by_day = snapshot(BY_DAY);
        let since = "day >= DATE_SUB(CURRENT_DATE(), INTERVAL 7 DAY)";
        for (sql, expected) in [
            (
                "SELECT id FROM d.logs -- all\nLIMIT 3",
                format!("SELECT id FROM d.logs\nWHERE {since} -- all\nLIMIT 3"),
            ),
            (
                "SELECT id FROM d.logs WHERE id = 3",
                format!("SELECT id FROM d.logs WHERE {since} AND id = 3"),
            ),
            (
                "SELECT id FROM d.logs WHERE id = 3 OR id = 4 GROUP BY id",
                format!("SELECT id FROM d.logs WHERE {since} AND (id = 3 OR id = 4) GROUP BY id"),
            ),
            (
                "SELECT 1 FROM (SELECT id FROM d.logs) x WHERE id IN (1)",
                format!("SELECT 1 FROM (SELECT id FROM d.logs\nWHERE {since}) x WHERE id IN (1)"),
            ),
            (
                "SELECT a.id FROM d.logs a JOIN d.plain b ON a.id = b.id;",
                format!("SELECT a.id FROM d.logs a JOIN d.plain b ON a.id = b.id\nWHERE a.{since};"),
            ),
            (
                "FROM d.logs |> SELECT id",
                format!("FROM d.logs\n|> WHERE {since} |> SELECT id"),
            ),
        ] {
            let found = found(sql, &by_day);
            assert_eq!(found.len(), 1, "{sql}");
            let fixed = apply_edits(sql, &found[0].fixes[0].edits);
            assert_eq!(fixed, expected);
            assert_eq!(check(&fixed, &by_day), [], "{fixed}");
        }
        for sql in [
            "SELECT a.id FROM d.plain b LEFT JOIN d.logs a ON a.id = b.id",
            "SELECT a.id FROM (d.logs a JOIN d.plain b ON a.id = b.id)",
            "SELECT id FROM d.logs FULL OUTER UNION ALL BY NAME SELECT id FROM d.plain",
        ] {
            let found = found(sql, &by_day);
            assert!(found.iter().all(|d| d.fixes.is_empty()), "{sql}");
        }
        let found = found("SELECT id FROM d.logs", &snapshot(INGESTION));
        let fix = &found[0].fixes[0].edits[0].1;
        assert!(fix.contains("_PARTITIONTIME >= TIMESTAMP_SUB"), "{fix}");
    }
}
