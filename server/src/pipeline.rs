//! From a question to checked SQL, without an editor: prompt, generate, check, repair.
//!
//! The answer of a model is a proposal. Where a connection stands, BigQuery's dry run decides at last. Else it counts as
//! proved only when GoogleSQL accepts it or, where that has no verdict, the check finds nothing against it; what does not
//! hold is repaired (nearest name, else asked again with the findings, twice at most) or returned as not proved.
//! Dropping the future of [`complete`] cancels the generation.

use std::sync::Arc;
use std::time::Instant;

use bigquill_analysis::check::Diagnostic;
use bigquill_analysis::schema::CatalogSnapshot;
use bigquill_judge::Judge;
use bigquill_model::generate::{
    Author, FinishReason, GenerateError, GenerateRequest, GenerationEvent, Generator, Prompt, Sampling,
};
use bigquill_model::prompt::{self, PromptInput};
use futures::StreamExt;

use crate::settings::Settings;

mod answer_text;
mod dry_run;
mod insertion;
mod judgement;
mod repair;

use answer_text::AnswerText;
pub use dry_run::DryRunStep;
use dry_run::Planned;
pub use insertion::{NOT_PROVED, edits, remark_comment};
pub use judgement::{Judgement, judge};

/// How often a model is asked again with what was found against its answer.
const ASK_AGAIN: usize = 2;

/// A question over a catalog.
#[derive(Debug, Clone)]
pub struct Request {
    /// The question, in plain language.
    pub question: String,
    /// Knowledge that the question needs, such as the meaning of a code.
    pub evidence: Option<String>,
    /// The tables.
    pub snapshot: Arc<CatalogSnapshot>,
    /// GoogleSQL, where it is ready.
    pub judge: Option<Judge>,
    /// BigQuery itself, where a connection stands and is wanted: the last step.
    pub dry_run: Option<DryRunStep>,
    /// Limits and sampling.
    pub options: Options,
}

/// Limits and sampling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Most tokens of one answer.
    pub max_tokens: usize,
    /// Most tokens of tables, evidence and question in the prompt.
    pub prompt_tokens: usize,
    /// Greedy or seeded.
    pub sampling: Sampling,
}

/// What happens on the way, for a progress display.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Progress<'a> {
    /// The model reads the prompt.
    Prompt {
        /// Tokens of the prompt.
        tokens: usize,
        /// Of these, tokens known from an earlier prompt.
        reused: usize,
    },
    /// The SQL so far; grows with every call, and begins anew after [`Progress::Repairing`].
    Text(&'a str),
    /// The SQL is checked.
    Checking,
    /// The check found something; the model is asked again.
    Repairing {
        /// Which time, from 1.
        attempt: usize,
        /// What was found.
        findings: &'a [String],
    },
}

/// SQL for a question, and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// One statement without its `;`, as the model wrote it or as it was repaired.
    pub sql: String,
    /// Whether it is proved that it holds against the tables.
    pub proved: bool,
    /// Who proved it.
    pub proved_by: Option<ProvedBy>,
    /// Bytes that it would read, where BigQuery planned it.
    pub bytes_processed: Option<u64>,
    /// Why it would not be run: it reads more than the settings allow.
    pub over_limit: Option<String>,
    /// Whether it is something else than one query: then it is shown, never inserted.
    pub refused: bool,
    /// What the check found, with byte ranges in `sql`.
    pub diagnostics: Vec<Diagnostic>,
    /// Why it is not proved, beside the findings: short phrases.
    pub reasons: Vec<String>,
    /// What was done to the model's first answer.
    pub repairs: Vec<Repair>,
    /// Tokens of the first prompt.
    pub prompt_tokens: usize,
    /// Of these, tokens known from an earlier prompt.
    pub reused_tokens: usize,
    /// Tokens generated, those of answers given up included.
    pub tokens: usize,
    /// Milliseconds from the question to the answer.
    pub ms: f64,
    /// Tokens per second while the model wrote; 0 where it wrote no two tokens.
    pub tokens_per_second: f64,
    /// Why the last generation ended.
    pub finish: Finish,
    /// The first prompt.
    pub prompt: Prompt,
    /// Who wrote it, where the generator told.
    pub author: Option<Author>,
    /// Why that is not the adapter that the settings name, for people.
    pub remark_on_author: Option<String>,
}

