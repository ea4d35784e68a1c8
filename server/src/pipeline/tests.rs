use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bigquill_model::generate::{EventSender, Generation, Role};

use super::*;
use crate::catalog::read_catalog_text;

/// A generator that replays texts: each request gets the next one, word by word.
struct Scripted {
    texts: Mutex<VecDeque<Result<&'static str, GenerateError>>>,
    requests: Mutex<Vec<GenerateRequest>>,
    finish: FinishReason,
}

impl Scripted {
    fn new(texts: &[&'static str]) -> Self {
        Self::with(texts.iter().map(|t| Ok(*t)).collect())
    }

    fn with(texts: VecDeque<Result<&'static str, GenerateError>>) -> Self {
        Self {
            texts: Mutex::new(texts),
            requests: Mutex::default(),
            finish: FinishReason::Stop,
        }
    }

    fn prompts(&self) -> Vec<Prompt> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.iter().map(|r| r.prompt.clone()).collect()
    }
}

impl Generator for Scripted {
    fn generate(&self, request: GenerateRequest) -> Result<Generation, GenerateError> {
        self.requests.lock().expect("requests").push(request);
        let text = self
            .texts
            .lock()
            .expect("texts")
            .pop_front()
            .expect("a text for every request")?;
        let (sender, generation) = Generation::channel();
        sender.send(Ok(GenerationEvent::Started {
            prompt_tokens: 100,
            reused_tokens: 40,
        }));
        let mut tokens = 0;
        for word in text.split_inclusive(' ') {
            tokens += 1;
            sender.send(Ok(GenerationEvent::Text(word.to_owned())));
        }
        sender.send(Ok(GenerationEvent::Finished {
            reason: self.finish,
            tokens,
            prefill_ms: 1.0,
            decode_ms: 10.0,
        }));
        Ok(generation)
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.len() / 4
    }
}

fn request(question: &str) -> Request {
    let (tables, routines, problems) =
        read_catalog_text(include_str!("../../../fixtures/catalogs/shop.json"));
    assert_eq!(problems, []);
    Request {
        question: question.to_owned(),
        evidence: None,
        snapshot: Arc::new(CatalogSnapshot::new(None, tables, routines)),
        judge: None,
        dry_run: None,
        options: Options::from_settings(&Settings::default()),
    }
}

async fn run(generator: &Scripted) -> (Result<Answer, PipelineError>, Vec<String>) {
    let mut seen = Vec::new();
    let mut note = |progress: Progress<'_>| {
        seen.push(match progress {
            Progress::Prompt { tokens, reused } => format!("prompt {tokens} {reused}"),
            Progress::Text(sql) => format!("text {sql}"),
            Progress::Checking => "checking".to_owned(),
            Progress::Repairing { attempt, findings } => format!("repairing {attempt} {}", findings.len()),
        });
    };
    let answer = complete(&request("who are the customers?"), generator, &mut note).await;
    (answer, seen)
}

async fn answer(texts: &[&'static str]) -> Answer {
    let generator = Scripted::new(texts);
    let answer = run(&generator).await.0.expect("an answer");
    assert_eq!(generator.prompts().len(), texts.len(), "every text is asked for");
    answer
}

#[tokio::test]
async fn an_answer_that_holds_is_proved() {
    let generator = Scripted::new(&["```sql\nSELECT name FROM shop.customers;\n```"]);
    let (answer, seen) = run(&generator).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.sql, "SELECT name FROM shop.customers");
    assert!(answer.proved && !answer.refused, "{:?}", answer.diagnostics);
    assert_eq!(answer.proved_by, Some(ProvedBy::Resolver));
    assert_eq!(
        (answer.repairs.len(), answer.prompt_tokens, answer.reused_tokens),
        (0, 100, 40)
    );
    assert_eq!(
        answer.text("  ").as_deref(),
        Some("  SELECT name FROM shop.customers;")
    );
    assert_eq!(seen.first().map(String::as_str), Some("prompt 100 40"));
    assert_eq!(seen.last().map(String::as_str), Some("checking"));
    assert!(
        seen.contains(&"text SELECT name FROM shop.customers;".to_owned()),
        "{seen:?}"
    );
}

