//! Finding tables by the names that people write: default project, wildcard families, shards, case.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::{CatalogSnapshot, Routine, TableReference, TableSchema};
use crate::linking;
use crate::types::{self, Field};

/// What is derived from a snapshot on first use. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Index {
    id: u64,
    names: Arc<OnceLock<Names>>,
    linking: Arc<OnceLock<linking::Index>>,
}

impl Default for Index {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            names: Arc::default(),
            linking: Arc::default(),
        }
    }
}

/// Lower-cased names.
#[derive(Debug, Default)]
struct Names {
    /// `dataset.table` to the tables of that name, in any project.
    tables: HashMap<String, Vec<TableReference>>,
    /// Dataset to its tables.
    datasets: HashMap<String, Vec<TableReference>>,
    projects: HashSet<String>,
    /// Families (`events_*`) by `dataset`.
    families: HashMap<String, Vec<TableReference>>,
    /// Table name without dataset.
    bare: HashMap<String, Vec<TableReference>>,
    /// `dataset.routine` to the places of the routines of that name, in any project.
    routines: HashMap<String, Vec<usize>>,
    /// Datasets with routines, each with its projects.
    routine_datasets: HashMap<String, HashSet<String>>,
    fields: HashMap<TableReference, OnceLock<Arc<Vec<Field>>>>,
}

/// What a table's name means in a snapshot.
#[derive(Debug, Clone)]
pub enum TableMatch {
    /// A table, or a family for a shard or a wildcard.
    Found {
        /// Its schema.
        table: Arc<TableSchema>,
        /// The name has a wildcard, so there is `_TABLE_SUFFIX`.
        wildcard: bool,
        /// The name differs from the table's in case only; BigQuery minds case in tables and datasets.
        exact: bool,
    },
    /// The snapshot does not have it.
    Unknown(UnknownTable),
}

/// How far an unknown name is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownTable {
    /// There is no dataset in the name.
    NoDataset,
    /// The snapshot has the dataset, but no such table.
    InKnownDataset,
    /// The snapshot has the project (or the default one is meant), but no such dataset.
    InKnownProject,
    /// Nothing of the project is in the snapshot.
    InUnknownProject,
}

