use super::*;

fn reference(dataset: &str, table: &str) -> TableReference {
    TableReference {
        project: "p".to_owned(),
        dataset: dataset.to_owned(),
        table: table.to_owned(),
    }
}

fn table(dataset: &str, name: &str) -> CachedResource {
    CachedResource {
        reference: reference(dataset, name),
        modified: "1".to_owned(),
        read_at: time(1_700_000_000),
        resource: "{}".to_owned(),
    }
}

fn dataset(name: &str) -> DatasetReference {
    DatasetReference {
        project: "p".to_owned(),
        dataset: name.to_owned(),
    }
}

fn member(name: &str) -> Member {
    Member {
        id: name.replace('*', "20240101"),
        name: name.to_owned(),
    }
}

fn filled(folder: &Path) -> CatalogCache {
    let cache = CatalogCache::open(folder, "p", None).expect("a cache");
    cache
        .put_datasets("p", &["shop".into(), "later".into()])
        .expect("written");
    cache
        .put_names(&dataset("shop"), &[member("orders"), member("events_*")])
        .expect("written");
    cache
        .put_tables(&[table("shop", "orders"), table("shop", "events_*")])
        .expect("written");
    cache
}

#[test]
fn what_is_put_is_there_after_the_next_start() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(filled(folder.path()));
    let cache = CatalogCache::open(folder.path(), "p", None).expect("a cache");
    let listing = cache.listing().expect("read");
    assert!(listing["p"].complete);
    assert_eq!(listing["p"].datasets["later"], None);
    let names: Vec<&str> = listing["p"].datasets["shop"]
        .iter()
        .flat_map(|n| n.iter())
        .map(AsRef::as_ref)
        .collect();
    assert_eq!(names, ["events_*", "orders"]);
    let families = cache.families().expect("read");
    assert_eq!(
        families,
        [(reference("shop", "events_*"), "events_20240101".to_owned())].into()
    );
    let found = cache
        .tables(&[reference("shop", "orders"), reference("shop", "nothing")])
        .expect("read");
    assert_eq!(found, [table("shop", "orders")]);
    assert_eq!(cache.count().expect("read"), 2);
    let summary = cache.summary().expect("read");
    assert_eq!((summary[1].names, summary[1].schemas), (2, 2));
    assert_eq!(summary[1].oldest, Some(time(1_700_000_000)));
}

#[test]
fn what_is_gone_is_forgotten() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = filled(folder.path());
    cache
        .put_names(&dataset("shop"), &[member("orders")])
        .expect("written");
    assert_eq!(cache.count().expect("read"), 1);
    cache.remove_table(&reference("shop", "orders")).expect("written");
    assert_eq!(cache.count().expect("read"), 0);
    cache.put_datasets("p", &["later".into()]).expect("written");
    assert_eq!(cache.listing().expect("read")["p"].datasets.len(), 1);
    let path = cache.path().to_owned();
    cache.clear().expect("removed");
    assert!(!path.exists());
}

#[test]
fn a_spoiled_file_is_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = filled(folder.path()).path().to_owned();
    std::fs::write(
        &path,
        "this is no database, and long enough to be looked at as one ".repeat(20),
    )
    .expect("written");
    let cache = CatalogCache::open(folder.path(), "p", None).expect("a new cache");
    assert_eq!(cache.count().expect("read"), 0);
}

#[test]
fn projects_and_endpoints_have_files_of_their_own() {
    let names = [
        file_name("p", None),
        file_name("q", None),
        file_name("p", Some("http://127.0.0.1:9050/")),
        file_name("example.com:p", None),
    ];
    assert_eq!(
        names,
        [
            "p.sqlite",
            "q.sqlite",
            "p@http___127.0.0.1_9050.sqlite",
            "example.com_p.sqlite"
        ]
    );
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let outer = tempfile::tempdir().expect("a folder");
    let cache = filled(&outer.path().join("bigquery"));
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(cache.path()), 0o600);
    assert_eq!(mode(cache.path().parent().expect("a folder")), 0o700);
}

#[test]
fn routines_are_kept_without_their_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = filled(folder.path());
    let routine = |name: &str| {
        let resource = serde_json::json!({
            "routineReference": {"projectId": "p", "datasetId": "shop", "routineId": name},
            "lastModifiedTime": "1700000000000", "definitionBody": "hush",
        });
        CachedResource::routine(&resource, time(1_700_000_000)).expect("a routine")
    };
    let names = ["f", "g"].map(str::to_owned);
    let put = |names: &[String], changed: &[CachedResource]| {
        cache
            .put_routines(&dataset("shop"), names, changed)
            .expect("written");
    };
    put(&names, &[routine("f"), routine("g")]);
    // One is gone, the other did not change.
    put(&names[..1], &[]);
    let kept = cache.routines().expect("read");
    assert_eq!(kept, [routine("f")]);
    assert!(!kept[0].resource.contains("hush"));
    assert_eq!(
        cache
            .summary()
            .expect("read")
            .iter()
            .map(|s| s.routines)
            .sum::<usize>(),
        1
    );
    cache.put_datasets("p", &["later".into()]).expect("written");
    assert_eq!(cache.routines().expect("read"), []);
}
