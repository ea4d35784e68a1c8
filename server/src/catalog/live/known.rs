//! What is known of BigQuery's tables, and how it and catalog files become one snapshot.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use bigquill_analysis::schema::{
    CatalogSnapshot, Listing, ProjectListing, Routine, TableReference, TableSchema, read_resources,
};

use crate::catalog::{CachedResource, DatasetReference};

/// Names that are listed and schemas that are read. A change makes a new one; what did not change is shared.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The names.
    pub listing: Arc<Listing>,
    /// The schemas that somebody needed.
    pub read: HashMap<TableReference, ReadTable>,
    /// The routines of datasets, by name: of a dataset all or none, for one that is missing would be called unknown.
    pub routines: BTreeMap<DatasetReference, Arc<BTreeMap<String, ReadRoutine>>>,
}

/// A routine that BigQuery gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRoutine {
    /// Its signature.
    pub routine: Arc<Routine>,
    /// `lastModifiedTime`, as BigQuery writes it; empty where it gave none.
    pub modified: String,
}

impl ReadRoutine {
    /// None where the resource is no routine.
    pub(super) fn of(cached: &CachedResource) -> Option<Self> {
        let routine = read_resources(&cached.resource).1.into_iter().next()?;
        Some(Self {
            routine: Arc::new(routine),
            modified: cached.modified.clone(),
        })
    }
}

/// Digits of a time in milliseconds.
const MILLISECONDS: usize = 13;

/// A schema and when BigQuery last gave it.
#[derive(Debug, Clone)]
pub struct ReadTable {
    /// The schema.
    pub schema: Arc<TableSchema>,
    /// `lastModifiedTime`, as BigQuery writes it; empty where it gave none.
    pub modified: String,
    /// When it was read.
    pub read_at: SystemTime,
}

impl Known {
    /// Adds a schema of the cache or of BigQuery; false where it is the same as before but for its age, or cannot be
    /// read at all.
    pub(super) fn put(&mut self, table: &CachedResource) -> bool {
        if let Some(before) = self.read.get_mut(&table.reference) {
            before.read_at = table.read_at;
            // The emulator counts seconds, and a second has room for two changes.
            if table.modified.len() >= MILLISECONDS && before.modified == table.modified {
                return false;
            }
        }
        let (tables, _, errors) = read_resources(&table.resource);
        for error in errors {
            tracing::warn!(%error, table = %table.reference, "a schema cannot be read");
        }
        let Some(schema) = tables.into_iter().next() else {
            return false;
        };
        let same = self
            .read
            .get(&table.reference)
            .is_some_and(|before| *before.schema == schema);
        let read = ReadTable {
            schema: Arc::new(schema),
            modified: table.modified.clone(),
            read_at: table.read_at,
        };
        self.read.insert(table.reference.clone(), read);
        !same
    }

    /// The listing of a project, to change.
    pub(super) fn project(&mut self, project: &str) -> &mut ProjectListing {
        Arc::make_mut(&mut self.listing)
            .entry(project.to_owned())
            .or_default()
    }

    /// The listed names of a dataset; none where they are not known.
    pub(super) fn names(&self, dataset: &DatasetReference) -> Option<Arc<[Box<str>]>> {
        let project = self.listing.get(&dataset.project)?;
        project.datasets.get(&dataset.dataset)?.clone()
    }

    /// How many tables are listed.
    pub(super) fn listed_tables(&self) -> usize {
        let datasets = self
            .listing
            .values()
            .flat_map(|project| project.datasets.values());
        datasets.flatten().map(|names| names.len()).sum()
    }

    /// Forgets schemas of tables that are listed no more.
    pub(super) fn forget_unlisted(&mut self) {
        let listing = Arc::clone(&self.listing);
        self.read.retain(|reference, _| !is_unlisted(&listing, reference));
        self.routines.retain(|dataset, _| {
            let project = listing.get(&dataset.project);
            project.is_none_or(|of| !of.complete || of.datasets.contains_key(&dataset.dataset))
        });
    }

    /// One snapshot of this and of catalog files. Where BigQuery listed a dataset, its tables are those that BigQuery
    /// names, with BigQuery's schemas; a file's schema stands in for one that was not read yet. So it is with routines.
    /// Everything else comes from the files.
    #[must_use]
    pub fn merged(&self, files: &CatalogSnapshot, project: Option<&str>) -> CatalogSnapshot {
        let mut tables: BTreeMap<&TableReference, Arc<TableSchema>> = self
            .read
            .iter()
            .map(|(reference, read)| (reference, Arc::clone(&read.schema)))
            .collect();
        let mut of_files = Vec::new();
        for table in files.tables() {
            let reference = with_project(&table.reference, project);
            if self.read.contains_key(&reference) || is_unlisted(&self.listing, &reference) {
                continue;
            }
            if table.reference.project.is_empty() && reference != table.reference {
                let named = TableSchema {
                    reference,
                    ..(**table).clone()
                };
                of_files.push(Arc::new(named));
            } else {
                of_files.push(Arc::clone(table));
            }
        }
        // A fixed order: equal tables give equal prompts.
        let live: Vec<Arc<TableSchema>> = std::mem::take(&mut tables).into_values().collect();
        let tables: Vec<Arc<TableSchema>> = of_files.into_iter().chain(live).collect();
        let default_project = project
            .map(str::to_owned)
            .or_else(|| files.default_project.clone());
        let of_live = self.routines.values().flat_map(|of_dataset| of_dataset.values());
        let of_live = of_live.map(|read| Arc::clone(&read.routine));
        let of_files = files.routines().filter(|routine| {
            let reference = with_project(&routine.reference, project);
            let dataset = DatasetReference {
                project: reference.project,
                dataset: reference.dataset,
            };
            !self.routines.contains_key(&dataset)
        });
        let routines: Vec<Arc<Routine>> = of_files.cloned().chain(of_live).collect();
        let mut snapshot = CatalogSnapshot::shared(default_project, tables, routines)
            .with_listing(Arc::clone(&self.listing));
        snapshot.read_at = self
            .read
            .values()
            .map(|read| read.read_at)
            .max()
            .or(files.read_at);
        snapshot
    }
}