impl CatalogSnapshot {
    /// A number that no other snapshot has, but clones of this one.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.index.id
    }

    /// The index for schema linking, made on first use.
    pub(crate) fn linking_index(&self) -> &linking::Index {
        self.index.linking.get_or_init(|| linking::Index::new(self))
    }

    /// The table that this path of one to three (or more) names means.
    #[must_use]
    pub fn find(&self, path: &[&str]) -> TableMatch {
        let (project, dataset, table) = match path {
            [] | [_] => return TableMatch::Unknown(UnknownTable::NoDataset),
            [dataset, table] => (None, *dataset, *table),
            [project @ .., dataset, table] => (Some(project.join(".")), *dataset, *table),
        };
        let names = self.names();
        let project = project.or_else(|| self.default_project.clone());
        let wanted = project.as_deref();
        let key = format!("{dataset}.{table}").to_lowercase();
        let found = names.tables.get(&key).and_then(|t| self.pick(t, wanted));
        let family = || {
            names
                .families
                .get(&dataset.to_lowercase())
                .and_then(|t| self.pick_family(t, wanted, table))
        };
        if let Some(reference) = found.or_else(family)
            && let Some(schema) = self.table(reference)
        {
            let same_dataset = reference.dataset == dataset;
            let exact = same_dataset && (reference.table == table || reference.table.ends_with('*'));
            return TableMatch::Found {
                table: Arc::clone(schema),
                wildcard: table.ends_with('*'),
                exact,
            };
        }
        self.listed(wanted, dataset, table)
            .unwrap_or_else(|| TableMatch::Unknown(self.how_unknown(wanted, dataset)))
    }

    fn pick<'s>(&self, tables: &'s [TableReference], project: Option<&str>) -> Option<&'s TableReference> {
        match project {
            Some(project) => tables
                .iter()
                .find(|t| t.project.is_empty() || t.project.eq_ignore_ascii_case(project)),
            // Which project is the default one is not known: any may be meant.
            None => tables.first(),
        }
    }

    fn pick_family<'s>(
        &self,
        tables: &'s [TableReference],
        project: Option<&str>,
        name: &str,
    ) -> Option<&'s TableReference> {
        let of_project = tables
            .iter()
            .filter(|t| project.is_none_or(|p| t.project.is_empty() || t.project.eq_ignore_ascii_case(p)));
        let lower = name.to_lowercase();
        let written = lower.strip_suffix('*');
        let fits = |t: &&TableReference| {
            let Some(prefix) = t.table.strip_suffix('*').map(str::to_lowercase) else {
                // A wildcard over plain tables: `prefix*`.
                return written.is_some_and(|w| t.table.to_lowercase().starts_with(w));
            };
            match written {
                Some(written) => prefix.starts_with(written) || written.starts_with(&prefix),
                None => lower.len() > prefix.len() && lower.starts_with(&prefix),
            }
        };
        let found: Vec<&TableReference> = of_project.filter(fits).collect();
        // The longest prefix is the nearest family; of plain tables BigQuery takes the newest schema, mostly the last.
        found
            .into_iter()
            .max_by_key(|t| if t.table.ends_with('*') { t.table.len() } else { 0 })
    }

    fn how_unknown(&self, project: Option<&str>, dataset: &str) -> UnknownTable {
        let names = self.names();
        let of_project = |t: &TableReference| {
            project.is_none_or(|p| t.project.is_empty() || t.project.eq_ignore_ascii_case(p))
        };
        if names
            .datasets
            .get(&dataset.to_lowercase())
            .is_some_and(|t| t.iter().any(of_project))
        {
            UnknownTable::InKnownDataset
        } else if project
            .is_none_or(|p| names.projects.contains(&p.to_lowercase()) || names.projects.contains(""))
        {
            UnknownTable::InKnownProject
        } else {
            UnknownTable::InUnknownProject
        }
    }

    /// Tables of this name in whatever dataset.
    #[must_use]
    pub fn tables_named(&self, table: &str) -> &[TableReference] {
        self.names()
            .bare
            .get(&table.to_lowercase())
            .map_or(&[], Vec::as_slice)
    }

    /// Tables of this dataset, in whatever project.
    #[must_use]
    pub fn tables_of(&self, dataset: &str) -> &[TableReference] {
        self.names()
            .datasets
            .get(&dataset.to_lowercase())
            .map_or(&[], Vec::as_slice)
    }

    /// Names of all datasets, lower-cased.
    pub fn datasets(&self) -> impl Iterator<Item = &str> {
        self.names().datasets.keys().map(String::as_str)
    }

    /// A table's columns as fields.
    #[must_use]
    pub fn fields(&self, table: &TableSchema) -> Arc<Vec<Field>> {
        let make = || Arc::new(types::fields(&table.columns));
        match self.names().fields.get(&table.reference) {
            Some(cell) => Arc::clone(cell.get_or_init(make)),
            None => make(),
        }
    }

    /// The routine of this path.
    #[must_use]
    pub fn routine(&self, path: &[&str]) -> Option<&Arc<Routine>> {
        let [before @ .., dataset, name] = path else {
            return None;
        };
        let places = self
            .names()
            .routines
            .get(&format!("{dataset}.{name}").to_lowercase())?;
        let project = self.project_of(before);
        let of_project = |routine: &&Arc<Routine>| {
            let own = &routine.reference.project;
            own.is_empty() || project.as_ref().is_none_or(|p| p.eq_ignore_ascii_case(own))
        };
        places
            .iter()
            .filter_map(|place| self.routines.get(*place))
            .find(of_project)
    }

    /// Whether the snapshot has any routine of the dataset that this path of a routine names: then others are not there.
    #[must_use]
    pub fn knows_routines_of(&self, path: &[&str]) -> bool {
        let [before @ .., dataset, _] = path else {
            return false;
        };
        let Some(projects) = self.names().routine_datasets.get(&dataset.to_lowercase()) else {
            return false;
        };
        let project = self.project_of(before);
        project.is_none_or(|project| projects.contains("") || projects.contains(&project.to_lowercase()))
    }

    /// The project that is written before a dataset, else the default one.
    fn project_of(&self, before: &[&str]) -> Option<String> {
        if before.is_empty() {
            return self.default_project.clone();
        }
        Some(before.join("."))
    }

    fn names(&self) -> &Names {
        self.index.names.get_or_init(|| self.read_names())
    }

    fn read_names(&self) -> Names {
        let mut names = Names::default();
        for reference in &self.order {
            let dataset = reference.dataset.to_lowercase();
            let table = reference.table.to_lowercase();
            names.projects.insert(reference.project.to_lowercase());
            names
                .tables
                .entry(format!("{dataset}.{table}"))
                .or_default()
                .push(reference.clone());
            names.bare.entry(table).or_default().push(reference.clone());
            names
                .families
                .entry(dataset.clone())
                .or_default()
                .push(reference.clone());
            names.datasets.entry(dataset).or_default().push(reference.clone());
            names.fields.insert(reference.clone(), OnceLock::new());
        }
        for (place, routine) in self.routines.iter().enumerate() {
            let dataset = routine.reference.dataset.to_lowercase();
            let key = format!("{dataset}.{}", routine.reference.table.to_lowercase());
            names.routines.entry(key).or_default().push(place);
            let projects = names.routine_datasets.entry(dataset).or_default();
            projects.insert(routine.reference.project.to_lowercase());
        }
        names
    }
}
