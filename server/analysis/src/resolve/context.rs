//! What the rest of a text tells a statement: variables, tables and functions that it makes.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::syntax::lexer::{Token, TokenKind, unquote};
use crate::syntax::split::Split;

/// Names that statements of a text define for others, all lower-cased.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FileContext {
    /// Declared variables, loop variables, procedure arguments.
    pub variables: BTreeSet<String>,
    /// Tables and views that are created or changed: `dataset.table` or a bare temporary name. Nothing is said of their
    /// columns.
    pub tables: BTreeSet<String>,
    /// Functions that are created, by their last name.
    pub functions: BTreeSet<String>,
    /// A template's control tag stands in the text: no statement is judged.
    pub template: bool,
}

impl FileContext {
    /// Reads the definitions of a text from its tokens.
    #[must_use]
    pub fn read(text: &str, split: &Split) -> Self {
        let mut context = Self::default();
        let code: Vec<&Token> = split.tokens.iter().filter(|t| !t.is_comment()).collect();
        let reader = Reader { text, code: &code };
        for (index, token) in code.iter().enumerate() {
            match token.kind {
                TokenKind::Template => context.template |= token.text(text).starts_with("{%"),
                TokenKind::Word => reader.word(index, token.text(text), &mut context),
                _ => {}
            }
        }
        context
    }

    /// A number that is equal for equal contexts.
    #[must_use]
    pub fn hash_value(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

struct Reader<'t> {
    text: &'t str,
    code: &'t [&'t Token],
}

impl Reader<'_> {
    fn is(&self, at: usize, words: &[&str]) -> bool {
        self.code
            .get(at)
            .is_some_and(|t| words.iter().any(|w| t.is_word(self.text, w)))
    }

    fn symbol(&self, at: usize, symbol: &str) -> bool {
        self.code.get(at).is_some_and(|t| t.is_symbol(self.text, symbol))
    }

    fn name(&self, at: usize) -> Option<String> {
        let token = self.code.get(at).filter(|t| t.is_name())?;
        Some(unquote(token.text(self.text)).to_lowercase())
    }

    fn word(&self, at: usize, word: &str, context: &mut FileContext) {
        let is = |w: &str| word.eq_ignore_ascii_case(w);
        if is("DECLARE") {
            let mut next = at + 1;
            while let Some(name) = self.name(next) {
                context.variables.insert(name);
                if !self.symbol(next + 1, ",") {
                    break;
                }
                next += 2;
            }
        } else if is("FOR") && self.is(at + 2, &["IN"]) {
            context.variables.extend(self.name(at + 1));
        } else if is("CREATE") {
            self.create(at, context);
        } else if is("ALTER") && self.is(at + 1, &["TABLE"]) {
            let exists = if self.is(at + 2, &["IF"]) { 4 } else { 2 };
            context.tables.extend(self.path(at + exists).map(|(p, _)| p));
        } else if is("RENAME") && self.is(at + 1, &["TO"]) {
            context.tables.extend(
                self.path(at + 2)
                    .map(|(p, _)| p.rsplit('.').next().unwrap_or_default().to_owned()),
            );
        } else if is("LOAD") && self.is(at + 1, &["DATA"]) {
            let table = (at + 2..at + 6).find(|&i| self.is(i, &["INTO", "OVERWRITE"]));
            context
                .tables
                .extend(table.and_then(|i| self.path(i + 1)).map(|(p, _)| p));
        }
    }

    fn create(&self, at: usize, context: &mut FileContext) {
        let Some(kind) =
            (at + 1..at + 8).find(|&i| self.is(i, &["TABLE", "VIEW", "FUNCTION", "PROCEDURE", "MODEL"]))
        else {
            return;
        };
        let between = &self.code[at + 1..kind.min(self.code.len())];
        if !between.iter().all(|t| t.kind == TokenKind::Word) {
            return;
        }
        let table_function = self.is(kind, &["TABLE"]) && self.is(kind + 1, &["FUNCTION"]);
        let mut name = kind + 1 + usize::from(table_function);
        if self.is(name, &["IF"]) {
            name += 3;
        }
        let Some((path, after)) = self.path(name) else {
            return;
        };
        if table_function || self.is(kind, &["FUNCTION"]) {
            context
                .functions
                .insert(path.rsplit('.').next().unwrap_or_default().to_owned());
        } else if self.is(kind, &["PROCEDURE"]) {
            self.arguments(after, context);
        } else {
            context.tables.insert(path);
        }
        if table_function {
            self.arguments(after, context);
        }
    }

    /// Names in `(x INT64, OUT y STRING)`.
    fn arguments(&self, open: usize, context: &mut FileContext) {
        if !self.symbol(open, "(") {
            return;
        }
        let mut depth = 0_i32;
        for at in open..self.code.len() {
            if self.symbol(at, "(") || self.symbol(at, "<") {
                depth += 1;
            } else if self.symbol(at, ")") || self.symbol(at, ">") {
                depth -= 1;
            }
            if depth == 0 {
                return;
            }
            if depth == 1 && (self.symbol(at, "(") || self.symbol(at, ",")) {
                let mode = usize::from(self.is(at + 1, &["IN", "OUT", "INOUT"]));
                context.variables.extend(self.name(at + 1 + mode));
            }
        }
    }

    /// A dotted path from here: its last two names joined by a dot (one, if there is but one), and the index after it.
    fn path(&self, at: usize) -> Option<(String, usize)> {
        let mut path = self.name(at)?;
        let mut next = at + 1;
        while self.symbol(next, "-") || self.symbol(next, ".") {
            let dot = if self.symbol(next, ".") { "." } else { "-" };
            let token = self.code.get(next + 1)?;
            path = format!("{path}{dot}{}", unquote(token.text(self.text)).to_lowercase());
            next += 2;
        }
        let parts: Vec<&str> = path.split('.').collect();
        let last = parts.len().saturating_sub(2);
        Some((parts.get(last..)?.join("."), next))
    }
}
