//! The commands that run a statement and show its rows, in the background: questions to the person, progress, a job, a
//! document with the rows.

use std::path::PathBuf;
use std::sync::Arc;

use bigquill_analysis::features::hover;
use bigquill_analysis::schema::{TableKind, TableReference};
use serde::{Deserialize, Serialize};
use tower_lsp::lsp_types::request::{Request, ShowDocument};
use tower_lsp::lsp_types::{MessageType, Position, ShowDocumentParams, Url};

use crate::bigquery::job::{Job, Query};
use crate::bigquery::parameter::Declared;
use crate::bigquery::rows::RowSource;
use crate::bigquery::unit::{Unit, has_template, units};
use crate::bigquery::{BigQuery, BigQueryError, Estimate};
use crate::document::Document;
use crate::error::RequestError;
use crate::results::{self, ExportFormat, console_link, count, export_to_file};
use crate::run::{self, Ended, RunError, effects};
use crate::session::{DocumentSnapshot, PageId, Progress, Results, Session};
use crate::settings::Settings;

/// The choice that runs a statement which may change data.
const RUN_IT: &str = "Run it";

/// Which statement to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunArguments {
    /// The document.
    pub uri: Url,
    /// A position in the statement.
    pub position: Position,
    /// The version that the position is of; the newest, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
}

/// Which page of results to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageArguments {
    /// A page that is shown.
    pub uri: Url,
    /// The page that is wanted.
    pub page: PageWanted,
}

/// A page by its number from 1, or from the one that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PageWanted {
    /// The one after.
    Next,
    /// The one before.
    Previous,
    /// This one.
    #[serde(untagged)]
    Number(u64),
}

/// Which results to write where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportArguments {
    /// A page of the results.
    pub uri: Url,
    /// The file; its ending tells the format: .csv, .jsonl or .md.
    pub path: PathBuf,
}

/// `bigquill/input`: the server asks the person for a line of text, where the client said in
/// `capabilities.experimental.bigquill.input` that it can.
enum Input {}

impl Request for Input {
    type Params = InputParams;
    type Result = Option<String>;
    const METHOD: &'static str = "bigquill/input";
}

/// What to ask for.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct InputParams {
    prompt: String,
    placeholder: String,
}

/// Runs the statement at a position and shows its rows.
pub async fn run(session: Arc<Session>, document: Arc<Document>, arguments: RunArguments) {
    let newer = arguments
        .version
        .is_some_and(|version| version != document.version);
    let unit = (!newer).then(|| unit_at(&document, arguments.position)).flatten();
    let Some(unit) = unit else {
        let message = if newer {
            "The text has changed since: run the statement again."
        } else {
            "There is no statement here to run."
        };
        session.editor.show(MessageType::INFO, message).await;
        return;
    };
    let settings = session.settings();
    let query = match query(&session, &document, &unit, &settings).await {
        Ok(Some(query)) => query,
        Ok(None) => return,
        Err(why) => return session.editor.show(MessageType::ERROR, &why).await,
    };
    let title = title(&document, &unit);
    let bigquery = match session.bigquery(&settings).await {
        Ok(bigquery) => bigquery,
        Err(error) => {
            let message = format!("{title}: it was not run: {error}");
            return session.editor.show(MessageType::ERROR, &message).await;
        }
    };
    let supported = session.abilities().progress;
    let progress = session
        .editor
        .begin(supported, "BigQuery", Some(format!("{title}: planning")), true)
        .await;
    let ended = job(&session, &bigquery, &query, &settings, &title, &progress).await;
    let message = match ended {
        Ok(Ended::Cancelled) => return progress.end(Some("cancelled".to_owned())).await,
        Ok(Ended::Done(job)) => {
            let done = show_job(&session, &document, &title, bigquery, &job, &settings).await;
            progress.end(Some(done)).await;
            if !matches!(job.statistics.statement_type.as_str(), "" | "SELECT")
                || effects(&query.sql, &Estimate::default()).is_some()
            {
                session.refresh_everything().await;
            }
            return;
        }
        Err(error) => match error.refusal() {
            Some(refusal) if refusal.place.is_some() => {
                let range = unit.place(&document.text, refusal.place);
                let line = document.position(range.start).line + 1;
                format!("{title}: at line {line}: {error}")
            }
            _ => format!("{title}: {error}"),
        },
    };
    progress.end(Some("it went wrong".to_owned())).await;
    session.editor.show(MessageType::ERROR, &message).await;
}

