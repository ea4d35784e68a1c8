//! The judge: opens the module, hands statements to an instance of it, reads the answers.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use bigquill_analysis::schema::{CatalogSnapshot, TableReference};
use bigquill_analysis::syntax::lexer::{Token, TokenKind};
use prost::Message;

use crate::analyze::{Session, Statement};
use crate::catalog::Scope;
use crate::messages::ParseRequest;
use crate::module::instance::CallError;
use crate::module::pool::{Limits, Pool};
use crate::module::{self, CacheFolder, ModuleSource, Phase, Sha256Digest};
use crate::references::code;
use crate::verdict::{Reason, Verdict};
use crate::{analyze, dialect, refusal, script};

/// An instance that grew beyond this is not used again: it never gives memory back.
const MEMORY_KEPT: usize = 64 << 20;
/// Brackets in brackets beyond this get no verdict: the analyzer's stack would end sooner or later.
const MAX_NESTING: usize = 500;

/// Why a judge cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// There is no module at this path.
    #[error("no GoogleSQL module at {}; `bigquill model pull` gets it", path.display())]
    ModuleMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The module cannot be read.
    #[error("cannot read the GoogleSQL module at {}: {source}", path.display())]
    ModuleUnreadable {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not the module that is pinned: cut short, damaged or another version.
    #[error(
        "{} is not the GoogleSQL module that bigquill knows ({length} bytes, SHA-256 {found} in place of {expected}); \
         remove it and run `bigquill model pull`",
        path.display()
    )]
    ModuleForeign {
        /// Its path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
        /// The digest that it has.
        found: Sha256Digest,
        /// The digest that it must have.
        expected: Sha256Digest,
    },
    /// The pinned module has no memory section where one must be.
    #[error("the GoogleSQL module is malformed")]
    ModuleMalformed,
    /// wasmtime cannot compile or link the module.
    #[error("cannot compile the GoogleSQL module: {0}")]
    Compile(String),
    /// The system lends no thread.
    #[error("cannot start a thread for GoogleSQL: {0}")]
    Thread(std::io::Error),
}

impl JudgeError {
    pub(crate) fn compile(error: wasmtime::Error) -> Self {
        Self::Compile(format!("{error:#}"))
    }
}

/// Bounds on what the judge may take.
#[derive(Debug, Clone)]
pub struct JudgeOptions {
    /// Analyses that may run at once; each has some 20 MB of its own.
    pub instances: usize,
    /// Time for one statement.
    pub deadline: Duration,
    /// Bytes of memory for one analysis.
    pub memory_limit: usize,
    /// Bytes of a statement beyond which there is no verdict.
    pub max_statement: usize,
}

impl Default for JudgeOptions {
    fn default() -> Self {
        Self { instances: 2, deadline: Duration::from_secs(3), memory_limit: 256 << 20, max_statement: 1 << 20 }
    }
}

/// What a table or routine that the catalog does not list means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unlisted {
    /// The catalog is whole: what it does not list does not exist.
    #[default]
    Refused,
    /// The catalog may be partial: no verdict.
    NoVerdict,
}

/// What a statement means beyond its text and the catalog.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Dataset of tables written without one; its `table` is not looked at, an empty `project` is the default one.
    pub default_dataset: Option<TableReference>,
    /// What a name that the catalog does not list means.
    pub unlisted: Unlisted,
}

/// GoogleSQL, ready to judge. Calls block: an async caller hands them to a thread that may.
pub struct Judge {
    pool: Pool<Session>,
    options: JudgeOptions,
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Judge {
    /// Opens the module: from the cache in some milliseconds, else it is verified, compiled (half a minute and
    /// 1 GB of memory, once) and cached.
    ///
    /// # Errors
    /// The module is missing, is not the pinned one, or cannot be compiled. A cache that cannot be used is none.
    pub fn open(source: &ModuleSource, cache: &CacheFolder, options: JudgeOptions) -> Result<Self, JudgeError> {
        Self::open_with_progress(source, cache, options, &|_| {})
    }

    /// [`Self::open`], telling what it is busy with.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with_progress(
        source: &ModuleSource,
        cache: &CacheFolder,
        options: JudgeOptions,
        progress: &dyn Fn(Phase),
    ) -> Result<Self, JudgeError> {
        let (engine, module) = module::load(source, cache, progress)?;
        let limits = Limits {
            instances: options.instances.max(1),
            memory: options.memory_limit,
            memory_kept: MEMORY_KEPT.min(options.memory_limit),
        };
        Ok(Self { pool: Pool::new(&engine, &module, limits)?, options })
    }

