//! A script, statement by statement: what one statement makes, the later ones see.
//!
//! Variables become constants of the catalog, temporary tables, views and functions become its tables and
//! functions. Control flow is checked by grammar only; after it, and after statements whose effect is known only
//! when they run, a name that is not found proves nothing.

use std::ops::Range;
use std::sync::Arc;

use bigquill_analysis::schema::CatalogSnapshot;
use bigquill_analysis::syntax::lexer::{Token, unquote};
use bigquill_analysis::syntax::split::{self, Statement};

use crate::analyze::Effects;
use crate::catalog::Scope;
use crate::dialect::{self, number};
use crate::judge::{Context, Judge};
use crate::messages::{Function, ParseResumeLocation, Type};
use crate::probe::{Cast, Probe};
use crate::references::{self, code};
use crate::resolved::{Made, MadeFunction};
use crate::types;
use crate::verdict::{Accepted, NoVerdict, Refusal, RefusalKind, Verdict};

/// The verdict on each statement, with its bytes in the text.
pub(crate) fn verdicts(
    judge: &Judge,
    text: &str,
    snapshot: &CatalogSnapshot,
    context: &Context,
    go_on: &dyn Fn() -> bool,
) -> Vec<(Range<usize>, Verdict)> {
    let mut script = Script {
        judge,
        snapshot,
        context,
        go_on,
        scope: Arc::default(),
        opaque: None,
        doubtful: Vec::new(),
    };
    let verdict = |statement: Statement| {
        let verdict = script.statement(&text[statement.range.clone()], statement.block);
        let verdict = moved(verdict, statement.range.start);
        (statement.range, verdict)
    };
    split::statements(text).into_iter().map(verdict).collect()
}

/// A verdict on a statement, with its place in the text where the statement begins at `start`.
fn moved(verdict: Verdict, start: usize) -> Verdict {
    match verdict {
        Verdict::Refused(refusal) => Verdict::Refused(Refusal {
            range: refusal.range.start + start..refusal.range.end + start,
            ..refusal
        }),
        other => other,
    }
}

struct Script<'a> {
    judge: &'a Judge,
    snapshot: &'a CatalogSnapshot,
    context: &'a Context,
    /// Whether more statements may be analyzed.
    go_on: &'a dyn Fn() -> bool,
    scope: Arc<Scope>,
    /// What came before, if it may have made names that are not known here.
    opaque: Option<&'static str>,
    /// Names, in small letters, of what earlier statements meant to make without a verdict that they do.
    doubtful: Vec<String>,
}

/// Statements of control flow, and what they are called where there is no verdict.
const CONTROL: &[(&str, &str)] = &[
    ("IF", "IF"),
    ("LOOP", "LOOP"),
    ("WHILE", "WHILE"),
    ("FOR", "FOR"),
    ("REPEAT", "REPEAT"),
    ("CASE", "CASE"),
    ("RAISE", "RAISE"),
    ("RETURN", "RETURN"),
    ("BREAK", "BREAK"),
    ("LEAVE", "LEAVE"),
    ("CONTINUE", "CONTINUE"),
    ("ITERATE", "ITERATE"),
];

