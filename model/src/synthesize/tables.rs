//! A catalog as whoever asks sees it: things with attributes, lists in them, and what belongs to what.

use std::collections::HashMap;

use bigquill_analysis::schema::{
    CatalogSnapshot, Column, DataType, Mode, TableReference, TableSchema, quote_name,
};

use crate::prompt::table_path;

mod telling;

use telling::{done_to, happens, shorten, time_of};

use super::columns::{Attribute, Role, step};
use super::descriptions::{self, Value};
use super::words;

/// Most attributes of a table that are looked at; questions about the thousandth column are nobody's.
const MOST_ATTRIBUTES: usize = 300;
/// Structs in structs beyond which nothing is looked at.
const DEEPEST: usize = 6;

/// A noun in both numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Noun {
    pub(super) one: String,
    pub(super) many: String,
}

impl Noun {
    /// From a singular or plural phrase.
    pub(super) fn new(phrase: &str) -> Self {
        let one = words::singular(phrase);
        Self {
            many: words::plural(&one),
            one,
        }
    }
}

/// The catalog.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) tables: Vec<Table>,
}

/// A table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// As SQL writes it.
    pub(super) path: String,
    pub(super) reference: TableReference,
    /// A family of tables with a date at the end of each name.
    pub(super) sharded: bool,
    /// What a row is.
    pub(super) noun: Noun,
    /// Whether rows are things that one counts, rather than figures by day.
    pub(super) countable: bool,
    pub(super) columns: Vec<String>,
    pub(super) attributes: Vec<Attribute>,
    pub(super) arrays: Vec<Array>,
    /// The attribute that identifies a row.
    pub(super) key: Option<usize>,
    /// The attributes that name a row.
    pub(super) label: Vec<usize>,
    /// The attribute that tells when a row happened.
    pub(super) time: Option<usize>,
    /// Rows are what happens at a time: the table is partitioned by it.
    pub(super) dated: bool,
    /// No other table of the catalog has rows that happen.
    pub(super) alone: bool,
    /// Queries must filter on that time.
    pub(super) filter_required: bool,
    /// Tables that rows belong to.
    pub(super) parents: Vec<Link>,
}

/// A row of one table belongs to a row of another.
#[derive(Debug, Clone)]
pub(super) struct Link {
    /// Index of the other table.
    pub(super) table: usize,
    /// Pairs of columns as SQL writes them: own, the other's.
    pub(super) on: Vec<(String, String)>,
    /// What the other row is to this one: "customer", "home team".
    pub(super) noun: String,
}

/// A repeated column.
#[derive(Debug, Clone)]
pub(super) struct Array {
    /// Path from the row.
    pub(super) path: Vec<String>,
    /// What an element is.
    pub(super) noun: Noun,
    pub(super) elements: Elements,
}

impl Array {
    /// Names that an alias of an element must not have: columns of its table and its own fields.
    pub(super) fn taken(&self, table: &Table) -> Vec<String> {
        let mut names = table.columns.clone();
        if let Elements::Records { attributes, .. } = &self.elements {
            names.extend(attributes.iter().map(|a| a.path[0].clone()));
        }
        names
    }
}

/// What is in a repeated column.
#[derive(Debug, Clone)]
pub(super) enum Elements {
    /// Scalars, with the values that are known.
    Scalars(Box<Attribute>),
    /// Records, with lists in them.
    Records {
        attributes: Vec<Attribute>,
        arrays: Vec<Array>,
    },
    /// Pairs of a key and a value.
    Pairs {
        key: String,
        keys: Vec<Value>,
        /// Paths and types of the values.
        values: Vec<(String, DataType)>,
    },
}

impl Model {
    /// The model of a catalog. Tables without a column that can be asked about are left out.
    pub(super) fn new(snapshot: &CatalogSnapshot) -> Self {
        let schemas: Vec<&TableSchema> = snapshot
            .tables()
            .map(AsRef::as_ref)
            .filter(|t| !t.columns.is_empty())
            .collect();
        let mut tables: Vec<Table> = schemas
            .iter()
            .map(|schema| Table::new(schema, snapshot))
            .collect();
        rename_doubles(&mut tables);
        forget_borrowed_keys(&mut tables, &schemas);
        let links: Vec<Vec<Link>> = (0..tables.len())
            .map(|own| links(own, &schemas, &tables))
            .collect();
        for (table, parents) in tables.iter_mut().zip(links) {
            table.parents = parents;
        }
        if let [only] = tables
            .iter_mut()
            .filter(|t| t.dated)
            .collect::<Vec<_>>()
            .as_mut_slice()
        {
            only.alone = true;
        }
        Self { tables }
    }

