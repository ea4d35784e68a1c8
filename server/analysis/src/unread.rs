//! Tables that a text names and whose schema was not read: what a catalog should fetch before analysis is asked.
//!
//! Found from tokens, so that a broken statement names its tables too. A name that the catalog does not list counts
//! only where a table must stand: `c.country` is no table, `FROM c.country` is one.

use std::collections::BTreeSet;

use crate::schema::{CatalogSnapshot, TableMatch, TableReference, UnknownTable};
use crate::syntax::lexer::{Token, tokens, unquote};

/// Words that a table's name follows.
const BEFORE_TABLE: [&str; 7] = ["FROM", "JOIN", "INTO", "UPDATE", "TABLE", "MERGE", "USING"];

/// The tables of a text to read, in the order of their names. Of a project that the text does not name it is the
/// default one; without that nothing can be asked.
#[must_use]
pub fn unread_tables(text: &str, snapshot: &CatalogSnapshot) -> Vec<TableReference> {
    let mut found = BTreeSet::new();
    for_each_path(text, |path| {
        let after_word = path
            .before
            .is_some_and(|before| BEFORE_TABLE.iter().any(|word| before.is_word(text, word)));
        found.extend(unread(&path.parts, after_word, snapshot));
    });
    found.into_iter().collect()
}

/// The datasets, each with its project, of routines that a text calls and of which the catalog knows none. Only
/// datasets that the catalog lists: `a.b(c)` may be a method of nothing.
#[must_use]
pub fn unread_routines(text: &str, snapshot: &CatalogSnapshot) -> Vec<(String, String)> {
    if snapshot.listing().is_empty() {
        return Vec::new();
    }
    let mut found = BTreeSet::new();
    for_each_path(text, |path| {
        let parts: Vec<&str> = path.parts.iter().map(String::as_str).collect();
        let [before @ .., dataset, _] = parts.as_slice() else {
            return;
        };
        let is_call = path.after.is_some_and(|token| token.is_symbol(text, "("));
        if !is_call || snapshot.knows_routines_of(&parts) {
            return;
        }
        let project = if before.is_empty() {
            snapshot.default_project.clone()
        } else {
            Some(before.join("."))
        };
        let listed = project.filter(|project| {
            let listing = snapshot.listing().get(project);
            listing.is_some_and(|listing| listing.datasets.contains_key(*dataset))
        });
        found.extend(listed.map(|project| (project, (*dataset).to_owned())));
    });
    found.into_iter().collect()
}

/// A dotted path, cut at every dot, between its neighbours.
struct Path<'c> {
    before: Option<&'c Token>,
    parts: Vec<String>,
    after: Option<&'c Token>,
}

