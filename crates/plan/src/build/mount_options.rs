//! The words of `mounts[].options`: one table, and the rule that between
//! opposites the last word wins.

use crate::error::quote;
use crate::{
    Atime, AttrFlags, Attributes, ClassicFlags, ConfigPath, FsParameter, PlanError, Propagation,
    PropagationKind,
};

/// What one list of options asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// `bind` (`Some(false)`) or `rbind` (`Some(true)`): a bind mount.
    pub bind: Option<bool>,
    /// `remount`
    pub remount: bool,
    /// For the mount itself.
    pub attributes: Attributes,
    /// For the mount and all below it; applied before `attributes`.
    pub recursive: Attributes,
    /// In the order of the words.
    pub propagation: Vec<Propagation>,
    /// The last word about each superblock flag (`sync` or `async`, ...), with
    /// whether it sets the flag.
    pub superblock: Vec<(FsParameter, bool)>,
    /// Superblock flags that only mount(2) can pass.
    pub classic: Vec<(ClassicFlags, ConfigPath)>,
    /// Words that only the file system can know.
    pub parameters: Vec<FsParameter>,
    /// `tmpcopyup`
    pub copy_up: Option<ConfigPath>,
    /// `copy-symlink`
    pub copy_symlink: Option<ConfigPath>,
    /// `src-nofollow`
    pub source_no_follow: Option<ConfigPath>,
    /// `dest-nofollow`
    pub target_no_follow: bool,
    /// `idmap`, `ridmap`
    pub id_map: Option<IdMapWord>,
}

/// `idmap` or `ridmap`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdMapWord {
    /// All below it too.
    pub recursive: bool,
    /// What stands behind `=`, if anything does.
    pub mapping: Option<String>,
    /// The option.
    pub from: ConfigPath,
}

/// What a word means. Those of [`ATTRIBUTES`] mean it for one mount, or with an
/// `r` in front for all below it too.
#[derive(Debug, Clone, Copy)]
enum Word {
    /// Sets a per-mount attribute.
    Set(AttrFlags),
    /// Clears it.
    Clear(AttrFlags),
    /// Names the access-time mode.
    Atime(Atime),
    /// `atime`: not noatime.
    NotNever,
    /// `norelatime`: takes an earlier `relatime` back.
    NotRelative,
    /// `nostrictatime`: not strictatime.
    NotStrict,
}

/// What a word outside [`ATTRIBUTES`] means.
#[derive(Debug, Clone, Copy)]
enum Other {
    Nothing,
    Bind(bool),
    Remount,
    Propagate(PropagationKind, bool),
    /// A superblock flag that fsconfig takes under this name, and its opposite.
    Superblock(&'static str, &'static str, bool),
    Classic(ClassicFlags, bool),
    CopyUp,
    CopySymlink,
    SourceNoFollow,
    TargetNoFollow,
    IdMap(bool),
}

/// Word, its recursive form, meaning: what mount_setattr(2) can change.
const ATTRIBUTES: &[(&str, &str, Word)] = &[
    ("ro", "rro", Word::Set(AttrFlags::READ_ONLY)),
    ("rw", "rrw", Word::Clear(AttrFlags::READ_ONLY)),
    ("nosuid", "rnosuid", Word::Set(AttrFlags::NO_SUID)),
    ("suid", "rsuid", Word::Clear(AttrFlags::NO_SUID)),
    ("nodev", "rnodev", Word::Set(AttrFlags::NO_DEV)),
    ("dev", "rdev", Word::Clear(AttrFlags::NO_DEV)),
    ("noexec", "rnoexec", Word::Set(AttrFlags::NO_EXEC)),
    ("exec", "rexec", Word::Clear(AttrFlags::NO_EXEC)),
    (
        "nodiratime",
        "rnodiratime",
        Word::Set(AttrFlags::NO_DIR_ATIME),
    ),
    (
        "diratime",
        "rdiratime",
        Word::Clear(AttrFlags::NO_DIR_ATIME),
    ),
    (
        "nosymfollow",
        "rnosymfollow",
        Word::Set(AttrFlags::NO_SYMLINK_FOLLOW),
    ),
    (
        "symfollow",
        "rsymfollow",
        Word::Clear(AttrFlags::NO_SYMLINK_FOLLOW),
    ),
    ("noatime", "rnoatime", Word::Atime(Atime::Never)),
    ("atime", "ratime", Word::NotNever),
    ("relatime", "rrelatime", Word::Atime(Atime::Relative)),
    ("norelatime", "rnorelatime", Word::NotRelative),
    ("strictatime", "rstrictatime", Word::Atime(Atime::Strict)),
    ("nostrictatime", "rnostrictatime", Word::NotStrict),
];

