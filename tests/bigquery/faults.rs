//! Each way in which BigQuery, or what stands before it, can go wrong: recovery, or a message that says what to do.

use std::time::Duration;

use bigquill::bigquery::{BigQuery, BigQueryError, ConnectOptions, DryRun};
use bigquill::catalog::{BigQueryCatalog, Catalog, CatalogError, DatasetReference};
use bigquill::settings::Settings;
use bigquill_analysis::schema::DataType;
use bigquill_tests::emulator::PROJECT;
use bigquill_tests::fault_server::{FaultServer, Reply};
use serde_json::json;

use crate::support::{connect, impatient, message};

fn datasets(ids: &[&str]) -> Reply {
    let datasets: Vec<_> = ids
        .iter()
        .map(|id| json!({"datasetReference": {"datasetId": id}}))
        .collect();
    Reply::json(&json!({"datasets": datasets}))
}

fn tables(ids: &[&str]) -> Reply {
    let tables: Vec<_> = ids
        .iter()
        .map(|id| json!({"tableReference": {"tableId": id}}))
        .collect();
    Reply::json(&json!({"tables": tables}))
}

fn table(id: &str, column_type: &str) -> Reply {
    Reply::json(&json!({
        "tableReference": {"projectId": PROJECT, "datasetId": "shop", "tableId": id},
        "schema": {"fields": [{"name": "a", "type": column_type}, {"name": "b", "type": "STRING"}]},
    }))
}

/// What listing datasets gives after these replies, and how many requests that took.
async fn listed(replies: Vec<Reply>) -> (Result<Vec<String>, BigQueryError>, usize) {
    let server = FaultServer::start().await;
    server.on("/datasets", replies);
    let bigquery = connect(&server, &impatient()).await;
    let listing = bigquery.datasets(PROJECT).await;
    (listing.map(|listing| listing.ids), server.received().len())
}

