//! The protocol of CRIU's service: the messages of its `rpc.proto` that are used here, in
//! the encoding of Protocol Buffers. One packet is one message.
//!
//! ```text
//! criu_req  = { 1: type, 2: criu_opts, 3: notify_success }
//! criu_resp = { 1: type, 2: success, 4: { 1: pid }, 5: { 1: script, 2: pid }, 9: error }
//! ```

use std::fmt;

/// Fields of `criu_opts`, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs, reason = "the protocol's own names")]
pub enum Field {
    ImagesDirFd = 1,
    Pid = 2,
    LeaveRunning = 3,
    ExtUnixSk = 4,
    TcpEstablished = 5,
    ShellJob = 7,
    FileLocks = 8,
    LogLevel = 9,
    LogFile = 10,
    PageServer = 11,
    NotifyScripts = 12,
    Root = 13,
    ParentImg = 14,
    TrackMem = 15,
    AutoDedup = 16,
    WorkDirFd = 17,
    LinkRemap = 18,
    CgRoot = 25,
    RstSibling = 26,
    InheritFd = 27,
    ManageCgroupsMode = 34,
    External = 37,
    EmptyNs = 38,
    FreezeCgroup = 44,
    TcpSkipInFlight = 46,
    LazyPages = 48,
    StatusFd = 49,
    OrphanPtsMaster = 50,
    ConfigFile = 51,
    TcpClose = 52,
    LsmProfile = 53,
    LsmMountContext = 63,
    NetworkLock = 64,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Numbers, flags, and words that have numbers.
    Number(u64),
    /// A text.
    Text(String),
    /// A message of two fields, 1 and 2; either may be missing.
    Pair([Option<Box<Value>>; 2]),
}

/// `criu_opts`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message(Vec<(Field, Value)>);

impl Message {
    /// A number that is not negative.
    pub fn number(&mut self, field: Field, number: i32) {
        let number = number.unsigned_abs().into();
        self.0.push((field, Value::Number(number)));
    }

    /// A flag, if it is given: all are off without.
    pub fn flag(&mut self, field: Field, given: bool) {
        if given {
            self.number(field, 1);
        }
    }

    /// Any number of texts.
    pub fn texts<T: ToString>(&mut self, field: Field, texts: impl IntoIterator<Item = T>) {
        let texts = texts.into_iter().map(|text| Value::Text(text.to_string()));
        self.0.extend(texts.map(|text| (field, text)));
    }

    /// A message of two fields.
    pub fn pair(&mut self, field: Field, pair: [Option<Value>; 2]) {
        let pair = pair.map(|value| value.map(Box::new));
        self.0.push((field, Value::Pair(pair)));
    }
}

/// For tests and logs: a line for each field.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (field, value) in &self.0 {
            writeln!(f, "{field:?} {value}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
            Self::Pair([first, second]) => {
                let shown = |value: &Option<Box<Value>>| match value {
                    Some(value) => value.to_string(),
                    None => "-".to_owned(),
                };
                write!(f, "{} {}", shown(first), shown(second))
            }
        }
    }
}

/// What is asked for: `criu_req_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Request {
    /// Write processes down.
    Dump = 1,
    /// Make them again.
    Restore = 2,
    /// Write only memory down.
    PreDump = 4,
}

/// `NOTIFY`, as a question and as its answer.
const NOTIFY: u64 = 6;

impl Request {
    /// CRIU's word for it.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Dump => "dump",
            Self::Restore => "restore",
            Self::PreDump => "pre-dump",
        }
    }

    /// The packet that asks for it.
    pub fn encode(self, options: &Message) -> Vec<u8> {
        let mut inner = Vec::new();
        for (field, value) in &options.0 {
            put(&mut inner, *field as u32, value);
        }
        let mut packet = Vec::new();
        put(&mut packet, 1, &Value::Number(self as u64));
        put_bytes(&mut packet, 2, &inner);
        packet
    }
}

/// The answer to [`Answer::Notify`]: whether CRIU may go on.
pub fn encode_consent(success: bool) -> Vec<u8> {
    let mut packet = Vec::new();
    put(&mut packet, 1, &Value::Number(NOTIFY));
    put(&mut packet, 3, &Value::Number(success.into()));
    packet
}

const VARINT: u32 = 0;
const BYTES: u32 = 2;

