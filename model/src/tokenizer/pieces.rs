//! Token ids to text: the bytes of every token, and a decoder that holds back unfinished characters.

use super::{TokenKind, TokenizerSource};

/// The bytes that each token stands for, in one buffer.
#[derive(Debug)]
pub(super) struct Pieces {
    bytes: Vec<u8>,
    /// End of each token's bytes; the beginning is the end of the one before.
    ends: Vec<u32>,
}

impl Pieces {
    pub(super) fn new(source: &TokenizerSource) -> Self {
        let mut pieces = Self {
            bytes: Vec::new(),
            ends: Vec::with_capacity(source.tokens.len()),
        };
        for (token, id) in source.tokens.iter().zip(0_u32..) {
            match source.kind(id) {
                TokenKind::Control | TokenKind::Unused | TokenKind::Unknown => {}
                TokenKind::UserDefined => pieces.bytes.extend_from_slice(token.as_bytes()),
                TokenKind::Byte => pieces.bytes.extend(byte_of_name(token)),
                TokenKind::Normal if source.is_sentence_piece() => {
                    pieces.bytes.extend_from_slice(token.replace('▁', " ").as_bytes());
                }
                TokenKind::Normal => token.chars().for_each(|c| push_byte_level(c, &mut pieces.bytes)),
            }
            // A GGUF string table past 4 GiB does not fit the machine that reads it.
            pieces
                .ends
                .push(u32::try_from(pieces.bytes.len()).unwrap_or(u32::MAX));
        }
        pieces
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// None for a token without text and for an id out of range.
    pub(super) fn bytes(&self, id: u32) -> Option<&[u8]> {
        let id = id as usize;
        let end = *self.ends.get(id)? as usize;
        let start = if id == 0 { 0 } else { self.ends[id - 1] as usize };
        self.bytes.get(start..end).filter(|bytes| !bytes.is_empty())
    }
}

/// Decodes one answer token by token.
#[derive(Debug)]
pub struct TextDecoder<'a> {
    pieces: &'a Pieces,
    /// Bytes of a character that is not whole yet, at most three.
    pending: Vec<u8>,
    /// The space that SentencePiece puts before a text is still to be taken off.
    strip_space: bool,
}

impl<'a> TextDecoder<'a> {
    pub(super) fn new(pieces: &'a Pieces, strip_space: bool) -> Self {
        Self {
            pieces,
            pending: Vec::new(),
            strip_space,
        }
    }

    /// The characters that this token completes; empty where it completes none.
    pub fn push(&mut self, id: u32) -> String {
        let Some(mut bytes) = self.pieces.bytes(id) else {
            return String::new();
        };
        if std::mem::take(&mut self.strip_space) {
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = self.pending.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    let Some(broken) = error.error_len() else {
                        rest = after; // may still become a character
                        break;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &after[broken..];
                }
            }
        }
        self.pending = rest.to_vec();
        text
    }

    /// What is left at the end: U+FFFD where a character stayed unfinished, else nothing.
    #[must_use]
    pub fn finish(self) -> String {
        String::from_utf8_lossy(&self.pending).into_owned()
    }
}

/// `<0x0A>` is the byte 10.
fn byte_of_name(name: &str) -> Option<u8> {
    let hex = name.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(hex, 16).ok()
}

/// The byte that GPT-2's alphabet writes as this character
/// (<https://github.com/openai/gpt-2/blob/master/src/encoder.py>, `bytes_to_unicode`): printable Latin-1
/// characters stand for themselves, the other 68 bytes are numbered from U+0100. Any other character stands for
/// its own UTF-8.
fn push_byte_level(c: char, bytes: &mut Vec<u8>) {
    match u32::from(c) {
        code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => bytes.push(code as u8),
        code @ 0x100..=0x120 => bytes.push((code - 0x100) as u8),
        code @ 0x121..=0x142 => bytes.push((code - 0x121 + 0x7f) as u8),
        0x143 => bytes.push(0xad),
        _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}