#[tokio::test]
async fn credentials_that_are_not_taken_name_the_login() {
    let reply = Reply::error(
        401,
        "authError",
        "Request had invalid authentication credentials.",
    );
    let (result, requests) = listed(vec![reply]).await;
    let text = message(result);
    assert!(
        text.contains("401") && text.contains("gcloud auth application-default login"),
        "{text}"
    );
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn missing_rights_name_the_roles() {
    let reply = Reply::error(
        403,
        "accessDenied",
        "Access Denied: Project p: no bigquery.datasets.list",
    );
    let (result, requests) = listed(vec![reply]).await;
    let text = message(result);
    assert!(text.contains("Access Denied: Project p"), "{text}");
    assert!(
        text.contains("BigQuery Metadata Viewer") && text.contains("BigQuery Job User"),
        "{text}"
    );
    assert!(!text.contains("gcloud"), "{text}");
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn what_is_not_there_names_the_setting() {
    let (result, _) = listed(vec![Reply::error(404, "notFound", "Not found: Project p")]).await;
    let text = message(result);
    assert!(
        text.contains("Not found: Project p") && text.contains("`project`"),
        "{text}"
    );
}

#[tokio::test]
async fn a_limit_is_waited_for_as_long_as_the_server_says() {
    let limit = || Reply::error(429, "rateLimitExceeded", "Too many").with_header("Retry-After", "0");
    let (result, requests) = listed(vec![limit(), datasets(&["shop"])]).await;
    assert_eq!((result, requests), (Ok(vec!["shop".to_owned()]), 2));

    // Nobody waits an hour: the message comes at once.
    let hour = Reply::error(429, "rateLimitExceeded", "Too many").with_header("Retry-After", "3600");
    let (result, requests) = listed(vec![hour]).await;
    let text = message(result);
    assert!(
        text.contains("limit is reached") && text.contains("try again later"),
        "{text}"
    );
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn a_rate_limit_by_another_status_is_one_too_and_a_used_up_quota_is_told_at_once() {
    let limit = Reply::error(403, "rateLimitExceeded", "Exceeded rate limits");
    let (result, requests) = listed(vec![limit, datasets(&["shop"])]).await;
    assert_eq!((result, requests), (Ok(vec!["shop".to_owned()]), 2));
    let (result, requests) = listed(vec![Reply::error(403, "quotaExceeded", "Quota exceeded")]).await;
    assert!(matches!(result, Err(BigQueryError::Quota(_))), "{result:?}");
    assert_eq!(requests, 1);
}

#[tokio::test]
async fn a_failure_of_the_server_is_tried_again_and_told_when_it_lasts() {
    for status in [500, 502, 503] {
        let failure = || Reply::error(status, "backendError", "Something broke");
        let (result, requests) = listed(vec![failure(), datasets(&["shop"])]).await;
        assert_eq!((result, requests), (Ok(vec!["shop".to_owned()]), 2));
        let (result, requests) = listed(vec![failure()]).await;
        let text = message(result);
        assert!(
            text.contains("Something broke") && text.contains("try again"),
            "{text}"
        );
        assert_eq!(requests, 3);
    }
}

#[tokio::test]
async fn an_overloaded_front_end_without_json_is_tried_again() {
    let html = Reply::text(503, "text/html", "<html>overloaded</html>");
    let (result, _) = listed(vec![html, datasets(&["shop"])]).await;
    assert_eq!(result, Ok(vec!["shop".to_owned()]));
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_again() {
    let (result, requests) = listed(vec![Reply::Cut, datasets(&["shop"])]).await;
    assert_eq!((result, requests), (Ok(vec!["shop".to_owned()]), 2));
    let (result, requests) = listed(vec![Reply::Cut]).await;
    let text = message(result);
    assert!(
        text.contains("cannot be reached") && text.contains("check the network"),
        "{text}"
    );
    assert_eq!(requests, 3);
}

#[tokio::test]
async fn a_body_that_never_ends_meets_the_deadline() {
    let server = FaultServer::start().await;
    server.on("/datasets", [Reply::Stalled]);
    let options = ConnectOptions {
        deadline: Duration::from_millis(200),
        ..impatient()
    };
    let bigquery = connect(&server, &options).await;
    let text = message(bigquery.datasets(PROJECT).await);
    assert!(text.contains("did not answer within 0.2 s"), "{text}");
}

#[tokio::test]
async fn nobody_listening_is_told_at_once() {
    let url = FaultServer::start().await.url();
    let settings = Settings {
        endpoint: Some(url),
        ..Settings::default()
    };
    let bigquery = BigQuery::connect_with(&settings, &impatient())
        .await
        .expect("nothing is asked yet");
    let text = message(bigquery.datasets(PROJECT).await);
    assert!(
        text.contains("127.0.0.1:") && text.contains("cannot be reached"),
        "{text}"
    );
}

#[tokio::test]
async fn a_page_for_people_is_not_bigquery() {
    for (status, body) in [
        (200, "<!DOCTYPE html><title>Sign in</title>"),
        (404, "<html>Not Found</html>"),
        (302, ""),
    ] {
        let (result, requests) = listed(vec![Reply::text(status, "text/html", body)]).await;
        let text = message(result);
        assert!(
            text.contains("BigQuery's JSON") && text.contains("sign-in page") && text.contains("`endpoint`"),
            "{text}"
        );
        assert_eq!(requests, 1);
    }
}

#[tokio::test]
async fn pages_are_followed_to_the_end() {
    let server = FaultServer::start().await;
    let first = json!({"datasets": [{"datasetReference": {"datasetId": "a"}}], "nextPageToken": "x&y"});
    server.on("/datasets", [Reply::json(&first), datasets(&["b"])]);
    let listing = connect(&server, &impatient())
        .await
        .datasets(PROJECT)
        .await
        .expect("two pages");
    assert_eq!(listing.ids, ["a", "b"]);
    assert!(listing.complete);
    let queries: Vec<String> = server.received().into_iter().map(|r| r.query).collect();
    assert_eq!(queries, ["maxResults=1000", "maxResults=1000&pageToken=x%26y"]);
}

#[tokio::test]
async fn endless_pages_are_cut_with_a_message() {
    let server = FaultServer::start().await;
    let page = json!({"tables": [{"tableReference": {"tableId": "t"}}], "nextPageToken": "again"});
    server.on("/shop/tables", [Reply::json(&page)]);
    server.on("/tables/t", [table("t", "INT64")]);
    let catalog = BigQueryCatalog::new(connect(&server, &impatient()).await, vec![shop()]);
    let fetched = catalog.fetch(|_| {}).await.expect("what came is used");
    assert_eq!(fetched.resources.len(), 1);
    assert_eq!(fetched.problems.len(), 1);
    assert!(
        fetched.problems[0].contains("does not end and was cut"),
        "{:?}",
        fetched.problems
    );
}

fn shop() -> DatasetReference {
    DatasetReference {
        project: String::new(),
        dataset: "shop".to_owned(),
    }
}

#[tokio::test]
async fn an_unknown_type_loses_no_table() {
    let server = FaultServer::start().await;
    server.on("/shop/tables", [tables(&["t"])]);
    server.on("/tables/t", [table("t", "HOLOGRAM")]);
    let catalog = BigQueryCatalog::new(connect(&server, &impatient()).await, vec![shop()]);
    let snapshot = catalog.snapshot().await.expect("one table");
    let columns = &snapshot.tables().next().expect("the table").columns;
    assert_eq!(columns[0].data_type, DataType::Other("HOLOGRAM".to_owned()));
    assert_eq!(columns[1].data_type, DataType::String);
}

#[tokio::test]
async fn a_table_that_vanishes_or_is_closed_is_left_out_and_told() {
    let server = FaultServer::start().await;
    server.on("/shop/tables", [tables(&["gone", "closed", "open", "strange"])]);
    server.on(
        "/tables/gone",
        [Reply::error(404, "notFound", "Not found: Table gone")],
    );
    server.on(
        "/tables/closed",
        [Reply::error(403, "accessDenied", "Access Denied: Table closed")],
    );
    server.on(
        "/tables/strange",
        [Reply::json(&json!({"kind": "bigquery#hologram"}))],
    );
    server.on("/tables/open", [table("open", "INT64")]);
    let catalog = BigQueryCatalog::new(connect(&server, &impatient()).await, vec![shop()]);
    let fetched = catalog.fetch(|_| {}).await.expect("one table is there");
    assert_eq!(fetched.resources.len(), 1);
    let told = fetched.problems.join("\n");
    for name in ["shop.gone", "shop.closed", "shop.strange"] {
        assert!(told.contains(&format!("{name} is left out")), "{told}");
    }
}

#[tokio::test]
async fn half_a_catalog_is_none() {
    let server = FaultServer::start().await;
    server.on("/shop/tables", [tables(&["a", "b"])]);
    server.on("/tables/a", [table("a", "INT64")]);
    server.on("/tables/b", [Reply::error(503, "backendError", "down")]);
    let catalog = BigQueryCatalog::new(connect(&server, &impatient()).await, vec![shop()]);
    let error = catalog.fetch(|_| {}).await.expect_err("the rest is not known");
    assert!(matches!(error, CatalogError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_dropped_call_ends() {
    let server = FaultServer::start().await;
    server.on("/datasets", [Reply::Stalled, datasets(&["shop"])]);
    let bigquery = connect(&server, &impatient()).await;
    tokio::select! {
        biased;
        _ = bigquery.datasets(PROJECT) => panic!("the body never ends"),
        () = received(&server, 1) => {}
    }
    let listing = bigquery
        .datasets(PROJECT)
        .await
        .expect("the next call is not hindered");
    assert_eq!(listing.ids, ["shop"]);
    assert_eq!(server.received().len(), 2);
}

async fn received(server: &FaultServer, requests: usize) {
    while server.received().len() < requests {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_sql_is_an_answer_and_what_is_wrong_with_the_project_an_error() {
    let server = FaultServer::start().await;
    let job = json!({"statistics": {"query": {"totalBytesProcessed": "2048", "statementType": "SELECT"}}});
    server.on(
        "/jobs",
        [
            Reply::error(
                400,
                "invalidQuery",
                "Unrecognized name: nme; Did you mean name? at [1:8]",
            ),
            Reply::error(
                404,
                "notFound",
                "Not found: Table p:d.t was not found in location US",
            ),
            Reply::error(
                403,
                "accessDenied",
                "Access Denied: Project p: User does not have bigquery.jobs.create",
            ),
            Reply::json(&job),
        ],
    );
    let bigquery = connect(&server, &impatient()).await;
    let DryRun::Refused(refusal) = bigquery.dry_run("SELECT nme").await.expect("an answer") else {
        panic!("the name is wrong");
    };
    assert_eq!(refusal.message, "Unrecognized name: nme; Did you mean name?");
    assert_eq!(refusal.place, Some((1, 8)));
    assert!(matches!(bigquery.dry_run("SELECT 1").await, Ok(DryRun::Refused(r)) if r.reason == "notFound"));
    assert!(matches!(
        bigquery.dry_run("SELECT 1").await,
        Err(BigQueryError::Forbidden(_))
    ));
    assert!(
        matches!(bigquery.dry_run("SELECT 1").await, Ok(DryRun::Estimate(e)) if e.bytes_processed == 2048)
    );
    for request in server.received() {
        let job: serde_json::Value = serde_json::from_str(&request.body).expect("a job");
        assert_eq!(job["configuration"]["dryRun"], true, "nothing is ever run");
        assert!(
            !request.headers.contains_key("authorization"),
            "an endpoint gets no credentials"
        );
    }
}