#[tokio::test]
async fn what_follows_the_statement_is_not_waited_for() {
    let answer = answer(&["SELECT name FROM shop.customers; SELECT 1; this goes on"]).await;
    assert_eq!(answer.sql, "SELECT name FROM shop.customers");
    assert_eq!(answer.finish, Finish::Statement);
    assert!(answer.proved);
}

#[tokio::test]
async fn a_misspelled_name_is_put_right_without_asking() {
    let answer = answer(&["SELECT c.nmae FROM shop.custmers AS c"]).await;
    assert_eq!(answer.sql, "SELECT c.name FROM shop.customers AS c");
    assert!(answer.proved, "{:?}", answer.diagnostics);
    assert!(answer.repairs.iter().all(|r| matches!(r, Repair::NearestName(_))) && !answer.repairs.is_empty());
}

#[tokio::test]
async fn what_has_no_near_name_is_asked_again_with_the_findings() {
    let generator = Scripted::new(&[
        "SELECT zodiac_sign FROM shop.customers",
        "SELECT name FROM shop.customers",
    ]);
    let (answer, seen) = run(&generator).await;
    let answer = answer.expect("an answer");
    assert!(answer.proved);
    assert_eq!(answer.repairs, [Repair::AskedAgain(1)]);
    assert!(seen.contains(&"repairing 1 1".to_owned()), "{seen:?}");
    let prompts = generator.prompts();
    let first = prompts[0].messages.len();
    assert_eq!(
        prompts[1].messages[..first],
        prompts[0].messages[..],
        "the prefix is the same"
    );
    assert_eq!(prompts[1].messages[first].role, Role::Assistant);
    assert!(prompts[1].messages[first + 1].content.contains("zodiac_sign"));
}

#[tokio::test]
async fn what_never_holds_is_marked() {
    let answer = answer(&[
        "SELECT zodiac_sign, blood_type FROM shop.customers",
        "SELECT zodiac_sign FROM shop.customers",
        "SELECT zodiac_sign, favourite_opera FROM shop.customers",
    ])
    .await;
    assert!(!answer.proved);
    assert_eq!(answer.proved_by, None);
    assert_eq!(
        answer.sql, "SELECT zodiac_sign FROM shop.customers",
        "the one with the fewest findings"
    );
    let text = answer.text("").expect("text");
    assert!(text.starts_with("SELECT /* not proved: "), "{text}");
    assert!(text.ends_with("*/ zodiac_sign FROM shop.customers;"), "{text}");
}

#[tokio::test]
async fn the_same_answer_twice_is_followed_by_a_drawn_one() {
    let same = "SELECT zodiac_sign FROM shop.customers";
    let generator = Scripted::new(&[same, same, "SELECT name FROM shop.customers"]);
    let (answer, _) = run(&generator).await;
    assert!(answer.expect("an answer").proved);
    let requests = generator.requests.lock().expect("requests");
    let greedy: Vec<bool> = requests.iter().map(|r| r.sampling == Sampling::Greedy).collect();
    assert_eq!(greedy, [true, true, false]);
}

#[tokio::test]
async fn only_one_query_is_taken() {
    let delete = "DELETE FROM shop.customers WHERE TRUE";
    let refused = answer(&[delete, delete, delete]).await;
    assert!(refused.refused && !refused.proved);
    assert_eq!(refused.text(""), None);
    assert!(refused.reason().is_some());
    let script = answer(&["DECLARE x INT64; SELECT x", "SELECT name FROM shop.customers"]).await;
    assert!(script.proved);
}

#[tokio::test]
async fn without_a_catalog_nothing_is_proved() {
    let generator = Scripted::new(&["SELECT a FROM b.c"]);
    let mut request = request("a?");
    request.snapshot = Arc::default();
    let answer = complete(&request, &generator, &mut |_| {})
        .await
        .expect("an answer");
    assert!(!answer.proved);
    assert!(
        answer.reason().is_some_and(|r| r.contains("catalog")),
        "{:?}",
        answer.reason()
    );
}

#[tokio::test]
async fn nothing_written_is_an_error_and_a_late_error_is_not() {
    let (empty, _) = run(&Scripted::new(&["", "", ""])).await;
    assert!(matches!(empty, Err(PipelineError::Empty)), "{empty:?}");
    let failure = || Err(GenerateError::Failed("out of memory".to_owned()));
    let (first, _) = run(&Scripted::with([failure()].into())).await;
    assert!(matches!(first, Err(PipelineError::Generate(_))));
    let later = [Ok("SELECT zodiac_sign FROM shop.customers"), failure()];
    let (answer, _) = run(&Scripted::with(later.into())).await;
    assert!(!answer.expect("the first answer").proved);
}

