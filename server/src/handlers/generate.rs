//! The command *Generate SQL from comment*, in the background: progress, the pipeline, an edit.
//!
//! What the person typed meanwhile is never overwritten: the edit is made for the newest version, in which the same
//! comment must stand with the same answer, and it carries that version.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bigquill_analysis::syntax::question::{Question, question_at, questions};
use bigquill_model::engine::AdapterChoice;
use bigquill_model::generate::Generator;
use bigquill_model::lora::AdapterStamp;
use tokio::sync::mpsc;
use tower_lsp::lsp_types::request::ApplyWorkspaceEdit;
use tower_lsp::lsp_types::{ApplyWorkspaceEditParams, MessageType, TextEdit};

use super::code_action::workspace_edit;
use super::execute_command::GenerateArguments;
use crate::document::Document;
use crate::error::RequestError;
use crate::models::adapter_choice;
use crate::pipeline::{self, Answer, PipelineError};
use crate::session::{AnswerKey, DocumentSnapshot, Lane, NeededBy, Progress, Session};
use crate::settings::Settings;

/// How often progress is shown, at most.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);
/// How often an edit is made anew for a document that changed while the last one was on its way.
const TRIES: usize = 4;

/// How long to wait for the version that an edit of ours makes.
const NEXT_VERSION: Duration = Duration::from_secs(2);

/// Who wants an answer and where its progress is shown.
pub(super) struct Wish<'a> {
    pub(super) lane: Lane,
    pub(super) progress: Option<&'a Progress>,
    /// Take an answer that was given before.
    pub(super) reuse: bool,
}

/// Answers the comment that the arguments name and writes the answer below it.
pub async fn generate(session: Arc<Session>, document: Arc<Document>, arguments: GenerateArguments) {
    let snapshot = session.with_tables(document).await;
    let found = super::compute(&snapshot, move |snapshot| locate(&snapshot.document, &arguments)).await;
    let Ok(Some(question)) = found else {
        let message = "There is no comment here that asks for SQL. Put the cursor on a comment such as `-- customers per country`.";
        session.editor.show(MessageType::INFO, message).await;
        return;
    };
    let title = question.text.lines().next().unwrap_or_default().to_owned();
    let supported = session.abilities().progress;
    let progress = session
        .editor
        .begin(supported, "Generate SQL", Some(title), true)
        .await;
    let wish = Wish {
        lane: Lane::Command,
        progress: Some(&progress),
        reuse: question.answer.is_none(),
    };
    let ending = match answer(&session, &snapshot, &question, wish).await {
        Ok(Some(answer)) => {
            let ending = write(&session, &snapshot.document, &question, &answer).await;
            ending.to_owned()
        }
        Ok(None) => "no answer".to_owned(),
        Err(RequestError::ContentModified) => "cancelled".to_owned(),
        Err(error) => error.to_string(),
    };
    progress.end(Some(ending)).await;
}

/// The question at the position; in another version than the one the position is of, the one with the same comment.
pub(super) fn locate(document: &Document, arguments: &GenerateArguments) -> Option<Question> {
    let same_version = arguments
        .version
        .is_none_or(|version| version == document.version);
    let here = question_at(&document.text, document.offset(arguments.position));
    let Some(comment) = arguments.comment.as_ref().filter(|_| !same_version) else {
        return here;
    };
    let is_it = |question: &Question| document.slice(question.comment.clone()) == comment;
    here.filter(is_it)
        .or_else(|| questions(&document.text).into_iter().find(is_it))
}

/// The answer to a question, from the pipeline or from an earlier time. None where there is no generator; the person
/// was told why.
///
/// # Errors
/// `ContentModified` where a newer request, an edit or the person ended it; `Failed` where the pipeline failed, which
/// a person who asked was told.
pub(super) async fn answer(
    session: &Arc<Session>,
    snapshot: &DocumentSnapshot,
    question: &Question,
    wish: Wish<'_>,
) -> Result<Option<Arc<Answer>>, RequestError> {
    let snapshot = &session.with_question(snapshot, &question.text).await;
    let key = AnswerKey {
        question: question.text.clone(),
        catalog_epoch: snapshot.catalog_epoch,
        settings: Arc::clone(&snapshot.settings),
        adapter: adapter_stamp(&snapshot.settings).await,
    };
    if let Some(answer) = session.answers.get(&key).filter(|_| wish.reuse) {
        return Ok(Some(answer));
    }
    let uri = &snapshot.document.uri;
    let token = wish.progress.and_then(Progress::token).cloned();
    let work = run(session, snapshot, question, &wish);
    let answer = session.generations.run(uri, wish.lane, token, work).await;
    let answer = answer.map_err(|_| RequestError::ContentModified)??.map(Arc::new);
    if let Some(answer) = &answer {
        session.answers.put(key, Arc::clone(answer));
        if let Some(remark) = &answer.remark_on_author {
            session.editor.show_once(MessageType::WARNING, remark).await;
        }
    }
    Ok(answer)
}

