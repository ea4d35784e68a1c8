//! From text to statements: tokens with byte ranges, borders between statements, comments that ask,
//! and sqlparser's tree. No names are resolved here.

pub mod adapt;
pub mod lexer;
pub mod parameter;
pub mod parse;
pub mod question;
pub mod split;
