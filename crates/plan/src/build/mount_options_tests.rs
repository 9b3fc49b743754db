use super::*;
use crate::ConfigPath;

fn parse_words(words: &str) -> (Options, Vec<PlanError>) {
    let list: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    let mut problems = Vec::new();
    let options = parse(&list, &ConfigPath::new("options"), &mut problems);
    (options, problems)
}

/// Everything one list of words means, in one line: each test is a row of a table.
fn meaning(words: &str) -> String {
    let (options, problems) = parse_words(words);
    assert_eq!(problems, []);
    let mut out = Vec::new();
    let attributes = [("", options.attributes), ("r:", options.recursive)];
    for (prefix, a) in attributes {
        for (sign, flags) in [("+", a.set), ("-", a.clear)] {
            out.extend(
                flags
                    .iter_names()
                    .map(|(n, _)| format!("{prefix}{sign}{n}")),
            );
        }
        out.extend(a.atime.map(|mode| format!("{prefix}{mode:?}")));
    }
    for p in &options.propagation {
        let r = if p.recursive { "r" } else { "" };
        out.push(format!("{r}{:?}", p.kind));
    }
    out.extend(
        options
            .superblock
            .iter()
            .map(|(w, _)| format!("sb:{}", w.key)),
    );
    for (flag, _) in &options.classic {
        out.extend(flag.iter_names().map(|(name, _)| format!("ms:{name}")));
    }
    for p in &options.parameters {
        let value = p
            .value
            .as_deref()
            .map_or(String::new(), |v| format!("={v}"));
        out.push(format!("fs:{}{value}", p.key));
    }
    let switches = [
        ("bind", options.bind == Some(false)),
        ("rbind", options.bind == Some(true)),
        ("remount", options.remount),
        ("copy-up", options.copy_up.is_some()),
        ("copy-symlink", options.copy_symlink.is_some()),
        ("source-no-follow", options.source_no_follow.is_some()),
        ("target-no-follow", options.target_no_follow),
        ("idmap", options.id_map.is_some()),
    ];
    out.extend(
        switches
            .iter()
            .filter(|(_, on)| *on)
            .map(|(n, _)| (*n).to_owned()),
    );
    out.join(" ")
}

/// Every word of the option table, and what it means.
const WORDS: &[(&str, &str)] = &[
    ("defaults", ""),
    ("bind", "bind"),
    ("rbind", "rbind"),
    ("ro", "+READ_ONLY"),
    ("rw", "-READ_ONLY"),
    ("nosuid", "+NO_SUID"),
    ("suid", "-NO_SUID"),
    ("nodev", "+NO_DEV"),
    ("dev", "-NO_DEV"),
    ("noexec", "+NO_EXEC"),
    ("exec", "-NO_EXEC"),
    ("nodiratime", "+NO_DIR_ATIME"),
    ("diratime", "-NO_DIR_ATIME"),
    ("nosymfollow", "+NO_SYMLINK_FOLLOW"),
    ("symfollow", "-NO_SYMLINK_FOLLOW"),
    ("noatime", "Never"),
    ("atime", "Relative"),
    ("relatime", "Relative"),
    ("norelatime", ""),
    ("strictatime", "Strict"),
    ("nostrictatime", "Relative"),
    ("rro", "r:+READ_ONLY"),
    ("rrw", "r:-READ_ONLY"),
    ("rnosuid", "r:+NO_SUID"),
    ("rsuid", "r:-NO_SUID"),
    ("rnodev", "r:+NO_DEV"),
    ("rdev", "r:-NO_DEV"),
    ("rnoexec", "r:+NO_EXEC"),
    ("rexec", "r:-NO_EXEC"),
    ("rnodiratime", "r:+NO_DIR_ATIME"),
    ("rdiratime", "r:-NO_DIR_ATIME"),
    ("rnosymfollow", "r:+NO_SYMLINK_FOLLOW"),
    ("rsymfollow", "r:-NO_SYMLINK_FOLLOW"),
    ("rnoatime", "r:Never"),
    ("ratime", "r:Relative"),
    ("rrelatime", "r:Relative"),
    ("rnorelatime", ""),
    ("rstrictatime", "r:Strict"),
    ("rnostrictatime", "r:Relative"),
    ("sync", "sb:sync"),
    ("async", "sb:async"),
    ("dirsync", "sb:dirsync"),
    ("mand", "sb:mand"),
    ("nomand", "sb:nomand"),
    ("lazytime", "sb:lazytime"),
    ("nolazytime", "sb:nolazytime"),
    ("rsync", "sb:sync"),
    ("rasync", "sb:async"),
    ("rdirsync", "sb:dirsync"),
    ("rmand", "sb:mand"),
    ("rnomand", "sb:nomand"),
    ("iversion", "ms:I_VERSION"),
    ("noiversion", ""),
    ("silent", "ms:SILENT"),
    ("loud", ""),
    ("remount", "remount"),
    ("acl", "fs:acl"),
    ("noacl", "fs:noacl"),
    ("shared", "Shared"),
    ("rshared", "rShared"),
    ("slave", "Slave"),
    ("rslave", "rSlave"),
    ("private", "Private"),
    ("rprivate", "rPrivate"),
    ("unbindable", "Unbindable"),
    ("runbindable", "rUnbindable"),
    ("tmpcopyup", "copy-up"),
    ("copy-symlink", "copy-symlink"),
    ("src-nofollow", "source-no-follow"),
    ("dest-nofollow", "target-no-follow"),
    ("idmap", "idmap"),
    ("ridmap", "idmap"),
    ("idmap=uids=0-1000-10;gids=0-1000-10", "idmap"),
    ("size=64k", "fs:size=64k"),
    ("mode=1777", "fs:mode=1777"),
    ("usrquota", "fs:usrquota"),
    ("RO", "fs:RO"),
];

