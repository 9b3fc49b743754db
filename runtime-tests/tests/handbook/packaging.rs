//! Installed, used, removed: by `make` and as a Debian package, both below a directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use runtime_tests::{Case, convention, skip};
use serde_json::Value;

const CHAPTER: &str = "packaging";

/// Where corten and its shim are, and what `make man` writes.
fn built(case: &Case) -> (PathBuf, PathBuf) {
    let binaries = Path::new(case.runtime_path())
        .parent()
        .expect("a directory")
        .to_owned();
    if !binaries.join("containerd-shim-corten-v2").exists() {
        skip("the shim was not built beside corten (cargo build -p containerd-shim-corten)");
    }
    let assets = crate::repository().join("target/assets");
    if !assets.join("man/corten.8").exists() {
        case.program("make")
            .args(["man", "PROFILE=fast"])
            .directory(&crate::repository())
            .run()
            .ok();
    }
    (binaries, assets)
}

fn script(case: &Case, name: &str, words: &[&str], destination: &Path) -> String {
    let program = crate::repository().join("scripts").join(name);
    case.program(&program.to_string_lossy())
        .args(words)
        .directory(&crate::repository())
        .env("DESTDIR", &destination.to_string_lossy())
        .env("PREFIX", "/usr/local")
        // What is tested is not how small it gets: a debug build takes xz a minute.
        .env("DPKG_DEB_COMPRESSOR_TYPE", "gzip")
        .env("DPKG_DEB_COMPRESSOR_LEVEL", "1")
        .env("COMPRESSION", "1")
        .limit(Duration::from_secs(200))
        .run()
        .ok()
        .stdout
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[convention("`make install` puts a program that runs, `make uninstall` takes all of it away.")]
fn install_and_uninstall(case: &mut Case) {
    case.only_corten();
    let (binaries, assets) = built(case);
    let root = case.directory.join("root");
    let words = |verb| {
        [
            verb,
            &*binaries.to_string_lossy(),
            &*assets.to_string_lossy(),
        ]
        .map(str::to_owned)
    };
    let run = |verb| {
        let words = words(verb);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        script(case, "install-files", &words, &root);
    };
    run("install");
    let corten = root.join("usr/local/sbin/corten");
    case.program(&corten.to_string_lossy())
        .args(["--version"])
        .run()
        .ok();
    let shim = root.join("usr/local/bin/containerd-shim-corten-v2");
    case.program(&shim.to_string_lossy())
        .args(["-v"])
        .run()
        .ok();
    for file in [
        "share/man/man8/corten-stats.8",
        "share/man/man8/containerd-shim-corten-v2.8",
        "share/bash-completion/completions/corten",
        "share/doc/corten/contrib/podman/corten.conf",
        "share/doc/corten/docs/errors.md",
    ] {
        assert!(root.join("usr/local").join(file).exists(), "{file}");
    }
    run("uninstall");
    assert_eq!(files(&root), Vec::<PathBuf>::new());
}

/// Builds it; all of it is root's, and none of it below /etc.
fn package(case: &Case) -> String {
    let (binaries, assets) = built(case);
    let out = case.directory.join("out");
    let words = [&binaries, &assets, &out].map(|path| path.to_string_lossy().into_owned());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let package = script(case, "make-deb", &words, Path::new(""));
    let package = package.trim();
    let listing = case
        .program("dpkg-deb")
        .args(["--contents", package])
        .run()
        .ok()
        .stdout;
    for line in listing.lines() {
        assert!(line.contains(" root/root "), "{line}");
        assert!(
            !line.contains("/etc/"),
            "no configuration of others is touched: {line}"
        );
    }
    package.to_owned()
}

/// A directory that dpkg takes for a system on which nothing is installed.
fn empty_debian(directory: &Path) -> PathBuf {
    let root = directory.join("debian");
    let state = root.join("var/lib/dpkg");
    for directory in ["info", "updates", "triggers"] {
        fs::create_dir_all(state.join(directory)).expect("dpkg's directories");
    }
    for file in ["status", "available"] {
        fs::write(state.join(file), "").expect("dpkg's files");
    }
    root
}

#[convention("The Debian package installs, is whole, runs, and leaves nothing when it is purged.")]
fn debian_package(case: &mut Case) {
    case.only_corten();
    if !Path::new("/usr/bin/dpkg-deb").exists() {
        skip("no dpkg on this machine");
    }
    let package = package(case);
    let root = empty_debian(&case.directory);
    let option = format!("--root={}", root.display());
    let bundle = case.bundle();
    let id = case.id();
    let case = &*case;
    let dpkg = |words: &[&str]| {
        case.program("dpkg")
            .args([option.as_str()])
            .args(words.iter().copied())
            .run()
            .ok()
            .stdout
    };
    dpkg(&["--install", &package]);
    assert!(dpkg(&["--status", "corten"]).contains("Status: install ok installed"));
    assert_eq!(dpkg(&["--verify", "corten"]), "", "files are as packaged");
    let corten = root.join("usr/sbin/corten").to_string_lossy().into_owned();
    case.program(&corten).args(["--version"]).run().ok();
    // It makes a container from where it was installed.
    fs::remove_file(bundle.path.join("config.json")).ok();
    let path = bundle.path.to_string_lossy();
    case.program(&corten)
        .args(["spec", "--bundle", &path, "--args", "echo", "hello"])
        .run()
        .ok();
    let finished = case
        .program(&corten)
        .args([
            "--root",
            &case.state_root().to_string_lossy(),
            "run",
            "--bundle",
            &path,
            &id,
        ])
        .run()
        .ok();
    assert_eq!(finished.stdout, "hello\n");
    dpkg(&["--purge", "corten"]);
    assert_eq!(files(&root.join("usr")), Vec::<PathBuf>::new());
}

/// Tags of lintian that are allowed, each with its reason.
const ALLOWED: [&str; 3] = [
    // The project has no address; who packages it gives DEBEMAIL.
    "bogus-mail-host",
    "bogus-mail-host-in-debian-changelog",
    // It reads the ends of strings that the linker has laid over each other.
    "spelling-error-in-binary",
];

#[convention("lintian, Debian's judge of packages, finds nothing wrong with it.")]
fn lintian(case: &mut Case) {
    case.only_corten();
    if !Path::new("/usr/bin/lintian").exists() {
        skip("lintian is not installed (`make handbook`)");
    }
    let package = package(case);
    let finished = case
        .program("lintian")
        .args([
            "--allow-root",
            "--display-info",
            "--pedantic",
            "--fail-on",
            "none",
        ])
        .args(["--suppress-tags", &ALLOWED.join(",")])
        .args([&package])
        // It takes twenty seconds on an idle machine.
        .limit(Duration::from_secs(300))
        .run()
        .ok();
    assert_eq!(finished.stdout, "", "{}", finished.describe());
}

#[convention("Every man page is well-formed and has the sections that readers look for.")]
fn man_pages(case: &mut Case) {
    case.only_corten();
    if !Path::new("/usr/bin/mandoc").exists() {
        skip("mandoc is not installed (`make handbook`)");
    }
    let (_, assets) = built(case);
    let mut pages = files(&assets.join("man"));
    assert!(pages.len() > 20, "{pages:?}");
    pages.push(
        crate::repository().join("crates/containerd-shim-corten/containerd-shim-corten-v2.8"),
    );
    for page in pages {
        let page = page.to_string_lossy();
        let finished = case
            .program("mandoc")
            .args(["-T", "lint", "-W", "warning", &page])
            .run()
            .ok();
        assert_eq!(finished.stdout, "", "{page}");
        let shown = case
            .program("mandoc")
            .args(["-T", "html", "-O", "fragment", &page])
            .run()
            .ok()
            .stdout;
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "SEE_ALSO"] {
            assert!(
                shown.contains(&format!("id=\"{section}\"")),
                "{page}: {section}"
            );
        }
    }
}

