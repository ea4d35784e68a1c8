//! Names that a catalog lists without having read what they stand for: a project may have more tables than anyone reads.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{CatalogSnapshot, TableKind, TableMatch, TableNotes, TableReference, TableSchema, UnknownTable};

/// Projects whose names are listed, by project id.
pub type Listing = BTreeMap<String, ProjectListing>;

/// Datasets of a project, as far as they are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectListing {
    /// Whether `datasets` has them all; else one that it lacks may be there.
    pub complete: bool,
    /// By dataset id: the names of its tables, sorted; none where they are not listed.
    pub datasets: BTreeMap<String, Option<TableNames>>,
}

/// Sorted names of a dataset's tables; a date-sharded family ends in `*`.
pub type TableNames = Arc<[Box<str>]>;

impl CatalogSnapshot {
    /// This snapshot with names that are listed. A listed table that was not read is a relation whose columns are not
    /// known, and so is a table of a dataset that is not listed.
    #[must_use]
    pub fn with_listing(mut self, listing: Arc<Listing>) -> Self {
        self.given |= !listing.is_empty();
        self.listing = listing;
        self
    }

    /// The names that are listed.
    #[must_use]
    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// Whether this table may be in a project that is not wholly listed.
    #[must_use]
    pub fn may_be_unlisted(&self, path: &[&str]) -> bool {
        let project = match path {
            [] | [_] => return false,
            [_, _] => self.default_project.clone().unwrap_or_default(),
            [project @ .., _, _] => project.join("."),
        };
        let of_project = |(listed, _): &(&String, &ProjectListing)| listed.eq_ignore_ascii_case(&project);
        self.listing
            .iter()
            .find(of_project)
            .is_some_and(|(_, listing)| !listing.complete)
    }

    /// Names of tables of a dataset that are listed and not read, with their projects. The case of `dataset` does not
    /// matter.
    pub fn unread_of<'s>(&'s self, dataset: &'s str) -> impl Iterator<Item = TableReference> + 's {
        self.unread()
            .filter(move |reference| reference.dataset.eq_ignore_ascii_case(dataset))
            .map(NameOf::reference)
    }

    /// Names of all tables that are listed and not read.
    pub(crate) fn unread(&self) -> impl Iterator<Item = NameOf<'_>> {
        let datasets = self.listing.iter().flat_map(|(project, listing)| {
            let listed = listing.datasets.iter();
            listed.filter_map(move |(dataset, names)| Some((project, dataset, names.as_ref()?)))
        });
        datasets.flat_map(|(project, dataset, names)| {
            let of_dataset = self.tables_of(dataset).iter();
            let read: HashSet<&str> = of_dataset
                .filter(|table| table.project == *project)
                .map(|table| table.table.as_str())
                .collect();
            let unread = names.iter().filter(move |name| !read.contains(&***name));
            unread.map(move |table| NameOf {
                project,
                dataset,
                table,
            })
        })
    }

    /// What the listing says of a table that was not read.
    pub(super) fn listed(&self, project: Option<&str>, dataset: &str, table: &str) -> Option<TableMatch> {
        let (project, listing) = match project {
            Some(wanted) => self
                .listing
                .iter()
                .find(|(project, _)| project.eq_ignore_ascii_case(wanted))?,
            None => self.listing.iter().next()?,
        };
        let name = match listing.datasets.get(dataset) {
            Some(Some(names)) => listed_name(names, table).ok_or(UnknownTable::InKnownDataset),
            Some(None) => Ok(table),
            None if listing.complete => Err(UnknownTable::InKnownProject),
            // Not a relation: `alias.column` looks the same.
            None => Err(UnknownTable::InUnknownProject),
        };
        Some(match name {
            Ok(name) => TableMatch::Found {
                table: Arc::new(unread(project, dataset, name)),
                wildcard: table.ends_with('*'),
                exact: true,
            },
            Err(how) => TableMatch::Unknown(how),
        })
    }
}

/// A listed name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NameOf<'a> {
    pub(crate) project: &'a str,
    pub(crate) dataset: &'a str,
    pub(crate) table: &'a str,
}

impl NameOf<'_> {
    /// As a reference of its own.
    pub(crate) fn reference(self) -> TableReference {
        TableReference {
            project: self.project.to_owned(),
            dataset: self.dataset.to_owned(),
            table: self.table.to_owned(),
        }
    }
}

