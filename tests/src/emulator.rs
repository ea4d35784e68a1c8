//! goccy/bigquery-emulator, whose analyzer is GoogleSQL itself, with tables of its own for each test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use bigquill::settings::Settings;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// The project that is in it.
pub const PROJECT: &str = "acme-analytics";

/// A start that takes longer is a failed test.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between the choice of a free port and the emulator's start another program may take it; then others are chosen.
const STARTS: usize = 5;

/// A running emulator; it ends with the value.
pub struct Emulator {
    process: Child,
    port: u16,
}

impl Emulator {
    /// Starts one on free ports and waits until it answers.
    pub async fn start() -> Self {
        let program = std::env::var_os("BIGQUILL_TEST_EMULATOR").map(PathBuf::from);
        let program = program.expect("BIGQUILL_TEST_EMULATOR names the emulator: run ./test");
        for _ in 0..STARTS {
            let mut emulator = Self::on_ports(&program, free_port(), free_port());
            let answers = tokio::time::timeout(PATIENCE, emulator.answers())
                .await
                .expect("the emulator answers within a minute");
            if answers {
                return emulator;
            }
        }
        panic!("the emulator ended by itself, {STARTS} times");
    }

    fn on_ports(program: &Path, port: u16, grpc: u16) -> Self {
        let process = Command::new(program)
            .arg(format!("--project={PROJECT}"))
            .args([
                "--host",
                "127.0.0.1",
                "--port",
                &port.to_string(),
                "--grpc-port",
                &grpc.to_string(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}: run `./test emulator`", program.display()));
        Self { process, port }
    }

    /// Waits until it answers; false where it ended instead.
    async fn answers(&mut self) -> bool {
        while self.call("GET", "datasets", &Value::Null).await.is_err() {
            if self.process.try_wait().expect("it is our child").is_some() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        true
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Settings that lead to it.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            endpoint: Some(self.url()),
            project: Some(PROJECT.to_owned()),
            ..Settings::default()
        }
    }

    /// Makes the dataset `shop` with these `tables.get` resources.
    pub async fn make(&self, tables: &[Value]) {
        let dataset = json!({"datasetReference": {"projectId": PROJECT, "datasetId": "shop"}});
        self.request("POST", "datasets", &dataset).await;
        for table in tables {
            self.make_table(table).await;
        }
    }

    /// Makes a table from its `tables.get` resource.
    pub async fn make_table(&self, table: &Value) {
        let mut made = serde_json::Map::new();
        for member in [
            "tableReference",
            "schema",
            "description",
            "timePartitioning",
            "clustering",
            "labels",
        ] {
            made.extend(table.get(member).map(|value| (member.to_owned(), value.clone())));
        }
        self.request("POST", "datasets/shop/tables", &Value::Object(made))
            .await;
    }

    /// Removes a table of `shop`.
    pub async fn drop_table(&self, table: &str) {
        let path = format!("datasets/shop/tables/{table}");
        self.request("DELETE", &path, &Value::Null).await;
    }

    /// Runs SQL in it, past bigquill.
    pub async fn sql(&self, sql: &str) {
        let id = format!("test_{:016x}", fastrand::u64(..));
        let job = json!({
            "jobReference": {"projectId": PROJECT, "jobId": id},
            "configuration": {"query": {"query": sql, "useLegacySql": false}},
        });
        let (_, answer) = self
            .call("POST", "jobs", &job)
            .await
            .expect("the emulator answers");
        assert!(!answer.contains("errorResult"), "{sql}: {answer}");
    }

    async fn request(&self, method: &str, path: &str, body: &Value) {
        let (status, answer) = self.call(method, path, body).await.expect("the emulator answers");
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(u16, String)> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = format!(
            "{method} /bigquery/v2/projects/{PROJECT}/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        Ok((status, answer))
    }
}

/// A port that was free a moment ago; the emulator takes no port 0.
fn free_port() -> u16 {
    let probe = TcpListener::bind("127.0.0.1:0").expect("a free port");
    probe.local_addr().expect("it is bound").port()
}