#[convention("The bill of materials names what is linked in, and nothing that only tests use.")]
fn bill_of_materials(case: &mut Case) {
    case.only_corten();
    let text = script(case, "sbom.py", &[], Path::new(""));
    assert_eq!(
        text,
        script(case, "sbom.py", &[], Path::new("")),
        "the same twice"
    );
    let bill: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(bill["bomFormat"], "CycloneDX");
    let components = bill["components"].as_array().expect("components");
    let names: Vec<&str> = components
        .iter()
        .filter_map(|c| c["name"].as_str())
        .collect();
    for name in [
        "corten",
        "containerd-shim-corten",
        "rustix",
        "serde_json",
        "clap",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    for name in [
        "insta",
        "proptest",
        "tempfile",
        "runtime-tests",
        "serde_derive",
    ] {
        assert!(!names.contains(&name), "{name}");
    }
    for component in components {
        assert!(
            component["licenses"][0]["expression"].is_string(),
            "{component}"
        );
    }
}

#[convention(
    "The archives of a release are what their checksums say, and one of them unpacks to a program that runs."
)]
fn release(case: &mut Case) {
    case.only_corten();
    let (binaries, assets) = built(case);
    let out = case.directory.join("out");
    let words = [&binaries, &assets, &out].map(|path| path.to_string_lossy().into_owned());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    script(case, "make-dist", &words, Path::new(""));
    let case = &*case;
    let within = |program: &str, words: &[&str]| {
        let program = case.program(program).args(words).directory(&out);
        program.run().ok().stdout
    };
    let checked = within("sha256sum", &["--check", "--strict", "SHA256SUMS"]);
    assert_eq!(checked.lines().count(), 3, "{checked}");
    let names = files(&out);
    let archive = |wanted: fn(&str) -> bool| {
        let names = names.iter().filter_map(|path| path.file_name()?.to_str());
        let mut found = names.filter(|name| name.ends_with(".tar.gz") && wanted(name));
        found.next().expect("an archive").to_owned()
    };
    let program = archive(|name| name.contains("linux"));
    within("tar", &["--extract", "--file", &program]);
    let tree = out.join(program.trim_end_matches(".tar.gz"));
    let corten = tree.join("usr/local/sbin/corten");
    case.program(&corten.to_string_lossy())
        .args(["--version"])
        .run()
        .ok();
    assert!(tree.join("usr/local/share/man/man8/corten.8").exists());
    let sources = within(
        "tar",
        &["--list", "--file", &archive(|name| !name.contains("linux"))],
    );
    for file in [
        "Cargo.lock",
        "Makefile",
        "crates/corten/src/main.rs",
        "LICENSE",
    ] {
        assert!(
            sources
                .lines()
                .any(|line| line.ends_with(&format!("/{file}"))),
            "{file}"
        );
    }
}