/// The listed name that a written one means: itself, the family of a shard, or a family for a wildcard.
fn listed_name<'a>(names: &'a [Box<str>], written: &str) -> Option<&'a str> {
    if let Ok(at) = names.binary_search_by(|name| (**name).cmp(written)) {
        return Some(&names[at]);
    }
    let prefix = written.strip_suffix('*');
    let fits = |name: &&str| match (name.strip_suffix('*'), prefix) {
        (Some(family), Some(prefix)) => family.starts_with(prefix) || prefix.starts_with(family),
        (Some(family), None) => written.len() > family.len() && written.starts_with(family),
        (None, Some(prefix)) => name.starts_with(prefix),
        (None, None) => false,
    };
    names
        .iter()
        .map(AsRef::as_ref)
        .filter(fits)
        .max_by_key(|name| if name.ends_with('*') { name.len() } else { 0 })
}

/// A table of which nothing is known but its name.
fn unread(project: &str, dataset: &str, table: &str) -> TableSchema {
    TableSchema {
        reference: TableReference {
            project: project.to_owned(),
            dataset: dataset.to_owned(),
            table: table.to_owned(),
        },
        kind: TableKind::Table,
        description: String::new(),
        columns: Vec::new(),
        primary_key: Vec::new(),
        foreign_keys: Vec::new(),
        partitioning: None,
        clustering: Vec::new(),
        num_rows: None,
        num_bytes: None,
        notes: TableNotes::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;

    fn names(names: &[&str]) -> Option<TableNames> {
        Some(names.iter().map(|name| Box::from(*name)).collect())
    }

    fn snapshot(complete: bool) -> CatalogSnapshot {
        let datasets = BTreeMap::from([
            ("shop".to_owned(), names(&["events_*", "orders"])),
            ("later".to_owned(), None),
        ]);
        let listing = BTreeMap::from([("p".to_owned(), ProjectListing { complete, datasets })]);
        CatalogSnapshot::new(Some("p".to_owned()), [], []).with_listing(Arc::new(listing))
    }

    fn found(snapshot: &CatalogSnapshot, path: &str) -> Result<String, UnknownTable> {
        match snapshot.find(&path.split('.').collect::<Vec<_>>()) {
            TableMatch::Found { table, .. } => Ok(table.reference.to_string()),
            TableMatch::Unknown(how) => Err(how),
        }
    }

    #[test]
    fn a_listed_name_is_a_table_of_unknown_columns() {
        let snapshot = snapshot(true);
        assert_eq!(found(&snapshot, "shop.orders"), Ok("p.shop.orders".into()));
        assert_eq!(
            found(&snapshot, "p.shop.events_20240101"),
            Ok("p.shop.events_*".into())
        );
        assert_eq!(found(&snapshot, "shop.ev*"), Ok("p.shop.events_*".into()));
        assert_eq!(found(&snapshot, "later.anything"), Ok("p.later.anything".into()));
        assert_eq!(found(&snapshot, "shop.order"), Err(UnknownTable::InKnownDataset));
        assert_eq!(found(&snapshot, "nowhere.t"), Err(UnknownTable::InKnownProject));
        assert_eq!(
            found(&snapshot, "q.shop.orders"),
            Err(UnknownTable::InUnknownProject)
        );
        assert_eq!(check("SELECT anything FROM shop.orders", &snapshot), []);
    }

    #[test]
    fn what_is_not_wholly_listed_may_be_there() {
        let snapshot = snapshot(false);
        assert_eq!(found(&snapshot, "nowhere.t"), Err(UnknownTable::InUnknownProject));
        assert_eq!(check("SELECT x FROM nowhere.t", &snapshot), []);
        assert_eq!(found(&snapshot, "shop.order"), Err(UnknownTable::InKnownDataset));
    }

    #[test]
    fn a_misspelled_name_gets_the_listed_one() {
        let findings = check("SELECT 1 FROM shop.ordrs", &snapshot(true));
        assert!(findings[0].message.contains("`shop.orders`"), "{findings:?}");
    }

    #[test]
    fn names_that_are_not_read_are_told() {
        let snapshot = snapshot(true);
        let unread: Vec<String> = snapshot.unread_of("SHOP").map(|t| t.to_string()).collect();
        assert_eq!(unread, ["p.shop.events_*", "p.shop.orders"]);
    }
}
