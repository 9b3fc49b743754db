//! `org.systemd.property.NAME`: a property of the unit, its value in GVariant's text
//! format (<https://docs.gtk.org/glib/gvariant-text-format.html>), as far as
//! properties of scopes need it.

use super::{Property, PropertyValue};
use crate::error::quote;
use crate::{ConfigPath, PlanError};

/// What such annotations begin with.
pub(crate) const PREFIX: &str = "org.systemd.property.";

/// The property of an annotation; `None` for any other annotation.
pub(super) fn property(annotation: &str, text: &str) -> Option<Result<Property, PlanError>> {
    let name = annotation.strip_prefix(PREFIX)?;
    let from = ConfigPath::new("annotations").key(annotation);
    if name.len() < 3 || !name.bytes().all(|b| b.is_ascii_alphabetic()) {
        let wanted = "a property's name of at least three letters";
        return Some(Err(PlanError::invalid(from, wanted, quote(name))));
    }
    let Some(value) = read(text) else {
        let wanted = "a value like true, 'text', ['a', 'b'], uint64 5";
        return Some(Err(PlanError::invalid(from, wanted, quote(text))));
    };
    let (name, value) = match in_microseconds(name, &value) {
        None => (name.to_owned(), value),
        Some(Some(converted)) => converted,
        Some(None) => {
            let wanted = "a number of seconds, not negative";
            return Some(Err(PlanError::invalid(from, wanted, quote(text))));
        }
    };
    Some(Ok(Property {
        name,
        value,
        from,
        optional: false,
    }))
}

/// Unit files have `TimeoutStopSec`, D-Bus has `TimeoutStopUSec`: what ends in `Sec`
/// after a small letter is given in seconds.
fn in_microseconds(name: &str, value: &PropertyValue) -> Option<Option<(String, PropertyValue)>> {
    let stem = name.strip_suffix("Sec")?;
    if !stem.ends_with(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    let whole = |n: Option<u64>| n?.checked_mul(1_000_000);
    let microseconds = match *value {
        PropertyValue::Byte(n) => whole(Some(n.into())),
        PropertyValue::Int32(n) => whole(n.try_into().ok()),
        PropertyValue::Uint32(n) => whole(Some(n.into())),
        PropertyValue::Int64(n) => whole(n.try_into().ok()),
        PropertyValue::Uint64(n) => whole(Some(n)),
        // The range is checked: no value beyond it reaches the cast.
        PropertyValue::Double(n) if (0.0..1e12).contains(&n) => Some((n * 1e6) as u64),
        _ => None,
    };
    Some(microseconds.map(|n| (format!("{stem}USec"), PropertyValue::Uint64(n))))
}

fn read(text: &str) -> Option<PropertyValue> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('@') {
        let (kind, value) = rest.split_once(char::is_whitespace)?;
        return typed(kind, value.trim());
    }
    if text.starts_with('[') {
        return texts(text);
    }
    if text.starts_with(['\'', '"']) {
        return whole_text(text).map(PropertyValue::Text);
    }
    if let Some((kind, value)) = text.split_once(char::is_whitespace) {
        let kind = match kind {
            "boolean" => "b",
            "byte" => "y",
            "int32" => "i",
            "uint32" => "u",
            "int64" => "x",
            "uint64" => "t",
            "double" => "d",
            "string" => "s",
            _ => return None,
        };
        return typed(kind, value.trim());
    }
    match text {
        "true" | "false" => typed("b", text),
        text if text.contains(['.', 'e']) && !text.starts_with("0x") => typed("d", text),
        text => typed("i", text),
    }
}

