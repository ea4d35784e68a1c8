//! `workspace/executeCommand`. What writes into a document replies at once and goes on in the background.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::{Command, ExecuteCommandParams, Position, Url};

use crate::error::RequestError;
use crate::session::{Session, WantedBy};

/// The command that answers a comment. Its one argument is a [`GenerateArguments`].
pub const GENERATE: &str = "bigquill.generate";

/// The command that asks BigQuery, and catalog files, for what changed. It takes no argument and answers when done.
pub const REFRESH_CATALOG: &str = "bigquill.refreshCatalog";

/// The command that has BigQuery plan the statements of a document. Its one argument is a [`DryRunArguments`].
pub const DRY_RUN: &str = "bigquill.dryRun";

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
        other => Err(RequestError::InvalidParams(format!("there is no command {other}")).into()),
    }
}

fn generate(session: &Arc<Session>, argument: Value) -> Result<Option<Value>> {
    let arguments: GenerateArguments = serde_json::from_value(argument).map_err(|error| {
        RequestError::InvalidParams(format!(
            "{GENERATE} takes {{uri, position, version?, comment?}}: {error}"
        ))
    })?;
    let document = session.document(&arguments.uri).ok_or(RequestError::NotOpen)?;
    super::spawn(session, |session| {
        super::generate::generate(session, document, arguments)
    });
    Ok(None)
}

fn dry_run(session: &Arc<Session>, argument: Value) -> Result<Option<Value>> {
    let arguments: DryRunArguments = serde_json::from_value(argument)
        .map_err(|error| RequestError::InvalidParams(format!("{DRY_RUN} takes {{uri}}: {error}")))?;
    session.document(&arguments.uri).ok_or(RequestError::NotOpen)?;
    session.dry_run(&arguments.uri, WantedBy::Person);
    Ok(None)
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
