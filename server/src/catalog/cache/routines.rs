//! Functions and procedures in the cache.

use rusqlite::params;

use super::{CacheError, CachedResource, CatalogCache, cached, seconds};
use crate::catalog::DatasetReference;

impl CatalogCache {
    /// All routines, by name.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn routines(&self) -> Result<Vec<CachedResource>, CacheError> {
        self.with(|connection| {
            let mut rows = connection.prepare(
                "SELECT project, dataset, name, modified, read_at, resource FROM routines
                 ORDER BY project, dataset, name",
            )?;
            let found = rows.query_map([], cached)?;
            Ok(found.collect::<Result<Vec<_>, _>>()?)
        })
    }

    /// Takes the routines of a dataset: these names, of which some changed. What is not in it is forgotten.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn put_routines(
        &self,
        of: &DatasetReference,
        names: &[String],
        changed: &[CachedResource],
    ) -> Result<(), CacheError> {
        self.change(|change| {
            let mut known =
                change.prepare("SELECT name FROM routines WHERE project = ?1 AND dataset = ?2")?;
            let known: Vec<String> = known
                .query_map(params![of.project, of.dataset], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let mut remove =
                change.prepare("DELETE FROM routines WHERE project = ?1 AND dataset = ?2 AND name = ?3")?;
            for gone in known.iter().filter(|name| !names.contains(name)) {
                remove.execute(params![of.project, of.dataset, gone])?;
            }
            let mut put =
                change.prepare("INSERT OR REPLACE INTO routines VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
            for routine in changed {
                let at = seconds(routine.read_at);
                let name = &routine.reference.table;
                put.execute(params![
                    of.project,
                    of.dataset,
                    name,
                    routine.modified,
                    at,
                    routine.resource
                ])?;
            }
            Ok(())
        })
    }
}