/// Which adapter the folder holds now, where the settings name one.
async fn adapter_stamp(settings: &Settings) -> Option<AdapterStamp> {
    let AdapterChoice::Path(folder) = adapter_choice(settings) else {
        return None;
    };
    tokio::task::spawn_blocking(move || AdapterStamp::of(&folder))
        .await
        .ok()
        .flatten()
}

async fn run(
    session: &Arc<Session>,
    snapshot: &DocumentSnapshot,
    question: &Question,
    wish: &Wish<'_>,
) -> Result<Option<Answer>, RequestError> {
    let needed_by = if wish.lane == Lane::Automatic {
        NeededBy::Editor
    } else {
        NeededBy::Person
    };
    let Ok(generator) = session.generator(needed_by).await else {
        return Ok(None);
    };
    let request = pipeline::Request {
        question: question.text.clone(),
        evidence: None,
        snapshot: Arc::clone(&snapshot.catalog),
        judge: snapshot.judge.clone(),
        dry_run: session.dry_run_step(&snapshot.settings).await,
        options: pipeline::Options::from_settings(&snapshot.settings),
    };
    match complete(&request, generator.as_ref(), wish.progress).await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => {
            let message = error.to_string();
            if wish.lane != Lane::Automatic {
                session.editor.show(MessageType::ERROR, &message).await;
            }
            Err(RequestError::Failed(message))
        }
    }
}

/// The pipeline, its stages shown as they come but not more often than an eye can follow.
async fn complete(
    request: &pipeline::Request,
    generator: &dyn Generator,
    progress: Option<&Progress>,
) -> Result<Answer, PipelineError> {
    let (stages, mut shown) = mpsc::unbounded_channel();
    let mut last: Option<Instant> = None;
    let mut report = move |stage: pipeline::Progress<'_>| {
        if last.is_none_or(|last| last.elapsed() >= REPORT_INTERVAL) {
            last = Some(Instant::now());
            // Nobody listens only when the generation is over.
            let _ = stages.send(describe(&stage));
        }
    };
    let mut work = std::pin::pin!(pipeline::complete(request, generator, &mut report));
    loop {
        tokio::select! {
            result = &mut work => return result,
            Some(message) = shown.recv() => if let Some(progress) = progress {
                progress.report(message, None).await;
            },
        }
    }
}

fn describe(stage: &pipeline::Progress<'_>) -> String {
    match stage {
        pipeline::Progress::Prompt { .. } => "reading the tables".to_owned(),
        pipeline::Progress::Text(sql) => {
            let line = sql.lines().next_back().unwrap_or_default().trim();
            if line.is_empty() {
                "writing".to_owned()
            } else {
                line.to_owned()
            }
        }
        pipeline::Progress::Checking => "checking".to_owned(),
        pipeline::Progress::Repairing { attempt, .. } => format!("asking again ({attempt})"),
    }
}