    /// The same where people leave out the structs that fields are in: "genre" for "book genre".
    pub(super) fn with_bare_nouns(mut self) -> Self {
        for table in &mut self.tables {
            let own = table.noun.one.clone();
            shorten(&mut table.attributes, &own);
            for array in &mut table.arrays {
                if let Elements::Records { attributes, .. } = &mut array.elements {
                    shorten(attributes, &array.noun.one);
                }
            }
        }
        self
    }

    /// Tables whose rows belong to rows of this one, with the link.
    pub(super) fn children(&self, table: usize) -> Vec<(usize, &Link)> {
        let all = self.tables.iter().enumerate();
        all.flat_map(|(index, child)| child.parents.iter().map(move |link| (index, link)))
            .filter(|(index, link)| link.table == table && *index != table)
            .collect()
    }
}

/// The first column of a table without a declared key is no key where it is another table's.
fn forget_borrowed_keys(tables: &mut [Table], schemas: &[&TableSchema]) {
    let keys: Vec<Option<String>> = tables
        .iter()
        .map(|t| t.key.map(|k| t.attributes[k].name.to_lowercase()))
        .collect();
    for (index, table) in tables
        .iter_mut()
        .enumerate()
        .filter(|(index, _)| schemas[*index].primary_key.is_empty())
    {
        let borrowed = keys[index].is_some()
            && keys
                .iter()
                .enumerate()
                .any(|(other, key)| other != index && *key == keys[index]);
        if borrowed {
            table.key = None;
        }
    }
}

/// Two tables with one noun would make questions that nobody could answer: both are called by their names.
fn rename_doubles(tables: &mut [Table]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for table in tables.iter() {
        *seen.entry(table.noun.one.clone()).or_default() += 1;
    }
    for table in tables.iter_mut().filter(|t| seen[&t.noun.one] > 1) {
        table.noun = table_noun(&table.reference.table);
    }
}

impl Table {
    fn new(schema: &TableSchema, snapshot: &CatalogSnapshot) -> Self {
        let described = descriptions::row(&schema.description);
        let of_name = table_noun(&schema.reference.table);
        let noun = described.as_deref().map_or_else(|| of_name.clone(), Noun::new);
        let daily =
            described.is_none() && !schema.description.is_empty() && !schema.reference.table.ends_with('*');
        let (mut attributes, mut arrays) = (Vec::new(), Vec::new());
        for column in &schema.columns {
            collect(column, &[], &[], 0, &mut attributes, &mut arrays);
        }
        // A name that is the table's, too, means the row.
        let own = quote_name(&schema.reference.table);
        attributes.retain(|a| !a.path[0].eq_ignore_ascii_case(&own));
        arrays.retain(|a| !a.path[0].eq_ignore_ascii_case(&own));
        attributes.truncate(MOST_ATTRIBUTES);
        for attribute in &mut attributes {
            attribute.forget_event_of(&noun.one);
            attribute.forget_owner(&noun.one);
        }
        done_to(&mut attributes, &noun);
        let key = key_of(schema, &attributes);
        let label = label_of(&attributes, &noun, &of_name);
        let (time, filter_required) = time_of(schema, &attributes);
        let partitioned = schema.partitioning.is_some() || schema.reference.table.ends_with('*');
        let dated = partitioned || time.is_some_and(|t: usize| happens(&attributes[t], &noun));
        Self {
            path: table_path(&schema.reference, snapshot),
            reference: schema.reference.clone(),
            sharded: schema.reference.table.ends_with('*'),
            countable: !daily,
            noun,
            columns: schema.columns.iter().map(|c| c.name.to_lowercase()).collect(),
            attributes,
            arrays,
            key,
            label,
            time,
            dated,
            alone: false,
            filter_required,
            parents: Vec::new(),
        }
    }
}

