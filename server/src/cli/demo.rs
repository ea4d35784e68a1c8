//! `bigquill demo`: the whole way on a file that comes along.

use std::path::{Path, PathBuf};

use bigquill_analysis::schema::CatalogSnapshot;
use clap::Args;
use serde_json::{Map, Value};

use crate::catalog::read_catalog_text;
use crate::pipeline::{Answer, Options, Request};

use super::output::{Output, message};
use super::{Common, Outcome, TextOrJson, ask, complete, generator, json, judge, runtime};

/// Answers ten comments of a file that comes along, over two small catalogs
#[derive(Debug, Args)]
#[command(
    after_help = "The first run fetches the small model (491 MB) and GoogleSQL (8 MB).\n\
    Exit codes: 0 every comment has an answer, 1 some answer is not proved (--strict), 2 usage or input and output."
)]
pub(super) struct DemoArgs {
    /// How answers are printed; json: one line a comment
    #[arg(long, value_enum, default_value = "text")]
    format: TextOrJson,
    /// End with 1 where an answer is not proved
    #[arg(long)]
    strict: bool,
    /// JSON with repairs, reused tokens, tokens per second and how the answer ended
    #[arg(long)]
    details: bool,
}

/// Where the questions lie in a checkout.
const FILE: &str = "fixtures/questions/questions.sql";

// The demo runs from any folder and without a checkout.
const QUESTIONS: &str = include_str!("../../../fixtures/questions/questions.sql");
const CATALOGS: [&str; 2] = [
    include_str!("../../../fixtures/catalogs/gender_gap.json"),
    include_str!("../../../fixtures/catalogs/shop.json"),
];

pub(super) fn run(args: &DemoArgs, common: &Common, out: &mut Output) -> anyhow::Result<Outcome> {
    // The demo is the same everywhere: no bigquill.toml of the folder it happens to run in.
    let settings = common.load_without_search()?.settings;
    let (file, text) = source();
    let snapshot = std::sync::Arc::new(snapshot());
    let googlesql = judge::fetched(&settings);
    let generator = generator::open(&settings)?;
    let runtime = runtime()?;
    let questions = complete::open_questions(&text);
    if args.format == TextOrJson::Text {
        out.line(&format!(
            "{}: {} comments, {} tables\n",
            file.display(),
            questions.len(),
            snapshot.tables().count()
        ))?;
    }
    let mut answers = Vec::new();
    for question in &questions {
        let request = Request {
            question: question.text.clone(),
            evidence: None,
            snapshot: std::sync::Arc::clone(&snapshot),
            judge: googlesql.clone(),
            dry_run: None,
            options: Options::from_settings(&settings),
        };
        let answer = ask::answer(&request, generator.as_ref(), &runtime)?;
        let line = text[..question.comment.start].matches('\n').count();
        match args.format {
            TextOrJson::Text => {
                let comment = &text[question.comment.clone()];
                out.line(&format!(
                    "{}:{}\n{comment}\n{}",
                    file.display(),
                    line + 1,
                    ask::shown(&answer)
                ))?;
                out.line(&format!("  → {}\n", ask::verdict(&answer)))?;
            }
            TextOrJson::Json => {
                let mut reply = Map::new();
                reply.insert("file".to_owned(), file.to_string_lossy().into());
                reply.insert("line".to_owned(), line.into());
                reply.insert("question".to_owned(), question.text.clone().into());
                reply.extend(json::answer(&answer, args.details));
                out.line(&Value::Object(reply).to_string())?;
            }
        }
        answers.push(answer);
    }
    if args.format == TextOrJson::Text {
        out.line(&summary(&answers))?;
    }
    Ok(Outcome::of(args.strict && answers.iter().any(|a| !a.proved)))
}

/// The file in the checkout that we run in or were built from, else the text that came along.
fn source() -> (PathBuf, String) {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (root, shown) in [(Path::new("."), PathBuf::from(FILE)), (&built, built.join(FILE))] {
        if std::fs::read_to_string(root.join(FILE)).is_ok_and(|text| text == QUESTIONS) {
            return (
                shown
                    .canonicalize()
                    .ok()
                    .filter(|_| root != Path::new("."))
                    .unwrap_or(shown),
                QUESTIONS.to_owned(),
            );
        }
    }
    message("the questions are those built into bigquill");
    (PathBuf::from("questions.sql"), QUESTIONS.to_owned())
}

fn snapshot() -> CatalogSnapshot {
    let mut tables = Vec::new();
    let mut routines = Vec::new();
    for text in CATALOGS {
        let (more_tables, more_routines, _) = read_catalog_text(text);
        tables.extend(more_tables);
        routines.extend(more_routines);
    }
    CatalogSnapshot::new(None, tables, routines)
}

fn summary(answers: &[Answer]) -> String {
    let proved = answers.iter().filter(|a| a.proved).count();
    let tokens: usize = answers.iter().map(|a| a.tokens).sum();
    let ms: f64 = answers.iter().map(|a| a.ms).sum();
    let writing: f64 = answers
        .iter()
        .filter(|a| a.tokens_per_second > 0.0)
        .map(|a| f64::from(u32::try_from(a.tokens).unwrap_or(u32::MAX)) / a.tokens_per_second)
        .sum();
    let rate = f64::from(u32::try_from(tokens).unwrap_or(u32::MAX)) / writing.max(1e-9);
    format!(
        "{proved} of {} answers are proved; {tokens} tokens at {rate:.1} tokens/s, {:.1} s in all",
        answers.len(),
        ms / 1000.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_has_ten_questions_and_whole_catalogs() {
        let questions = complete::open_questions(QUESTIONS);
        for asked in [
            "how many editors are there of each gender?",
            "total revenue of delivered orders",
        ] {
            assert!(questions.iter().any(|q| q.text == asked), "{asked}");
        }
        assert!(questions.len() >= 10);
        for text in CATALOGS {
            assert_eq!(read_catalog_text(text).2, []);
        }
        assert!(snapshot().tables().count() >= 2);
    }
}
