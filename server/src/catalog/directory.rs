//! Catalogs by name, for batch work: `NAME` is the file `NAME.json` or `NAME.json.gz` in one folder.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use bigquill_analysis::schema::CatalogSnapshot;

use super::{CatalogError, CatalogProblem, FileCatalog};

/// A folder of catalog files; each is read once, when it is first asked for.
#[derive(Debug)]
pub struct CatalogDirectory {
    folder: PathBuf,
    project: Option<String>,
    read: HashMap<String, Arc<CatalogSnapshot>>,
}

impl CatalogDirectory {
    /// The catalogs in this folder. `project` is the default project, if set.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] where there is no such folder.
    pub fn open(folder: PathBuf, project: Option<String>) -> Result<Self, CatalogError> {
        if !folder.is_dir() {
            return Err(CatalogError::NotFound(format!(
                "{}: there is no such folder of catalogs; `bigquill catalog import … --out {0}` makes one",
                folder.display()
            )));
        }
        Ok(Self {
            folder,
            project,
            read: HashMap::new(),
        })
    }

    /// The catalog of this name, and problems the first time that it is read.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] where the folder has no such file.
    pub fn get(&mut self, name: &str) -> Result<(Arc<CatalogSnapshot>, Vec<CatalogProblem>), CatalogError> {
        if let Some(snapshot) = self.read.get(name) {
            return Ok((Arc::clone(snapshot), Vec::new()));
        }
        let path = self.path(name)?;
        let catalog = FileCatalog::open(&[path.to_string_lossy().into_owned()], self.project.clone());
        let snapshot = catalog.current();
        self.read.insert(name.to_owned(), Arc::clone(&snapshot));
        Ok((snapshot, catalog.problems()))
    }

    fn path(&self, name: &str) -> Result<PathBuf, CatalogError> {
        let stays_inside = !name.is_empty() && !name.contains(['/', '\\']) && name != "..";
        ["json", "json.gz"]
            .iter()
            .map(|ending| self.folder.join(format!("{name}.{ending}")))
            .find(|path| stays_inside && path.is_file())
            .ok_or_else(|| {
                CatalogError::NotFound(format!(
                    "there is no catalog {name:?}: neither {name}.json nor {name}.json.gz in {}",
                    self.folder.display()
                ))
            })
    }
}