#[test]
fn every_word_of_the_table_has_its_meaning() {
    for (word, wanted) in WORDS {
        assert_eq!(meaning(word), *wanted, "{word}");
    }
}

#[test]
fn the_last_word_wins_between_opposites() {
    let table = [
        ("ro rw", "-READ_ONLY"),
        ("rw ro", "+READ_ONLY"),
        ("ro rw ro", "+READ_ONLY"),
        ("nosuid suid nodev dev", "-NO_SUID -NO_DEV"),
        ("rro rrw", "r:-READ_ONLY"),
        // A recursive word includes the mount itself ...
        ("ro rrw", "r:-READ_ONLY"),
        // ... and a later word about the mount alone is the exception to it.
        ("rro rw", "-READ_ONLY r:+READ_ONLY"),
        ("noatime relatime", "Relative"),
        ("relatime noatime", "Never"),
        ("noatime atime", "Relative"),
        ("strictatime atime", "Strict"),
        ("noatime nostrictatime", "Never"),
        ("relatime norelatime", ""),
        ("strictatime nostrictatime", "Relative"),
        ("noatime norelatime", "Never"),
        ("noatime rstrictatime", "r:Strict"),
        ("strictatime ratime", "Strict r:Relative"),
        ("sync async", "sb:async"),
        ("async sync", "sb:sync"),
        ("mand nomand lazytime", "sb:nomand sb:lazytime"),
        ("lazytime nolazytime", "sb:nolazytime"),
        ("silent loud iversion", "ms:I_VERSION"),
        ("iversion noiversion", ""),
        ("loud silent", "ms:SILENT"),
        ("silent silent", "ms:SILENT"),
        ("bind rbind", "rbind"),
        ("rbind bind", "rbind"),
        ("defaults ro defaults", "+READ_ONLY"),
        // Propagation is a sequence, not a set.
        ("rslave shared", "rSlave Shared"),
        ("shared private shared", "Shared Private Shared"),
    ];
    for (words, wanted) in table {
        assert_eq!(meaning(words), wanted, "{words}");
    }
}

#[test]
fn data_is_split_as_the_kernel_would_split_it() {
    let table: [(&str, &[&str]); 9] = [
        ("size=1,mode=755", &["size=1", "mode=755"]),
        (
            "lowerdir=a\\,b:c,index=off",
            &["lowerdir=a\\,b:c", "index=off"],
        ),
        (
            "context=\"u:r:t:s0:c1,c2\",size=1",
            &["context=\"u:r:t:s0:c1,c2\"", "size=1"],
        ),
        ("", &[]),
        (",,", &[]),
        ("a", &["a"]),
        ("a\\", &["a\\"]),
        ("\"a,b", &["\"a,b"]),
        ("ä,ö=ü", &["ä", "ö=ü"]),
    ];
    for (data, wanted) in table {
        assert_eq!(split_data(data), wanted, "{data}");
    }
}

#[test]
fn each_parameter_knows_its_option() {
    let (options, _) = parse_words("ro size=1,mode=7 foo= =x");
    let found: Vec<_> = options
        .parameters
        .iter()
        .map(|p| (p.key.as_str(), p.value.as_deref(), p.from.as_str()))
        .collect();
    let wanted = [
        ("size", Some("1"), "options[1]"),
        ("mode", Some("7"), "options[1]"),
        ("foo", Some(""), "options[2]"),
        ("", Some("x"), "options[3]"),
    ];
    assert_eq!(found, wanted);
}

#[test]
fn a_nul_byte_is_no_option() {
    let mut problems = Vec::new();
    let list = ["ro".to_owned(), "si\0ze=1".to_owned(), "x\0".to_owned()];
    parse(&list, &ConfigPath::new("o"), &mut problems);
    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let wanted = [
        r#"o[1]: expected an option without NUL bytes, found "si\u0000ze=1""#,
        r#"o[2]: expected an option without NUL bytes, found "x\u0000""#,
    ];
    assert_eq!(texts, wanted);
}

#[test]
fn the_word_list_is_sorted_without_repetition_and_all_are_known() {
    let words = words();
    assert!(words.is_sorted());
    assert!(words.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(words.contains(&"rro") && words.contains(&"ridmap"));
    for word in words {
        assert!(parse_words(word).0.parameters.is_empty(), "{word}");
    }
}

#[test]
fn merging_is_doing_one_after_the_other() {
    let (options, _) = parse_words("rro rnosuid rnoatime rw nodev");
    let merged = merge(options.recursive, options.attributes);
    assert_eq!(merged.set, AttrFlags::NO_SUID | AttrFlags::NO_DEV);
    assert_eq!(merged.clear, AttrFlags::READ_ONLY);
    assert_eq!(merged.atime, Some(Atime::Never));
}
