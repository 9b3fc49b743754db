//! `doctor`: what only people ask about a machine. Nothing of it is on the way to a
//! container, and nothing is changed.

use kernel::fs;
use plan::doctor::{Engine, Survey};

/// Files that would name corten, by engine.
const ENGINES: [(&str, &[&str]); 5] = [
    ("podman", CONTAINERS),
    ("buildah", CONTAINERS),
    ("dockerd", &["/etc/docker/daemon.json"]),
    (
        "containerd",
        &["/etc/containerd/config.toml", "/etc/containerd/conf.d"],
    ),
    ("crio", &["/etc/crio/crio.conf", "/etc/crio/crio.conf.d"]),
];

const CONTAINERS: &[&str] = &[
    "/usr/share/containers/containers.conf",
    "/etc/containers/containers.conf",
    "/etc/containers/containers.conf.d",
];

/// Larger files are not read: no list of ids and no configuration is.
const LIMIT: usize = 4 << 20;

/// Looks around. `path` is the search path, `home` the caller's home directory, and
/// `own_path` where this program is.
pub fn survey(path: &str, home: Option<&str>, own_path: Option<String>) -> Survey {
    let uid = kernel::identity::effective_uid();
    let user = user_name(uid);
    let program = |name: &str| find_program(path, name);
    Survey {
        max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
        unprivileged_userns_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
        apparmor_restrict_userns: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        subuids: granted("/etc/subuid", &user, uid),
        subgids: granted("/etc/subgid", &user, uid),
        newuidmap: program("newuidmap"),
        newgidmap: program("newgidmap"),
        criu: program("criu"),
        ps: program("ps"),
        seccomp_actions: words("/proc/sys/kernel/seccomp/actions_avail"),
        filesystems: filesystems(),
        time_namespaces: is_there("/proc/self/ns/time"),
        keyrings: is_there("/proc/keys"),
        pressure: is_there("/proc/pressure"),
        engines: ENGINES
            .iter()
            .filter_map(|(name, files)| {
                Some(Engine {
                    name: (*name).to_owned(),
                    path: program(name)?,
                    configured_in: configured_in(files, home),
                })
            })
            .collect(),
        user,
        own_path,
    }
}

fn is_there(path: &str) -> bool {
    fs::stat_path(path).is_ok()
}

fn text_of(path: &str) -> String {
    let bytes = fs::read_file(path, LIMIT).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn number(path: &str) -> Option<u64> {
    text_of(path).trim().parse().ok()
}

fn words(path: &str) -> Vec<String> {
    text_of(path)
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// The last word of each line; a module that is not loaded yet is found where modules
/// are kept.
fn filesystems() -> Vec<String> {
    let text = text_of("/proc/filesystems");
    let mut names: Vec<String> = text
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .map(str::to_owned)
        .collect();
    let release = text_of("/proc/sys/kernel/osrelease");
    let modules = text_of(&format!("/lib/modules/{}/modules.dep", release.trim()));
    if modules.contains("/overlay.ko") && !names.iter().any(|name| name == "overlay") {
        names.push("overlay".to_owned());
    }
    names
}

fn find_program(path: &str, name: &str) -> Option<String> {
    let mut found = path
        .split(':')
        .filter(|directory| directory.starts_with('/'))
        .map(|directory| format!("{directory}/{name}"));
    found.find(|file| {
        fs::stat_path(file)
            .is_ok_and(|stat| stat.kind == fs::FileKind::File && stat.mode & 0o111 != 0)
    })
}

/// The user's name in the host's own passwd file, without NSS (it would load libraries).
fn user_name(uid: u32) -> String {
    text_of("/etc/passwd")
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
        })
        .unwrap_or_else(|| uid.to_string())
}

/// subuid(5): `NAME_OR_UID:FIRST:COUNT`
fn granted(path: &str, user: &str, uid: u32) -> u64 {
    ids_granted(&text_of(path), user, uid)
}

fn ids_granted(text: &str, user: &str, uid: u32) -> u64 {
    let counts = text.lines().filter_map(|line| {
        let (who, range) = line.split_once(':')?;
        if who != user && who.parse() != Ok(uid) {
            return None;
        }
        range.split_once(':')?.1.trim().parse::<u64>().ok()
    });
    counts.sum()
}

/// The first file, or file in a directory, that names corten outside of comments.
fn configured_in(places: &[&str], home: Option<&str>) -> Option<String> {
    let own = home.map(|home| format!("{home}/.config/containers/containers.conf"));
    let own = own.filter(|_| {
        places
            .first()
            .is_some_and(|first| first.contains("/containers/"))
    });
    let places = places.iter().map(|place| (*place).to_owned()).chain(own);
    let mut files = places.flat_map(|place| match fs::open_directory(&place) {
        Ok(directory) => {
            use std::os::fd::AsFd;
            let entries = fs::read_directory(directory.as_fd()).unwrap_or_default();
            entries
                .into_iter()
                .map(|(name, _)| format!("{place}/{name}"))
                .collect()
        }
        Err(_) => vec![place],
    });
    files.find(|file| names_corten(&text_of(file)))
}

fn names_corten(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start);
    lines.any(|line| !line.starts_with('#') && line.contains("corten"))
}

#[cfg(test)]
mod tests {
    use super::{ids_granted, names_corten};

    #[test]
    fn ids_are_granted_by_name_or_number() {
        let text = "ann:100000:65536\n1000:200000:10\nbob:1:1\nbroken\n";
        assert_eq!(ids_granted(text, "ann", 1000), 65_546);
        assert_eq!(ids_granted(text, "eve", 7), 0);
    }

    #[test]
    fn a_comment_configures_nothing() {
        assert!(!names_corten("# runtime = \"corten\"\n"));
        assert!(names_corten("[engine]\n  runtime = \"corten\"\n"));
    }
}
