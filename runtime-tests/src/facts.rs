//! What the probe saw inside the container.

use serde_json::Value;

/// The JSON that `probe facts` prints.
#[derive(Debug)]
pub struct Facts(pub Value);

/// One line of the container's `/proc/self/mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Directory inside the mounted filesystem.
    pub root: String,
    /// Where it is mounted.
    pub target: String,
    /// Per-mount options.
    pub options: Vec<String>,
    /// `shared:1`, `master:2`, `unbindable`.
    pub propagation: Vec<String>,
    /// Filesystem type.
    pub kind: String,
    /// Options of the superblock.
    pub super_options: Vec<String>,
}

impl Mount {
    /// Whether a per-mount option is set.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|one| one == option)
    }

    /// Whether a superblock option is set.
    pub fn super_has(&self, option: &str) -> bool {
        self.super_options.iter().any(|one| one == option)
    }

    fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let dash = words.iter().position(|word| *word == "-").expect("a dash");
        let list = |text: &str| text.split(',').map(str::to_owned).collect();
        Self {
            root: words[3].to_owned(),
            target: words[4].to_owned(),
            options: list(words[5]),
            propagation: words[6..dash]
                .iter()
                .map(|word| (*word).to_owned())
                .collect(),
            kind: words[dash + 1].to_owned(),
            super_options: list(words[dash + 3]),
        }
    }
}

impl Facts {
    /// Reads the probe's output.
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let value = serde_json::from_str(text);
        Self(value.unwrap_or_else(|error| panic!("not facts ({error}): {text:?}")))
    }

    /// The value at a JSON pointer, which must exist.
    #[track_caller]
    pub fn at(&self, pointer: &str) -> &Value {
        let value = self.0.pointer(pointer);
        value.unwrap_or_else(|| panic!("no fact {pointer} in {:#}", self.0))
    }

    /// A text fact.
    #[track_caller]
    pub fn text(&self, pointer: &str) -> &str {
        let value = self.at(pointer);
        value
            .as_str()
            .unwrap_or_else(|| panic!("{pointer} is no text: {value}"))
    }

    /// A number.
    #[track_caller]
    pub fn number(&self, pointer: &str) -> i64 {
        let value = self.at(pointer);
        value
            .as_i64()
            .unwrap_or_else(|| panic!("{pointer} is no number: {value}"))
    }

    /// A field of `/proc/self/status`, with blanks squeezed.
    #[track_caller]
    pub fn status(&self, field: &str) -> &str {
        self.text(&format!("/status/{field}"))
    }

    /// A capability mask of `/proc/self/status`.
    #[track_caller]
    pub fn capabilities(&self, field: &str) -> u64 {
        u64::from_str_radix(self.status(field), 16).expect("a mask")
    }

    /// The value of an environment variable, if set.
    pub fn env(&self, name: &str) -> Option<&str> {
        let start = format!("{name}=");
        let list = self.at("/env").as_array().expect("a list");
        list.iter()
            .filter_map(Value::as_str)
            .find_map(|entry| entry.strip_prefix(&start))
    }

    /// Every mount, in the kernel's order.
    pub fn mounts(&self) -> Vec<Mount> {
        self.text("/mountinfo").lines().map(Mount::parse).collect()
    }

    /// The topmost mount at a path.
    #[track_caller]
    pub fn mount(&self, target: &str) -> Mount {
        let found = self
            .mounts()
            .into_iter()
            .rfind(|mount| mount.target == target);
        found.unwrap_or_else(|| panic!("nothing mounted on {target}:\n{}", self.text("/mountinfo")))
    }

    /// The open descriptors, lowest first.
    pub fn descriptors(&self) -> Vec<u32> {
        let object = self.at("/fds").as_object().expect("an object");
        let mut list: Vec<u32> = object.keys().filter_map(|key| key.parse().ok()).collect();
        list.sort_unstable();
        list
    }
}
