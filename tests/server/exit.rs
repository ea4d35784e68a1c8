//! How the process ends.

use std::process::Stdio;
use std::time::Duration;

use bigquill_tests::binary;
use bigquill_tests::client::Client;
use bigquill_tests::workspace::Workspace;
use serde_json::{Value, json};
use tokio::process::{Child, ChildStdout, Command};

/// The binary of this build.
fn bigquill(arguments: &[&str]) -> Child {
    Command::new(binary::path())
        .args(arguments)
        .env_remove("BIGQUILL_LOG")
        // How the process ends is the subject, not what this machine has.
        .env("BIGQUILL_JUDGE", "false")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary starts")
}

/// A client of the process, whose stdin stays open as long as the client.
fn connect(child: &mut Child) -> Client {
    let stdout: ChildStdout = child.stdout.take().expect("piped");
    Client::over(stdout, child.stdin.take().expect("piped"))
}

async fn exit_code(child: &mut Child) -> Option<i32> {
    let ended = tokio::time::timeout(Duration::from_secs(30), child.wait()).await;
    ended.expect("the process ends").expect("it is our child").code()
}

/// The workspace stays as long as what is returned: its settings are read after the answer.
#[must_use]
async fn initialize(client: &mut Client, process: Value) -> Workspace {
    let workspace = Workspace::with_config("ghost_text = false\n");
    let mut params = workspace.initialize_params(json!({}));
    params["processId"] = process;
    client.initialize(params).await;
    workspace
}

#[tokio::test]
async fn exit_after_shutdown_is_success_while_stdin_stays_open() {
    for arguments in [&[][..], &["--stdio"]] {
        let mut child = bigquill(arguments);
        let mut client = connect(&mut child);
        let _workspace = initialize(&mut client, Value::Null).await;
        assert_eq!(client.request("shutdown", Value::Null).await, Ok(Value::Null));
        client.notify("exit", Value::Null).await;
        assert_eq!(exit_code(&mut child).await, Some(0));
        client.ended().await;
    }
}

#[tokio::test]
async fn shutdown_and_exit_at_one_go_still_answer_shutdown() {
    let mut child = bigquill(&[]);
    let mut client = connect(&mut child);
    let _workspace = initialize(&mut client, Value::Null).await;
    let shutdown = client.send("shutdown", Value::Null).await;
    client.notify("exit", Value::Null).await;
    assert_eq!(client.response(shutdown).await, Ok(Value::Null));
    assert_eq!(exit_code(&mut child).await, Some(0));
    client.ended().await;
}

#[tokio::test]
async fn exit_without_shutdown_is_failure() {
    let mut child = bigquill(&[]);
    let mut client = connect(&mut child);
    let _workspace = initialize(&mut client, Value::Null).await;
    client.notify("exit", Value::Null).await;
    assert_eq!(exit_code(&mut child).await, Some(1));
    client.ended().await;
}

#[tokio::test]
async fn the_end_of_stdin_is_the_end() {
    let mut child = bigquill(&[]);
    let mut client = connect(&mut child);
    let _workspace = initialize(&mut client, Value::Null).await;
    client.hang_up().await;
    assert_eq!(exit_code(&mut child).await, Some(1));
    client.ended().await;
}

#[tokio::test]
async fn the_server_ends_with_the_clients_process() {
    let mut parent = Command::new("sleep")
        .arg("600")
        .kill_on_drop(true)
        .spawn()
        .expect("sleep starts");
    let mut child = bigquill(&[]);
    let mut client = connect(&mut child);
    let _workspace = initialize(&mut client, json!(parent.id())).await;
    assert!(child.try_wait().expect("it is our child").is_none());
    parent.kill().await.expect("it is our child");
    assert_eq!(exit_code(&mut child).await, Some(1));
    client.ended().await;
}

#[tokio::test]
async fn a_process_that_cannot_be_seen_is_no_reason_to_end() {
    let mut child = bigquill(&[]);
    let mut client = connect(&mut child);
    // Process ids end at 4194304 on Linux.
    let _workspace = initialize(&mut client, json!(4_194_999)).await;
    assert_eq!(client.request("shutdown", Value::Null).await, Ok(Value::Null));
    client.notify("exit", Value::Null).await;
    assert_eq!(exit_code(&mut child).await, Some(0));
    client.ended().await;
}
