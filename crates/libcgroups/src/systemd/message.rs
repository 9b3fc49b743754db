//! D-Bus messages: as much of the wire format as a few calls to one service need
//! (<https://dbus.freedesktop.org/doc/dbus-specification.html>, "Marshaling").
//!
//! Written here because what there is for it is either asynchronous or brings more
//! code than the whole of this crate (docs/architecture.md).

use plan::cgroup::PropertyValue;

/// A message may be 128 MiB; none that is meant for us is longer than this.
const LONGEST: usize = 1 << 20;

/// Little-endian. Each value is aligned to its size, counted from the start of the
/// message; a body starts at a multiple of eight, so it may be written by itself.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn align(&mut self, to: usize) {
        let length = self.bytes.len().next_multiple_of(to);
        self.bytes.resize(length, 0);
    }

    pub fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub fn uint32(&mut self, value: u32) {
        self.align(4);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn uint64(&mut self, value: u64) {
        self.align(8);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub fn text(&mut self, value: &str) {
        // What is written here came from files of a bounded size.
        self.uint32(u32::try_from(value.len()).unwrap_or_default());
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
    }

    pub fn signature(&mut self, value: &str) {
        self.bytes
            .push(u8::try_from(value.len()).unwrap_or_default());
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(0);
    }

    /// The length in front does not count the padding before the first element.
    pub fn array(&mut self, element_alignment: usize, fill: impl FnOnce(&mut Self)) {
        self.uint32(0);
        let at = self.bytes.len() - 4;
        self.align(element_alignment);
        let start = self.bytes.len();
        fill(self);
        let length = u32::try_from(self.bytes.len() - start).unwrap_or_default();
        if let Some(place) = self.bytes.get_mut(at..at + 4) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }

    /// A value with its type in front.
    pub fn variant(&mut self, value: &PropertyValue) {
        use PropertyValue as V;
        self.signature(signature_of(value));
        match value {
            V::Flag(flag) => self.uint32(u32::from(*flag)),
            V::Byte(byte) => self.byte(*byte),
            V::Int32(n) => self.uint32(n.cast_unsigned()),
            V::Uint32(n) => self.uint32(*n),
            V::Int64(n) => self.uint64(n.cast_unsigned()),
            V::Uint64(n) => self.uint64(*n),
            V::Double(n) => self.uint64(n.to_bits()),
            V::Text(text) => self.text(text),
            V::Texts(list) => self.array(4, |w| list.iter().for_each(|text| w.text(text))),
            V::Bytes(list) => self.array(1, |w| w.bytes.extend_from_slice(list)),
            V::Uint32s(list) => self.array(4, |w| list.iter().for_each(|n| w.uint32(*n))),
            V::Pairs(list) => self.array(8, |w| {
                for (one, other) in list {
                    w.align(8);
                    w.text(one);
                    w.text(other);
                }
            }),
            V::Amounts(list) => self.array(8, |w| {
                for (text, n) in list {
                    w.align(8);
                    w.text(text);
                    w.uint64(*n);
                }
            }),
        }
    }
}

fn signature_of(value: &PropertyValue) -> &'static str {
    use PropertyValue as V;
    match value {
        V::Flag(_) => "b",
        V::Byte(_) => "y",
        V::Int32(_) => "i",
        V::Uint32(_) => "u",
        V::Int64(_) => "x",
        V::Uint64(_) => "t",
        V::Double(_) => "d",
        V::Text(_) => "s",
        V::Texts(_) => "as",
        V::Bytes(_) => "ay",
        V::Uint32s(_) => "au",
        V::Pairs(_) => "a(ss)",
        V::Amounts(_) => "a(st)",
    }
}

/// A method call.
pub(super) struct Call<'a> {
    pub destination: &'a str,
    pub path: &'a str,
    pub interface: &'a str,
    pub member: &'a str,
    /// Of the body.
    pub signature: &'a str,
    pub body: Vec<u8>,
}

impl Call<'_> {
    /// The whole message.
    pub fn encode(&self, serial: u32) -> Vec<u8> {
        const METHOD_CALL: u8 = 1;
        const VERSION: u8 = 1;
        let mut w = Writer::default();
        for byte in [b'l', METHOD_CALL, 0, VERSION] {
            w.byte(byte);
        }
        w.uint32(u32::try_from(self.body.len()).unwrap_or_default());
        w.uint32(serial);
        w.array(8, |w| {
            for (code, kind, value) in [
                (1, "o", self.path),
                (2, "s", self.interface),
                (3, "s", self.member),
                (6, "s", self.destination),
                (8, "g", self.signature),
            ] {
                if value.is_empty() {
                    continue;
                }
                w.align(8);
                w.byte(code);
                w.signature(kind);
                match kind {
                    "g" => w.signature(value),
                    _ => w.text(value),
                }
            }
        });
        w.align(8);
        let mut bytes = w.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// What a received message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Reply,
    Error,
    Signal,
    Other,
}

/// A received message.
#[derive(Debug)]
pub(super) struct Message {
    pub kind: Kind,
    /// Serial of the call that it answers.
    pub answers: u32,
    pub member: String,
    pub error_name: String,
    /// Of the body.
    pub signature: String,
    body: Vec<u8>,
}

