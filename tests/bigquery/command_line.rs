//! `catalog sync`, `dry-run` and `doctor --online` as a person runs them.

use bigquill_tests::emulator::Emulator;
use bigquill_tests::fault_server::{FaultServer, Reply};
use bigquill_tests::workspace::Workspace;
use serde_json::{Value, json};

use crate::support::{shop, workspace};

#[tokio::test]
async fn a_dry_run_answers_statement_by_statement() {
    let emulator = Emulator::start().await;
    emulator.make(&shop()).await;
    let workspace = workspace(&emulator.url());
    let text = "-- all\nSELECT name FROM shop.customers;\n\n-- ä: bytes are no columns\nSELECT 'ä', emial\nFROM shop.customers;\n";
    workspace.write("report.sql", text);

    let ran = workspace
        .run(&["dry-run", "report.sql", "--format", "json"], "")
        .await;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{ran:?}");
    let lines: Vec<Value> = ran
        .stdout
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["ok"], true);
    assert!(
        lines[0]["bytes_processed"].is_u64() && lines[0]["price"].is_f64(),
        "{}",
        lines[0]
    );
    assert_eq!(lines[1]["ok"], false);
    assert_eq!(lines[1]["error"]["start"], json!({"line": 4, "character": 12}));
    assert_eq!(lines[1]["error"]["end"], json!({"line": 4, "character": 17}));

    let ran = workspace.run(&["dry-run", "report.sql"], "").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("report.sql:2: SELECT reads "), "{ran:?}");
    assert!(
        ran.stdout.contains("report.sql:5:13") && ran.stdout.contains("Did you mean email?"),
        "{ran:?}"
    );

    let ran = workspace.run(&["dry-run", "-"], "SELECT 1").await;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
}

#[tokio::test]
async fn a_script_is_asked_as_one() {
    let server = FaultServer::start().await;
    let job = json!({"statistics": {"query": {
        "totalBytesProcessed": "1319413953331", "totalBytesProcessedAccuracy": "LOWER_BOUND", "statementType": "SCRIPT",
    }}});
    server.on("/jobs", [Reply::json(&job)]);
    let workspace = workspace(&server.url());
    let script = "DECLARE day DATE DEFAULT '2024-01-01';\nSELECT * FROM shop.orders WHERE d = day;\n";
    let ran = workspace.run(&["dry-run", "-"], script).await;
    assert_eq!(
        ran.stdout, "-:1: SCRIPT reads at least 1.2 TiB, 7.50 USD\n",
        "{ran:?}"
    );
    assert_eq!(ran.code, Some(0));
    let received = server.received();
    assert_eq!(received.len(), 1);
    let job: Value = serde_json::from_str(&received[0].body).expect("a job");
    assert_eq!(
        job["configuration"]["query"]["query"],
        script.trim_end().trim_end_matches(';')
    );
}

#[tokio::test]
async fn what_cannot_be_asked_ends_with_two_and_the_remedy() {
    let server = FaultServer::start().await;
    server.on("/jobs", [Reply::error(401, "authError", "Invalid Credentials")]);
    server.on(
        "/tables",
        [Reply::error(403, "accessDenied", "Access Denied: Dataset shop")],
    );
    let workspace = workspace(&server.url());
    workspace.write("catalog.json", "old");
    let ran = workspace.run(&["dry-run", "-"], "SELECT 1").await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("gcloud auth application-default login"),
        "{ran:?}"
    );
    let ran = workspace
        .run(
            &["catalog", "sync", "--dataset", "shop", "--out", "catalog.json"],
            "",
        )
        .await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("BigQuery Metadata Viewer"), "{ran:?}");
    assert_eq!(
        std::fs::read_to_string(workspace.path("catalog.json")).expect("the file"),
        "old"
    );

    let nowhere = Workspace::with_config("endpoint = \"nowhere\"\n");
    let ran = nowhere.run(&["dry-run", "-"], "SELECT 1").await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("`endpoint`"), "{ran:?}");
    let ran = nowhere
        .run(&["catalog", "sync", "--dataset", "a.", "--out", "x.json"], "")
        .await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("PROJECT.DATASET"), "{ran:?}");
}

#[tokio::test]
async fn the_log_has_no_sql_and_no_token_unless_asked() {
    let server = FaultServer::start().await;
    server.on("/jobs", [Reply::error(503, "backendError", "down")]);
    let workspace = workspace(&server.url());
    let ran = workspace.run(&["dry-run", "-"], "SELECT 'a secret'").await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(!ran.stderr.contains("a secret"), "{ran:?}");
}

