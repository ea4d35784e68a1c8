use super::*;

fn completion(question: &str, outcome: Outcome) -> Completion {
    Completion {
        question: question.to_owned(),
        prompt: vec![PromptMessage {
            role: "user".to_owned(),
            content: format!("Tables: …\nQuestion: {question}"),
        }],
        tables: vec!["p.shop.customers".to_owned()],
        generated: "SELECT 1".to_owned(),
        kept: None,
        outcome,
        proved_by: Some("googlesql".to_owned()),
        model: "qwen".to_owned(),
        adapter: None,
        asked_at: 1_700_000_000_000,
    }
}

fn corpus() -> (tempfile::TempDir, Corpus) {
    let folder = tempfile::tempdir().expect("a folder");
    let corpus = Corpus::open(folder.path()).expect("a store");
    (folder, corpus)
}

#[test]
fn what_is_added_is_there_once_and_has_its_outcome() {
    let (folder, corpus) = corpus();
    let id = corpus.add(&completion("how many?", Outcome::Shown)).expect("added");
    assert_eq!(corpus.add(&completion("how many?", Outcome::Shown)).expect("known"), id);
    assert!(corpus.decide(id, Outcome::Edited, Some("SELECT 2")).expect("decided"));
    assert!(!corpus.decide(99, Outcome::Accepted, None).expect("there is none"));
    // Another editor sees it, too.
    let other = Corpus::open(folder.path()).expect("a second one");
    let stored = other.get(id).expect("read").expect("it is there");
    assert_eq!(stored.completion.wanted(), Some("SELECT 2"));
    assert!(stored.decided_at.is_some());
    assert_eq!(other.list(&[Outcome::Shown]).expect("read"), []);
    let stats = other.stats().expect("read");
    assert_eq!((stats.edited, stats.shown, stats.newest), (1, 0, Some(1_700_000_000_000)));
}

#[test]
fn what_is_forgotten_is_in_no_file() {
    let (folder, corpus) = corpus();
    for question in ["secret question", "another"] {
        corpus.add(&completion(question, Outcome::Accepted)).expect("added");
    }
    assert_eq!(corpus.forget(&Forget::Table("shop.orders".to_owned())).expect("none"), 0);
    assert_eq!(corpus.forget(&Forget::Before(1)).expect("none"), 0);
    assert_eq!(corpus.forget(&Forget::Ids(vec![1])).expect("removed"), 1);
    for file in std::fs::read_dir(folder.path()).expect("a folder") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("readable");
        let found = bytes.windows(15).any(|window| window == b"secret question");
        assert!(!found, "the text is gone from the file and its log");
    }
    assert_eq!(corpus.forget(&Forget::Table("shop.customers".to_owned())).expect("removed"), 1);
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, corpus) = corpus();
    corpus.add(&completion("q", Outcome::Shown)).expect("added");
    for file in std::fs::read_dir(folder.path()).expect("a folder") {
        let metadata = file.expect("a file").metadata().expect("it is there");
        assert_eq!(metadata.permissions().mode() & 0o077, 0);
    }
}

#[test]
fn a_newer_or_spoiled_file_is_left_alone() {
    let (folder, corpus) = corpus();
    corpus.with(|c| c.execute_batch("PRAGMA user_version = 9")).expect("set");
    let error = Corpus::open(folder.path()).err().expect("it is newer").to_string();
    assert!(error.contains("newer bigquill"), "{error}");
    let other = tempfile::tempdir().expect("a folder");
    let path = other.path().join("completions.sqlite");
    std::fs::write(&path, "this is no database, but somebody's text").expect("ours");
    assert!(Corpus::open(other.path()).is_err());
    assert!(std::fs::read_to_string(&path).expect("it stays").starts_with("this is no database"));
}

#[test]
fn what_was_wanted_becomes_training_data() {
    let mut edited = completion("edited", Outcome::Edited);
    edited.kept = Some("SELECT 2".to_owned());
    let mut rejected = completion("taken", Outcome::Rejected);
    rejected.generated = "SELECT 0".to_owned();
    let all = [
        edited,
        completion("taken", Outcome::Accepted),
        rejected,
        completion("shown", Outcome::Shown),
    ];
    let lines: Vec<String> = training_lines(&all, false)
        .iter()
        .map(|line| serde_json::to_string(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].ends_with("\"completion\":[{\"role\":\"assistant\",\"content\":\"SELECT 2\"}]}"), "{}", lines[0]);
    let preferences = training_lines(&all, true);
    let pairs: Vec<(&str, &str)> = preferences
        .iter()
        .filter_map(|line| match line {
            TrainingLine::Preference { chosen, rejected, .. } => {
                Some((chosen[0].content.as_str(), rejected[0].content.as_str()))
            }
            TrainingLine::Completion { .. } => None,
        })
        .collect();
    assert_eq!(pairs, [("SELECT 2", "SELECT 1"), ("SELECT 1", "SELECT 0")]);
    let text = serde_json::to_string(&all[0]).expect("JSON");
    assert_eq!(read_line(1, &text).expect("a completion"), all[0]);
    assert!(read_line(17, "{").expect_err("cut").to_string().starts_with("line 17: "));
}
