//! `bigquill run` and `bigquill preview` as a person runs them.

use bigquill_tests::emulator::Emulator;
use bigquill_tests::fault_server::{FaultServer, Reply};
use serde_json::{Value, json};

use crate::support::{shop, workspace};

/// An emulator whose `shop.customers` has three rows.
async fn with_rows() -> Emulator {
    let emulator = Emulator::start().await;
    emulator.make(&shop()).await;
    let insert =
        "INSERT INTO shop.customers (customer_id, name) VALUES (1, 'Ann, A.'), (2, 'Bo \"B\"'), (3, '北京')";
    emulator.sql(insert).await;
    emulator
}

fn estimate(bytes: &str) -> Reply {
    let query = json!({"totalBytesProcessed": bytes, "statementType": "SELECT"});
    Reply::json(&json!({"statistics": {"query": query}}))
}

fn job(state: &str) -> Reply {
    Reply::json(&json!({
        "jobReference": {"projectId": "acme-analytics", "jobId": "theirs", "location": "EU"},
        "status": {"state": state},
        "statistics": {"query": {
            "totalBytesProcessed": "1024", "totalBytesBilled": "10485760", "cacheHit": false, "totalSlotMs": "1500",
            "statementType": "SELECT",
        }},
    }))
}

fn one_row() -> Reply {
    Reply::json(&json!({
        "jobComplete": true, "totalRows": "1",
        "schema": {"fields": [{"name": "n", "type": "INTEGER"}]}, "rows": [{"f": [{"v": "7"}]}],
    }))
}

#[tokio::test]
async fn rows_are_printed_and_written_in_every_format() {
    let emulator = with_rows().await;
    let workspace = workspace(&emulator.url());
    let sql = "-- @least INT64 = 2\nSELECT customer_id AS id, name FROM shop.customers WHERE customer_id >= @least ORDER BY id;\n";
    workspace.write("report.sql", sql);

    let ran = workspace.run(&["run", "report.sql"], "").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        ran.stdout,
        "| id | name   |\n|----|--------|\n|  2 | Bo \"B\" |\n|  3 | 北京   |\n"
    );
    assert!(ran.stderr.contains("2 rows\n"), "{ran:?}");
    assert!(ran.stderr.contains(" processed, "), "{ran:?}");
    assert!(ran.stderr.contains("job acme-analytics:bigquill_"), "{ran:?}");

    let ran = workspace.run(&["run", "report.sql", "--rows", "1"], "").await;
    assert_eq!(ran.stdout.lines().count(), 3, "{ran:?}");
    assert!(ran.stderr.contains("1 row of 2 rows; --out FILE.csv"), "{ran:?}");

    let ran = workspace.run(&["run", "report.sql", "--format", "csv"], "").await;
    assert_eq!(ran.stdout, "id,name\n2,\"Bo \"\"B\"\"\"\n3,北京\n", "{ran:?}");

    let arguments = [
        "run",
        "report.sql",
        "--parameter",
        "least=INT64 3",
        "--format",
        "jsonl",
    ];
    let ran = workspace.run(&arguments, "").await;
    assert_eq!(ran.stdout, "{\"id\":3,\"name\":\"北京\"}\n", "{ran:?}");

    let ran = workspace
        .run(&["run", "report.sql", "--out", "rows.md"], "")
        .await;
    assert!(ran.stderr.contains("2 rows in rows.md"), "{ran:?}");
    let written = std::fs::read_to_string(workspace.path("rows.md")).expect("it was written");
    assert_eq!(
        written,
        "| id | name |\n| ---: | --- |\n| 2 | Bo \"B\" |\n| 3 | 北京 |\n"
    );
    let ran = workspace
        .run(&["run", "report.sql", "--out", "rows.xlsx"], "")
        .await;
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains(".csv, .jsonl or .md"), "{ran:?}");
}