/// Writes an answer into the newest version of the document; returns what the progress display says at its end.
async fn write(
    session: &Arc<Session>,
    document: &Arc<Document>,
    question: &Question,
    answer: &Arc<Answer>,
) -> &'static str {
    let anchor = Anchor::of(document, question);
    let offer = session.offered(&question.text, answer);
    let done = async || {
        if let Some(offer) = offer {
            session.taken(&document.uri, offer).await;
        }
        done(session, answer).await
    };
    for attempt in 0..TRIES {
        let Some(newest) = session.document(&document.uri) else {
            return "the document was closed";
        };
        let Some(question) = anchor.find(&newest) else {
            if attempt > 0 {
                // The edit before was taken after all.
                return done().await;
            }
            let message =
                "The comment or its answer changed while the SQL was written, so nothing was put in.";
            session.editor.show(MessageType::WARNING, message).await;
            return "the comment changed";
        };
        let Some(edits) = pipeline::edits(&newest.text, &question, answer) else {
            let reason = answer.reason().unwrap_or_default();
            let message =
                format!("The model wrote something else than one query, so nothing was put in: {reason}");
            session.editor.show(MessageType::WARNING, &message).await;
            return "not put in";
        };
        match apply(session, &newest, edits).await {
            Ok(()) if stands(session, &newest, &anchor).await => return done().await,
            Ok(()) => tracing::info!(version = newest.version, "the client let the edit fall"),
            Err(Refusal(reason)) => {
                tracing::info!(reason, version = newest.version, "the client refused the edit");
                let now = session.document(&document.uri);
                if now.is_some_and(|now| now.version == newest.version) {
                    let message = format!("The editor did not take the SQL: {reason}");
                    session.editor.show(MessageType::ERROR, &message).await;
                    return "the editor did not take it";
                }
            }
        }
    }
    let message = "The document keeps changing, so the SQL was not put in. Ask again for it.";
    session.editor.show(MessageType::WARNING, message).await;
    "the document keeps changing"
}

struct Refusal(String);

async fn apply(
    session: &Session,
    document: &Document,
    edits: Vec<(Range<usize>, String)>,
) -> Result<(), Refusal> {
    let edits = edits.into_iter().map(|(range, new_text)| TextEdit {
        range: document.editor_range(&range),
        new_text,
    });
    let params = ApplyWorkspaceEditParams {
        label: Some("Generate SQL from comment".to_owned()),
        edit: workspace_edit(document, edits.collect(), session.abilities()),
    };
    match session.editor.ask::<ApplyWorkspaceEdit>(params).await {
        Ok(response) if response.applied => Ok(()),
        Ok(response) => Err(Refusal(
            response
                .failure_reason
                .unwrap_or_else(|| "it gave no reason".into()),
        )),
        Err(error) => Err(Refusal(error.message.into_owned())),
    }
}

/// Whether the edit of this version was really made. Neovim answers that it applied an edit also where it let it fall
/// because the buffer was newer; then the next version still has the question as it was.
async fn stands(session: &Session, edited: &Document, anchor: &Anchor) -> bool {
    if !session.abilities().versioned_edits {
        return true;
    }
    let next = session.newer_than(&edited.uri, edited.version);
    match tokio::time::timeout(NEXT_VERSION, next).await {
        Ok(Some(next)) => anchor.find(&next).is_none(),
        // Closed, or a client that does not tell of the edits that it makes for us.
        Ok(None) | Err(_) => true,
    }
}

async fn done(session: &Session, answer: &Answer) -> &'static str {
    let warning = match (answer.reason(), &answer.over_limit) {
        (Some(why), _) => Some(format!("This SQL is not proved: {why}")),
        (None, Some(why)) => Some(format!("Before you run this SQL: {why}")),
        (None, None) => None,
    };
    if let Some(warning) = warning {
        session.editor.show(MessageType::WARNING, &warning).await;
    }
    answer.proof()
}

/// A question as it can be found again in another version of its document.
struct Anchor {
    comment: String,
    answer: Option<String>,
    /// How many questions before it have the same comment and answer.
    before: usize,
}

impl Anchor {
    fn of(document: &Document, question: &Question) -> Self {
        let mut anchor = Self {
            comment: document.slice(question.comment.clone()).to_owned(),
            answer: question
                .answer
                .clone()
                .map(|answer| document.slice(answer).to_owned()),
            before: 0,
        };
        anchor.before = anchor
            .same(document)
            .filter(|q| q.comment.start < question.comment.start)
            .count();
        anchor
    }

    fn find(&self, document: &Document) -> Option<Question> {
        let mut same: Vec<Question> = self.same(document).collect();
        let at = self.before.min(same.len().checked_sub(1)?);
        Some(same.swap_remove(at))
    }

    fn same<'a>(&'a self, document: &'a Document) -> impl Iterator<Item = Question> + 'a {
        questions(&document.text).into_iter().filter(|question| {
            let answer = question.answer.clone().map(|answer| document.slice(answer));
            document.slice(question.comment.clone()) == self.comment && answer == self.answer.as_deref()
        })
    }
}
