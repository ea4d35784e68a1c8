//! The one map from our errors to the protocol's error codes.

use tower_lsp::jsonrpc::{Error, ErrorCode};

/// Why a request has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The client names a document that it has not opened.
    #[error("the document is not open")]
    NotOpen,
    /// The document changed, or a newer request took this one's place.
    #[error("the document changed while the request ran")]
    ContentModified,
    /// The parameters do not make sense.
    #[error("{0}")]
    InvalidParams(String),
    /// The request makes sense, but cannot be done; the text says why.
    #[error("{0}")]
    Failed(String),
    /// A computation ended in a panic, which the log shows.
    #[error("internal error")]
    Internal,
}

/// LSP 3.17's `RequestFailed`.
const REQUEST_FAILED: ErrorCode = ErrorCode::ServerError(-32803);

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        let code = match &error {
            RequestError::NotOpen | RequestError::InvalidParams(_) => ErrorCode::InvalidParams,
            RequestError::ContentModified => ErrorCode::ContentModified,
            RequestError::Failed(_) => REQUEST_FAILED,
            RequestError::Internal => ErrorCode::InternalError,
        };
        Self {
            code,
            message: error.to_string().into(),
            data: None,
        }
    }
}