/// By D-Bus's signature.
fn typed(kind: &str, text: &str) -> Option<PropertyValue> {
    use PropertyValue as V;
    let signed = || -> Option<i64> {
        match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    };
    let unsigned = || -> Option<u64> {
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    };
    Some(match kind {
        "b" => V::Flag(text.parse().ok()?),
        "y" => V::Byte(unsigned()?.try_into().ok()?),
        "i" => V::Int32(signed()?.try_into().ok()?),
        "u" => V::Uint32(unsigned()?.try_into().ok()?),
        "x" => V::Int64(signed()?),
        "t" => V::Uint64(unsigned()?),
        "d" => V::Double(text.parse().ok()?),
        "s" => V::Text(whole_text(text)?),
        "as" => return texts(text),
        "au" => V::Uint32s(
            items(text)?
                .map(|n| n.parse().ok())
                .collect::<Option<_>>()?,
        ),
        "ay" => V::Bytes(
            items(text)?
                .map(|n| n.parse().ok())
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

/// Of a list of numbers.
fn items(text: &str) -> Option<impl Iterator<Item = &str>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let parts = inner.split(',').map(str::trim);
    Some(parts.filter(|part| !part.is_empty()))
}

fn texts(text: &str) -> Option<PropertyValue> {
    let mut rest = text.strip_prefix('[')?.strip_suffix(']')?.trim();
    let mut list = Vec::new();
    while !rest.is_empty() {
        let (one, after) = quoted(rest)?;
        list.push(one);
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(PropertyValue::Texts(list))
}

fn whole_text(text: &str) -> Option<String> {
    match quoted(text)? {
        (value, "") => Some(value),
        _ => None,
    }
}

/// A text in either quotes, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut letters = text.char_indices();
    let (_, quote) = letters.next().filter(|(_, c)| matches!(c, '\'' | '"'))?;
    let mut value = String::new();
    while let Some((at, c)) = letters.next() {
        match c {
            '\\' => value.push(match letters.next()?.1 {
                'n' => '\n',
                't' => '\t',
                // D-Bus knows no others, and no NUL at all.
                c @ ('\\' | '\'' | '"') => c,
                _ => return None,
            }),
            '\0' => return None,
            c if c == quote => return Some((value, text.get(at + 1..)?)),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use PropertyValue as V;

    #[test]
    fn texts_of_gvariant() {
        for (text, wanted) in [
            ("true", V::Flag(true)),
            ("'a b'", V::Text("a b".to_owned())),
            ("\"it's\"", V::Text("it's".to_owned())),
            ("'it\\'s'", V::Text("it's".to_owned())),
            ("5", V::Int32(5)),
            ("uint64 5", V::Uint64(5)),
            ("@t 0x10", V::Uint64(16)),
            ("byte 7", V::Byte(7)),
            ("1.5", V::Double(1.5)),
            ("@as []", V::Texts(Vec::new())),
            (
                "['a', \"b\"]",
                V::Texts(vec!["a".to_owned(), "b".to_owned()]),
            ),
            ("@au [1, 2]", V::Uint32s(vec![1, 2])),
        ] {
            assert_eq!(read(text), Some(wanted), "{text}");
        }
        for text in [
            "",
            "'a",
            "maybe",
            "uint64 -1",
            "@q 5",
            "['a' 'b']",
            "'a' b",
            "99999999999",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn seconds_are_microseconds_on_the_bus() {
        let read = |name: &str, text: &str| property(name, text).unwrap();
        let stop = read("org.systemd.property.TimeoutStopSec", "uint64 123").unwrap();
        assert_eq!(
            (stop.name.as_str(), stop.value),
            ("TimeoutStopUSec", V::Uint64(123_000_000))
        );
        let half = read("org.systemd.property.RuntimeMaxSec", "0.5").unwrap();
        assert_eq!(half.value, V::Uint64(500_000));
        let other = read("org.systemd.property.CollectMode", "'inactive-or-failed'").unwrap();
        assert_eq!(other.name, "CollectMode");
        assert!(read("org.systemd.property.TimeoutStopSec", "'x'").is_err());
        assert!(read("org.systemd.property.Ab", "true").is_err());
        assert!(read("org.systemd.property.A-bc", "true").is_err());
        assert!(property("org.criu.config", "x").is_none());
    }
}