/// Every other word this program knows; the rest belongs to the file system.
const OTHERS: &[(&str, Other)] = &[
    ("defaults", Other::Nothing),
    ("bind", Other::Bind(false)),
    ("rbind", Other::Bind(true)),
    ("remount", Other::Remount),
    ("shared", Other::Propagate(PropagationKind::Shared, false)),
    ("rshared", Other::Propagate(PropagationKind::Shared, true)),
    ("slave", Other::Propagate(PropagationKind::Slave, false)),
    ("rslave", Other::Propagate(PropagationKind::Slave, true)),
    ("private", Other::Propagate(PropagationKind::Private, false)),
    ("rprivate", Other::Propagate(PropagationKind::Private, true)),
    (
        "unbindable",
        Other::Propagate(PropagationKind::Unbindable, false),
    ),
    (
        "runbindable",
        Other::Propagate(PropagationKind::Unbindable, true),
    ),
    ("sync", Other::Superblock("sync", "async", true)),
    ("async", Other::Superblock("sync", "async", false)),
    // fsconfig has no word that clears this one.
    ("dirsync", Other::Superblock("dirsync", "", true)),
    ("mand", Other::Superblock("mand", "nomand", true)),
    ("nomand", Other::Superblock("mand", "nomand", false)),
    (
        "lazytime",
        Other::Superblock("lazytime", "nolazytime", true),
    ),
    (
        "nolazytime",
        Other::Superblock("lazytime", "nolazytime", false),
    ),
    // The recursive forms of superblock flags that some engines' users write:
    // a superblock has nothing below it, so they mean the same.
    ("rsync", Other::Superblock("sync", "async", true)),
    ("rasync", Other::Superblock("sync", "async", false)),
    ("rdirsync", Other::Superblock("dirsync", "", true)),
    ("rmand", Other::Superblock("mand", "nomand", true)),
    ("rnomand", Other::Superblock("mand", "nomand", false)),
    ("iversion", Other::Classic(ClassicFlags::I_VERSION, true)),
    ("noiversion", Other::Classic(ClassicFlags::I_VERSION, false)),
    ("silent", Other::Classic(ClassicFlags::SILENT, true)),
    ("loud", Other::Classic(ClassicFlags::SILENT, false)),
    ("tmpcopyup", Other::CopyUp),
    ("copy-symlink", Other::CopySymlink),
    ("src-nofollow", Other::SourceNoFollow),
    ("dest-nofollow", Other::TargetNoFollow),
    ("idmap", Other::IdMap(false)),
    ("ridmap", Other::IdMap(true)),
];

/// Every word that has a meaning of its own here, sorted: `mountOptions` of the
/// `features` command.
pub(crate) fn words() -> Vec<&'static str> {
    let others = OTHERS.iter().map(|(word, _)| *word);
    let mut words: Vec<_> = ATTRIBUTES
        .iter()
        .flat_map(|(one, all, _)| [*one, *all])
        .chain(others)
        .collect();
    words.sort_unstable();
    words
}

/// The words of mount propagation, for messages.
pub(crate) const PROPAGATION_WORDS: &str =
    "shared, rshared, slave, rslave, private, rprivate, unbindable, runbindable";

/// `rslave` -> what it means.
pub(crate) fn propagation(word: &str) -> Option<Propagation> {
    OTHERS.iter().find_map(|(known, meaning)| match meaning {
        Other::Propagate(kind, recursive) if *known == word => Some(Propagation {
            kind: *kind,
            recursive: *recursive,
        }),
        _ => None,
    })
}

/// Decodes `options`; `at` is the path of the list.
pub(crate) fn parse(options: &[String], at: &ConfigPath, problems: &mut Vec<PlanError>) -> Options {
    let mut parsed = Options::default();
    for (index, option) in options.iter().enumerate() {
        let from = at.index(index);
        if option.contains('\0') {
            let wanted = "an option without NUL bytes";
            problems.push(PlanError::invalid(from, wanted, quote(option)));
        } else if !parsed.attribute(option) && !parsed.other(option, &from) {
            parsed.file_system(option, &from);
        }
    }
    parsed
}

impl Options {
    /// Takes a word of [`ATTRIBUTES`].
    fn attribute(&mut self, option: &str) -> bool {
        for (one, all, word) in ATTRIBUTES {
            if option == *one {
                apply(&mut self.attributes, *word);
                return true;
            }
            if option == *all {
                // The recursive change is made first, and it includes the mount
                // itself: an earlier word about the same thing is overruled.
                overrule(&mut self.attributes, *word);
                apply(&mut self.recursive, *word);
                return true;
            }
        }
        false
    }

