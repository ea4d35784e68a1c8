//! The synthesizer from outside, with a check that only looks at the text. GoogleSQL's word on what is made comes with
//! `finetune data synthesize`, which `tests/finetune/synthesize.rs` runs.

use std::collections::HashSet;
use std::path::PathBuf;

use bigquill_analysis::check::{Severity, check};
use bigquill_analysis::schema::read_resources;

use super::*;
use crate::train::data::Catalogs;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("catalogs")
}

fn catalogs() -> Vec<Named> {
    let catalogs = Catalogs::read(&[folder()]).expect("the catalogs to learn from");
    let named = |(name, snapshot): (&str, &Arc<CatalogSnapshot>)| Named {
        name: name.to_owned(),
        snapshot: Arc::clone(snapshot),
    };
    catalogs.iter().map(named).collect()
}

/// The fast layer of the server: it reports what it can prove.
struct Resolver;

impl Check for Resolver {
    fn accepts(&self, sql: &str, catalog: &CatalogSnapshot) -> bool {
        check(sql, catalog)
            .iter()
            .all(|finding| finding.severity != Severity::Error)
    }
}

fn made(catalogs: Vec<Named>, seed: u64, count: usize) -> Vec<Pair> {
    let weights = Weights::built_in().expect("the built-in weights");
    let mut synthesizer = Synthesizer::new(catalogs, &weights, seed, count);
    let mut pairs = Vec::new();
    while pairs.len() < count
        && let Some(more) = synthesizer.batch(&Resolver, 2, 64).expect("nothing is run")
    {
        pairs.extend(more);
    }
    pairs.truncate(count);
    pairs
}

fn of_tables(text: &str) -> Vec<Named> {
    let (tables, routines, errors) = read_resources(text);
    assert!(errors.is_empty(), "{errors:?}");
    vec![Named {
        name: "given".to_owned(),
        snapshot: Arc::new(CatalogSnapshot::new(None, tables, routines)),
    }]
}

fn table(columns: &str) -> Vec<Named> {
    of_tables(&format!(
        r#"{{"tableReference": {{"projectId": "p", "datasetId": "d", "tableId": "t"}}, "schema": {{"fields": [{columns}]}}}}"#
    ))
}

#[test]
fn the_catalogs_to_learn_from_are_whole() {
    let catalogs = catalogs();
    assert!(catalogs.len() >= 60, "{} catalogs", catalogs.len());
    for Named { name, snapshot } in &catalogs {
        let tables: Vec<_> = snapshot.tables().collect();
        assert!(
            (1..=8).contains(&tables.len()),
            "{name} has {} tables",
            tables.len()
        );
        for table in &tables {
            let place = &table.reference;
            let has = |column: &str| table.columns.iter().any(|c| c.name == column);
            let own = table
                .primary_key
                .iter()
                .chain(&table.clustering)
                .chain(table.partitioning.iter().flat_map(|p| &p.column));
            for column in own {
                assert!(has(column), "{place} has no {column}");
            }
            for key in &table.foreign_keys {
                let other = snapshot
                    .table(&key.table)
                    .unwrap_or_else(|| panic!("{place} refers to {}", key.table));
                for (column, referenced) in &key.columns {
                    let type_of = |columns: &[bigquill_analysis::schema::Column], name: &str| {
                        columns
                            .iter()
                            .find(|c| c.name == name)
                            .map(|c| c.data_type.clone())
                    };
                    let types = (
                        type_of(&table.columns, column),
                        type_of(&other.columns, referenced),
                    );
                    assert!(
                        types.0.is_some() && types.0 == types.1,
                        "{place}.{column} refers to {}.{referenced}",
                        key.table
                    );
                }
            }
        }
    }
}

#[test]
fn what_is_kept_for_measuring_is_not_learned_from() {
    // Spider's dev, defog, the idioms and the gender gap: their schemas are what the default adapter is measured on.
    let kept = [
        "museum",
        "orchestra",
        "battle",
        "contestants",
        "car_makers",
        "pets",
        "real_estate",
        "course_arrange",
        "paragraphs",
        "author",
        "sbtransaction",
        "loans",
        "commits",
        "visits",
        "editors",
        "world",
        "countrylanguage",
    ];
    let own = |catalog: &Named| {
        catalog
            .snapshot
            .tables()
            .map(|t| t.reference.table.to_lowercase())
            .collect::<Vec<_>>()
    };
    for catalog in catalogs() {
        let tables = own(&catalog);
        // A table of loans may be among others, where they are not those of a library.
        let shared: Vec<_> = tables.iter().filter(|t| kept.contains(&t.as_str())).collect();
        assert!(shared.len() < 2, "{} has {shared:?}", catalog.name);
    }
}

#[test]
fn every_shape_gives_pairs_that_the_resolver_takes() {
    let weights = Weights::built_in().expect("the built-in weights");
    let catalogs = catalogs();
    let models: Vec<Model> = catalogs.iter().map(|c| Model::new(&c.snapshot)).collect();
    for shape in SHAPES {
        let mut dice = Dice::new(1, shape.name);
        let drawn = (0..6000).any(|_| {
            let place = dice.below(models.len());
            let context = Context {
                model: &models[place],
                weights: &weights,
            };
            let draft = (shape.draw)(context, &mut dice);
            draft.is_some_and(|d| {
                shapes::is_lean(&d.sql) && Resolver.accepts(&d.sql, &catalogs[place].snapshot)
            })
        });
        assert!(drawn, "no pair of {}", shape.name);
    }
}

