//! The module's file and its compiled form: what is missing, cut, foreign or of another version.

use std::fs;
use std::path::PathBuf;

use bigquill_judge::{CacheFolder, CompiledModule, Judge, JudgeError, JudgeOptions, ModuleSource};

use crate::support::{cache, module, source};

fn compile(path: PathBuf) -> JudgeError {
    let folder = tempfile::tempdir().unwrap();
    let cache = CacheFolder(folder.path().join("cache"));
    CompiledModule::compile(&ModuleSource::pinned(path), &cache, &|_| {}).unwrap_err()
}

#[test]
fn a_missing_module_says_how_to_get_it() {
    let error = compile(PathBuf::from("/nowhere/zetasql.wasm"));
    assert!(matches!(error, JudgeError::ModuleMissing { .. }), "{error:?}");
    assert!(error.to_string().contains("bigquill model pull"), "{error}");
}

#[test]
fn a_truncated_module_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zetasql.wasm");
    let bytes = fs::read(source().path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = compile(path);
    assert!(
        matches!(
            error,
            JudgeError::ModuleTruncated {
                length: 14_206_465,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn a_foreign_module_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zetasql.wasm");
    let mut bytes = fs::read(source().path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let error = compile(path);
    assert!(matches!(error, JudgeError::ModuleForeign { .. }), "{error:?}");
    assert!(error.to_string().contains("remove it"), "{error}");
}

/// Copies the compiled module into a folder of its own; returns the copy's code file.
///
/// The cache may have what other versions compiled, too.
fn copied_cache(to: &std::path::Path) -> PathBuf {
    module();
    let entries = fs::read_dir(cache().0).unwrap();
    let codes = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "cwasm"));
    for code in codes {
        let copy = |path: &std::path::Path| {
            let copy = to.join(path.file_name().unwrap());
            fs::copy(path, &copy).unwrap();
            copy
        };
        let (stamp, code) = (copy(&code.with_extension("stamp")), copy(&code));
        if loads(to) {
            return code;
        }
        fs::remove_file(stamp).unwrap();
        fs::remove_file(code).unwrap();
    }
    panic!("no compiled form in the cache is of this version");
}

fn private_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    }
    folder
}

fn loads(folder: &std::path::Path) -> bool {
    let cache = CacheFolder(folder.to_owned());
    CompiledModule::load(&source(), &cache).unwrap().is_some()
}

#[test]
fn a_damaged_cache_is_not_loaded() {
    let folder = private_folder();
    let code = copied_cache(folder.path());
    assert!(loads(folder.path()));
    let whole = fs::read(&code).unwrap();
    fs::write(&code, &whole[..whole.len() / 2]).unwrap();
    assert!(!loads(folder.path()), "truncated");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    fs::write(&code, &flipped).unwrap();
    assert!(!loads(folder.path()), "damaged");
    fs::write(&code, b"").unwrap();
    assert!(!loads(folder.path()), "empty");
    fs::remove_file(&code).unwrap();
    assert!(!loads(folder.path()), "gone");
}

#[test]
fn a_cache_of_another_version_is_not_loaded() {
    let folder = private_folder();
    let code = copied_cache(folder.path());
    let other = code.with_file_name("googlesql-0000000000000000-0000000000000000.cwasm");
    fs::rename(&code, &other).unwrap();
    assert!(!loads(folder.path()));
}

#[test]
fn an_absent_cache_loads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!loads(&folder.path().join("none")));
}

#[cfg(unix)]
#[test]
fn a_cache_that_others_may_write_is_not_loaded() {
    use std::os::unix::fs::PermissionsExt;
    let folder = private_folder();
    copied_cache(folder.path());
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(!loads(folder.path()));
}

#[cfg(unix)]
#[test]
fn the_cache_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    module();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache().0), 0o700);
    for entry in fs::read_dir(cache().0).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn opening_finds_the_cache() {
    module();
    let progress = |phase| panic!("{phase:?} though there is a compiled form");
    let judge = Judge::open(&source(), &cache(), JudgeOptions::default(), &progress);
    assert!(judge.is_ok(), "{judge:?}");
}