/// Calls for every path of a text from its first name on, in order.
fn for_each_path(text: &str, mut call: impl FnMut(Path<'_>)) {
    let code: Vec<Token> = tokens(text).into_iter().filter(|t| !t.is_comment()).collect();
    let mut at = 0;
    while at < code.len() {
        let before = at.checked_sub(1).map(|before| &code[before]);
        if !code[at].is_name() || before.is_some_and(|before| before.is_symbol(text, ".")) {
            at += 1;
            continue;
        }
        let (parts, next) = path(text, &code, at);
        at = next;
        call(Path {
            before,
            parts,
            after: code.get(next),
        });
    }
}

/// The dotted path that begins here, cut at every dot, and the token after it. Dashes hold a project's name together.
fn path(text: &str, code: &[Token], start: usize) -> (Vec<String>, usize) {
    let mut written = unquote(code[start].text(text));
    let mut at = start + 1;
    while let (Some(symbol), Some(name)) = (code.get(at), code.get(at + 1)) {
        let dash =
            symbol.is_symbol(text, "-") && symbol.start == code[at - 1].end && name.start == symbol.end;
        let joined = symbol.is_symbol(text, ".") || dash;
        let starred = symbol.is_symbol(text, ".") && name.is_symbol(text, "*");
        if !joined || starred || !(name.is_name() || dash) {
            break;
        }
        written.push_str(symbol.text(text));
        written.push_str(&unquote(name.text(text)));
        at += 2;
    }
    (written.split('.').map(str::to_owned).collect(), at)
}

fn unread(path: &[String], must_be_table: bool, snapshot: &CatalogSnapshot) -> Option<TableReference> {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let [before @ .., dataset, table] = parts.as_slice() else {
        return None;
    };
    if before
        .last()
        .is_some_and(|p| p.eq_ignore_ascii_case("INFORMATION_SCHEMA"))
        || dataset.eq_ignore_ascii_case("INFORMATION_SCHEMA")
    {
        return None;
    }
    let written = || {
        let project = before.join(".");
        let project = Some(project)
            .filter(|p| !p.is_empty())
            .or_else(|| snapshot.default_project.clone())?;
        Some(TableReference {
            project,
            dataset: (*dataset).to_owned(),
            table: (*table).to_owned(),
        })
    };
    match snapshot.find(&parts) {
        TableMatch::Found { table: found, .. } if found.columns.is_empty() => {
            let reference = &found.reference;
            let listed = snapshot
                .listing()
                .get(&reference.project)
                .and_then(|project| project.datasets.get(&reference.dataset))
                .is_some_and(Option::is_some);
            (listed || must_be_table).then(|| reference.clone())
        }
        // In no list may be a dataset of which the account may read single tables.
        TableMatch::Unknown(UnknownTable::InUnknownProject | UnknownTable::InKnownProject)
            if must_be_table =>
        {
            written()
        }
        TableMatch::Found { .. } | TableMatch::Unknown(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::schema::ProjectListing;

    fn unread(text: &str) -> Vec<String> {
        let names = ["events_*", "orders"].map(Box::from);
        let datasets = BTreeMap::from([
            ("shop".to_owned(), Some(Arc::from(names))),
            ("far".to_owned(), None),
        ]);
        let listing = ProjectListing {
            complete: true,
            datasets,
        };
        let snapshot = CatalogSnapshot::new(Some("p".to_owned()), [], [])
            .with_listing(Arc::new(BTreeMap::from([("p".to_owned(), listing)])));
        let tables = unread_tables(text, &snapshot);
        tables.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn tables_are_found_where_they_stand() {
        for (text, expected) in [
            (
                "SELECT o.a, FROM shop.orders o, shop.events_20240101",
                vec!["p.shop.events_*", "p.shop.orders"],
            ),
            (
                "SELECT c.x.y FROM far.t c JOIN `p.shop.orders`",
                vec!["p.far.t", "p.shop.orders"],
            ),
            (
                "SELECT * FROM bigquery-public-data.samples.wikipedia",
                vec!["bigquery-public-data.samples.wikipedia"],
            ),
            (
                "SELECT a.b.c -- FROM shop.orders\nFROM shop.nothing, nowhere.t",
                vec![],
            ),
            ("SELECT * FROM shop.INFORMATION_SCHEMA.TABLES", vec![]),
            ("SELECT shop.orders.* FROM shop.", vec!["p.shop.orders"]),
        ] {
            assert_eq!(unread(text), expected, "{text}");
        }
    }

    #[test]
    fn datasets_of_called_routines_are_found_where_they_are_listed() {
        let listing = ProjectListing {
            complete: true,
            datasets: BTreeMap::from([("shop".to_owned(), None), ("tools".to_owned(), None)]),
        };
        let routine = r#"{"routineReference": {"projectId": "p", "datasetId": "tools", "routineId": "f"}}"#;
        let (_, routines, _) = crate::schema::read_resources(routine);
        let snapshot = CatalogSnapshot::new(Some("p".to_owned()), [], routines)
            .with_listing(Arc::new(BTreeMap::from([("p".to_owned(), listing)])));
        let text = "SELECT shop.twice(1), `p.shop`.twice(2), tools.g(3), c.f(4), shop.t, SAFE.LOG(5) FROM x";
        assert_eq!(
            unread_routines(text, &snapshot),
            [("p".to_owned(), "shop".to_owned())]
        );
    }
}