impl Script<'_> {
    fn statement(&mut self, text: &str, block: bool) -> Verdict {
        let tokens = code(text);
        let first = |keyword: &str| tokens.first().is_some_and(|t| t.is_word(text, keyword));
        if first("DECLARE") {
            return self.declare(text, &tokens);
        }
        if first("SET") {
            return self.set(text, &tokens);
        }
        if let Some((_, name)) = CONTROL.iter().find(|(keyword, _)| first(keyword)) {
            return self.control(text, name);
        }
        if block && first("BEGIN") {
            return self.control(text, "BEGIN");
        }
        let (verdict, effects) = self.analyze(text);
        if first("CALL") || first("EXECUTE") {
            self.opaque = Some("CALL or EXECUTE IMMEDIATE");
        }
        if verdict
            .accepted()
            .is_some_and(|a| a.statement.starts_with("Alter"))
        {
            self.opaque = Some("ALTER");
        }
        let query = ["SELECT", "WITH", "FROM"].iter().any(|keyword| first(keyword));
        if verdict == Verdict::Unknown(NoVerdict::Stopped) && !query {
            self.opaque = Some("a statement that is not analyzed yet");
        }
        if first("CREATE") && effects.made.is_none() {
            self.doubtful.extend(created(text, &tokens));
        }
        self.remember(effects);
        verdict
    }

    fn analyze(&self, text: &str) -> (Verdict, Effects) {
        let (verdict, effects) =
            self.judge
                .analyze(text, self.snapshot, self.context, &self.scope, self.go_on);
        match verdict.refusal().and_then(|refusal| self.excuse(text, refusal)) {
            Some(reason) => (Verdict::Unknown(NoVerdict::Script(reason)), Effects::default()),
            None => (verdict, effects),
        }
    }

    /// Why a name that is not known may be one all the same.
    fn excuse(&self, text: &str, refusal: &Refusal) -> Option<&'static str> {
        use RefusalKind as K;
        let of_name = matches!(
            refusal.kind,
            K::UnknownTable | K::UnknownName | K::UnknownFunction | K::UnknownField | K::UnknownNameInList
        );
        let name = text.get(refusal.range.clone()).unwrap_or_default();
        let last = last_part(&references::written(name));
        let doubtful = last.is_some_and(|last| self.doubtful.contains(&last));
        let excuse = if doubtful {
            Some("a name whose own statement has no verdict")
        } else {
            self.opaque
        };
        excuse.filter(|_| of_name)
    }

    /// Control flow: refused where the grammar refuses it, else no verdict.
    fn control(&mut self, text: &str, name: &'static str) -> Verdict {
        self.opaque = Some(name);
        match self.judge.grammar_while(text, self.go_on) {
            Verdict::Accepted(_) => Verdict::Unknown(NoVerdict::Script(name)),
            other => other,
        }
    }

    /// `DECLARE name[, …] [type] [DEFAULT expression]`.
    fn declare(&mut self, text: &str, tokens: &[Token]) -> Verdict {
        let grammar = self.judge.grammar_while(text, self.go_on);
        let mut names = Vec::new();
        let mut at = 1;
        while let Some(name) = tokens.get(at).filter(|t| t.is_name()) {
            names.push(unquote(name.text(text)));
            at += 1;
            if !tokens.get(at).is_some_and(|t| t.is_symbol(text, ",")) {
                break;
            }
            at += 1;
        }
        let default = tokens
            .iter()
            .skip(at)
            .position(|t| t.is_word(text, "DEFAULT"))
            .map(|n| at + n);
        let of = bytes(
            tokens
                .get(at..default.unwrap_or(tokens.len()))
                .unwrap_or_default(),
        );
        let value = default.and_then(|d| bytes(tokens.get(d + 1..).unwrap_or_default()));
        if grammar.accepted().is_none() {
            return grammar;
        }
        let (verdict, effects) = self.probe(text, value, of.map_or(Cast::None, Cast::Written));
        if let Some(of) = effects.first_type {
            Arc::make_mut(&mut self.scope)
                .variables
                .extend(names.into_iter().map(|name| (name, of.clone())));
        } else {
            let names = names.into_iter().map(|name| name.to_lowercase());
            self.doubtful.extend(names);
        }
        named(verdict, "VariableDeclaration")
    }

    /// `SET name = expression`, `SET (a, b) = expression`.
    fn set(&mut self, text: &str, tokens: &[Token]) -> Verdict {
        let grammar = self.judge.grammar_while(text, self.go_on);
        let equals = tokens.iter().position(|t| t.is_symbol(text, "="));
        match equals.and_then(|at| bytes(&tokens[at + 1..])) {
            Some(value) if grammar.accepted().is_some() => {
                let target = tokens.get(1).filter(|_| equals == Some(2));
                let of = target.and_then(|t| self.variable(&unquote(t.text(text))));
                let cast = of.map_or(Cast::None, |of| Cast::Known(types::sql(of)));
                named(self.probe(text, Some(value), cast).0, "SingleAssignment")
            }
            _ => grammar,
        }
    }

    /// The type of a variable.
    fn variable(&self, name: &str) -> Option<&Type> {
        let mut variables = self.scope.variables.iter();
        let found = variables.find(|(variable, _)| variable.eq_ignore_ascii_case(name));
        found.map(|(_, of)| of)
    }

    /// The verdict on an expression, cast to a type: its places, too, are bytes of `text`.
    fn probe(&self, text: &str, value: Option<Range<usize>>, cast: Cast) -> (Verdict, Effects) {
        let probe = Probe::new(text, value, cast);
        let (mut verdict, effects) = self.analyze(&probe.sql);
        if let Verdict::Refused(refusal) = &mut verdict {
            refusal.range = probe.back(&refusal.range);
        }
        (verdict, effects)
    }

    fn remember(&mut self, effects: Effects) {
        match effects.made {
            Some((path, Made::Relation(columns))) if !columns.is_empty() => {
                let made = self.paths(&path).into_iter().map(|path| (path, columns.clone()));
                Arc::make_mut(&mut self.scope).tables.extend(made);
            }
            Some((path, Made::Function(function))) => {
                let paths = self.paths(&path).into_iter();
                let made = paths.map(|path| made(path, (*function).clone()));
                Arc::make_mut(&mut self.scope).functions.extend(made);
            }
            _ => {}
        }
    }

    /// The paths of what was made under this one: the default project may be written or not.
    fn paths(&self, path: &[String]) -> Vec<Vec<String>> {
        let path: Vec<String> = path
            .iter()
            .flat_map(|part| part.split('.'))
            .map(str::to_owned)
            .collect();
        let project = self.snapshot.default_project.as_ref();
        let other = match (path.as_slice(), project) {
            ([dataset, name], Some(project)) => Some(vec![project.clone(), dataset.clone(), name.clone()]),
            ([first, rest @ ..], Some(project)) if rest.len() == 2 && first == project => Some(rest.to_vec()),
            _ => None,
        };
        [path].into_iter().chain(other).collect()
    }
}

