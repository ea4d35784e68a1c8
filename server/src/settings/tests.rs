use std::path::Path;

use serde_json::json;

use super::*;

fn folder_with(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join(CONFIG_FILE_NAME), config).expect("write");
    folder
}

fn messages(loaded: &Loaded) -> Vec<String> {
    loaded.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("settings.schema.json");
    let mut generated = serde_json::to_string_pretty(&json_schema()).expect("JSON");
    generated.push('\n');
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &generated).expect("write the schema");
    }
    let committed = std::fs::read_to_string(&path).expect("server/settings.schema.json");
    assert_eq!(
        committed, generated,
        "run `UPDATE_SCHEMA=1 cargo test --release -p bigquill schema` and look at the difference"
    );
}

#[test]
fn later_layers_win_key_by_key() {
    let folder =
        folder_with("project = 'file'\nmodel = 'file'\nmax_tokens = 11\nseed = 1\ndevice = 'cuda'\n");
    let loaded = load(&Sources {
        config: ConfigFile::Search(folder.path().to_owned()),
        client: json!({"bigquill": {"model": "client", "maxTokens": 12, "seed": 2, "device": null}}),
        environment: vec![
            ("BIGQUILL_MAX_TOKENS".to_owned(), "13".to_owned()),
            ("BIGQUILL_SEED".to_owned(), "3".to_owned()),
        ],
        flags: json!({"seed": 4}).as_object().cloned().unwrap_or_default(),
        ..Sources::default()
    });
    assert_eq!(messages(&loaded), Vec::<String>::new());
    let settings = loaded.settings;
    assert_eq!(settings.project.as_deref(), Some("file"));
    assert_eq!(settings.model, "client");
    assert_eq!(settings.max_tokens, 13);
    assert_eq!(settings.seed, Some(4));
    assert_eq!(settings.device, Device::Cuda);
    assert_eq!(settings.adapter, Settings::default().adapter);
}

#[test]
fn paths_start_from_the_folder_of_the_file() {
    let folder = folder_with(
        "catalog = ['a.json', 'sub/*.json']\nmodel = 'm.gguf'\nadapter = 'lora'\nstore_file = 'kept.sqlite'\n",
    );
    let inside = folder.path().join("queries").join("deep");
    std::fs::create_dir_all(&inside).expect("folders");
    let loaded = load(&Sources {
        config: ConfigFile::Search(inside),
        ..Sources::default()
    });
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    assert_eq!(loaded.settings.catalog, [at("a.json"), at("sub/*.json")]);
    assert_eq!(loaded.settings.model, at("m.gguf"));
    assert_eq!(loaded.settings.adapter, at("lora"));
    assert_eq!(loaded.settings.store_path(), Some(at("kept.sqlite").into()));
    assert_eq!(loaded.config_file, Some(folder.path().join(CONFIG_FILE_NAME)));
}

#[test]
fn known_names_are_no_paths() {
    let folder = folder_with("model = 'mistral-7b'\nadapter = 'none'\ncatalog = 'one.json'\n");
    let loaded = load(&Sources {
        config: ConfigFile::Path(folder.path().join(CONFIG_FILE_NAME)),
        ..Sources::default()
    });
    assert_eq!(loaded.settings.model, "mistral-7b");
    assert_eq!(loaded.settings.adapter, "none");
    assert_eq!(loaded.settings.catalog.len(), 1);
}

#[test]
fn what_cannot_be_used_is_named_with_its_line_and_the_rest_counts() {
    let folder = folder_with("# mine\nprojct = 'p'\nmax_tokens = 0\n\ndevice = 'tpu'\nproject = 'real'\n");
    let loaded = load(&Sources {
        config: ConfigFile::Search(folder.path().to_owned()),
        client: json!({"nothing_like_it": 1}),
        environment: vec![
            ("BIGQUILL_THREADS".to_owned(), "many".to_owned()),
            ("BIGQUILL_LOG".to_owned(), "debug".to_owned()),
            ("BIGQUILL_CATALGO".to_owned(), "x".to_owned()),
        ],
        ..Sources::default()
    });
    assert_eq!(loaded.settings.project.as_deref(), Some("real"));
    assert_eq!(loaded.settings.max_tokens, Settings::default().max_tokens);
    let file = folder.path().join(CONFIG_FILE_NAME);
    let messages = messages(&loaded);
    let expect = [
        format!(
            "{}:2: there is no setting `projct`; did you mean `project`?",
            file.display()
        ),
        format!(
            "{}:3: `max_tokens` cannot be used: expected at least 1, not 0",
            file.display()
        ),
        format!(
            "{}:5: `device` cannot be used: unknown variant `tpu`, expected one of `cpu`, `cuda`, `metal`",
            file.display()
        ),
    ];
    assert!(expect.iter().all(|e| messages.contains(e)), "{messages:#?}");
    let rest: Vec<_> = messages.iter().filter(|m| !expect.contains(m)).collect();
    assert_eq!(rest.len(), 3, "{rest:#?}");
    assert!(rest[0].contains("the editor's configuration") && rest[0].contains("prompt_tokens"));
    assert!(
        rest.iter()
            .any(|m| m.contains("BIGQUILL_THREADS") && m.contains("many"))
    );
    assert!(
        rest.iter()
            .any(|m| m.contains("BIGQUILL_CATALGO") && m.contains("`catalog`"))
    );
    assert_eq!(loaded.problems[0].line, Some(2));
}

#[test]
fn a_broken_or_missing_file_is_one_message() {
    let folder = folder_with("project = 'p'\ncatalog = [\n");
    let broken = load(&Sources {
        config: ConfigFile::Search(folder.path().to_owned()),
        ..Sources::default()
    });
    assert_eq!(broken.settings, Settings::default());
    assert_eq!(broken.problems.len(), 1);
    assert!(broken.problems[0].message.contains("not TOML"), "{broken:?}");

    let missing = load(&Sources {
        config: ConfigFile::Path(folder.path().join("no.toml")),
        ..Sources::default()
    });
    assert_eq!(missing.problems.len(), 1);
    assert!(
        missing.problems[0]
            .message
            .contains("there is no such configuration file")
    );
    assert_eq!(missing.config_file, None);
}

#[test]
fn the_connection_to_bigquery_is_set_like_the_rest() {
    let folder =
        folder_with("credentials = 'key.json'\nprice_per_tib = -1\nendpoint = 'http://127.0.0.1:9050'\n");
    let loaded = load(&Sources {
        config: ConfigFile::Search(folder.path().to_owned()),
        environment: vec![("BIGQUILL_BILLING_PROJECT".to_owned(), "12345".to_owned())],
        ..Sources::default()
    });
    let key = folder.path().join("key.json").to_string_lossy().into_owned();
    assert_eq!(loaded.settings.credentials, Some(key));
    assert_eq!(loaded.settings.billing_project.as_deref(), Some("12345"));
    assert_eq!(loaded.settings.endpoint.as_deref(), Some("http://127.0.0.1:9050"));
    assert_eq!(loaded.settings.price_per_tib, Settings::default().price_per_tib);
    assert_eq!(loaded.problems.len(), 1, "{:?}", loaded.problems);
    assert!(
        loaded.problems[0]
            .message
            .contains("a price of 0 or more, not -1")
    );
}

#[test]
fn what_is_no_object_is_refused() {
    let loaded = load(&Sources {
        client: json!([1]),
        ..Sources::default()
    });
    assert_eq!(loaded.problems.len(), 1);
}
