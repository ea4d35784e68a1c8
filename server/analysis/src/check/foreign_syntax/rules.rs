//! The rules, each looking at one place of the token list.

use super::{Tokens, foreign, with_fix};
use crate::check::Diagnostic;
use crate::syntax::lexer::TokenKind;

/// Applies all rules at a token.
pub(super) fn at(tokens: &Tokens<'_>, at: usize, found: &mut Vec<Diagnostic>) {
    let rules = match tokens.kind(at) {
        Some(TokenKind::Symbol) => SYMBOL_RULES,
        Some(TokenKind::Word) if !tokens.symbol(at.wrapping_sub(1), ".") => WORD_RULES,
        _ => return,
    };
    // The first that applies: two findings on a token are one too many.
    found.extend(rules.iter().find_map(|rule| rule(tokens, at)));
}

type Rule = fn(&Tokens<'_>, usize) -> Option<Diagnostic>;

const SYMBOL_RULES: &[Rule] = &[double_colon, operators, colon, wildcard, legacy_table];
const WORD_RULES: &[Rule] = &[
    match_operators,
    top,
    set_operation,
    quoted_table,
    string_alias,
    reserved_alias,
    distinct_on,
    within_group,
    fetch,
    limit,
    values,
    with_clause,
    lateral_view,
    call_keywords,
    in_list,
    into,
    quantified,
    grouping,
    window,
    interval,
    insert_table,
];

fn double_colon(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    if !t.symbol(at, "::") {
        return None;
    }
    let diagnostic = foreign(t.range(at), "GoogleSQL has no `::`; write CAST(value AS type)");
    let (Some(start), true) = (
        t.operand_start(at.checked_sub(1)?),
        t.kind(at + 1) == Some(TokenKind::Word),
    ) else {
        return Some(diagnostic);
    };
    let operand = t.source.get(t.range(start).start..t.range(at - 1).end)?;
    let data_type = type_name(t.text(at + 1));
    // A parameter list belongs to the type.
    let end = if t.symbol(at + 2, "(") && t.symbol(at + 4, ")") {
        at + 4
    } else {
        at + 1
    };
    let edit = (
        t.range(start).start..t.range(end).end,
        format!("CAST({operand} AS {data_type})"),
    );
    Some(with_fix(diagnostic, "Write CAST", vec![edit], true))
}

/// BigQuery's name of a type of another dialect.
fn type_name(word: &str) -> String {
    let upper = word.to_ascii_uppercase();
    match upper.as_str() {
        "INT" | "INTEGER" | "BIGINT" | "SMALLINT" | "INT4" | "INT8" => "INT64".to_owned(),
        "TEXT" | "VARCHAR" | "CHAR" | "NVARCHAR" => "STRING".to_owned(),
        "FLOAT" | "DOUBLE" | "REAL" | "FLOAT8" | "FLOAT4" => "FLOAT64".to_owned(),
        "DECIMAL" => "NUMERIC".to_owned(),
        "BOOLEAN" => "BOOL".to_owned(),
        "TIMESTAMPTZ" => "TIMESTAMP".to_owned(),
        _ => upper,
    }
}

fn operators(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let before = t.operand(at.checked_sub(1)?);
    let simple = |new: &str| vec![(t.range(at), new.to_owned())];
    let text = t.text(at);
    match text {
        "==" => Some(with_fix(
            foreign(t.range(at), "GoogleSQL compares with `=`"),
            "Write `=`",
            simple("="),
            true,
        )),
        "<=>" => Some(foreign(
            t.range(at),
            "GoogleSQL has no `<=>`; write IS NOT DISTINCT FROM",
        )),
        "->>" => Some(foreign(
            t.range(at),
            "GoogleSQL has no `->>`; use JSON_VALUE(value, '$.path')",
        )),
        "%" if before => Some(modulo(t, at)),
        "**" if before => Some(foreign(t.range(at), "GoogleSQL has no `**`; use POW(x, y)")),
        "~" if before => Some(foreign(
            t.range(at),
            "GoogleSQL has no match operator `~`; use REGEXP_CONTAINS(value, regex)",
        )),
        "/" if t.symbol(at + 1, "/") && t.touching(at) => {
            Some(foreign(t.range(at), "GoogleSQL has no `//`; use DIV(x, y)"))
        }
        "&" if before && t.symbol(at + 1, "&") && t.touching(at) => {
            Some(foreign(t.range(at), "GoogleSQL has no `&&`; write AND"))
        }
        "!" => Some(foreign(t.range(at), "GoogleSQL has no `!`; write NOT")),
        _ => None,
    }
}

fn modulo(t: &Tokens<'_>, at: usize) -> Diagnostic {
    let diagnostic = foreign(t.range(at), "GoogleSQL has no `%`; use MOD(x, y)");
    let single = t.operand(at + 1) && !t.symbol(at + 2, ".") && !t.symbol(at + 2, "(");
    let Some(start) = t.operand_start(at - 1).filter(|_| single) else {
        return diagnostic;
    };
    let left = t
        .source
        .get(t.range(start).start..t.range(at - 1).end)
        .unwrap_or_default();
    let edit = (
        t.range(start).start..t.range(at + 1).end,
        format!("MOD({left}, {})", t.text(at + 1)),
    );
    with_fix(diagnostic, "Write MOD", vec![edit], true)
}

fn colon(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let graph = |i: usize| {
        t.symbol(i, "{") || t.keyword(i, "GRAPH") || t.keyword(i, "GRAPH_TABLE") || t.keyword(i, "MATCH")
    };
    if !t.symbol(at, ":") || !t.is_select() || (0..at).any(graph) {
        return None;
    }
    let operand = t.operand(at.checked_sub(1)?);
    if t.code.get(at + 1)?.is_name() && !operand {
        return Some(foreign(t.range(at), "a query parameter is written `@name`"));
    }
    Some(foreign(
        t.range(at),
        "GoogleSQL has no `:` here; a field is reached with a dot",
    ))
}

/// `FROM d.events_*` without quotes.
fn wildcard(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let name = at.checked_sub(1)?;
    if !t.symbol(at, "*") || !t.code.get(name)?.is_name() || !t.touching(name) {
        return None;
    }
    let mut start = name;
    while start >= 2 && (t.symbol(start - 1, ".") || t.symbol(start - 1, "-")) {
        start -= 2;
    }
    let before = start.checked_sub(1)?;
    if start == name
        || !(t.keyword(before, "FROM") || t.keyword(before, "JOIN"))
        || t.call_of(at).eq_ignore_ascii_case("EXTRACT")
    {
        return None;
    }
    let range = t.range(start).start..t.range(at).end;
    let path: String = t.source.get(range.clone())?.replace('`', "");
    let diagnostic = foreign(range.clone(), "a table name with a wildcard needs backquotes");
    Some(with_fix(
        diagnostic,
        "Put it in backquotes",
        vec![(range, format!("`{path}`"))],
        true,
    ))
}

/// `FROM [project:dataset.table]` of legacy SQL.
fn legacy_table(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let before = at.checked_sub(1)?;
    let table = t.symbol(at, "[") && (t.keyword(before, "FROM") || t.keyword(before, "JOIN"));
    table.then(|| {
        foreign(
            t.range(at),
            "tables in square brackets are legacy SQL; use backquotes",
        )
    })
}

fn match_operators(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let mut before = at.checked_sub(1)?;
    let negated = t.keyword(before, "NOT");
    if negated {
        before = before.checked_sub(1)?;
    }
    let literal = matches!(t.kind(at + 1), Some(TokenKind::String | TokenKind::Parameter));
    if !t.operand(before) || !literal {
        return similar(t, at);
    }
    let word = t.text(at).to_ascii_uppercase();
    match word.as_str() {
        "ILIKE" => {
            let diagnostic = foreign(t.range(at), "GoogleSQL has no ILIKE; compare LOWER(…) with LIKE");
            let Some(start) = t.operand_start(before) else {
                return Some(diagnostic);
            };
            let left = t.source.get(t.range(start).start..t.range(before).end)?;
            let not = if negated { "NOT " } else { "" };
            let new = format!("LOWER({left}) {not}LIKE LOWER({})", t.text(at + 1));
            let edit = (t.range(start).start..t.range(at + 1).end, new);
            Some(with_fix(diagnostic, "Compare in lower case", vec![edit], true))
        }
        "RLIKE" | "REGEXP" | "GLOB" => {
            let diagnostic = foreign(
                t.range(at),
                format!("GoogleSQL has no {word}; use REGEXP_CONTAINS(value, regex)"),
            );
            Some(diagnostic)
        }
        "ESCAPE" => Some(foreign(
            t.range(at),
            "LIKE has no ESCAPE in GoogleSQL; escape with a backslash",
        )),
        _ => None,
    }
}

fn similar(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let is = t.keyword(at, "SIMILAR") && t.keyword(at + 1, "TO");
    is.then(|| {
        foreign(
            t.range(at),
            "GoogleSQL has no SIMILAR TO; use REGEXP_CONTAINS(value, regex)",
        )
    })
}

fn top(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let selects = t.keyword(at.checked_sub(1)?, "SELECT") || t.keyword(at - 1, "DISTINCT");
    (t.keyword(at, "TOP") && selects && t.kind(at + 1) == Some(TokenKind::Number) && !t.symbol(at + 2, ","))
        .then(|| foreign(t.range(at), "GoogleSQL has no TOP; write LIMIT at the end"))
}

fn set_operation(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let word = ["UNION", "INTERSECT", "EXCEPT"]
        .into_iter()
        .find(|w| t.keyword(at, w))?;
    let query = t.keyword(at + 1, "SELECT")
        || t.keyword(at + 1, "WITH")
        || (word != "EXCEPT" && t.symbol(at + 1, "("));
    if !query {
        return None;
    }
    let diagnostic = foreign(t.range(at), format!("{word} must be followed by ALL or DISTINCT"));
    let edit = (t.range(at).end..t.range(at).end, " DISTINCT".to_owned());
    Some(with_fix(
        diagnostic,
        &format!("Write {word} DISTINCT"),
        vec![edit],
        true,
    ))
}

/// Brackets in which FROM begins no table list.
const FROM_CALLS: &[&str] = &["EXTRACT", "TRIM", "SUBSTRING", "SUBSTR", "OVERLAY"];

fn quoted_table(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let from = t.keyword(at, "FROM") && !t.keyword(at.wrapping_sub(1), "DISTINCT");
    let call = FROM_CALLS.iter().any(|c| t.call_of(at).eq_ignore_ascii_case(c));
    if !(from || t.keyword(at, "JOIN")) || call || t.kind(at + 1) != Some(TokenKind::String) {
        return None;
    }
    let literal = t.text(at + 1);
    let diagnostic = foreign(
        t.range(at + 1),
        "a table name stands in backquotes, not in string quotes",
    );
    let inner = literal.trim_matches(['"', '\'']);
    if inner.contains(['\\', '`', '\n']) || literal.len() != inner.len() + 2 {
        return Some(diagnostic);
    }
    Some(with_fix(
        diagnostic,
        "Use backquotes",
        vec![(t.range(at + 1), format!("`{inner}`"))],
        true,
    ))
}

fn string_alias(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    if !t.keyword(at, "AS") || t.kind(at + 1) != Some(TokenKind::String) {
        return None;
    }
    let create = t.keyword(0, "CREATE") && !(0..at).any(|i| t.keyword(i, "SELECT"));
    let unpivot = (0..at).any(|i| t.keyword(i, "UNPIVOT"));
    if create || unpivot || t.call_of(at).eq_ignore_ascii_case("WITH") {
        return None;
    }
    let literal = t.text(at + 1);
    let diagnostic = foreign(
        t.range(at + 1),
        "an alias is no string: write it plain or in backquotes",
    );
    let inner = literal.trim_matches(['"', '\'']);
    if inner.contains(['\\', '`', '\n']) || inner.is_empty() || literal.len() != inner.len() + 2 {
        return Some(diagnostic);
    }
    Some(with_fix(
        diagnostic,
        "Use backquotes",
        vec![(t.range(at + 1), format!("`{inner}`"))],
        true,
    ))
}

/// Reserved words that nothing but an alias could make stand after AS.
const NO_ALIAS: &[&str] = &[
    "ALL",
    "AND",
    "ANY",
    "ASC",
    "AT",
    "BETWEEN",
    "BY",
    "COLLATE",
    "CROSS",
    "CURRENT",
    "DEFAULT",
    "DESC",
    "DISTINCT",
    "END",
    "EXCEPT",
    "FETCH",
    "FOLLOWING",
    "FOR",
    "FULL",
    "GROUP",
    "GROUPS",
    "HASH",
    "HAVING",
    "IGNORE",
    "IN",
    "INNER",
    "INTO",
    "IS",
    "JOIN",
    "LATERAL",
    "LIKE",
    "LIMIT",
    "LOOKUP",
    "MERGE",
    "NATURAL",
    "NO",
    "NULLS",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PRECEDING",
    "QUALIFY",
    "RESPECT",
    "ROLLUP",
    "ROWS",
    "SET",
    "SOME",
    "TABLESAMPLE",
    "THEN",
    "TO",
    "UNBOUNDED",
    "UNION",
    "USING",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITHIN",
];
/// Reserved words that cannot stand alone as a select item.
const NO_COLUMN: &[&str] = &[
    "ROWS",
    "WINDOW",
    "CURRENT",
    "SET",
    "AT",
    "GROUPS",
    "HASH",
    "TO",
    "OF",
    "ON",
    "LOOKUP",
    "PARTITION",
    "OVER",
    "END",
];

fn reserved_alias(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let is = |words: &[&str]| words.iter().any(|w| t.keyword(at, w));
    let before = at.checked_sub(1)?;
    let alias = t.keyword(before, "AS") && is(NO_ALIAS);
    let selected = (t.keyword(before, "SELECT")
        || (t.symbol(before, ",") && t.clause_of(before) == Some("SELECT")))
        && (t.symbol(at + 1, ",") || t.keyword(at + 1, "FROM"))
        && is(NO_COLUMN);
    let bare_from = t.keyword(before, "AS") && t.keyword(at, "FROM") && t.clause_of(before) == Some("SELECT");
    if bare_from {
        return Some(foreign(t.range(at), "the name after AS is missing"));
    }
    if !alias && !selected {
        return None;
    }
    let word = t.text(at);
    let diagnostic = foreign(
        t.range(at),
        format!("`{word}` is a reserved word: as a name it needs backquotes"),
    );
    Some(with_fix(
        diagnostic,
        "Use backquotes",
        vec![(t.range(at), format!("`{word}`"))],
        true,
    ))
}

fn distinct_on(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let is = t.keyword(at, "ON") && t.keyword(at.checked_sub(1)?, "DISTINCT") && t.symbol(at + 1, "(");
    is.then(|| {
        foreign(
            t.range(at),
            "GoogleSQL has no DISTINCT ON; use QUALIFY ROW_NUMBER() OVER (PARTITION BY …) = 1",
        )
    })
}

fn within_group(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let is = t.keyword(at, "WITHIN") && t.keyword(at + 1, "GROUP") && t.symbol(at.checked_sub(1)?, ")");
    is.then(|| {
        foreign(
            t.range(at),
            "GoogleSQL has no WITHIN GROUP; put ORDER BY inside the call",
        )
    })
}

fn fetch(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let is = t.keyword(at, "FETCH") && (t.keyword(at + 1, "FIRST") || t.keyword(at + 1, "NEXT"));
    is.then(|| foreign(t.range(at), "GoogleSQL has no FETCH FIRST; write LIMIT"))
}

fn limit(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let pair = t.keyword(at, "LIMIT")
        && t.kind(at + 1) == Some(TokenKind::Number)
        && t.symbol(at + 2, ",")
        && t.kind(at + 3) == Some(TokenKind::Number)
        && t.call_of(at).is_empty();
    if !pair {
        return None;
    }
    let diagnostic = foreign(
        t.range(at),
        "LIMIT takes one number; write LIMIT count OFFSET skip",
    );
    let new = format!("LIMIT {} OFFSET {}", t.text(at + 3), t.text(at + 1));
    Some(with_fix(
        diagnostic,
        "Write OFFSET",
        vec![(t.range(at).start..t.range(at + 3).end, new)],
        true,
    ))
}

fn values(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let opened = at > 1
        && t.symbol(at - 1, "(")
        && (t.keyword(at - 2, "FROM") || t.keyword(at - 2, "JOIN") || t.keyword(at - 2, "AS"));
    let is = t.keyword(at, "VALUES") && t.symbol(at + 1, "(") && opened;
    is.then(|| {
        foreign(
            t.range(at),
            "GoogleSQL has no table of VALUES; use UNNEST([STRUCT(…), …])",
        )
    })
}

fn with_clause(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    if t.keyword(at, "AS") {
        let materialized = t.keyword(at + 1, "MATERIALIZED")
            || (t.keyword(at + 1, "NOT") && t.keyword(at + 2, "MATERIALIZED"));
        return (materialized && t.clause_of(at) == Some("WITH"))
            .then(|| foreign(t.range(at + 1), "WITH has no MATERIALIZED in GoogleSQL"));
    }
    let top = t.parents.get(at).copied().flatten().is_none();
    if top && t.keyword(0, "WITH") && t.clause_of(at) == Some("SELECT") && t.keyword(at, "SELECT") {
        let comma = at
            .checked_sub(1)
            .filter(|&b| t.symbol(b, ",") && t.symbol(b.wrapping_sub(1), ")"))?;
        let with = t.clause_of(comma) == Some("WITH");
        let diagnostic = foreign(t.range(comma), "there is a comma before the main query of WITH");
        return with.then(|| {
            with_fix(
                diagnostic,
                "Remove the comma",
                vec![(t.range(comma), String::new())],
                true,
            )
        });
    }
    let dml = ["INSERT", "UPDATE", "DELETE", "MERGE"]
        .iter()
        .any(|w| t.keyword(at, w));
    if top
        && dml
        && t.keyword(0, "WITH")
        && t.symbol(at.wrapping_sub(1), ")")
        && t.clause_of(at - 1) == Some("WITH")
    {
        return Some(foreign(
            t.range(at),
            "WITH cannot stand before DML; put it into the query of the statement",
        ));
    }
    if t.keyword(at, "WITH") {
        let name = if t.keyword(at + 1, "RECURSIVE") {
            at + 2
        } else {
            at + 1
        };
        let close = (name + 2..t.len()).find(|&i| t.symbol(i, ")"))?;
        let listed =
            t.name(name) && t.symbol(name + 1, "(") && t.keyword(close + 1, "AS") && t.symbol(close + 2, "(");
        return listed.then(|| {
            foreign(
                t.range(name + 1),
                "a WITH clause has no column list; name the columns in its query",
            )
        });
    }
    None
}

fn lateral_view(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let is = t.keyword(at, "LATERAL") && t.keyword(at + 1, "VIEW");
    is.then(|| {
        foreign(
            t.range(at),
            "GoogleSQL has no LATERAL VIEW; write CROSS JOIN UNNEST(array)",
        )
    })
}

/// Words inside the brackets of some calls.
fn call_keywords(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let call = t.call_of(at).to_ascii_uppercase();
    let first = t.symbol(at.checked_sub(1)?, "(");
    match call.as_str() {
        "TRIM" if first && ["LEADING", "TRAILING", "BOTH"].iter().any(|w| t.keyword(at, w)) => {
            let plain = t.symbol(at + 1, ",") || t.symbol(at + 1, ")") || t.symbol(at + 1, ".");
            (!plain).then(|| {
                foreign(
                    t.range(at),
                    "TRIM takes arguments: TRIM(value, characters), LTRIM, RTRIM",
                )
            })
        }
        "SUBSTRING" | "SUBSTR" if t.keyword(at, "FROM") && !first => Some(foreign(
            t.range(at),
            "SUBSTR takes arguments: SUBSTR(value, position, length)",
        )),
        _ if t.keyword(at, "SEPARATOR") && t.kind(at + 1) == Some(TokenKind::String) && !call.is_empty() => {
            Some(foreign(t.range(at), "write STRING_AGG(value, separator)"))
        }
        _ => None,
    }
}

fn in_list(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    if !t.keyword(at, "IN")
        || !t.is_select()
        || !t.operand(if t.keyword(at.checked_sub(1)?, "NOT") {
            at.checked_sub(2)?
        } else {
            at - 1
        })
    {
        return None;
    }
    if t.symbol(at + 1, "[") {
        return Some(foreign(
            t.range(at + 1),
            "IN takes a list in round brackets, or UNNEST(array)",
        ));
    }
    let other = t.name(at + 1) && !t.symbol(at + 2, "(") && t.call_of(at).eq_ignore_ascii_case("POSITION");
    other.then(|| {
        foreign(
            t.range(at),
            "GoogleSQL has no POSITION(… IN …); use STRPOS(value, part)",
        )
    })
}

fn into(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let is = t.keyword(at, "INTO") && t.keyword(0, "SELECT") && t.clause_of(at) == Some("SELECT");
    is.then(|| {
        foreign(
            t.range(at),
            "GoogleSQL has no SELECT INTO; write CREATE TABLE … AS SELECT",
        )
    })
}

fn quantified(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let compared = ["=", "<", ">", "<=", ">=", "<>", "!="]
        .iter()
        .any(|o| t.symbol(at.wrapping_sub(1), o));
    let is = compared && ["ANY", "ALL", "SOME"].iter().any(|w| t.keyword(at, w)) && t.symbol(at + 1, "(");
    is.then(|| {
        foreign(
            t.range(at),
            "GoogleSQL has no quantified comparison; use IN, or IN UNNEST(array)",
        )
    })
}

fn grouping(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let is = t.keyword(at, "WITH")
        && ["ROLLUP", "CUBE", "TOTALS"].iter().any(|w| t.keyword(at + 1, w))
        && !t.keyword(at + 2, "AS");
    if is && t.clause_of(at.wrapping_sub(1)) == Some("GROUP") {
        return Some(foreign(t.range(at), "write GROUP BY ROLLUP(…)"));
    }
    let zone = t.keyword(at, "WITH") && t.keyword(at + 1, "TIME") && t.keyword(at + 2, "ZONE");
    zone.then(|| {
        foreign(
            t.range(at),
            "a TIMESTAMP always has a time zone: leave WITH TIME ZONE out",
        )
    })
}

fn window(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let nulls = (t.keyword(at, "IGNORE") || t.keyword(at, "RESPECT"))
        && t.keyword(at + 1, "NULLS")
        && t.keyword(at + 2, "OVER")
        && t.symbol(at.wrapping_sub(1), ")");
    if nulls {
        return Some(foreign(
            t.range(at),
            "IGNORE NULLS stands inside the brackets of the call",
        ));
    }
    let groups = t.keyword(at, "GROUPS")
        && ["BETWEEN", "CURRENT", "UNBOUNDED"]
            .iter()
            .any(|w| t.keyword(at + 1, w));
    groups.then(|| foreign(t.range(at), "a window frame is ROWS or RANGE"))
}

/// `INTERVAL '7 days'`
fn interval(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let ends = t.code.get(at + 2).is_none_or(|n| n.kind == TokenKind::Symbol)
        || [
            "AND", "OR", "FROM", "AS", "WHERE", "GROUP", "ORDER", "THEN", "ELSE", "END", "LIMIT",
        ]
        .iter()
        .any(|w| t.keyword(at + 2, w));
    if !t.keyword(at, "INTERVAL") || t.kind(at + 1) != Some(TokenKind::String) || !ends {
        return None;
    }
    let diagnostic = foreign(
        t.range(at + 1),
        "an INTERVAL needs its unit outside the quotes: INTERVAL 7 DAY",
    );
    let inner = t.text(at + 1).trim_matches(['"', '\'']).trim();
    let Some((number, unit)) = inner.split_once(' ') else {
        return Some(diagnostic);
    };
    let unit = unit.trim().to_ascii_uppercase();
    let unit = unit.strip_suffix('S').unwrap_or(&unit);
    let known = [
        "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR",
    ]
    .contains(&unit);
    if !known || number.parse::<i64>().is_err() {
        return Some(diagnostic);
    }
    Some(with_fix(
        diagnostic,
        "Write the unit outside",
        vec![(t.range(at + 1), format!("{number} {unit}"))],
        true,
    ))
}

fn insert_table(t: &Tokens<'_>, at: usize) -> Option<Diagnostic> {
    let overwrite = t.keyword(at, "OVERWRITE")
        && at == 1
        && t.keyword(0, "INSERT")
        && (t.keyword(2, "TABLE") || t.keyword(2, "INTO"));
    let table =
        t.keyword(at, "TABLE") && at == 2 && t.keyword(0, "INSERT") && t.keyword(1, "INTO") && t.name(3);
    (overwrite || table).then(|| foreign(t.range(at), "write INSERT INTO and the table's name"))
}
