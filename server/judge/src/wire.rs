//! Reads protobuf without a schema: the fields of a message as they stand on the wire.
//!
//! A resolved statement is a tree of some two hundred message types. The judge wants three things of it (what
//! kind of statement, which output columns, which tables), so it walks the tree instead of declaring it.

/// A field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A varint.
    Number(u64),
    /// A string, bytes or a message.
    Bytes(&'a [u8]),
    /// Eight or four fixed bytes, which nothing here needs.
    Fixed,
}

/// The fields of a message in order; ends early where the bytes are no message.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    /// Whether the bytes so far were well formed.
    pub(crate) sound: bool,
}

/// The fields of the message in these bytes.
pub(crate) fn fields(message: &[u8]) -> Fields<'_> {
    Fields {
        rest: message,
        sound: true,
    }
}

/// The first field of this number that is a message or string.
pub(crate) fn field(message: &[u8], number: u32) -> Option<&[u8]> {
    all(message, number).next()
}

/// All fields of this number that are messages or strings.
pub(crate) fn all(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    fields(message).filter_map(move |(n, value)| match value {
        Value::Bytes(bytes) if n == number => Some(bytes),
        _ => None,
    })
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() || !self.sound {
            return None;
        }
        let read = self.read();
        self.sound = read.is_some();
        read
    }
}

impl<'a> Fields<'a> {
    fn read(&mut self) -> Option<(u32, Value<'a>)> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|&n| n > 0)?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some((number, value))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order() {
        let message = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i'];
        let read: Vec<_> = fields(&message).collect();
        assert_eq!(read, [(1, Value::Number(150)), (2, Value::Bytes(b"hi"))]);
        assert_eq!(field(&message, 2), Some(b"hi".as_slice()));
    }

    #[test]
    fn what_is_no_message_ends_unsound() {
        let mut fields = fields(b"\x12\x7fhi");
        assert_eq!(fields.next(), None);
        assert!(!fields.sound);
    }
}