    /// Takes a word of [`OTHERS`].
    fn other(&mut self, option: &str, from: &ConfigPath) -> bool {
        let (word, mapping) = match option.split_once('=') {
            Some((word @ ("idmap" | "ridmap"), mapping)) => (word, Some(mapping.to_owned())),
            _ => (option, None),
        };
        let Some((_, meaning)) = OTHERS.iter().find(|(known, _)| *known == word) else {
            return false;
        };
        match *meaning {
            Other::Nothing => {}
            // mount(2) adds MS_REC to MS_BIND: with both words the tree is meant.
            Other::Bind(recursive) => self.bind = Some(recursive || self.bind == Some(true)),
            Other::Remount => self.remount = true,
            Other::Propagate(kind, recursive) => {
                self.propagation.push(Propagation { kind, recursive });
            }
            Other::Superblock(on, off, set) => self.superblock_word((on, off), set, from),
            Other::Classic(flag, set) => {
                self.classic.retain(|(known, _)| *known != flag);
                if set {
                    self.classic.push((flag, from.clone()));
                }
            }
            Other::CopyUp => self.copy_up = Some(from.clone()),
            Other::CopySymlink => self.copy_symlink = Some(from.clone()),
            Other::SourceNoFollow => self.source_no_follow = Some(from.clone()),
            Other::TargetNoFollow => self.target_no_follow = true,
            Other::IdMap(recursive) => {
                self.id_map = Some(IdMapWord {
                    recursive,
                    mapping,
                    from: from.clone(),
                });
            }
        }
        true
    }

    /// The last word about one superblock flag stays.
    fn superblock_word(&mut self, (on, off): (&str, &str), set: bool, from: &ConfigPath) {
        self.superblock
            .retain(|(known, _)| known.key != on && known.key != off);
        let key = if set { on } else { off };
        self.superblock.push((flag(key, from), set));
    }

    /// Everything else is for the file system. mount(2) would have joined the
    /// options with commas for the kernel to split again, so that one option may
    /// hold several parameters.
    fn file_system(&mut self, option: &str, from: &ConfigPath) {
        for part in split_data(option) {
            let parameter = match part.split_once('=') {
                Some((key, value)) => FsParameter {
                    key: key.to_owned(),
                    value: Some(value.to_owned()),
                    from: from.clone(),
                },
                None => flag(part, from),
            };
            self.parameters.push(parameter);
        }
    }
}

/// A parameter without a value.
fn flag(key: &str, from: &ConfigPath) -> FsParameter {
    FsParameter {
        key: key.to_owned(),
        value: None,
        from: from.clone(),
    }
}

/// Splits at commas, but not at `\,` (overlay's layers) and not inside double
/// quotes (an SELinux context with categories). Empty parts vanish.
fn split_data(data: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped, mut quoted) = (0, false, false);
    for (position, byte) in data.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                parts.push(&data[start..position]);
                start = position + 1;
            }
            _ => {}
        }
    }
    parts.push(&data[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// The effect of one word on a set of attributes.
fn apply(attributes: &mut Attributes, word: Word) {
    match word {
        Word::Set(flag) => {
            attributes.set |= flag;
            attributes.clear -= flag;
        }
        Word::Clear(flag) => {
            attributes.clear |= flag;
            attributes.set -= flag;
        }
        Word::Atime(mode) => attributes.atime = Some(mode),
        Word::NotNever => {
            if attributes.atime != Some(Atime::Strict) {
                attributes.atime = Some(Atime::Relative);
            }
        }
        // There is no fourth mode to choose in place of relatime.
        Word::NotRelative => take_back(attributes, Atime::Relative),
        Word::NotStrict => {
            if attributes.atime != Some(Atime::Never) {
                attributes.atime = Some(Atime::Relative);
            }
        }
    }
}

/// Forgets what earlier words said about the subject of this one.
fn overrule(attributes: &mut Attributes, word: Word) {
    match word {
        Word::Set(flag) | Word::Clear(flag) => {
            attributes.set -= flag;
            attributes.clear -= flag;
        }
        Word::Atime(_) => attributes.atime = None,
        Word::NotNever => take_back(attributes, Atime::Never),
        Word::NotRelative => take_back(attributes, Atime::Relative),
        Word::NotStrict => take_back(attributes, Atime::Strict),
    }
}

/// No mode, if it is this one.
fn take_back(attributes: &mut Attributes, mode: Atime) {
    if attributes.atime == Some(mode) {
        attributes.atime = None;
    }
}

/// Two sets, one applied after the other, as one.
pub(crate) fn merge(first: Attributes, then: Attributes) -> Attributes {
    Attributes {
        set: (first.set - then.clear) | then.set,
        clear: (first.clear - then.set) | then.clear,
        atime: then.atime.or(first.atime),
    }
}

#[cfg(test)]
#[path = "mount_options_tests.rs"]
mod tests;
