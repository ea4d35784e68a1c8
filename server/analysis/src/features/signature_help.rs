//! The signatures of the function whose arguments are being typed.

use super::Place;
use crate::functions;
use crate::schema::CatalogSnapshot;

/// A function's signatures and the argument that the cursor is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureHelp {
    /// One line a signature: `SUBSTR(STRING, INT64[, INT64]) -> STRING`.
    pub signatures: Vec<SignatureLine>,
    /// The first signature that takes that many arguments.
    pub active: usize,
    /// The argument at the cursor, from 0.
    pub argument: usize,
}

/// A signature as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    /// All of it.
    pub label: String,
    /// Its parameters, as they stand in the label.
    pub parameters: Vec<String>,
}

/// The call around an offset; none outside calls of known functions.
#[must_use]
pub fn signature_help(text: &str, offset: usize, snapshot: &CatalogSnapshot) -> Option<SignatureHelp> {
    let place = Place::new(text, offset);
    let before: Vec<_> = place
        .split
        .tokens
        .iter()
        .filter(|t| !t.is_comment() && t.end <= offset)
        .collect();
    let (mut depth, mut argument) = (0_usize, 0);
    for (index, token) in before.iter().enumerate().rev() {
        match token.text(text) {
            ";" => return None,
            ")" | "]" => depth += 1,
            "[" => depth = depth.checked_sub(1)?,
            "," if depth == 0 => argument += 1,
            "(" if depth > 0 => depth -= 1,
            "(" => {
                let name = path_before(text, &before[..index]);
                return help(&name, argument, snapshot);
            }
            _ => {}
        }
    }
    None
}

fn path_before(text: &str, tokens: &[&crate::syntax::lexer::Token]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut dot = true;
    for token in tokens.iter().rev() {
        if dot && token.is_name() {
            parts.push(crate::syntax::lexer::unquote(token.text(text)));
            dot = false;
        } else if !dot && token.is_symbol(text, ".") {
            dot = true;
        } else {
            break;
        }
    }
    parts.reverse();
    parts.join(".")
}

fn help(name: &str, argument: usize, snapshot: &CatalogSnapshot) -> Option<SignatureHelp> {
    let upper = name.to_ascii_uppercase();
    let plain = upper.strip_prefix("SAFE.").unwrap_or(&upper);
    let signatures: Vec<SignatureLine> = if let Some(builtin) = functions::builtin(plain) {
        let line = |s: &functions::Signature| SignatureLine {
            label: format!("{}{}", builtin.name, s.label()),
            parameters: s.arguments.iter().map(functions::Parameter::label).collect(),
        };
        builtin.signatures.iter().map(line).collect()
    } else {
        let parts: Vec<&str> = name.split('.').collect();
        let routine = snapshot.routine(&parts)?;
        vec![SignatureLine {
            label: routine.signature(name),
            parameters: routine.parameters(),
        }]
    };
    let active = signatures
        .iter()
        .position(|s| s.parameters.len() > argument)
        .unwrap_or(0);
    (!signatures.is_empty()).then_some(SignatureHelp {
        signatures,
        active,
        argument,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_call_counts() {
        let sql = "SELECT CONCAT(SUBSTR(a, 1, ), b";
        let none = CatalogSnapshot::default();
        let inner = signature_help(sql, sql.find("), b").unwrap(), &none).unwrap();
        assert_eq!(
            (inner.signatures[0].label.as_str(), inner.argument),
            ("SUBSTR(STRING, INT64[, INT64]) -> STRING", 2)
        );
        let outer = signature_help(sql, sql.len(), &none).unwrap();
        assert!(outer.signatures[0].label.starts_with("CONCAT(") && outer.argument == 1);
        assert_eq!(signature_help("SELECT a", 8, &none), None);
    }
}
