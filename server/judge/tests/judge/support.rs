//! The judge that all tests share, and the catalogs they ask it about.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bigquill_analysis::schema::{CatalogSnapshot, read_resources};
use bigquill_judge::{
    CacheFolder, CompiledModule, Context, Judge, JudgeOptions, MODULE_FILE, ModuleSource, Verdict,
};

/// The folder with the tests' models, the module among them.
fn models() -> PathBuf {
    let folder = std::env::var_os("BIGQUILL_TEST_MODELS").unwrap_or_else(|| {
        panic!(
            "BIGQUILL_TEST_MODELS names no folder with {MODULE_FILE}: run `./test models`, then `./test rust`"
        )
    });
    PathBuf::from(folder)
}

/// The module's file.
pub(crate) fn source() -> ModuleSource {
    let path = models().join(MODULE_FILE);
    assert!(
        path.exists(),
        "{} is missing: run `./test models`",
        path.display()
    );
    ModuleSource::pinned(path)
}

/// Where the compiled module is kept between runs: compiling takes half a minute.
pub(crate) fn cache() -> CacheFolder {
    CacheFolder(models().join("googlesql"))
}

/// The compiled module, compiled once for all tests.
pub(crate) fn module() -> &'static CompiledModule {
    static MODULE: OnceLock<CompiledModule> = OnceLock::new();
    MODULE.get_or_init(|| {
        let (source, cache) = (source(), cache());
        let loaded = CompiledModule::load(&source, &cache).unwrap();
        loaded.unwrap_or_else(|| CompiledModule::compile(&source, &cache, &|_| {}).unwrap())
    })
}

/// A judge with these bounds.
pub(crate) fn judge_with(options: JudgeOptions) -> Judge {
    Judge::new(module(), options).unwrap()
}

/// The judge with the usual bounds, but for time: a busy machine must not change a verdict.
pub(crate) fn judge() -> &'static Judge {
    static JUDGE: OnceLock<Judge> = OnceLock::new();
    let options = JudgeOptions {
        deadline: Duration::from_secs(60),
        ..JudgeOptions::default()
    };
    JUDGE.get_or_init(|| judge_with(options))
}

/// The small shop of `fixtures/catalogs/shop.json`, with a table partitioned by ingestion time beside it.
pub(crate) fn shop() -> Arc<CatalogSnapshot> {
    static SHOP: OnceLock<Arc<CatalogSnapshot>> = OnceLock::new();
    let read = || {
        let text = std::fs::read_to_string(fixtures().join("catalogs/shop.json")).unwrap();
        let log = r#"{"tableReference": {"projectId": "acme-analytics", "datasetId": "logs", "tableId": "raw"},
            "timePartitioning": {"type": "DAY"},
            "schema": {"fields": [{"name": "line", "type": "STRING"}, {"name": "attributes", "type": "JSON"}]}}"#;
        let bare =
            r#"{"tableReference": {"projectId": "acme-analytics", "datasetId": "logs", "tableId": "bare"}}"#;
        let texts = [text.as_str(), &log.replace('\n', " "), bare];
        let read: Vec<_> = texts.iter().map(|text| read_resources(text)).collect();
        assert!(read.iter().all(|(_, _, errors)| errors.is_empty()));
        let tables = read.iter().flat_map(|(tables, _, _)| tables.clone());
        let routines = read.iter().flat_map(|(_, routines, _)| routines.clone());
        Arc::new(CatalogSnapshot::new(None, tables, routines))
    };
    Arc::clone(SHOP.get_or_init(read))
}

/// What the shared judge says of a statement over the shop.
pub(crate) fn verdict(sql: &str) -> Verdict {
    judge().verdict(sql, &shop(), &Context::default())
}

/// The folder of fixtures.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// A compressed fixture's text.
pub(crate) fn unpacked(path: &str) -> String {
    let file = std::fs::File::open(fixtures().join(path)).unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// Columns as `name TYPE, …`.
pub(crate) fn columns(verdict: &Verdict) -> String {
    let accepted = verdict.accepted().unwrap_or_else(|| panic!("{verdict:?}"));
    let column =
        |c: &bigquill_judge::OutputColumn| format!("{} {}", c.name.as_deref().unwrap_or("?"), c.sql_type);
    accepted.columns.iter().map(column).collect::<Vec<_>>().join(", ")
}
