//! Where in the configuration something came from: `mounts[3].options[1]`.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// No key that anybody uses is longer.
const LONGEST_KEY: usize = 128;

/// The path of one property of `config.json`, or of the command-line flag or
/// default that stands in its place.
///
/// ```
/// use plan::ConfigPath;
/// let option = ConfigPath::new("mounts").index(3).field("options").index(1);
/// assert_eq!(option.to_string(), "mounts[3].options[1]");
/// let sysctl = ConfigPath::new("linux.sysctl").key("net.ipv4.ip_forward");
/// assert_eq!(sysctl.to_string(), r#"linux.sysctl["net.ipv4.ip_forward"]"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigPath(Cow<'static, str>);

impl ConfigPath {
    /// A path that starts at the top of the document, dots included.
    pub const fn new(top: &'static str) -> Self {
        Self(Cow::Borrowed(top))
    }

    /// A command-line flag in the place of a property, `--pid-file`.
    pub const fn flag(flag: &'static str) -> Self {
        Self(Cow::Borrowed(flag))
    }

    /// A path found at run time, as a JSON decoder reports it.
    pub fn from_text(text: String) -> Self {
        Self(Cow::Owned(text))
    }

    /// Something done because the spec or the field's habit wants it, not
    /// because the configuration asks: `linux.devices (default)`.
    pub fn default_of(self) -> Self {
        Self(Cow::Owned(format!("{} (default)", self.0)))
    }

    /// `self.name`
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        if self.0.is_empty() {
            return Self(Cow::Owned(name.to_owned()));
        }
        Self(Cow::Owned(format!("{}.{name}", self.0)))
    }

    /// `self[index]`
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(Cow::Owned(format!("{}[{index}]", self.0)))
    }

    /// `self["key"]`, for maps whose keys may hold dots. Only the first 128
    /// characters of a key are kept: this is for people to read.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let end = key.char_indices().nth(LONGEST_KEY);
        let (key, more) = match end {
            Some((end, _)) => (&key[..end], "..."),
            None => (key, ""),
        };
        Self(Cow::Owned(format!(
            "{}[{:?}]",
            self.0,
            format!("{key}{more}")
        )))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConfigPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An absolute path without `.`, `..`, doubled or trailing slashes. Purely by
/// words: `..` at the top stays at the top, as it does in a root.
pub(crate) fn clean_absolute(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::clean_absolute;

    #[test]
    fn paths_are_cleaned_by_words() {
        for (path, clean) in [
            ("/", "/"),
            ("", "/"),
            ("//a//b/", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/../../x", "/x"),
            ("/a/..", "/"),
            ("/a/..b", "/a/..b"),
        ] {
            assert_eq!(clean_absolute(path), clean, "{path}");
        }
    }
}