/// The statement or script that a position is in, or on whose lines it is.
fn unit_at(document: &Document, position: Position) -> Option<Unit> {
    let offset = document.offset(position);
    let all = units(&document.text);
    let within = |unit: &&Unit| unit.range.start <= offset && offset <= unit.range.end;
    let line_of = |offset| document.position(offset).line;
    let beside =
        |unit: &&Unit| (line_of(unit.range.start)..=line_of(unit.range.end)).contains(&position.line);
    all.iter()
        .find(within)
        .or_else(|| all.iter().find(beside))
        .cloned()
}

/// `report.sql, line 3`, of several `report.sql, lines 3–7`.
fn title(document: &Document, unit: &Unit) -> String {
    let line = |offset| document.position(offset).line + 1;
    let (first, last) = (line(unit.range.start), line(unit.range.end));
    let name = file_name(&document.uri);
    if first == last {
        format!("{name}, line {first}")
    } else {
        format!("{name}, lines {first}–{last}")
    }
}

fn file_name(uri: &Url) -> String {
    let name = uri.path_segments().and_then(Iterator::last).unwrap_or_default();
    let path = uri.to_file_path().ok();
    let name = path
        .as_ref()
        .and_then(|p| p.file_name()?.to_str())
        .unwrap_or(name);
    name.to_owned()
}

/// The query with its parameters, of which the missing are asked for; none where the person gave none.
async fn query(
    session: &Session,
    document: &Document,
    unit: &Unit,
    settings: &Settings,
) -> Result<Option<Query>, String> {
    let sql = document.slice(unit.range.clone());
    if has_template(sql) {
        return Err("The statement has template tags: it is no SQL yet.".to_owned());
    }
    let mut declared = Declared::read(&document.text, &settings.parameters);
    if session.abilities().asks_input {
        for name in declared.missing(sql) {
            let params = InputParams {
                prompt: format!("Type and value of the parameter @{name}"),
                placeholder: "DATE 2024-01-01".to_owned(),
            };
            match session.editor.ask::<Input>(params).await.ok().flatten() {
                Some(text) => declared.set(&name, &text),
                None => return Ok(None),
            }
        }
    }
    let parameters = declared.of(sql).map_err(|error| error.to_string())?;
    Ok(Some(Query {
        sql: sql.to_owned(),
        parameters,
        maximum_bytes_billed: settings.maximum_bytes_billed.bytes(),
    }))
}

async fn may_run(session: &Session, title: &str, what: &str) -> bool {
    let message = format!("{title} is {what}, which may change data. Run it?");
    let choices = [RUN_IT.to_owned(), "Cancel".to_owned()];
    let choice = session
        .editor
        .choose(MessageType::WARNING, message, &choices)
        .await;
    choice.as_deref() == Some(RUN_IT)
}

/// Plans, asks, runs; the person may cancel by the progress.
async fn job(
    session: &Session,
    bigquery: &BigQuery,
    query: &Query,
    settings: &Settings,
    title: &str,
    progress: &Progress,
) -> Result<Ended, RunError> {
    let ticket = session.runs.begin(progress.token().cloned());
    let planned = tokio::select! {
        planned = run::plan(bigquery, query, settings) => planned?,
        () = ticket.cancelled() => return Ok(Ended::Cancelled),
    };
    if let Some(what) = effects(&query.sql, &planned)
        && !may_run(session, title, &what).await
    {
        return Ok(Ended::Cancelled);
    }
    let reference = bigquery.new_job(planned.location.as_deref())?;
    progress.report(format!("starting {}", reference.id), None).await;
    let (states, mut shown) = tokio::sync::watch::channel("starting");
    let on_state = |job: &Job| {
        states.send_replace(run::state(job));
    };
    let work = run::execute(bigquery, &reference, query, on_state, ticket.cancelled());
    tokio::pin!(work);
    loop {
        tokio::select! {
            ended = &mut work => return ended,
            Ok(()) = shown.changed() => {
                let state = *shown.borrow_and_update();
                progress.report(format!("{state}, job {}", reference.id), None).await;
            }
        }
    }
}