/// Who proved an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvedBy {
    /// Our own resolver, against the catalog.
    Resolver,
    /// BigQuery's own analyzer, against the catalog.
    GoogleSql,
    /// BigQuery itself, which planned it.
    DryRun,
}

/// One step of repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// A name was replaced by the nearest one that exists; the fix's title.
    NearestName(String),
    /// The model was asked again with so many findings.
    AskedAgain(usize),
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model ended its answer.
    Stop,
    /// The statement was whole though the model went on.
    Statement,
    /// `max_tokens` was reached: the SQL may be cut off.
    Length,
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PipelineError {
    /// The generator.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// The model wrote no SQL at all.
    #[error("the model wrote no SQL; put the question in other words, or set another `model`")]
    Empty,
}

impl Options {
    /// What the settings say.
    #[must_use]
    pub fn from_settings(settings: &Settings) -> Self {
        Self {
            max_tokens: settings.max_tokens,
            prompt_tokens: settings.prompt_tokens,
            sampling: match settings.seed {
                None => Sampling::Greedy,
                Some(seed) => drawn(seed),
            },
        }
    }
}

/// Near to greedy: SQL leaves little to taste.
fn drawn(seed: u64) -> Sampling {
    Sampling::Nucleus {
        temperature: 0.7,
        top_p: 0.95,
        seed,
    }
}

impl Answer {
    /// Who proved it, in a few words for people.
    #[must_use]
    pub fn proof(&self) -> &'static str {
        match self.proved_by {
            Some(ProvedBy::GoogleSql) => "proved by GoogleSQL",
            Some(ProvedBy::DryRun) => "proved by BigQuery's dry run",
            Some(ProvedBy::Resolver) => "proved by the resolver",
            None => "not proved",
        }
    }
}

impl ProvedBy {
    /// The name in output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolver => "resolver",
            Self::GoogleSql => "googlesql",
            Self::DryRun => "dry run",
        }
    }
}

impl Finish {
    /// The name in output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Statement => "statement",
            Self::Length => "length",
        }
    }
}

impl std::fmt::Display for Repair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NearestName(title) => f.write_str(title),
            Self::AskedAgain(1) => f.write_str("asked again with 1 finding"),
            Self::AskedAgain(findings) => write!(f, "asked again with {findings} findings"),
        }
    }
}

