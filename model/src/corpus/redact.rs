//! Literals out of SQL, for completions that leave the machine or must not hold what people look for.

use bigquill_analysis::syntax::lexer::{TokenKind, tokens};

/// The SQL with every string and bytes literal emptied and every number 0, outside of the parts of a name. What it means is
/// another thing then; what it looks at is not.
#[must_use]
pub fn redact_literals(sql: &str) -> String {
    let mut redacted = String::with_capacity(sql.len());
    let mut at = 0;
    for token in tokens(sql) {
        let new = match token.kind {
            TokenKind::String => "''",
            TokenKind::Bytes => "b''",
            TokenKind::Number => "0",
            _ => continue,
        };
        redacted.push_str(sql.get(at..token.start).unwrap_or_default());
        redacted.push_str(new);
        at = token.end;
    }
    redacted.push_str(sql.get(at..).unwrap_or_default());
    redacted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_literals_go() {
        let sql = "SELECT `a 1`.b2, 'Ann' AS name, r\"x\", b'y' FROM t1 WHERE x > -12.5 AND d = DATE '2024-01-01' -- 3";
        assert_eq!(
            redact_literals(sql),
            "SELECT `a 1`.b2, '' AS name, '', b'' FROM t1 WHERE x > -0 AND d = DATE '' -- 3"
        );
    }
}