/// Shows the rows of a job that has ended, or says what it did. Returns a short form of it.
async fn show_job(
    session: &Session,
    document: &Document,
    title: &str,
    bigquery: Arc<BigQuery>,
    job: &Job,
    settings: &Settings,
) -> String {
    let summary = results::summary(job, settings.price_per_tib);
    let source = RowSource::Job(job.reference.clone());
    let rows = match bigquery.rows(&source, 0, 1).await {
        Ok(rows) => rows,
        Err(error) => {
            let message = format!("{title} was run, but its rows cannot be read: {error}");
            session.editor.show(MessageType::ERROR, &message).await;
            return summary;
        }
    };
    let id = job.reference.full_id();
    if rows.fields.is_empty() {
        let message = format!("{title}: done, {summary}, job {id}");
        session.editor.show(MessageType::INFO, &message).await;
        return summary;
    }
    let mut head = format!("{title}\n\n{summary}\n\njob {id}");
    if settings.endpoint.is_none() {
        head = format!("{head} {}", console_link(&job.reference));
    }
    let name = file_name(&document.uri);
    let page = session.runs.keep(Results {
        head,
        name: name
            .rsplit_once('.')
            .map_or(name.as_str(), |(stem, _)| stem)
            .to_owned(),
        bigquery,
        source,
        page_rows: settings.result_rows,
    });
    show_page(session, page).await;
    format!("{}, {summary}", count(rows.total, "row"))
}

/// Shows the first rows of the table whose name stands at a position.
pub async fn preview(session: Arc<Session>, snapshot: DocumentSnapshot, position: Position) {
    let document = &snapshot.document;
    let Some(table) = table_at(&snapshot, document.offset(position)) else {
        let message = "There is no name of a table with rows of its own here. Put the cursor on one, after FROM or JOIN.";
        return session.editor.show(MessageType::INFO, message).await;
    };
    let settings = session.settings();
    let bigquery = match session.bigquery(&settings).await {
        Ok(bigquery) => bigquery,
        Err(error) => return session.editor.show(MessageType::ERROR, &error.to_string()).await,
    };
    let page = session.runs.keep(Results {
        head: format!("Rows of {table}, for nothing"),
        name: table.table.clone(),
        bigquery,
        source: RowSource::Table(table),
        page_rows: settings.result_rows,
    });
    show_page(&session, page).await;
}

/// The table whose own name stands at this place, if it is one that has rows itself: a view has none, and a family of
/// date-sharded tables is many.
#[must_use]
pub fn table_at(snapshot: &DocumentSnapshot, offset: usize) -> Option<TableReference> {
    let text = &snapshot.document.text;
    let found = hover::hover(text, offset, &snapshot.catalog)?;
    let reference = found.table?;
    let named = text.get(found.range)?.trim_matches('`');
    let schema = snapshot.catalog.table(&reference)?;
    let has_rows = matches!(
        schema.kind,
        TableKind::Table | TableKind::Snapshot | TableKind::Clone
    );
    (has_rows && !reference.table.ends_with('*') && named.ends_with(reference.table.as_str()))
        .then_some(reference)
}

/// Shows another page of results.
///
/// # Errors
/// Where the results are not there any more, there is no such page, or BigQuery cannot be asked.
pub async fn page(session: &Session, arguments: &PageArguments) -> Result<(), RequestError> {
    let (shown, results) = kept(session, &arguments.uri)?;
    let failed = |error: BigQueryError| RequestError::Failed(error.to_string());
    let page = match arguments.page {
        PageWanted::Next => shown.page.saturating_add(1),
        PageWanted::Previous => shown.page.saturating_sub(1),
        PageWanted::Number(page) => page,
    };
    let pages = results.pages().await.map_err(failed)?;
    if page < 1 || page > pages {
        return Err(RequestError::Failed(format!(
            "there is no page {page}: there are {pages}"
        )));
    }
    show_page(session, PageId { page, ..shown }).await;
    Ok(())
}

