//! The judge: hands statements to an instance of the module, reads the answers, remembers them.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bigquill_analysis::schema::{CatalogSnapshot, TableReference};
use bigquill_analysis::syntax::lexer::{Token, TokenKind};
use prost::Message;

use crate::analyze::{Effects, Statement};
use crate::catalog::Scope;
use crate::error::JudgeError;
use crate::memo::{GrammarMemo, Memo};
use crate::messages::ParseRequest;
use crate::module::instance::CallError;
use crate::module::pool::{Limits, Pool};
use crate::module::{CacheFolder, CompiledModule, ModuleSource, Phase};
use crate::references::{self, code};
use crate::session::Session;
use crate::verdict::{Accepted, NoVerdict, Verdict};
use crate::{analyze, dialect, refusal, script};

/// An instance that grew beyond this is not used again: it never gives memory back.
const MEMORY_KEPT: usize = 64 << 20;
/// Brackets in brackets beyond this get no verdict: the analyzer's stack would end sooner or later.
const MAX_NESTING: usize = 500;

/// Bounds on what the judge may take.
#[derive(Debug, Clone)]
pub struct JudgeOptions {
    /// Analyses that may run at once; each has some 20 MB of its own.
    pub instances: usize,
    /// Time for each call of the analyzer; a statement needs one to three.
    pub deadline: Duration,
    /// Bytes of memory for one analysis.
    pub memory_limit: usize,
    /// Bytes of a statement beyond which there is no verdict.
    pub max_statement: usize,
    /// Verdicts that are remembered; 0 asks anew each time.
    pub remembered: usize,
}

impl Default for JudgeOptions {
    fn default() -> Self {
        Self {
            instances: 2,
            deadline: Duration::from_secs(3),
            memory_limit: 256 << 20,
            max_statement: 512 << 10,
            remembered: 512,
        }
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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// Dataset of tables written without one; its `table` is not looked at, an empty `project` is the default one.
    pub default_dataset: Option<TableReference>,
    /// What a name that the catalog does not list means.
    pub unlisted: Unlisted,
    /// Types of named query parameters, as (name without `@`, type in SQL); one that is not here may have any type.
    pub parameters: Vec<(String, String)>,
}

/// GoogleSQL, ready to judge. Clones share instances and memory. Calls block: an async caller hands them to a
/// thread that may.
#[derive(Clone)]
pub struct Judge {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool<Session>,
    memo: Memo,
    grammar: GrammarMemo,
    options: JudgeOptions,
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

impl Judge {
    /// A judge over this module. No instance is made before the first statement comes.
    ///
    /// # Errors
    /// The module does not link, or there is no thread for the clock.
    pub fn new(module: &CompiledModule, options: JudgeOptions) -> Result<Self, JudgeError> {
        let limits = Limits {
            instances: options.instances.max(1),
            memory: options.memory_limit,
            memory_kept: MEMORY_KEPT.min(options.memory_limit),
        };
        let pool = Pool::new(module, limits)?;
        let memo = Memo::new(options.remembered);
        let grammar = GrammarMemo::new(options.remembered);
        Ok(Self {
            shared: Arc::new(Shared {
                pool,
                memo,
                grammar,
                options,
            }),
        })
    }

    /// Opens the module, from the cache in some tens of milliseconds, else compiled first, and makes a judge of it.
    ///
    /// # Errors
    /// Those of [`CompiledModule::compile`] and [`Self::new`].
    pub fn open(
        source: &ModuleSource,
        cache: &CacheFolder,
        options: JudgeOptions,
        progress: &dyn Fn(Phase),
    ) -> Result<Self, JudgeError> {
        let module = match CompiledModule::load(source, cache)? {
            Some(module) => module,
            None => CompiledModule::compile(source, cache, progress)?,
        };
        Self::new(&module, options)
    }

    /// The verdict on one statement. Its ranges are bytes of `statement`.
    ///
    /// A text of several statements gets one verdict: the first refusal, else the first that is unknown, else the
    /// last statement's.
    #[must_use]
    pub fn verdict(&self, statement: &str, snapshot: &CatalogSnapshot, context: &Context) -> Verdict {
        let verdicts = self.script(statement, snapshot, context);
        let Some(last) = verdicts.last().map(|(_, verdict)| verdict.clone()) else {
            return Verdict::Unknown(NoVerdict::Empty);
        };
        let first = |wanted: fn(&Verdict) -> bool| {
            verdicts
                .iter()
                .map(|(_, verdict)| verdict)
                .find(|v| wanted(v))
                .cloned()
        };
        first(|v| v.refusal().is_some())
            .or_else(|| first(|v| v.accepted().is_none()))
            .unwrap_or(last)
    }