/// Answers a question. Dropping the future cancels the work.
///
/// # Errors
/// Where the generator fails at the first try or writes nothing. An answer that does not hold is no error.
pub async fn complete(
    request: &Request,
    generator: &dyn Generator,
    progress: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<Answer, PipelineError> {
    let begin = Instant::now();
    let first_prompt = first_prompt(request, generator);
    let mut prompt = first_prompt.clone();
    let mut work = Work::default();
    let mut best: Option<Candidate> = None;
    let mut repairs = Vec::new();
    let mut options = request.options;
    let mut step = request.dry_run.as_ref();
    for attempt in 0..=ASK_AGAIN {
        let asked = std::mem::take(&mut prompt);
        let text = match generate(asked, options, generator, &mut work, progress).await {
            Ok(text) => text,
            // What stands is worth more than an error at the second try.
            Err(_) if best.is_some() => break,
            Err(error) => return Err(error.into()),
        };
        progress(Progress::Checking);
        let repeated = best.as_ref().is_some_and(|b| b.written == text);
        let mut candidate = Candidate::judged(text, repairs.clone(), request).await?;
        let whole = work.finish != Finish::Length;
        if let Some(asked) =
            step.filter(|_| whole && dry_run::is_askable(&candidate.sql, &candidate.judgement))
            && !candidate.plan(asked).await
        {
            // Who does not answer now is not waited for again.
            step = None;
        }
        let findings = candidate.judgement.findings();
        // Without tables nothing can be proved, and a longer answer than allowed does not become shorter.
        let hopeless =
            (request.snapshot.is_empty() && request.dry_run.is_none()) || !whole || candidate.hopeless;
        let stuck = repeated && options.sampling != Sampling::Greedy;
        let done = candidate.judgement.proved() || attempt == ASK_AGAIN || stuck || hopeless;
        if repeated {
            // The likeliest answer is the wrong one: draw another. The seed is fixed, as everything greedy is.
            options.sampling = drawn(0);
        }
        if !done {
            prompt = repair::ask_again(&first_prompt, &candidate.sql, &candidate.judgement);
            progress(Progress::Repairing {
                attempt: attempt + 1,
                findings: &findings,
            });
            repairs.push(Repair::AskedAgain(findings.len()));
        }
        if best
            .as_ref()
            .is_none_or(|b| candidate.judgement.better_than(&b.judgement))
        {
            best = Some(candidate);
        }
        if done {
            break;
        }
    }
    let best = best.filter(|b| !b.sql.is_empty()).ok_or(PipelineError::Empty)?;
    let answer = work.answer(best, first_prompt, begin);
    tracing::info!(
        proved = answer.proved,
        repairs = answer.repairs.len(),
        prompt_tokens = answer.prompt_tokens,
        reused_tokens = answer.reused_tokens,
        tokens = answer.tokens,
        ms = answer.ms,
        "answered"
    );
    Ok(answer)
}

fn first_prompt(request: &Request, generator: &dyn Generator) -> Prompt {
    let input = PromptInput {
        question: &request.question,
        evidence: request.evidence.as_deref(),
        snapshot: &request.snapshot,
        budget: request.options.prompt_tokens,
    };
    prompt::build(&input, &|text| generator.count_tokens(text))
}

/// An answer of the model, after names were put right.
struct Candidate {
    /// As the model wrote it.
    written: String,
    sql: String,
    judgement: Judgement,
    repairs: Vec<Repair>,
    bytes_processed: Option<u64>,
    over_limit: Option<String>,
    /// No other SQL would do better.
    hopeless: bool,
}

impl Candidate {
    /// Judges an answer away from the threads that serve messages.
    async fn judged(written: String, repairs: Vec<Repair>, request: &Request) -> Result<Self, GenerateError> {
        let (snapshot, googlesql) = (Arc::clone(&request.snapshot), request.judge.clone());
        let work = move || Self::new(written, repairs, &snapshot, googlesql.as_ref());
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| GenerateError::Failed("the check of the answer failed; try again".to_owned()))
    }

    fn new(
        written: String,
        mut repairs: Vec<Repair>,
        snapshot: &CatalogSnapshot,
        googlesql: Option<&Judge>,
    ) -> Self {
        let judgement = judge(&written, snapshot, googlesql);
        let (sql, judgement, titles) = repair::nearest_names(written.clone(), judgement, snapshot, googlesql);
        repairs.extend(titles.into_iter().map(Repair::NearestName));
        Self {
            written,
            sql,
            judgement,
            repairs,
            bytes_processed: None,
            over_limit: None,
            hopeless: false,
        }
    }

    /// Has BigQuery plan it; whether BigQuery answered.
    async fn plan(&mut self, step: &DryRunStep) -> bool {
        match step.plan(&self.sql).await {
            None => return false,
            Some(Planned::Taken { bytes, over_limit }) => {
                self.bytes_processed = Some(bytes);
                self.over_limit = over_limit;
                self.judgement.taken();
            }
            Some(Planned::Refused(refusal)) => {
                self.hopeless = !dry_run::is_of_the_sql(&refusal);
                self.judgement.refused_by_bigquery(&self.sql, &refusal);
            }
        }
        true
    }
}

