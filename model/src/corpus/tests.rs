use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use super::*;

pub(super) fn completion(question: &str, outcome: Outcome) -> Completion {
    Completion {
        question: question.to_owned(),
        prompt: vec![PromptMessage {
            role: "user".to_owned(),
            content: format!("Tables:\n- shop.customers: id INT64\nQuestion: {question}"),
        }],
        tables: vec!["shop.customers".to_owned()],
        generated: "SELECT 1".to_owned(),
        kept: None,
        outcome,
        proved_by: Some("googlesql".to_owned()),
        model: "qwen".to_owned(),
        adapter: None,
        offered_at: 1_700_000_000_000,
    }
}

fn edited(question: &str) -> Completion {
    Completion {
        kept: Some("SELECT 2".to_owned()),
        ..completion(question, Outcome::Edited)
    }
}

fn corpus() -> (tempfile::TempDir, Corpus) {
    let folder = tempfile::tempdir().expect("a folder");
    let corpus = Corpus::open(&folder.path().join("data/accepted.sqlite")).expect("a store");
    (folder, corpus)
}

fn file(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("data/accepted.sqlite")
}

#[test]
fn what_is_added_is_there_once_and_has_its_outcome() {
    let (folder, corpus) = corpus();
    let id = corpus
        .add(&completion("how many?", Outcome::Shown))
        .expect("added");
    assert_eq!(
        corpus
            .add(&completion("how many?", Outcome::Shown))
            .expect("known"),
        id
    );
    assert!(corpus.update(id, &edited("how many?")).expect("decided"));
    assert!(!corpus.update(99, &edited("how many?")).expect("there is none"));
    // Another editor sees it, too.
    let other = Corpus::open(&file(&folder)).expect("a second one");
    let stored = other.get(id).expect("read").expect("it is there");
    assert_eq!(stored.completion.wanted(), Some("SELECT 2"));
    assert!(stored.decided_at.is_some());
    assert_eq!(other.list(&[Outcome::Shown]).expect("read"), []);
    let stats = other.stats().expect("read");
    assert_eq!(
        (stats.edited, stats.shown, stats.newest),
        (1, 0, Some(1_700_000_000_000))
    );
}

#[test]
fn what_is_forgotten_is_in_no_file() {
    let (folder, corpus) = corpus();
    for question in ["secret question", "another"] {
        corpus
            .add(&completion(question, Outcome::Accepted))
            .expect("added");
    }
    assert_eq!(
        corpus
            .forget(&Forget::Table("shop.orders".to_owned()))
            .expect("none"),
        0
    );
    assert_eq!(corpus.forget(&Forget::Before(1)).expect("none"), 0);
    assert_eq!(corpus.forget(&Forget::Ids(vec![1])).expect("removed"), 1);
    for file in std::fs::read_dir(folder.path().join("data")).expect("a folder") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("readable");
        let found = bytes.windows(15).any(|window| window == b"secret question");
        assert!(!found, "the text is gone from the file and its log");
    }
    assert_eq!(
        corpus
            .forget(&Forget::Table("p.Shop.customers".to_owned()))
            .expect("removed"),
        1
    );
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, corpus) = corpus();
    corpus.add(&completion("q", Outcome::Shown)).expect("added");
    for file in std::fs::read_dir(folder.path().join("data")).expect("a folder") {
        let metadata = file.expect("a file").metadata().expect("it is there");
        assert_eq!(metadata.permissions().mode() & 0o077, 0);
    }
    let metadata = std::fs::metadata(folder.path().join("data")).expect("it is there");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_newer_or_spoiled_file_is_left_alone() {
    let (folder, corpus) = corpus();
    corpus
        .with(|c| c.execute_batch("PRAGMA user_version = 9"))
        .expect("set");
    let error = Corpus::open(&file(&folder))
        .err()
        .expect("it is newer")
        .to_string();
    assert!(error.contains("newer bigquill (form 9)"), "{error}");
    let path = folder.path().join("text.sqlite");
    std::fs::write(&path, "this is no database, but somebody's text").expect("ours");
    assert!(Corpus::open(&path).is_err());
    assert!(
        std::fs::read_to_string(&path)
            .expect("it stays")
            .starts_with("this is no database")
    );
}

#[test]
fn an_older_file_is_brought_up_and_a_foreign_one_is_not_touched() {
    let connection = Connection::open_in_memory().expect("a database");
    bring_up(&connection, &STEPS).expect("made");
    let steps = [
        STEPS[0],
        "ALTER TABLE completions ADD COLUMN more TEXT NOT NULL DEFAULT 'x'",
    ];
    // All or none.
    assert!(bring_up(&connection, &[steps[0], steps[1], "no SQL"]).is_err());
    for _ in 0..2 {
        bring_up(&connection, &steps).expect("brought up");
        assert_eq!(steps_taken(&connection, 2).expect("counted"), 2);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("other.db");
    let other = Connection::open(&path).expect("a database");
    other.execute_batch("CREATE TABLE theirs (a)").expect("made");
    let error = Corpus::open(&path).err().expect("it is not ours").to_string();
    assert!(error.contains("another program's database"), "{error}");
    let tables: i64 = other
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .expect("read");
    assert_eq!(tables, 1);
}

#[test]
fn several_editors_write_at_once() {
    const WRITERS: usize = 4;
    const EACH: usize = 10;
    let folder = tempfile::tempdir().expect("a folder");
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let path = file(&folder);
            scope.spawn(move || {
                // Each makes the file at the same time, too.
                let corpus = Corpus::open(&path).expect("a store");
                for n in 0..EACH {
                    let id = corpus
                        .add(&completion(&format!("{writer} {n}"), Outcome::Shown))
                        .expect("added");
                    let accepted = completion(&format!("{writer} {n}"), Outcome::Accepted);
                    assert!(corpus.update(id, &accepted).expect("decided"));
                }
            });
        }
    });
    let stats = Corpus::open(&file(&folder))
        .expect("a store")
        .stats()
        .expect("read");
    assert_eq!((stats.accepted, stats.shown), (40, 0));
}

