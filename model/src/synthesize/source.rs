//! Where rows come from: a table, the elements of a repeated column, tables joined; and what can be asked about them.

use bigquill_analysis::schema::{is_reserved, quote_name};

use super::columns::{Attribute, Role};
use super::dice::Dice;
use super::tables::{Array, Elements, Link, Model, Noun, Table};
use super::words;

/// Rows and their fields.
#[derive(Debug, Clone)]
pub(super) struct Source<'m> {
    /// What stands behind FROM.
    pub(super) from: String,
    /// The table that rows, or what they are in, come from.
    pub(super) table: &'m Table,
    /// Its alias, where columns are written with one.
    pub(super) alias: Option<String>,
    /// What a row is.
    pub(super) subject: Noun,
    /// What rows are in or belong to.
    pub(super) owners: Vec<Owner>,
    pub(super) fields: Vec<Field<'m>>,
    /// Whether a row is an element of a repeated column.
    pub(super) unnested: bool,
}

/// What a row is in, or belongs to.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) noun: Noun,
    /// The row is an element of a list in it.
    pub(super) contains: bool,
    /// The field of its key, which tells one from another.
    pub(super) key: Option<String>,
    /// The fields that name it.
    pub(super) label: Vec<String>,
}

/// An attribute of the row, or of one of its owners.
#[derive(Debug, Clone)]
pub(super) struct Field<'m> {
    pub(super) sql: String,
    pub(super) attribute: &'m Attribute,
    /// Index of the owner that has it; none for the row's own.
    pub(super) owner: Option<usize>,
}

impl<'m> Source<'m> {
    /// The rows of a table.
    pub(super) fn table(table: &'m Table) -> Self {
        Self {
            from: table.path.clone(),
            table,
            alias: None,
            subject: table.noun.clone(),
            owners: Vec::new(),
            fields: fields(&table.attributes, None, None),
            unnested: false,
        }
    }

    /// The elements of a repeated column that holds records or scalars; none where it holds pairs.
    pub(super) fn elements(table: &'m Table, array: &'m Array) -> Option<Self> {
        let names: Vec<&str> = match &array.elements {
            Elements::Records { attributes, .. } => attributes.iter().map(|a| a.name.as_str()).collect(),
            Elements::Scalars(_) => Vec::new(),
            Elements::Pairs { .. } => return None,
        };
        let clash = names
            .iter()
            .any(|name| table.columns.iter().any(|c| c.eq_ignore_ascii_case(name)));
        let element = alias(&array.noun.one, &array.taken(table));
        let own = clash.then(|| short_alias(&table.reference.table, &[element.as_str()]));
        let from = match &own {
            Some(own) => format!(
                "{} AS {own}, UNNEST({}) AS {element}",
                table.path,
                path(Some(own), &array.path)
            ),
            None => format!("{}, UNNEST({}) AS {element}", table.path, path(None, &array.path)),
        };
        let mut source = Self {
            from,
            table,
            alias: own.clone(),
            subject: array.noun.clone(),
            owners: vec![owner(table, own.as_deref(), true)],
            fields: Vec::new(),
            unnested: true,
        };
        source.fields = match &array.elements {
            Elements::Records { attributes, .. } => fields(attributes, Some(&element), None),
            Elements::Scalars(attribute) => vec![Field {
                sql: element.clone(),
                attribute,
                owner: None,
            }],
            Elements::Pairs { .. } => return None,
        };
        source
            .fields
            .extend(fields(&table.attributes, own.as_deref(), Some(0)));
        Some(source)
    }

    /// The rows of a table, once for each scalar of a list in them, and the name of such a scalar. To be grouped by it:
    /// otherwise rows would count several times.
    pub(super) fn tagged(table: &'m Table, array: &'m Array) -> Option<(Self, String)> {
        let Elements::Scalars(_) = &array.elements else {
            return None;
        };
        let element = alias(&array.noun.one, &array.taken(table));
        let mut source = Self::table(table);
        source.from = format!("{}, UNNEST({}) AS {element}", table.path, path(None, &array.path));
        Some((source, element))
    }