    /// The verdict on each statement of a script, in order, with the bytes of the statement in `text`.
    ///
    /// What a statement makes (variables, temporary tables and functions, views) the later ones see. A refusal's
    /// range, too, is in bytes of `text`.
    #[must_use]
    pub fn script(
        &self,
        text: &str,
        snapshot: &CatalogSnapshot,
        context: &Context,
    ) -> Vec<(Range<usize>, Verdict)> {
        self.script_while(text, snapshot, context, &|| true)
    }

    /// As [`Self::script`], but no new statement is analyzed once `go_on` says no: those that are not remembered are
    /// [`NoVerdict::Stopped`].
    #[must_use]
    pub fn script_while(
        &self,
        text: &str,
        snapshot: &CatalogSnapshot,
        context: &Context,
        go_on: &dyn Fn() -> bool,
    ) -> Vec<(Range<usize>, Verdict)> {
        script::verdicts(self, text, snapshot, context, go_on)
    }

    /// Whether GoogleSQL's grammar takes the text, as a script of one or more statements; schemas play no part.
    #[must_use]
    pub fn grammar(&self, text: &str) -> Verdict {
        self.grammar_while(text, &|| true)
    }

    /// As [`Self::grammar`], unless `go_on` says no and the text is not remembered.
    pub(crate) fn grammar_while(&self, text: &str, go_on: &dyn Fn() -> bool) -> Verdict {
        let tokens = code(text);
        if let Some(reason) = self.unfit(text, &tokens) {
            return Verdict::Unknown(reason);
        }
        if let Some(known) = self.shared.grammar.recall(text) {
            return known;
        }
        if !go_on() {
            return Verdict::Unknown(NoVerdict::Stopped);
        }
        let verdict = self.parse(text, &tokens);
        self.shared.grammar.keep(text, &verdict);
        verdict
    }

    fn parse(&self, text: &str, tokens: &[Token]) -> Verdict {
        let request = ParseRequest {
            sql_statement: Some(text.to_owned()),
            options: Some(dialect::language()),
            allow_script: Some(true),
        };
        let mut lease = match self.shared.pool.checkout() {
            Ok(lease) => lease,
            Err(error) => return Verdict::Unknown(analyze::reason(&error)),
        };
        match lease.call("Parse", request.encode_to_vec(), self.shared.options.deadline) {
            Ok(_) => Verdict::Accepted(Accepted {
                statement: "Script",
                ..Accepted::default()
            }),
            Err(CallError::Refused(error)) => match refusal::refusal(text, tokens, &error) {
                Ok(refusal) => Verdict::Refused(refusal),
                Err(reason) => Verdict::Unknown(reason),
            },
            Err(error) => Verdict::Unknown(analyze::reason(&error)),
        }
    }

    /// Analyzes one statement in a scope, or remembers its verdict; says also what it makes for those after it.
    pub(crate) fn analyze(
        &self,
        text: &str,
        snapshot: &CatalogSnapshot,
        context: &Context,
        scope: &Arc<Scope>,
        go_on: &dyn Fn() -> bool,
    ) -> (Verdict, Effects) {
        let tokens = code(text);
        if let Some(reason) = self.unfit(text, &tokens) {
            return (Verdict::Unknown(reason), Effects::default());
        }
        let references = references::references(text, &tokens, snapshot, context.default_dataset.as_ref());
        let statement = Statement {
            text,
            tokens: &tokens,
            snapshot,
            context,
            scope,
            references: &references,
        };
        if let Some(known) = self.shared.memo.recall(&statement) {
            return known;
        }
        if !go_on() {
            return (Verdict::Unknown(NoVerdict::Stopped), Effects::default());
        }
        let answer = match self.shared.pool.checkout() {
            Ok(mut lease) => analyze::analyze(&mut lease, &statement, self.shared.options.deadline),
            Err(error) => (Verdict::Unknown(analyze::reason(&error)), Effects::default()),
        };
        self.shared.memo.keep(&statement, &answer);
        answer
    }

    /// Why a text is not handed to the analyzer at all.
    fn unfit(&self, text: &str, tokens: &[Token]) -> Option<NoVerdict> {
        if text.len() > self.shared.options.max_statement {
            Some(NoVerdict::Length)
        } else if tokens.iter().any(|t| is_template(t, text)) {
            Some(NoVerdict::Template)
        } else {
            (nesting(text, tokens) > MAX_NESTING).then_some(NoVerdict::Nesting)
        }
    }
}

/// Whether a template tag stands in this token: dbt fills in literals and quoted names too.
fn is_template(token: &Token, text: &str) -> bool {
    let has_tag = |text: &str| text.contains("{{") || text.contains("{%");
    match token.kind {
        TokenKind::Template => true,
        TokenKind::String | TokenKind::Bytes | TokenKind::Quoted => has_tag(token.text(text)),
        _ => false,
    }
}

/// Brackets in brackets, at the deepest place.
fn nesting(text: &str, tokens: &[Token]) -> usize {
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
    deepest
}