/// What the generations of one answer took.
struct Work {
    author: Option<Author>,
    remark_on_author: Option<String>,
    prompt: Option<(usize, usize)>,
    tokens: usize,
    decode_ms: f64,
    finish: Finish,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            author: None,
            remark_on_author: None,
            prompt: None,
            tokens: 0,
            decode_ms: 0.0,
            finish: Finish::Stop,
        }
    }
}

impl Work {
    fn answer(self, best: Candidate, prompt: Prompt, begin: Instant) -> Answer {
        let (prompt_tokens, reused_tokens) = self.prompt.unwrap_or_default();
        // What was cut off may hold by chance, but it is not what was asked for.
        let proved_by = best.judgement.proved_by.filter(|_| self.finish != Finish::Length);
        Answer {
            sql: best.sql,
            proved: proved_by.is_some(),
            proved_by,
            bytes_processed: best.bytes_processed,
            over_limit: best.over_limit,
            refused: best.judgement.refused,
            diagnostics: best.judgement.diagnostics,
            reasons: best.judgement.reasons,
            repairs: best.repairs,
            prompt_tokens,
            reused_tokens,
            tokens: self.tokens,
            ms: begin.elapsed().as_secs_f64() * 1000.0,
            tokens_per_second: per_second(self.tokens, self.decode_ms),
            finish: self.finish,
            prompt,
            author: self.author,
            remark_on_author: self.remark_on_author,
        }
    }
}

fn per_second(tokens: usize, ms: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a count of tokens is far below 2^52")]
    let tokens = tokens.saturating_sub(1) as f64;
    if ms > 0.0 { tokens / ms * 1000.0 } else { 0.0 }
}

/// One generation: its SQL, cut where the statement ends.
async fn generate(
    prompt: Prompt,
    options: Options,
    generator: &dyn Generator,
    work: &mut Work,
    progress: &mut (dyn FnMut(Progress<'_>) + Send),
) -> Result<String, GenerateError> {
    let mut events = generator.generate(GenerateRequest {
        prompt,
        max_tokens: options.max_tokens,
        sampling: options.sampling,
    })?;
    let mut text = AnswerText::default();
    let mut pieces = 0;
    let mut writing: Option<Instant> = None;
    while let Some(event) = events.next().await {
        match event? {
            GenerationEvent::Author { author, remark } => {
                work.author = Some(author);
                work.remark_on_author = remark;
            }
            GenerationEvent::Started {
                prompt_tokens: tokens,
                reused_tokens: reused,
            } => {
                work.prompt.get_or_insert((tokens, reused));
                progress(Progress::Prompt { tokens, reused });
            }
            GenerationEvent::Text(piece) => {
                pieces += 1;
                let begin = *writing.get_or_insert_with(Instant::now);
                text.push(&piece);
                progress(Progress::Text(text.sql()));
                if text.is_whole() {
                    // Dropping the stream stops the model; a piece is a token but for split characters.
                    work.tokens += pieces;
                    work.decode_ms += begin.elapsed().as_secs_f64() * 1000.0;
                    work.finish = Finish::Statement;
                    return Ok(text.statement());
                }
            }
            GenerationEvent::Finished {
                reason,
                tokens,
                decode_ms,
                ..
            } => {
                work.tokens += tokens;
                work.decode_ms += decode_ms;
                work.finish = match reason {
                    FinishReason::Stop => Finish::Stop,
                    FinishReason::Length => Finish::Length,
                };
                return Ok(text.statement());
            }
        }
    }
    Err(GenerateError::Failed(
        "it ended in the middle of an answer; try again".to_owned(),
    ))
}

#[cfg(test)]
mod tests;