#[tokio::test]
async fn the_doctor_asks_only_when_told_to() {
    let emulator = Emulator::start().await;
    emulator.make(&shop()).await;
    let workspace = workspace(&emulator.url());
    let ran = workspace.run(&["doctor", "--online"], "").await;
    assert!(
        ran.stdout
            .contains("BigQuery answers: 1 datasets in acme-analytics"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("dry runs work"), "{ran:?}");

    let server = FaultServer::start().await;
    server.on(
        "/datasets",
        [Reply::error(403, "accessDenied", "Access Denied: Project x")],
    );
    server.on("/jobs", [Reply::error(401, "authError", "Invalid Credentials")]);
    let workspace = crate::support::workspace(&server.url());
    let ran = workspace.run(&["doctor"], "").await;
    assert!(ran.stdout.contains("`bigquill doctor --online` asks"), "{ran:?}");
    assert!(
        ran.stdout.contains("BigQuery itself, in the editor") && !ran.stdout.contains("no catalog"),
        "{ran:?}"
    );
    assert_eq!(server.received().len(), 0);
    let ran = workspace.run(&["doctor", "--online"], "").await;
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stdout.contains("Access Denied: Project x") && ran.stdout.contains("BigQuery Metadata Viewer"),
        "{ran:?}"
    );
    assert!(
        ran.stdout.contains("gcloud auth application-default login"),
        "{ran:?}"
    );

    let nobody = Workspace::with_config("project = \"p\"\n");
    let ran = nobody.run(&["doctor"], "").await;
    assert!(
        ran.stdout.contains("no application default credentials") && ran.stdout.contains("no catalog"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn without_a_flag_the_datasets_of_the_settings_are_read() {
    let server = FaultServer::start().await;
    server.on(
        "/tables",
        [Reply::error(
            404,
            "notFound",
            "Not found: Dataset acme-analytics:billing",
        )],
    );
    let workspace = workspace(&server.url());
    let named = [("BIGQUILL_DATASETS", "billing")];
    let sync = ["catalog", "sync", "--out", "catalog.json"];
    workspace.run_with(&sync, "", &named).await;
    let asked: Vec<String> = server.received().into_iter().map(|asked| asked.path).collect();
    assert!(
        !asked.is_empty() && asked.iter().all(|path| path.contains("/datasets/billing/")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn what_is_read_is_kept_shown_written_and_forgotten() {
    let emulator = Emulator::start().await;
    emulator.make(&shop()).await;
    let workspace = workspace(&emulator.url());
    let nothing = workspace.run(&["catalog", "show"], "").await;
    assert_eq!(
        (nothing.code, nothing.stdout.as_str()),
        (Some(1), ""),
        "{nothing:?}"
    );
    assert!(nothing.stderr.contains("`bigquill catalog sync`"), "{nothing:?}");

    let synced = workspace.run(&["catalog", "sync"], "").await;
    assert_eq!(synced.code, Some(0), "{synced:?}");
    assert_eq!(synced.stdout, "5 tables of acme-analytics.shop in the cache\n");
    // From here on BigQuery is not needed.
    drop(emulator);
    let shown = workspace.run(&["catalog", "show"], "").await;
    assert_eq!(
        shown.stdout, "acme-analytics.shop: 5 tables, 5 schemas, read just now\n",
        "{shown:?}"
    );
    let exported = workspace
        .run(&["catalog", "export", "--out", "catalog.json"], "")
        .await;
    assert_eq!(exported.stdout, "5 tables in catalog.json\n", "{exported:?}");
    workspace.write("query.sql", "SELECT emial FROM shop.customers;\n");
    let check = ["check", "query.sql", "--no-judge", "--catalog", "catalog.json"];
    let flagged = workspace.run(&check, "").await;
    assert!(flagged.stdout.contains("did you mean `email`"), "{flagged:?}");

    let cleared = workspace.run(&["catalog", "clear"], "").await;
    assert_eq!(cleared.code, Some(0), "{cleared:?}");
    let gone = workspace
        .run(&["catalog", "export", "--out", "other.json"], "")
        .await;
    assert_eq!(gone.code, Some(2), "{gone:?}");
    assert!(gone.stderr.contains("`bigquill catalog sync`"), "{gone:?}");
}