/// The names that a CREATE statement may mean to make: those before its columns, arguments or query.
fn created(text: &str, tokens: &[Token]) -> Vec<String> {
    let head = tokens
        .iter()
        .position(|t| t.is_symbol(text, "(") || t.is_word(text, "AS"));
    let head = &tokens[..head.unwrap_or(tokens.len())];
    let names = head.iter().filter(|t| t.is_name()).map(|t| unquote(t.text(text)));
    names.filter_map(|name| last_part(&[name])).collect()
}

/// The last part of a path, in small letters.
fn last_part(path: &[String]) -> Option<String> {
    Some(path.last()?.rsplit('.').next()?.to_lowercase())
}

/// The function that a CREATE FUNCTION made, as later statements call it.
fn made(path: Vec<String>, function: MadeFunction) -> Function {
    let fixed = |a: &crate::messages::FunctionArgumentType| a.kind.unwrap_or_default() == number::FIXED;
    let signature = function.signature;
    let templated =
        !signature.argument.iter().all(fixed) || !signature.return_type.as_ref().is_some_and(fixed);
    let mut message = dialect::function(path, function.aggregate, signature);
    if let (true, Some(body)) = (templated, function.body) {
        // With arguments of ANY TYPE the body is resolved anew for each call.
        message.group = Some("Templated_SQL_Function".to_owned());
        message.templated_sql_function_argument_name = function.arguments;
        message.parse_resume_location = Some(ParseResumeLocation {
            input: Some(body),
            byte_position: Some(0),
            allow_resume: Some(true),
        });
    }
    message
}

/// From the first token's first byte to the last token's last.
fn bytes(tokens: &[Token]) -> Option<Range<usize>> {
    Some(tokens.first()?.start..tokens.last()?.end)
}

/// An accepted probe under the name of the statement that it stands for.
fn named(verdict: Verdict, statement: &'static str) -> Verdict {
    match verdict {
        Verdict::Accepted(accepted) => Verdict::Accepted(Accepted {
            statement,
            columns: Vec::new(),
            ..accepted
        }),
        other => other,
    }
}