/// Whether its dataset or project is listed without it.
fn is_unlisted(listing: &Listing, reference: &TableReference) -> bool {
    let Some(project) = listing.get(&reference.project) else {
        return false;
    };
    match project.datasets.get(&reference.dataset) {
        Some(Some(names)) => names
            .binary_search_by(|name| (**name).cmp(&reference.table))
            .is_err(),
        Some(None) => false,
        None => project.complete,
    }
}

fn with_project(reference: &TableReference, project: Option<&str>) -> TableReference {
    let mut reference = reference.clone();
    if reference.project.is_empty()
        && let Some(project) = project
    {
        project.clone_into(&mut reference.project);
    }
    reference
}

#[cfg(test)]
mod tests {
    use bigquill_analysis::schema::TableMatch;
    use serde_json::json;

    use super::*;

    fn cached(table: &str, column: &str, modified: &str) -> CachedResource {
        let resource = json!({
            "tableReference": {"projectId": "p", "datasetId": "shop", "tableId": table},
            "schema": {"fields": [{"name": column, "type": "STRING"}]},
        });
        CachedResource {
            reference: TableReference {
                project: "p".into(),
                dataset: "shop".into(),
                table: table.into(),
            },
            modified: modified.into(),
            read_at: SystemTime::now(),
            resource: resource.to_string(),
        }
    }

    fn file(text: &str) -> CatalogSnapshot {
        CatalogSnapshot::new(Some("p".into()), read_resources(text).0, [])
    }

    fn columns(snapshot: &CatalogSnapshot, path: &[&str]) -> Option<Vec<String>> {
        match snapshot.find(path) {
            TableMatch::Found { table, .. } => Some(table.columns.iter().map(|c| c.name.clone()).collect()),
            TableMatch::Unknown(_) => None,
        }
    }

    #[test]
    fn bigquery_wins_where_it_listed_and_files_fill_the_rest() {
        let mut known = Known::default();
        assert!(known.put(&cached("orders", "live", "1")));
        known
            .project("p")
            .datasets
            .insert("shop".into(), Some(Arc::from(["later", "orders"].map(Box::from))));
        let lines: Vec<String> = ["orders", "later", "gone"]
            .map(|table| cached(table, "file", "").resource)
            .into_iter()
            .chain([json!({"tableReference": {"datasetId": "other", "tableId": "t"}, "schema": {"fields": [{"name": "x", "type": "STRING"}]}}).to_string()])
            .collect();
        let merged = known.merged(&file(&lines.join("\n")), Some("p"));
        assert_eq!(columns(&merged, &["shop", "orders"]), Some(vec!["live".into()]));
        assert_eq!(
            columns(&merged, &["shop", "later"]),
            Some(vec!["file".into()]),
            "not read yet"
        );
        assert_eq!(columns(&merged, &["shop", "gone"]), None);
        assert_eq!(columns(&merged, &["p", "other", "t"]), Some(vec!["x".into()]));
    }

    #[test]
    fn routines_of_a_dataset_are_bigquerys_or_the_files() {
        let routine = |dataset: &str, name: &str| {
            let resource =
                json!({"routineReference": {"projectId": "p", "datasetId": dataset, "routineId": name}});
            CachedResource::routine(&resource, SystemTime::now()).expect("a routine")
        };
        let mut known = Known::default();
        let live = ReadRoutine::of(&routine("shop", "live")).expect("a routine");
        let shop = DatasetReference {
            project: "p".into(),
            dataset: "shop".into(),
        };
        known
            .routines
            .insert(shop, Arc::new(BTreeMap::from([("live".into(), live)])));
        let lines = [routine("shop", "gone"), routine("other", "kept")].map(|routine| routine.resource);
        let files = CatalogSnapshot::new(Some("p".into()), [], read_resources(&lines.join("\n")).1);
        let merged = known.merged(&files, Some("p"));
        let names: Vec<&str> = merged.routines().map(|r| r.reference.table.as_str()).collect();
        assert_eq!(names, ["kept", "live"]);
    }

    #[test]
    fn only_a_changed_schema_is_a_change() {
        let mut known = Known::default();
        assert!(known.put(&cached("orders", "a", "1")));
        assert!(!known.put(&cached("orders", "a", "1")));
        assert!(
            !known.put(&cached("orders", "a", "2")),
            "its rows changed, not its columns"
        );
        assert!(known.put(&cached("orders", "b", "2")), "within one second");
        known
            .project("p")
            .datasets
            .insert("shop".into(), Some(Arc::from([])));
        known.forget_unlisted();
        assert!(known.read.is_empty());
    }
}