    /// The verdict on one statement. Its ranges are bytes of `statement`.
    ///
    /// Statements that only a script can have (`DECLARE`, `SET`, blocks) are judged as far as they stand alone.
    #[must_use]
    pub fn verdict(&self, statement: &str, snapshot: &CatalogSnapshot, context: &Context) -> Verdict {
        let mut verdicts = self.script(statement, snapshot, context);
        match verdicts.len() {
            0 => self.analyze(statement, snapshot, context, &Scope::default()).0,
            1 => match verdicts.swap_remove(0) {
                (range, verdict) => moved(verdict, statement, range.start),
            },
            // A refusal outranks all, and what has no verdict outranks what is accepted.
            _ => {
                let rank = |verdict: &Verdict| match verdict {
                    Verdict::Refused(_) => 0,
                    Verdict::None(_) => 1,
                    Verdict::Accepted(_) => 2,
                };
                let worst = (0..verdicts.len()).min_by_key(|&i| rank(&verdicts[i].1)).unwrap_or_default();
                let accepted = rank(&verdicts[worst].1) == 2;
                let (range, verdict) = verdicts.swap_remove(if accepted { verdicts.len() - 1 } else { worst });
                moved(verdict, statement, range.start)
            }
        }
    }

    /// The verdict on each statement of a script, in order, with its bytes in `text`.
    ///
    /// What a statement makes (variables, temporary tables and functions, views) the later ones see. Ranges in a
    /// refusal are bytes of the statement, not of the script.
    #[must_use]
    pub fn script(
        &self,
        text: &str,
        snapshot: &CatalogSnapshot,
        context: &Context,
    ) -> Vec<(Range<usize>, Verdict)> {
        script::verdicts(self, text, snapshot, context)
    }

    /// Whether GoogleSQL's grammar takes the text, as a script of one or more statements; schemas play no part.
    #[must_use]
    pub fn grammar(&self, text: &str) -> Verdict {
        let tokens = code(text);
        if let Some(reason) = self.unfit(text, &tokens) {
            return Verdict::None(reason);
        }
        let request = ParseRequest {
            sql_statement: Some(text.to_owned()),
            options: Some(dialect::language()),
            allow_script: Some(true),
        };
        let mut lease = match self.pool.checkout() {
            Ok(lease) => lease,
            Err(error) => return Verdict::None(analyze::reason(&error)),
        };
        match lease.call("Parse", request.encode_to_vec(), self.options.deadline) {
            Ok(_) => Verdict::Accepted(crate::Accepted { statement: "Script", ..Default::default() }),
            Err(CallError::Refused(error)) => match refusal::refusal(text, &tokens, &error) {
                Ok(refusal) => Verdict::Refused(refusal),
                Err(reason) => Verdict::None(reason),
            },
            Err(error) => Verdict::None(analyze::reason(&error)),
        }
    }

    /// Analyzes one statement in a scope; says also what it makes for the statements after it.
    pub(crate) fn analyze(
        &self,
        text: &str,
        snapshot: &CatalogSnapshot,
        context: &Context,
        scope: &Scope,
    ) -> (Verdict, analyze::Effects) {
        let tokens = code(text);
        if let Some(reason) = self.unfit(text, &tokens) {
            return (Verdict::None(reason), analyze::Effects::default());
        }
        let statement = Statement {
            text,
            tokens: &tokens,
            snapshot,
            dataset: context.default_dataset.as_ref(),
            unlisted: context.unlisted,
            scope,
        };
        match self.pool.checkout() {
            Ok(mut lease) => analyze::analyze(&mut lease, &statement, self.options.deadline),
            Err(error) => (Verdict::None(analyze::reason(&error)), analyze::Effects::default()),
        }
    }

    /// Why a text is not handed to the analyzer at all.
    fn unfit(&self, text: &str, tokens: &[Token]) -> Option<Reason> {
        if text.len() > self.options.max_statement {
            return Some(Reason::Length);
        }
        if tokens.iter().any(|t| t.kind == TokenKind::Template) {
            return Some(Reason::Template);
        }
        let mut depth = 0_usize;
        let mut deepest = 0;
        for token in tokens.iter().filter(|t| t.kind == TokenKind::Symbol) {
            match token.text(text) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        (deepest > MAX_NESTING).then_some(Reason::Nesting)
    }
}

/// A verdict's places moved from a statement that begins at `start` to the text around it.
fn moved(verdict: Verdict, text: &str, start: usize) -> Verdict {
    match verdict {
        Verdict::Refused(mut refusal) => {
            refusal.range = refusal.range.start + start..refusal.range.end + start;
            (refusal.line, refusal.column) = crate::position::line_column(text, refusal.range.start);
            Verdict::Refused(refusal)
        }
        other => other,
    }
}
