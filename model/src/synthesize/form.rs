//! The form of a query: what is left of it without names and literals.

use std::hash::{DefaultHasher, Hash, Hasher};

use bigquill_analysis::schema::is_reserved;
use bigquill_analysis::syntax::lexer::{Token, TokenKind, tokens};

/// A number that queries share whose keywords, functions and marks are the same.
pub(super) fn of(sql: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    let all: Vec<Token> = tokens(sql).into_iter().filter(|t| !t.is_comment()).collect();
    for (index, token) in all.iter().enumerate() {
        let text = token.text(sql);
        let called = all.get(index + 1).is_some_and(|next| next.is_symbol(sql, "("));
        match token.kind {
            TokenKind::Word if is_reserved(text) || called => text.to_ascii_uppercase().hash(&mut hasher),
            TokenKind::Word | TokenKind::Quoted => "name".hash(&mut hasher),
            TokenKind::String | TokenKind::Bytes | TokenKind::Number => "literal".hash(&mut hasher),
            // How deep a path goes is no other form.
            _ if text == "." => {}
            _ => text.hash(&mut hasher),
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_literals_are_no_part_of_a_form() {
        let form = of("SELECT a FROM d.t WHERE b = 'x'");
        assert_eq!(form, of("select city from shop.orders where status = 'shipped'"));
        assert_ne!(form, of("SELECT a FROM d.t WHERE b > 'x'"));
        assert_ne!(of("SELECT SUM(a) FROM t"), of("SELECT AVG(a) FROM t"));
    }
}