/// The noun in a table's name: without layers, dates and "daily".
fn table_noun(name: &str) -> Noun {
    let mut all = words::of_name(name.trim_end_matches('*'));
    let layers = [
        "fact",
        "fct",
        "dimension",
        "dim",
        "stg",
        "raw",
        "tbl",
        "table",
        "source",
        "ods",
        "dwh",
        "mart",
        "v",
        "vw",
        "t",
        "f",
        "d",
    ];
    while all.len() > 1 && layers.contains(&all[0].as_str()) {
        all.remove(0);
    }
    let endings = [
        "daily",
        "hourly",
        "monthly",
        "history",
        "log",
        "logs",
        "table",
        "v1",
        "v2",
        "current",
        "raw",
        "snapshot",
        "snapshots",
    ];
    let is_date = |word: &String| word.chars().all(char::is_numeric);
    while all.len() > 1
        && all
            .last()
            .is_some_and(|w| endings.contains(&w.as_str()) || is_date(w))
    {
        all.pop();
    }
    let noun = all.join(" ");
    let telling = noun.chars().count() > 3 || noun.chars().all(|c| c.is_uppercase()) || !noun.is_ascii();
    Noun::new(if telling { &noun } else { "record" })
}

fn collect(
    column: &Column,
    path: &[String],
    owners: &[String],
    depth: usize,
    attributes: &mut Vec<Attribute>,
    arrays: &mut Vec<Array>,
) {
    let path = step(path, &column.name);
    if column.mode == Mode::Repeated {
        arrays.extend(array(column, path, depth));
    } else if column.data_type == DataType::Struct {
        if depth < DEEPEST {
            let mut owners = owners.to_vec();
            owners.push(words::of_name(&column.name).join(" "));
            for field in &column.fields {
                collect(field, &path, &owners, depth + 1, attributes, arrays);
            }
        }
    } else {
        let attribute = Attribute::new(column, path, owners);
        // A name without a letter, as "_", is none to ask with.
        attributes.extend(Some(attribute).filter(|a| !a.noun.trim().is_empty()));
    }
}

fn array(column: &Column, path: Vec<String>, depth: usize) -> Option<Array> {
    let noun = element_noun(&column.name)?;
    if column.data_type != DataType::Struct {
        let mut element = Attribute::new(column, vec![noun.one.clone()], &[]);
        element.noun.clone_from(&noun.one);
        let elements = Elements::Scalars(Box::new(element));
        return Some(Array { path, noun, elements });
    }
    if depth >= DEEPEST || column.fields.is_empty() {
        return None;
    }
    if let Some(elements) = pairs(column) {
        return Some(Array { path, noun, elements });
    }
    let (mut attributes, mut arrays) = (Vec::new(), Vec::new());
    for field in &column.fields {
        collect(field, &[], &[], depth + 1, &mut attributes, &mut arrays);
    }
    done_to(&mut attributes, &noun);
    let elements = Elements::Records { attributes, arrays };
    Some(Array { path, noun, elements })
}

/// What an element is; none where the name has no letter.
fn element_noun(name: &str) -> Option<Noun> {
    let mut all = words::of_name(name);
    let last = all.last()?.clone();
    if all.len() > 1 && last == "history" {
        all.pop();
        return Some(Noun::new(&format!("{} change", all.join(" "))));
    }
    let phrase = all.join(" ");
    if matches!(last.as_str(), "crew" | "cast" | "ensemble" | "squad" | "team") {
        return Some(Noun::new(&format!("{phrase} member")));
    }
    if let [start @ .., state] = all.as_slice()
        && words::is_participle(state)
        && start.last().is_some_and(|w| words::is_plural(w))
    {
        // "meters affected" are affected meters.
        return Some(Noun::new(&format!("{state} {}", start.join(" "))));
    }
    let plural = words::is_plural(&last) || !words::is_latin(&last);
    Some(Noun::new(&if plural {
        phrase
    } else {
        format!("{phrase} entry")
    }))
}

/// Key and value, where that is all that the records have.
pub(super) fn pairs(column: &Column) -> Option<Elements> {
    let key = column.fields.iter().find(|f| {
        let name = f.name.to_lowercase();
        f.data_type == DataType::String
            && matches!(
                name.as_str(),
                "key" | "k" | "name" | "attr" | "field" | "param" | "attribute"
            )
    })?;
    let is_value = |name: &str| {
        let raw = words::raw(name);
        raw.iter()
            .any(|w| matches!(w.as_str(), "value" | "val" | "v" | "values"))
    };
    let mut values = Vec::new();
    for field in column.fields.iter().filter(|f| f.name != key.name) {
        if !is_value(&field.name) || field.mode == Mode::Repeated {
            return None;
        }
        let path = quote_name(&field.name);
        if field.data_type == DataType::Struct {
            let inner = field.fields.iter().filter(|f| f.fields.is_empty());
            values.extend(inner.map(|f| (format!("{path}.{}", quote_name(&f.name)), f.data_type.clone())));
        } else {
            values.push((path, field.data_type.clone()));
        }
    }
    (!values.is_empty()).then(|| Elements::Pairs {
        key: quote_name(&key.name),
        keys: descriptions::values(&key.description, &key.data_type),
        values,
    })
}