#[test]
fn what_was_wanted_becomes_training_data_and_comes_back() {
    let mut rejected = completion("taken", Outcome::Rejected);
    rejected.generated = "SELECT 0".to_owned();
    let all = [
        edited("edited"),
        completion("taken", Outcome::Accepted),
        rejected,
        completion("shown", Outcome::Shown),
    ];
    let text = |preferences: bool| {
        let lines = export(&all, preferences);
        lines
            .iter()
            .map(|(_, line)| serde_json::to_string(line).expect("JSON") + "\n")
            .collect::<String>()
    };
    let learned = text(false);
    let first = r#"{"prompt":[{"role":"user","content":"Tables:\n- shop.customers: id INT64\nQuestion: edited"}],"completion":[{"role":"assistant","content":"SELECT 2"}],"question":"edited","model":"qwen","proved_by":"googlesql","offered_at":1700000000000}"#;
    assert_eq!(learned.lines().next(), Some(first));
    assert_eq!(learned.lines().count(), 2);
    let again = import(&learned).expect("our own lines");
    assert_eq!(again[1], all[1]);
    let pairs = import(&text(true)).expect("our own lines");
    assert_eq!(pairs[0], all[0]);
    assert_eq!(
        (pairs[1].generated.as_str(), pairs[1].wanted()),
        ("SELECT 0", Some("SELECT 1"))
    );
    assert_eq!(pairs.len(), 2);
}

#[test]
fn lines_from_elsewhere_are_taken_once_and_broken_ones_are_named() {
    let line =
        r#"{"prompt": [{"role": "user", "content": "How many?"}], "completion": "SELECT 1", "more": 1}"#;
    let read = import(line).expect("a line of TRL's");
    assert_eq!(
        (read[0].question.as_str(), read[0].wanted()),
        ("How many?", Some("SELECT 1"))
    );
    assert_eq!(import(line).expect("again"), read);
    for (line, what) in [
        ("{", "no line with `prompt`"),
        (
            r#"{"prompt": "text", "completion": "x"}"#,
            "no line with `prompt` as messages",
        ),
        (
            r#"{"prompt": [{"role": "user", "content": "q"}], "chosen": "x"}"#,
            "neither `completion` alone",
        ),
        (
            r#"{"prompt": [{"role": "user", "content": "q"}], "completion": " "}"#,
            "`completion` is empty",
        ),
        (
            r#"{"prompt": [{"role": "system", "content": "q"}], "completion": "x"}"#,
            "no message of the user",
        ),
    ] {
        let error = import(&format!("\n{line}")).expect_err(line).to_string();
        assert!(error.starts_with("line 2: ") && error.contains(what), "{error}");
    }
}

/// Names the store's file for [`child`].
const CHILD: &str = "BIGQUILL_TEST_STORE";

/// Not a test of its own: what [`what_was_acknowledged_outlives_a_kill`] runs.
#[test]
fn child() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let corpus = Corpus::open(Path::new(&path)).expect("a store");
    let mut stdout = std::io::stdout();
    for n in 0.. {
        let question = format!("{} {n}", std::process::id());
        let id = corpus.add(&completion(&question, Outcome::Shown)).expect("added");
        writeln!(stdout, "shown {id}").expect("the test reads");
        corpus.update(id, &edited(&question)).expect("decided");
        writeln!(stdout, "edited {id}").expect("the test reads");
    }
}

#[test]
fn what_was_acknowledged_outlives_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    for round in 0..12 {
        let mut child = Command::new(std::env::current_exe().expect("a running test"))
            .args(["--exact", "corpus::tests::child", "--nocapture"])
            .env(CHILD, file(&folder))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test runs");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        // The harness says a few lines of its own. The kill comes at another moment each time.
        let mut said: Vec<String> = lines.by_ref().map_while(Result::ok).take(5 + round * 3).collect();
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        said.extend(lines.map_while(Result::ok));
        let corpus = Corpus::open(&file(&folder)).expect("a store");
        let mut acknowledged = 0;
        for line in &said {
            let Some((what, id)) = line.split_once(' ') else {
                continue;
            };
            let Ok(id) = id.parse() else { continue };
            let found = corpus
                .get(id)
                .expect("read")
                .map(|stored| stored.completion.outcome);
            let held = found == Some(Outcome::Edited) || (what == "shown" && found == Some(Outcome::Shown));
            assert!(held, "{line}: {found:?}");
            acknowledged += 1;
        }
        assert!(acknowledged > 0, "{said:?}");
        let sound: String = corpus
            .with(|c| c.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
            .expect("read");
        assert_eq!(sound, "ok");
    }
}