#[test]
fn questions_are_no_sql_and_none_stands_twice() {
    let words = [
        "SELECT", "GROUP BY", "ORDER BY", "UNNEST", "COUNT(", "HAVING", "QUALIFY", "NULL", "ARRAY_", "  ",
        " ,", "..", "?.",
    ];
    let pairs = made(catalogs(), 2, 1500);
    let questions: HashSet<(&str, String)> = pairs
        .iter()
        .map(|p| (p.catalog.as_str(), p.question.to_lowercase()))
        .collect();
    assert_eq!((pairs.len(), questions.len()), (1500, 1500));
    for pair in pairs {
        let found: Vec<_> = words
            .iter()
            .filter(|word| pair.question.contains(**word))
            .collect();
        assert!(found.is_empty(), "{found:?} in {:?}", pair.question);
        assert!(
            !pair.question.contains('_') || pair.question.contains('\''),
            "a name as the schema has it: {:?}",
            pair.question
        );
    }
}

#[test]
fn what_is_cut_off_comes_in_one_order() {
    for pair in made(catalogs(), 4, 800) {
        let sql = &pair.bigquery_sql;
        let Some((start, _)) = sql.rsplit_once(" LIMIT ").filter(|_| pair.shape != "length") else {
            continue;
        };
        let order = start.rsplit_once(" ORDER BY ").map_or("", |(_, order)| order);
        // A name settles ties, except in subqueries and where what it is sorted by tells rows apart itself.
        let inner = sql.contains("LIMIT 1) AS");
        let by_name = order.contains(", ")
            || !order.contains(' ')
            || order.ends_with(" DESC") && pair.shape == "rows_latest";
        // Of equal numbers alone it is all the same which comes.
        let alone = start.starts_with(&format!("SELECT {} FROM ", order.trim_end_matches(" DESC")));
        assert!(inner || by_name || alone, "{sql}");
    }
}

#[test]
fn fields_in_structs_are_called_by_their_own_names_where_one_has_it() {
    let visits = r#"{"name": "visit_id", "type": "INTEGER"}, {"name": "vitals", "type": "RECORD", "fields": [
        {"name": "pulse", "type": "INTEGER"}, {"name": "status", "type": "STRING"}]}, {"name": "doctor", "type": "RECORD",
        "fields": [{"name": "city", "type": "STRING"}]}, {"name": "city", "type": "STRING"}"#;
    let model = Model::new(&table(visits)[0].snapshot).with_bare_nouns();
    let nouns: Vec<&str> = model.tables[0]
        .attributes
        .iter()
        .map(|a| a.noun.as_str())
        .collect();
    assert_eq!(
        nouns,
        ["visit ID", "pulse", "vitals status", "doctor city", "city"]
    );
}

#[test]
fn a_seed_decides_everything_and_a_cut_run_goes_on() {
    let some = || catalogs().into_iter().take(3).collect::<Vec<_>>();
    let whole = made(some(), 5, 300);
    assert_eq!(whole, made(some(), 5, 300));
    assert_ne!(whole, made(some(), 6, 300));
    let weights = Weights::built_in().expect("the built-in weights");
    let mut synthesizer = Synthesizer::new(some(), &weights, 5, 300);
    let mut pairs = whole[..117].to_vec();
    synthesizer.resume(&pairs);
    while pairs.len() < 300
        && let Some(more) = synthesizer.batch(&Resolver, 1, 100).expect("nothing is run")
    {
        pairs.extend(more);
    }
    pairs.truncate(300);
    assert_eq!(pairs, whole);
}

#[test]
fn poor_catalogs_give_what_they_have() {
    assert_eq!(made(of_tables("[]"), 1, 10), []);
    let shapes = made(table(r#"{"name": "shape", "type": "GEOGRAPHY"}"#), 1, 10);
    assert!(
        shapes
            .iter()
            .all(|p| p.bigquery_sql == "SELECT COUNT(*) FROM d.t"),
        "{shapes:?}"
    );
    let one = made(table(r#"{"name": "city", "type": "STRING"}"#), 1, 5);
    assert!(!one.is_empty() && one.iter().all(|p| p.bigquery_sql.contains("d.t")));
}

#[test]
fn odd_names_and_a_thousand_columns_give_pairs() {
    let odd = made(
        table(
            r#"{"name": "größe", "type": "FLOAT"}, {"name": "select", "type": "STRING", "description": "a, b or c"},
               {"name": "数量", "type": "INTEGER"}, {"name": "order", "type": "DATE"}, {"name": "x", "type": "RECORD", "fields": [
               {"name": "from", "type": "INTEGER"}]}"#,
        ),
        1,
        40,
    );
    assert_eq!(odd.len(), 40);
    assert!(
        odd.iter().any(|p| p.bigquery_sql.contains("`select`"))
            && odd.iter().any(|p| p.bigquery_sql.contains("数量"))
    );
    let columns: Vec<String> = (0..1000)
        .map(|n| format!(r#"{{"name": "measure_{n}", "type": "FLOAT"}}"#))
        .collect();
    assert_eq!(made(table(&columns.join(",")), 1, 50).len(), 50);
}