    /// The elements of a repeated column in the records of another.
    pub(super) fn inner_elements(table: &'m Table, outer: &'m Array, inner: &'m Array) -> Option<Self> {
        let Elements::Records {
            attributes: of_outer, ..
        } = &outer.elements
        else {
            return None;
        };
        let outer_alias = alias(&outer.noun.one, &outer.taken(table));
        let mut taken = inner.taken(table);
        taken.push(outer_alias.clone());
        let element = alias(&inner.noun.one, &taken);
        let own = short_alias(&table.reference.table, &[outer_alias.as_str(), element.as_str()]);
        let outer_owner = Owner {
            noun: outer.noun.clone(),
            contains: true,
            key: None,
            label: Vec::new(),
        };
        let mut all = match &inner.elements {
            Elements::Records { attributes, .. } => fields(attributes, Some(&element), None),
            Elements::Scalars(attribute) => vec![Field {
                sql: element.clone(),
                attribute,
                owner: None,
            }],
            Elements::Pairs { .. } => return None,
        };
        all.extend(fields(of_outer, Some(&outer_alias), Some(0)));
        all.extend(fields(&table.attributes, Some(&own), Some(1)));
        Some(Self {
            from: format!(
                "{} AS {own}, UNNEST({}) AS {outer_alias}, UNNEST({}) AS {element}",
                table.path,
                path(Some(&own), &outer.path),
                path(Some(&outer_alias), &inner.path)
            ),
            table,
            subject: inner.noun.clone(),
            owners: vec![outer_owner, owner(table, Some(&own), true)],
            fields: all,
            alias: Some(own),
            unnested: true,
        })
    }

    /// The rows of a table joined with those that they belong to, by one or two links: two of the table's own, or a link
    /// and one of the other table's.
    pub(super) fn joined(
        model: &'m Model,
        table: &'m Table,
        link: &Link,
        more: Option<&Link>,
        chained: bool,
    ) -> Self {
        let own = short_alias(&table.reference.table, &[]);
        let mut taken = vec![own.clone()];
        let mut from = format!("{} AS {own}", table.path);
        let mut owners = Vec::new();
        let mut all = fields(&table.attributes, Some(&own), None);
        let mut left = own.clone();
        for link in std::iter::once(link).chain(more) {
            let other = &model.tables[link.table];
            let names: Vec<&str> = taken.iter().map(String::as_str).collect();
            let right = short_alias(
                if taken.len() > 1 {
                    &link.noun
                } else {
                    &other.reference.table
                },
                &names,
            );
            from.push_str(&format!(
                " JOIN {} AS {right} ON {}",
                other.path,
                on(&left, &right, link)
            ));
            let mut joined = owner(other, Some(&right), false);
            joined.noun = Noun::new(&link.noun);
            // What both sides have alike is asked of the rows themselves.
            let keys: Vec<String> = link.on.iter().map(|(_, key)| format!("{right}.{key}")).collect();
            let others = fields(&other.attributes, Some(&right), Some(owners.len()));
            all.extend(others.into_iter().filter(|f| !keys.contains(&f.sql)));
            owners.push(joined);
            if chained {
                left.clone_from(&right);
            }
            taken.push(right);
        }
        Self {
            from,
            table,
            alias: Some(own),
            subject: table.noun.clone(),
            owners,
            fields: all,
            unnested: false,
        }
    }