fn put(packet: &mut Vec<u8>, field: u32, value: &Value) {
    match value {
        Value::Number(number) => {
            put_number(packet, (field << 3 | VARINT).into());
            put_number(packet, *number);
        }
        Value::Text(text) => put_bytes(packet, field, text.as_bytes()),
        Value::Pair(pair) => {
            let mut inner = Vec::new();
            for (field, value) in (1..).zip(pair) {
                if let Some(value) = value {
                    put(&mut inner, field, value);
                }
            }
            put_bytes(packet, field, &inner);
        }
    }
}

fn put_bytes(packet: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_number(packet, (field << 3 | BYTES).into());
    put_number(packet, bytes.len() as u64);
    packet.extend_from_slice(bytes);
}

/// Seven bits a byte, the lowest first; the eighth says that there are more.
fn put_number(packet: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        packet.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    packet.push(number as u8);
}

/// What CRIU says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is at this point and waits for [`encode_consent`].
    Notify {
        /// `setup-namespaces`, `orphan-pts-master`, ...
        script: String,
        /// Of init, where there is one.
        pid: i32,
    },
    /// The end.
    Done {
        /// How it went.
        success: bool,
        /// Of a restored init.
        pid: i32,
        /// What went wrong.
        error: String,
    },
}

impl Answer {
    /// Reads a packet; `None` when it makes no sense.
    pub fn decode(packet: &[u8]) -> Option<Self> {
        let (mut kind, mut success, mut error) = (0, false, String::new());
        let (mut script, mut pid) = (String::new(), 0);
        for part in Parts(packet) {
            match part? {
                (1, Part::Number(number)) => kind = number,
                (2, Part::Number(number)) => success = number != 0,
                (9, Part::Bytes(bytes)) => error = text_of(bytes),
                (4 | 5, Part::Bytes(bytes)) => {
                    for part in Parts(bytes) {
                        match part? {
                            (1, Part::Bytes(bytes)) => script = text_of(bytes),
                            (_, Part::Number(number)) => pid = i32::try_from(number).ok()?,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Some(match kind {
            0 => return None,
            NOTIFY => Self::Notify { script, pid },
            _ => Self::Done {
                success,
                pid,
                error,
            },
        })
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a field of an answer holds.
enum Part<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message; `None` for one that is broken.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn part(&mut self) -> Option<(u64, Part<'a>)> {
        let key = self.number()?;
        let part = match key & 7 {
            0 => Part::Number(self.number()?),
            1 => Part::Bytes(self.bytes(8)?),
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Part::Bytes(self.bytes(length)?)
            }
            5 => Part::Bytes(self.bytes(4)?),
            _ => return None,
        };
        Some((key >> 3, part))
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Option<(u64, Part<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let part = self.part();
        if part.is_none() {
            self.0 = &[];
        }
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_in_bytes() {
        let mut options = Message::default();
        options.number(Field::ImagesDirFd, 300);
        options.flag(Field::LeaveRunning, false);
        options.texts(Field::External, ["ab"]);
        options.pair(Field::CgRoot, [None, Some(Value::Text("/".to_owned()))]);
        let packet = Request::Restore.encode(&options);
        let inner = [
            0x08, 0xac, 0x02, 0xaa, 0x02, 2, b'a', b'b', 0xca, 0x01, 3, 0x12, 1, b'/',
        ];
        assert_eq!(packet[..4], [0x08, 2, 0x12, 14]);
        assert_eq!(packet[4..], inner);
        assert_eq!(encode_consent(true), [0x08, 6, 0x18, 1]);
    }

    #[test]
    fn answers() {
        let notify = b"\x08\x06\x10\x01\x2a\x08\x0a\x03abc\x10\xac\x02";
        let expected = Answer::Notify {
            script: "abc".to_owned(),
            pid: 300,
        };
        // The length of the inner message is 8 with a script of three letters.
        assert_eq!(Answer::decode(notify), Some(expected));
        let done = b"\x08\x02\x10\x01\x22\x02\x08\x05";
        let expected = Answer::Done {
            success: true,
            pid: 5,
            error: String::new(),
        };
        assert_eq!(Answer::decode(done), Some(expected));
        let failed = b"\x08\x01\x10\x00\x38\x02\x4a\x02no";
        let expected = Answer::Done {
            success: false,
            pid: 0,
            error: "no".to_owned(),
        };
        assert_eq!(Answer::decode(failed), Some(expected));
    }

    #[test]
    fn broken_answers() {
        for packet in [
            &b""[..],
            b"\x08",
            b"\x08\xff",
            b"\x2a\x09\x0a",
            b"\x0b",
            b"\x10\x01",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert_eq!(Answer::decode(packet), None, "{packet:?}");
        }
    }
}