#[tokio::test]
async fn what_changes_data_wants_a_yes() {
    let emulator = with_rows().await;
    let workspace = workspace(&emulator.url());
    let insert = "INSERT INTO shop.customers (customer_id, name) VALUES (4, 'Di')";
    let ran = workspace.run(&["run", "-"], insert).await;
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("-:1 is INSERT") && ran.stderr.contains("--yes"),
        "{ran:?}"
    );
    let count = "SELECT COUNT(*) AS n FROM shop.customers";
    let ran = workspace.run(&["run", "-", "--format", "jsonl"], count).await;
    assert_eq!(ran.stdout, "{\"n\":3}\n", "nothing was changed");

    let ran = workspace.run(&["run", "-", "--yes"], insert).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
    let ran = workspace.run(&["run", "-", "--format", "jsonl"], count).await;
    assert_eq!(ran.stdout, "{\"n\":4}\n");

    let script = "DECLARE x INT64 DEFAULT 3;\nSELECT x AS y;";
    let ran = workspace.run(&["run", "-", "--yes"], script).await;
    assert_eq!(ran.stdout, "| y |\n|---|\n| 3 |\n", "{ran:?}");
}

#[tokio::test]
async fn what_bigquery_takes_for_more_than_a_query_wants_a_yes_too() {
    let server = FaultServer::start().await;
    let planned =
        json!({"statistics": {"query": {"totalBytesProcessed": "1", "statementType": "CREATE_TABLE"}}});
    server.on("/jobs", [Reply::json(&planned)]);
    let workspace = workspace(&server.url());
    let ran = workspace.run(&["run", "-"], "SELECT 1").await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("-:1 is CREATE TABLE, which may change data"),
        "{ran:?}"
    );
    assert_eq!(server.received().len(), 1, "nothing was begun");

    let nowhere = ["run", "-", "--yes", "--out", "no/such/folder/rows.csv"];
    let ran = workspace.run(&nowhere, "SELECT 1").await;
    assert_eq!(ran.code, Some(2));
    assert_eq!(
        server.received().len(),
        1,
        "what cannot be written is not run: {ran:?}"
    );
}

#[tokio::test]
async fn a_job_that_fails_or_is_lost_is_not_said_to_be_not_run() {
    let server = FaultServer::start().await;
    let failed = json!({
        "jobReference": {"location": "EU"},
        "status": {"state": "DONE", "errorResult": {
            "reason": "invalidQuery", "message": "Division by zero: 1 / 0 at [1:8]",
        }},
    });
    server.on("*/jobs/bigquill_", [Reply::json(&failed)]);
    server.on("/jobs", [estimate("10"), job("RUNNING")]);
    let workspace = workspace(&server.url());
    let ran = workspace.run(&["run", "-"], "SELECT 1 / 0").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr
            .contains("it failed while it ran (job acme-analytics:EU.bigquill_"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("-:1:8"), "{ran:?}");

    server.forget();
    server.on("*/jobs/bigquill_", [Reply::text(200, "text/html", "<html>")]);
    server.on("/jobs", [estimate("10"), job("RUNNING")]);
    let ran = workspace.run(&["run", "-"], "SELECT 1").await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("it may have run, or run still, as job"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn statements_are_chosen_by_line_and_errors_stand_at_their_place() {
    let emulator = with_rows().await;
    let workspace = workspace(&emulator.url());
    let text = "SELECT 1 AS a;\n\nSELECT 2\n  AS b;\nSELECT nme FROM shop.customers;\nSELECT 4 AS d;\n";
    workspace.write("many.sql", text);
    let ran = workspace
        .run(&["run", "many.sql", "--line", "4", "--format", "csv"], "")
        .await;
    assert_eq!(ran.stdout, "b\n2\n", "{ran:?}");
    let ran = workspace.run(&["run", "many.sql", "--line", "2"], "").await;
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("no statement stands at line 2"), "{ran:?}");
    let ran = workspace.run(&["run", "many.sql", "--format", "csv"], "").await;
    assert!(ran.stderr.contains("choose one with --line"), "{ran:?}");

    let ran = workspace.run(&["run", "many.sql"], "").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("many.sql:5:8"), "{ran:?}");
    assert!(
        !ran.stdout.contains("| d |"),
        "it stops at the first error: {ran:?}"
    );

    let ran = workspace.run(&["run", "-"], "SELECT @day").await;
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("-- @day DATE = 2024-01-01"), "{ran:?}");
}