fn key_of(schema: &TableSchema, attributes: &[Attribute]) -> Option<usize> {
    let named = |name: &str| {
        attributes
            .iter()
            .position(|a| a.path.len() == 1 && a.name.eq_ignore_ascii_case(name))
    };
    match schema.primary_key.as_slice() {
        [one] => named(one),
        [] => attributes
            .first()
            .filter(|a| {
                a.role == Role::Key
                    && a.path.len() == 1
                    && schema
                        .foreign_keys
                        .iter()
                        .all(|k| k.columns.iter().all(|c| c.0 != a.name))
            })
            .map(|_| 0),
        _ => None,
    }
}

/// What a row is called by: its own name, first and last name.
fn label_of(attributes: &[Attribute], noun: &Noun, of_name: &Noun) -> Vec<usize> {
    let top = |wanted: &dyn Fn(&Attribute) -> bool| {
        let is_text = |a: &Attribute| a.data_type == DataType::String && a.path.len() == 1;
        attributes.iter().position(|a| is_text(a) && wanted(a))
    };
    if let (Some(first), Some(last)) = (
        top(&|a| a.noun == "first name"),
        top(&|a| a.noun == "last name" || a.noun == "surname"),
    ) {
        return vec![first, last];
    }
    let own = [
        "name",
        "title",
        "full name",
        "display name",
        "nickname",
        "username",
        "headline",
        "surname",
        "last name",
    ];
    let last = |noun: &Noun| noun.one.rsplit(' ').next().unwrap_or_default().to_owned();
    let (row, table) = (last(noun), last(of_name));
    let is_own = |a: &Attribute| {
        let start = a.noun.split(' ').next().unwrap_or_default();
        own.contains(&a.noun.as_str())
            || a.role == Role::Label && (start == row || start == table)
            || a.noun == noun.one
    };
    let found = top(&is_own).or_else(|| {
        top(&|a| a.role == Role::Label && (a.noun.starts_with("company") || a.noun.starts_with("business")))
    });
    found.into_iter().collect()
}

/// The tables that rows of table `own` belong to: by foreign keys, else by columns called like another table's key.
fn links(own: usize, schemas: &[&TableSchema], tables: &[Table]) -> Vec<Link> {
    let mut found: Vec<Link> = Vec::new();
    for key in &schemas[own].foreign_keys {
        let Some(table) = tables.iter().position(|t| t.reference == key.table) else {
            continue;
        };
        let on = key
            .columns
            .iter()
            .map(|(a, b)| (quote_name(a), quote_name(b)))
            .collect();
        let noun = match key.columns.as_slice() {
            [(column, other)] => role_noun(column, other, &tables[table]),
            _ => tables[table].noun.one.clone(),
        };
        found.push(Link { table, on, noun });
    }
    for (table, other) in tables.iter().enumerate() {
        let Some(key) = other.key.map(|k| &other.attributes[k]) else {
            continue;
        };
        // A key that is called just "id" says nothing about what it is the key of.
        let telling = words::raw(&key.name).len() > 1 || key.name.len() > 4;
        let known = found.iter().any(|l| l.table == table) || table == own || !telling;
        let shared = tables[own].attributes.iter().find(|a| {
            a.path.len() == 1 && a.name.eq_ignore_ascii_case(&key.name) && a.data_type == key.data_type
        });
        let own_key = tables[own]
            .key
            .is_some_and(|k| tables[own].attributes[k].name.eq_ignore_ascii_case(&key.name));
        if let Some(column) = shared.filter(|_| !known && !own_key) {
            found.push(Link {
                table,
                on: vec![(column.path[0].clone(), key.path[0].clone())],
                noun: other.noun.one.clone(),
            });
        }
    }
    found
}

/// What the row behind a foreign key is to this one: "buyer" for `buyer_id`, else the other table's noun.
fn role_noun(column: &str, other: &str, table: &Table) -> String {
    let mut own = words::of_name(column);
    if own.len() > 1
        && own
            .last()
            .is_some_and(|w| matches!(w.as_str(), "ID" | "number" | "key" | "code"))
    {
        own.pop();
    }
    let said = own.join(" ");
    let plain = column.eq_ignore_ascii_case(other)
        || table.noun.one.ends_with(&said)
        || !own.iter().all(|w| words::is_sayable(w));
    if plain { table.noun.one.clone() } else { said }
}