    /// The elements of a repeated column, with what the table's rows belong to.
    pub(super) fn joined_elements(
        model: &'m Model,
        table: &'m Table,
        array: &'m Array,
        link: &Link,
    ) -> Option<Self> {
        let Elements::Records { attributes, .. } = &array.elements else {
            return None;
        };
        let other = &model.tables[link.table];
        let mut columns = array.taken(table);
        columns.extend(other.columns.iter().cloned());
        let element = alias(&array.noun.one, &columns);
        let own = short_alias(&table.reference.table, &[element.as_str()]);
        let right = short_alias(&other.reference.table, &[own.as_str(), element.as_str()]);
        let mut parent = owner(other, Some(&right), false);
        parent.noun = Noun::new(&link.noun);
        let mut all = fields(attributes, Some(&element), None);
        all.extend(fields(&table.attributes, Some(&own), Some(0)));
        all.extend(fields(&other.attributes, Some(&right), Some(1)));
        Some(Self {
            from: format!(
                "{} AS {own} JOIN {} AS {right} ON {}, UNNEST({}) AS {element}",
                table.path,
                other.path,
                on(&own, &right, link),
                path(Some(&own), &array.path)
            ),
            table,
            subject: array.noun.clone(),
            owners: vec![owner(table, Some(&own), true), parent],
            fields: all,
            alias: Some(own),
            unnested: true,
        })
    }

    /// Fields that fit.
    pub(super) fn which(&self, fits: impl Fn(&Field<'m>) -> bool) -> Vec<&Field<'m>> {
        self.fields.iter().filter(|field| fits(field)).collect()
    }

    /// The row's own fields that fit.
    pub(super) fn own(&self, fits: impl Fn(&Attribute) -> bool) -> Vec<&Field<'m>> {
        self.which(|field| field.owner.is_none() && fits(field.attribute))
    }

    /// The field that tells when rows happened.
    pub(super) fn time(&self) -> Option<&Field<'m>> {
        let of_elements = || {
            self.own(|a| a.role == Role::Time && a.event.is_some())
                .first()
                .copied()
        };
        if self.unnested
            && let Some(own) = of_elements()
        {
            return Some(own);
        }
        self.table_time()
    }

    /// The table's own time.
    pub(super) fn table_time(&self) -> Option<&Field<'m>> {
        let wanted = &self.table.attributes[self.table.time?];
        self.fields
            .iter()
            .find(|field| std::ptr::eq(field.attribute, wanted))
    }

    /// The key of a row.
    pub(super) fn key(&self) -> Option<&Field<'m>> {
        if self.unnested {
            return None;
        }
        let wanted = &self.table.attributes[self.table.key?];
        self.fields
            .iter()
            .find(|field| std::ptr::eq(field.attribute, wanted))
    }

    /// What a row is called by: its names, else its key.
    pub(super) fn names(&self) -> Vec<&Field<'m>> {
        if self.unnested {
            return self.own(|a| a.role == Role::Label).into_iter().take(1).collect();
        }
        let label = self
            .table
            .label
            .iter()
            .map(|index| &self.table.attributes[*index]);
        let found: Vec<&Field<'m>> = label
            .filter_map(|wanted| {
                self.fields
                    .iter()
                    .find(|field| std::ptr::eq(field.attribute, wanted))
            })
            .collect();
        if found.is_empty() {
            self.key().into_iter().collect()
        } else {
            found
        }
    }

    /// A name for what is computed that no column has, quoted where its script needs it.
    pub(super) fn free_name(&self, wanted: &str) -> String {
        let name = snake(wanted);
        let taken = |name: &str| {
            is_reserved(name)
                || self
                    .fields
                    .iter()
                    .any(|f| f.attribute.name.eq_ignore_ascii_case(name))
        };
        if !taken(&name) {
            return quote_name(&name);
        }
        let longer = [
            format!("{name}_value"),
            format!("{name}_of_{}", snake(&self.subject.one)),
        ];
        longer
            .into_iter()
            .find(|name| !taken(name))
            .map_or_else(|| quote_name(&format!("{name}_1")), |name| quote_name(&name))
    }

    /// The noun of a field as it is said of these rows: "delivery fee", "customer's city".
    pub(super) fn noun(&self, field: &Field<'m>, dice: &mut Dice) -> String {
        let noun = &field.attribute.noun;
        let Some(owner) = field.owner.map(|o| &self.owners[o]) else {
            return noun.clone();
        };
        let one = &owner.noun.one;
        let first = one.rsplit(' ').next().unwrap_or(one);
        if let (Some(which), true) = (
            one.strip_suffix(first).filter(|w| !w.is_empty()),
            noun.starts_with(first),
        ) {
            // The team's name is the away team's name.
            return format!("{which}{noun}");
        }
        if noun.split(' ').any(|word| word == first) || noun.starts_with(one.as_str()) {
            return noun.clone();
        }
        match dice.below(3) {
            // "membership member sex" is read twice.
            0 => format!("{noun} of the {one}"),
            _ if noun.contains(' ') => format!("{noun} of the {one}"),
            1 if words::is_person(one) => format!("{one}'s {noun}"),
            _ => format!("{one} {noun}"),
        }
    }
}

