//! GoogleSQL for tests: one judge for all of a process, its compiled module kept between runs.

use std::path::PathBuf;
use std::sync::OnceLock;

use bigquill_judge::{CacheFolder, Judge, JudgeOptions, MODULE_FILE, ModuleSource};

/// The judge.
///
/// # Panics
/// Where the tests' module is missing; `./test models` gets it.
#[must_use]
pub fn judge() -> Judge {
    static JUDGE: OnceLock<Judge> = OnceLock::new();
    JUDGE
        .get_or_init(|| {
            let models = std::env::var_os("BIGQUILL_TEST_MODELS").map(PathBuf::from);
            let models = models.expect("BIGQUILL_TEST_MODELS names the folder of models: run ./test");
            let source = ModuleSource::pinned(models.join(MODULE_FILE));
            let cache = CacheFolder(models.join("googlesql"));
            Judge::open(&source, &cache, JudgeOptions::default(), &|_| {})
                .unwrap_or_else(|error| panic!("{error}; run ./test models"))
        })
        .clone()
}