#[convention("Snippets for engines are in the form that their engines read.")]
fn snippets(case: &mut Case) {
    case.only_corten();
    let contrib = crate::repository().join("contrib");
    let read = |file: &str| fs::read_to_string(contrib.join(file)).expect(file);
    let docker: Value = serde_json::from_str(&read("docker/daemon.json")).expect("JSON");
    assert!(docker["runtimes"]["corten"]["path"].is_string());
    for file in [
        "podman/corten.conf",
        "containerd/corten.toml",
        "containerd/corten-2.toml",
        "crio/50-corten.conf",
    ] {
        let table: toml::Table = read(file).parse().expect(file);
        assert!(!table.is_empty(), "{file}");
    }
    containerd_takes(case, &contrib.join("containerd/corten.toml"));
    if !Path::new("/usr/bin/podman").exists() {
        return;
    }
    // podman itself reads it, and finds the runtime by its name.
    let snippet = read("podman/corten.conf").replace("/usr/sbin/corten", case.runtime_path());
    let file = case.directory.join("corten.conf");
    fs::write(&file, snippet).expect("snippet");
    let storage = case
        .directory
        .join("storage")
        .to_string_lossy()
        .into_owned();
    let finished = case
        .program("podman")
        .env("CONTAINERS_CONF", &file.to_string_lossy())
        .args([
            "--root",
            &storage,
            "--runroot",
            &format!("{storage}-run"),
            "--storage-driver",
            "vfs",
        ])
        .args([
            "--runtime",
            "corten",
            "info",
            "--format",
            "{{.Host.OCIRuntime.Name}}",
        ])
        .run()
        .ok();
    assert_eq!(finished.stdout, "corten\n");
}

/// Starts containerd with a file and says how its CRI plugin is, in places of its own:
/// it makes directories in those of the host.
const CONTAINERD: &str = r#"
file=$1 at=$2
for directory in /opt /etc/cni /run/containerd; do
    [ ! -d $directory ] || mount -t tmpfs none $directory
done
containerd --config "$file" --root "$at/root" --state "$at/state" --address "$at/socket" \
    > "$at/log" 2>&1 &
for try in $(seq 200); do
    ctr --address "$at/socket" plugins ls 2> /dev/null | grep -w cri && break
    sleep 0.1
done
kill $!
wait
grep -w default_runtime_name "$at/log"
true
"#;

/// containerd starts with the snippet as its configuration, and so does its CRI plugin,
/// which knows corten then, and runc still. dockerd is started with its own by the tests
/// of engines.
fn containerd_takes(case: &Case, snippet: &Path) {
    if !Path::new("/usr/bin/containerd").exists() {
        return;
    }
    let snippet = snippet.to_string_lossy();
    let whole = case
        .program("containerd")
        .args(["--config", &snippet, "config", "dump"])
        .run()
        .ok()
        .stdout;
    let whole: toml::Table = whole.parse().expect("containerd's configuration");
    let runtimes = &whole["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"];
    assert_eq!(
        runtimes["corten-runc-shim"]["options"]["BinaryName"].as_str(),
        Some("/usr/sbin/corten")
    );
    let place = case.directory.join("containerd");
    fs::create_dir(&place).expect("a directory");
    let finished = case
        .program("unshare")
        .args(["--mount", "--net", "--propagation", "private"])
        .args(["sh", "-c", CONTAINERD, "sh", &snippet])
        .args([place.to_string_lossy()])
        .run()
        .ok();
    let words: Vec<&str> = finished.stdout.split_whitespace().collect();
    assert_eq!(words.last(), Some(&"ok"), "{}", finished.describe());
}