/// It is not in the format, or longer than anything for us.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Message {
    /// Length of the first message in the buffer; `None` when its head is not complete.
    pub fn length(buffer: &[u8]) -> Result<Option<usize>, Malformed> {
        let Some(head) = buffer.get(..16) else {
            return Ok(None);
        };
        if head.first() != Some(&b'l') {
            return Err(Malformed);
        }
        let number = |at: usize| {
            let mut reader = Reader { bytes: head, at };
            reader.uint32().map(|n| n as usize)
        };
        let (Some(body), Some(fields)) = (number(4), number(12)) else {
            return Err(Malformed);
        };
        if body > LONGEST || fields > LONGEST {
            return Err(Malformed);
        }
        Ok(Some((16 + fields).next_multiple_of(8) + body))
    }

    /// Reads one whole message.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::read(bytes).ok_or(Malformed)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader { bytes, at: 12 };
        let end = 16 + reader.uint32()? as usize;
        let mut message = Self {
            kind: match bytes.get(1)? {
                2 => Kind::Reply,
                3 => Kind::Error,
                4 => Kind::Signal,
                _ => Kind::Other,
            },
            answers: 0,
            member: String::new(),
            error_name: String::new(),
            signature: String::new(),
            body: bytes.get(end.next_multiple_of(8)..)?.to_vec(),
        };
        while reader.at < end {
            reader.align(8);
            let code = reader.byte()?;
            let kind = reader.signature()?;
            let (mut text, mut number) = (String::new(), 0);
            match kind.as_str() {
                "s" | "o" => text = reader.text()?,
                "g" => text = reader.signature()?,
                "u" => number = reader.uint32()?,
                _ => return None,
            }
            match code {
                3 => message.member = text,
                4 => message.error_name = text,
                5 => message.answers = number,
                8 => message.signature = text,
                _ => {}
            }
        }
        Some(message)
    }

    /// The leading values of the body that are texts or numbers, as texts. A variant
    /// that holds one is that one.
    pub fn texts(&self) -> Vec<String> {
        let mut reader = Reader {
            bytes: &self.body,
            at: 0,
        };
        let mut texts = Vec::new();
        for kind in self.signature.chars() {
            let value = match kind {
                's' | 'o' => reader.text(),
                'u' => reader.uint32().map(|n| n.to_string()),
                'v' => match reader.signature().as_deref() {
                    Some("s" | "o") => reader.text(),
                    _ => None,
                },
                _ => None,
            };
            match value {
                Some(value) => texts.push(value),
                None => break,
            }
        }
        texts
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, length: usize) -> Option<&[u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn uint32(&mut self) -> Option<u32> {
        self.align(4);
        let bytes = self.take(4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    }

    fn text(&mut self) -> Option<String> {
        let length = self.uint32()? as usize;
        let text = String::from_utf8(self.take(length)?.to_vec()).ok()?;
        self.take(1)?;
        Some(text)
    }

    fn signature(&mut self) -> Option<String> {
        let length = self.byte()?.into();
        let text = String::from_utf8(self.take(length)?.to_vec()).ok()?;
        self.take(1)?;
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: PropertyValue) -> Vec<u8> {
        let mut w = Writer::default();
        w.variant(&value);
        w.into_bytes()
    }

    #[test]
    fn values_are_aligned_to_their_size() {
        assert_eq!(
            written(PropertyValue::Flag(true)),
            [1, b'b', 0, 0, 1, 0, 0, 0]
        );
        let number = written(PropertyValue::Uint64(5));
        assert_eq!(number, [1, b't', 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
        let text = written(PropertyValue::Text("ab".to_owned()));
        assert_eq!(text, [1, b's', 0, 0, 2, 0, 0, 0, b'a', b'b', 0]);
        // The four bytes between the length and the first pair are not counted.
        let pairs = written(PropertyValue::Amounts(vec![("a".to_owned(), 1)]));
        let head = [
            5, b'a', b'(', b's', b't', b')', 0, 0, 16, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(pairs[..16], head);
        assert_eq!(
            pairs[16..],
            [1, 0, 0, 0, b'a', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let mut body = Writer::default();
        body.uint32(7);
        body.text("/org/job");
        let call = Call {
            destination: "org.x",
            path: "/org/x",
            interface: "org.x.Manager",
            member: "JobRemoved",
            signature: "uo",
            body: body.into_bytes(),
        };
        let bytes = call.encode(3);
        assert_eq!(Message::length(&bytes), Ok(Some(bytes.len())));
        let message = Message::decode(&bytes).unwrap();
        assert_eq!(message.kind, Kind::Other);
        assert_eq!(message.member, "JobRemoved");
        assert_eq!(message.texts(), ["7", "/org/job"]);
    }

    #[test]
    fn nonsense_is_an_error_and_never_read_beyond() {
        assert_eq!(Message::length(b"l"), Ok(None));
        assert_eq!(Message::length(&[b'B'; 16]), Err(Malformed));
        assert_eq!(Message::length(&[b'l'; 16]), Err(Malformed), "too long");
        let bytes = Call {
            destination: "d",
            path: "/",
            interface: "i",
            member: "m",
            signature: "s",
            body: vec![200, 0, 0, 0, b'x'],
        }
        .encode(1);
        assert!(Message::decode(&bytes).unwrap().texts().is_empty());
        for end in 0..bytes.len() - 5 {
            assert!(Message::decode(&bytes[..end]).is_err(), "{end}");
        }
    }
}
