//! A token, whoever gives it, and keeping it until shortly before its end.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::bigquery::BigQueryError;

/// So long before its end a token is not used any more: what is sent with it may wait in between.
const BEFORE_ITS_END: Duration = Duration::from_secs(225);

/// A token for Google's APIs.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) expires_at: SystemTime,
}

/// Who gives tokens.
#[async_trait]
pub(super) trait TokenSource: Send + Sync {
    /// A token for these scopes that is good now; with `new` one that was not handed out before.
    async fn token(&self, scopes: &[&str], new: bool) -> Result<Token, BigQueryError>;
}

/// A source whose tokens are kept. It is always asked for the same scopes.
pub(super) struct Kept<S> {
    source: S,
    token: Mutex<Option<Token>>,
}

impl<S> Kept<S> {
    pub(super) fn new(source: S) -> Self {
        Self {
            source,
            token: Mutex::default(),
        }
    }
}

#[async_trait]
impl<S: TokenSource> TokenSource for Kept<S> {
    async fn token(&self, scopes: &[&str], new: bool) -> Result<Token, BigQueryError> {
        // Held while it is asked: many calls that begin at once want one token.
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| !new && token.is_good()) {
            return Ok(token.clone());
        }
        let token = self.source.token(scopes, new).await?;
        Ok(kept.insert(token).clone())
    }
}

/// No token is good for longer than a day, whatever is said.
const LONGEST: u64 = 24 * 60 * 60;

impl Token {
    fn is_good(&self) -> bool {
        self.expires_at > SystemTime::now() + BEFORE_ITS_END
    }

    /// A token that is good for so many seconds from now.
    pub(super) fn for_seconds(text: String, seconds: u64) -> Self {
        Self {
            text,
            expires_at: SystemTime::now() + Duration::from_secs(seconds.min(LONGEST)),
        }
    }
}