fn fields<'m>(attributes: &'m [Attribute], alias: Option<&str>, owner: Option<usize>) -> Vec<Field<'m>> {
    let field = |attribute: &'m Attribute| Field {
        sql: attribute.sql(path(alias, &attribute.path)),
        attribute,
        owner,
    };
    attributes.iter().map(field).collect()
}

fn owner(table: &Table, alias: Option<&str>, contains: bool) -> Owner {
    let sql = |index: &usize| path(alias, &table.attributes[*index].path);
    let key = table.key.as_ref().map(sql);
    let mut label: Vec<String> = table.label.iter().map(sql).collect();
    if contains && label.is_empty() {
        label.extend(key.clone());
    }
    Owner {
        noun: table.noun.clone(),
        contains,
        key,
        label,
    }
}

fn on(left: &str, right: &str, link: &Link) -> String {
    let pairs = link
        .on
        .iter()
        .map(|(own, other)| format!("{left}.{own} = {right}.{other}"));
    pairs.collect::<Vec<_>>().join(" AND ")
}

/// A path behind an alias, if there is one.
pub(super) fn path(alias: Option<&str>, path: &[String]) -> String {
    let path = path.join(".");
    alias.map_or_else(|| path.clone(), |alias| format!("{alias}.{path}"))
}

/// A phrase as a name.
pub(super) fn snake(phrase: &str) -> String {
    let name: String = phrase
        .to_lowercase()
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '_' })
        .collect();
    let name = name
        .split('_')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("_");
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("n_{name}")
    } else {
        name
    }
}

/// The last word of a noun, where no column is called so; else letters of it.
pub(super) fn alias(noun: &str, taken: &[String]) -> String {
    let whole = snake(noun);
    let last = whole.rsplit('_').next().unwrap_or(&whole).to_owned();
    let letter: String = last.chars().take(1).collect();
    let names = [last, whole, letter];
    let free = |name: &String| !is_reserved(name) && !taken.iter().any(|t| t.eq_ignore_ascii_case(name));
    names
        .into_iter()
        .find(free)
        .map_or_else(|| "element".to_owned(), |name| quote_name(&name))
}

/// The first letters of a name's words, as people shorten tables.
pub(super) fn short_alias(name: &str, taken: &[&str]) -> String {
    let parts = words::raw(name);
    let parts: Vec<&String> = parts
        .iter()
        .filter(|w| w.starts_with(|c: char| c.is_ascii_alphabetic()))
        .collect();
    let initials: String = parts.iter().filter_map(|w| w.chars().next()).collect();
    let first: String = parts
        .first()
        .map(|w| w.chars().take(2).collect())
        .unwrap_or_default();
    let one: String = initials.chars().take(1).collect();
    let mut names = vec![one, initials, first];
    names.extend((2..9).map(|n| format!("t{n}")));
    let free = |name: &String| {
        !name.is_empty() && name.is_ascii() && !is_reserved(name) && !taken.contains(&name.as_str())
    };
    names.into_iter().find(free).unwrap_or_else(|| "t1".to_owned())
}