/// Writes all rows of results into a file; returns how many.
///
/// # Errors
/// Where the results are not there any more, the file's name tells no format, or it cannot be written.
pub async fn export(session: &Session, arguments: &ExportArguments) -> Result<u64, RequestError> {
    let (_, results) = kept(session, &arguments.uri)?;
    let path = arguments.path.display().to_string();
    let format = ExportFormat::of_path(&arguments.path).ok_or_else(|| {
        RequestError::InvalidParams(format!(
            "{path}: the name tells no format; end it in .csv, .jsonl or .md"
        ))
    })?;
    let supported = session.abilities().progress;
    let progress = session
        .editor
        .begin(supported, "Export", Some(path.clone()), true)
        .await;
    let ticket = session.runs.begin(progress.token().cloned());
    let (written, mut shown) = tokio::sync::watch::channel((0, 0));
    let work = export_to_file(
        &results.bigquery,
        &results.source,
        format,
        &arguments.path,
        |rows, total| {
            written.send_replace((rows, total));
        },
    );
    tokio::pin!(work);
    let ended = loop {
        tokio::select! {
            ended = &mut work => break ended.map_err(|error| format!("{path}: {error}")),
            () = ticket.cancelled() => break Err(format!("{path}: cancelled, nothing was written")),
            Ok(()) = shown.changed() => {
                let (rows, total) = *shown.borrow_and_update();
                let percent = (rows * 100).checked_div(total).and_then(|p| u32::try_from(p).ok());
                progress.report(format!("{rows} of {}", count(total, "row")), percent).await;
            }
        }
    };
    let end = match &ended {
        Ok(rows) => format!("{} in {path}", count(*rows, "row")),
        Err(why) => why.clone(),
    };
    progress.end(Some(end)).await;
    ended.map_err(RequestError::Failed)
}

/// The text of a page, for a client that asks for documents.
///
/// # Errors
/// Where the results are not there any more, or BigQuery does not give the rows.
pub async fn page_text(session: &Session, uri: &Url) -> Result<String, RequestError> {
    let (shown, results) = kept(session, uri)?;
    let text = results.page(shown.page).await;
    text.map_err(|error| RequestError::Failed(error.to_string()))
}

fn kept(session: &Session, uri: &Url) -> Result<(PageId, Arc<Results>), RequestError> {
    let gone = || RequestError::Failed("these results are gone: run the statement again".to_owned());
    let shown = session.runs.page_of(uri).ok_or_else(gone)?;
    let results = session.runs.results(shown.results).ok_or_else(gone)?;
    Ok((shown, results))
}

/// Has the client show a page: as a document that it asks for, else as a file.
async fn show_page(session: &Session, page: PageId) {
    let Some(results) = session.runs.results(page.results) else {
        return;
    };
    let uri = if session.abilities().text_document_content {
        session.runs.uri(page, &results)
    } else {
        let text = match results.page(page.page).await {
            Ok(text) => text,
            Err(error) => return session.editor.show(MessageType::ERROR, &error.to_string()).await,
        };
        match session.runs.write_page(page, &results, &text) {
            Ok(path) => Url::from_file_path(path).ok(),
            Err(error) => {
                let message = format!("The rows cannot be written into a file: {error}");
                return session.editor.show(MessageType::ERROR, &message).await;
            }
        }
    };
    let Some(uri) = uri else { return };
    let params = ShowDocumentParams {
        uri: uri.clone(),
        external: Some(false),
        take_focus: Some(true),
        selection: None,
    };
    let shown = session.abilities().shows_documents
        && session
            .editor
            .ask::<ShowDocument>(params)
            .await
            .is_ok_and(|result| result.success);
    if !shown {
        let place = uri
            .to_file_path()
            .map_or_else(|()| uri.to_string(), |path| path.display().to_string());
        session
            .editor
            .show(MessageType::INFO, &format!("The rows are in {place}"))
            .await;
    }
}