#[tokio::test]
async fn a_query_over_the_limit_is_stopped_before_it_starts() {
    let server = FaultServer::start().await;
    server.on("/jobs", [estimate("1319413953331")]);
    let workspace = workspace(&server.url());
    let ran = workspace.run(&["run", "-"], "SELECT 1").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr
            .contains("it would read 1.2 TiB, 7.50 USD, over the limit of 100 GiB"),
        "{ran:?}"
    );
    let received = server.received();
    assert_eq!(received.len(), 1);
    assert!(received[0].body.contains("\"dryRun\":true"));
}

#[tokio::test]
async fn a_job_is_looked_at_until_it_ends_and_tells_what_was_billed() {
    let server = FaultServer::start().await;
    server.on("*/queries/", [one_row()]);
    server.on(
        "*/jobs/bigquill_",
        [
            job("RUNNING"),
            Reply::error(503, "backendError", "again"),
            job("DONE"),
        ],
    );
    server.on("/jobs", [estimate("1024"), job("PENDING")]);
    let workspace = workspace(&server.url());
    let ran = workspace
        .run(&["run", "-", "--maximum-bytes-billed", "1 GiB"], "SELECT 7 AS n")
        .await;
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "| n |\n|---|\n| 7 |\n"),
        "{ran:?}"
    );
    assert!(
        ran.stderr
            .contains("1.0 KiB processed, 10.0 MiB, less than 0.0001 USD billed · slot time 1.5 s"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("job acme-analytics:EU.bigquill_"), "{ran:?}");
    let received = server.received();
    let begun: Value = serde_json::from_str(&received[1].body).expect("a job");
    assert_eq!(
        begun["configuration"]["query"]["maximumBytesBilled"],
        "1073741824"
    );
    assert_eq!(begun["configuration"]["labels"]["source"], "bigquill");
    assert!(
        received[2..]
            .iter()
            .all(|request| request.query.contains("location=EU")),
        "{received:?}"
    );
}

#[tokio::test]
async fn bigquerys_own_limit_a_lost_answer_and_an_unknown_type() {
    let server = FaultServer::start().await;
    let refused = json!({"status": {"state": "DONE", "errorResult": {
        "reason": "bytesBilledLimitExceeded",
        "message": "Query exceeded limit for bytes billed: 1000. 10485760 or higher required.",
    }}});
    server.on("/jobs", [estimate("10"), Reply::json(&refused)]);
    let workspace = workspace(&server.url());
    let ran = workspace.run(&["run", "-"], "SELECT 1").await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.contains("Query exceeded limit for bytes billed"),
        "{ran:?}"
    );

    // The first answer to the job's beginning was lost: the second try finds it there.
    server.forget();
    let geometry = json!({
        "jobComplete": true, "totalRows": "1",
        "schema": {"fields": [{"name": "cloud", "type": "POINT_CLOUD"}]}, "rows": [{"f": [{"v": "POINTS(1 2)"}]}],
    });
    server.on("*/queries/", [Reply::json(&geometry)]);
    server.on("*/jobs/bigquill_", [job("DONE")]);
    let duplicate = Reply::error(409, "duplicate", "Already Exists: Job acme-analytics:bigquill_1");
    server.on("/jobs", [estimate("10"), Reply::Cut, duplicate]);
    let ran = workspace.run(&["run", "-"], "SELECT cloud FROM d.t").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("| POINTS(1 2) |"), "{ran:?}");
}

#[tokio::test]
async fn a_table_is_previewed_without_a_job() {
    let emulator = with_rows().await;
    let workspace = workspace(&emulator.url());
    let ran = workspace
        .run(&["preview", "shop.customers", "--rows", "2"], "")
        .await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("Ann, A."), "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 4, "{ran:?}");
    assert!(ran.stderr.contains("2 rows of 3 rows"), "{ran:?}");
    let ran = workspace.run(&["preview", "customers"], "").await;
    assert!(ran.stderr.contains("DATASET.TABLE"), "{ran:?}");
    let ran = workspace.run(&["preview", "shop.nowhere"], "").await;
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("(404)"), "{ran:?}");
}
