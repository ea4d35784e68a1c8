//! `workspace/executeCommand`. What writes into a document replies at once and goes on in the background.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::{Command, ExecuteCommandParams, Position, Url};

use super::run::{ExportArguments, PageArguments, RunArguments};
use crate::error::RequestError;
use crate::session::{Session, WantedBy};

/// The command that answers a comment. Its one argument is a [`GenerateArguments`].
pub const GENERATE: &str = "bigquill.generate";

/// The command that asks BigQuery, and catalog files, for what changed. It takes no argument and answers when done.
pub const REFRESH_CATALOG: &str = "bigquill.refreshCatalog";

/// The command that has BigQuery plan the statements of a document. Its one argument is a [`DryRunArguments`].
pub const DRY_RUN: &str = "bigquill.dryRun";

/// The command that runs a statement. Its one argument is a [`RunArguments`].
pub const RUN: &str = "bigquill.run";

/// The command that shows the first rows of a table. Its one argument is a [`RunArguments`].
pub const PREVIEW_TABLE: &str = "bigquill.previewTable";

/// The command that shows another page of results. Its one argument is a [`PageArguments`].
pub const RESULTS_PAGE: &str = "bigquill.resultsPage";

/// The command that writes results into a file and answers with the number of rows. Its one argument is an
/// [`ExportArguments`].
pub const EXPORT_RESULTS: &str = "bigquill.exportResults";

/// The command that tells that ghost text was accepted. Its one argument is an [`AcceptedArguments`].
pub const ACCEPTED: &str = "bigquill.accepted";

/// All commands.
pub const ALL: [&str; 8] = [
    GENERATE,
    REFRESH_CATALOG,
    DRY_RUN,
    RUN,
    PREVIEW_TABLE,
    RESULTS_PAGE,
    EXPORT_RESULTS,
    ACCEPTED,
];

/// Which document to plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryRunArguments {
    /// The document.
    pub uri: Url,
}

/// Which comment to answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerateArguments {
    /// The document.
    pub uri: Url,
    /// A position in the comment, or on the empty line below it.
    pub position: Position,
    /// The version that the position is of; the newest, where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// The comment's source text: finds it again where the document has another version by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// What was accepted, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedArguments {
    /// The document.
    pub uri: Url,
    /// The offer's number in this session.
    pub offer: u64,
}

/// Runs a command.
///
/// # Errors
/// Where there is no such command, or its argument does not fit, or the document is not open.
pub async fn execute_command(session: &Arc<Session>, params: ExecuteCommandParams) -> Result<Option<Value>> {
    let argument = params.arguments.into_iter().next().unwrap_or_default();
    match params.command.as_str() {
        GENERATE => generate(session, argument),
        REFRESH_CATALOG => Ok(Some(session.refresh_everything().await)),
        DRY_RUN => dry_run(session, argument),
        RUN => run(session, argument),
        PREVIEW_TABLE => preview(session, argument).await,
        RESULTS_PAGE => {
            super::run::page(
                session,
                &parse::<PageArguments>(RESULTS_PAGE, "{uri, page}", argument)?,
            )
            .await?;
            Ok(None)
        }
        EXPORT_RESULTS => {
            let arguments: ExportArguments = parse(EXPORT_RESULTS, "{uri, path}", argument)?;
            Ok(Some(super::run::export(session, &arguments).await?.into()))
        }
        ACCEPTED => {
            let arguments: AcceptedArguments = parse(ACCEPTED, "{uri, offer}", argument)?;
            session.taken(&arguments.uri, arguments.offer).await;
            Ok(None)
        }
        other => Err(RequestError::InvalidParams(format!("there is no command {other}")).into()),
    }
}

fn generate(session: &Arc<Session>, argument: Value) -> Result<Option<Value>> {
    let arguments: GenerateArguments = parse(GENERATE, "{uri, position, version?, comment?}", argument)?;
    let document = session.document(&arguments.uri).ok_or(RequestError::NotOpen)?;
    super::spawn(session, |session| {
        super::generate::generate(session, document, arguments)
    });
    Ok(None)
}

fn dry_run(session: &Arc<Session>, argument: Value) -> Result<Option<Value>> {
    let arguments: DryRunArguments = parse(DRY_RUN, "{uri}", argument)?;
    session.document(&arguments.uri).ok_or(RequestError::NotOpen)?;
    session.dry_run(&arguments.uri, WantedBy::Person);
    Ok(None)
}

fn run(session: &Arc<Session>, argument: Value) -> Result<Option<Value>> {
    let arguments: RunArguments = parse(RUN, "{uri, position, version?}", argument)?;
    let document = session.document(&arguments.uri).ok_or(RequestError::NotOpen)?;
    super::spawn(session, |session| super::run::run(session, document, arguments));
    Ok(None)
}

async fn preview(session: &Arc<Session>, argument: Value) -> Result<Option<Value>> {
    let arguments: RunArguments = parse(PREVIEW_TABLE, "{uri, position}", argument)?;
    let document = session.document(&arguments.uri).ok_or(RequestError::NotOpen)?;
    let snapshot = session.with_tables(document).await;
    super::spawn(session, |session| {
        super::run::preview(session, snapshot, arguments.position)
    });
    Ok(None)
}

fn parse<T: DeserializeOwned>(command: &str, form: &str, argument: Value) -> Result<T> {
    let wrong = |error| RequestError::InvalidParams(format!("{command} takes {form}: {error}"));
    Ok(serde_json::from_value(argument).map_err(wrong)?)
}

/// The command that ghost text carries.
#[must_use]
pub fn accepted_command(uri: &Url, offer: u64) -> Command {
    let arguments = AcceptedArguments {
        uri: uri.clone(),
        offer,
    };
    Command {
        title: "Keep what becomes of it".to_owned(),
        command: ACCEPTED.to_owned(),
        arguments: serde_json::to_value(arguments)
            .ok()
            .map(|argument| vec![argument]),
    }
}

/// The command as an editor shows it.
#[must_use]
pub fn generate_command(title: &str, arguments: &GenerateArguments) -> Command {
    Command {
        title: title.to_owned(),
        command: GENERATE.to_owned(),
        arguments: serde_json::to_value(arguments)
            .ok()
            .map(|argument| vec![argument]),
    }
}