#[tokio::test]
async fn a_cut_answer_is_not_asked_again() {
    let mut generator = Scripted::new(&["SELECT name, zodiac_sign FROM"]);
    generator.finish = FinishReason::Length;
    let answer = run(&generator).await.0.expect("an answer");
    assert_eq!(answer.finish, Finish::Length);
    assert!(!answer.proved);
}

/// A generator that never ends.
struct Silent(Mutex<Option<EventSender>>);

impl Generator for Silent {
    fn generate(&self, _: GenerateRequest) -> Result<Generation, GenerateError> {
        let (sender, generation) = Generation::channel();
        *self.0.lock().expect("sender") = Some(sender);
        Ok(generation)
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.len()
    }
}

#[tokio::test]
async fn dropping_is_cancelling() {
    let generator = Arc::new(Silent(Mutex::new(None)));
    let worker = Arc::clone(&generator);
    // The future is one that a runtime may move between threads.
    let task = tokio::spawn(async move {
        let request = request("a?");
        let mut ignore = |_: Progress<'_>| {};
        complete(&request, worker.as_ref(), &mut ignore).await.is_ok()
    });
    let sender = loop {
        if let Some(sender) = generator.0.lock().expect("sender").take() {
            break sender;
        }
        tokio::task::yield_now().await;
    };
    assert!(!sender.is_cancelled());
    task.abort();
    assert!(task.await.is_err());
    assert!(sender.is_cancelled());
}

mod insertion {
    use bigquill_analysis::syntax::question::questions;

    use super::super::{Answer, edits};
    use super::*;

    fn insert(text: &str, sql: &str, proved: bool) -> String {
        let answer = Answer {
            sql: sql.to_owned(),
            proved,
            proved_by: proved.then_some(ProvedBy::Resolver),
            bytes_processed: None,
            over_limit: None,
            refused: false,
            diagnostics: Vec::new(),
            reasons: Vec::new(),
            repairs: Vec::new(),
            prompt_tokens: 0,
            reused_tokens: 0,
            tokens: 0,
            ms: 0.0,
            tokens_per_second: 0.0,
            finish: Finish::Stop,
            prompt: Prompt::default(),
            author: None,
            remark_on_author: None,
        };
        let question = questions(text).pop().expect("a question");
        let mut out = text.to_owned();
        for (range, replacement) in edits(text, &question, &answer).expect("edits").into_iter().rev() {
            out.replace_range(range, &replacement);
        }
        out
    }

    #[test]
    fn below_the_comment_with_its_indent_and_line_ends() {
        assert_eq!(
            insert("-- how many customers are there?\n", "SELECT 1", true),
            "-- how many customers are there?\nSELECT 1;\n"
        );
        assert_eq!(
            insert(
                "  -- how many customers are there?\r\n\r\n",
                "SELECT 1\nFROM t",
                true
            ),
            "  -- how many customers are there?\r\n  SELECT 1\r\n  FROM t;\r\n\r\n"
        );
    }

    #[test]
    fn a_new_answer_replaces_the_old_one_with_its_mark() {
        let once = insert("-- how many customers are there?", "SELECT a FROM t", false);
        assert_eq!(
            once,
            "-- how many customers are there?\nSELECT /* not proved: it was not checked */ a FROM t;"
        );
        assert_eq!(
            insert(&once, "SELECT b FROM t", true),
            "-- how many customers are there?\nSELECT b FROM t;"
        );
    }

    #[test]
    fn the_statement_before_gets_its_semicolon() {
        assert_eq!(
            insert("SELECT 0\n\n-- how many customers are there?", "SELECT 1", true),
            "SELECT 0;\n\n-- how many customers are there?\nSELECT 1;"
        );
    }

    #[test]
    fn strings_over_several_lines_are_not_indented() {
        assert_eq!(
            insert("  -- which text is it?", "SELECT '''a\nb'''", true),
            "  -- which text is it?\n  SELECT '''a\nb''';"
        );
    }
}
