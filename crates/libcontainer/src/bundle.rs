//! The bundle: a directory, and the `config.json` in it.

use std::os::fd::{AsFd, OwnedFd};

use kernel::Errno;
use kernel::fs::{self, FileKind, OFlags};
use plan::{ConfigPath, Errors, PlanError, Problem};

use crate::error::{Error, Result};

/// No configuration of an engine comes near this; a larger one is a mistake or an attack.
const CONFIG_LIMIT_BYTES: usize = 16 << 20;

/// Absolute path of a bundle, without symlinks.
///
/// # Errors
/// One line that names the bundle.
pub fn resolve_bundle(bundle: &str) -> Result<String> {
    let refuse = |error: kernel::Error| {
        let text = format!("open the bundle {bundle:?}: {}", error.reason());
        refusal(ConfigPath::flag("--bundle"), text)
    };
    let path = fs::resolve(bundle).map_err(refuse)?;
    // A file would be found out only by "not a directory" on its config.json.
    fs::open_directory(&path).map_err(refuse)?;
    Ok(path)
}

/// Makes the directory for writable layers where there is none; its absolute path,
/// without symlinks, so that it can be compared with that of a root.
///
/// # Errors
/// One line that names it.
pub fn make_overlay_directory(directory: &str) -> Result<String> {
    let made = fs::make_directories(directory, 0o755).and_then(|_| fs::resolve(directory));
    made.map_err(|error| {
        let text = format!("make {directory:?}: {}", error.reason());
        refusal(ConfigPath::flag("--overlay-dir"), text)
    })
}

/// Reads the configuration `file` of a bundle: a name in it, or an absolute path.
///
/// Never waits and never reads more than 16 MiB, whatever `file` is.
///
/// # Errors
/// One line that names the file.
pub fn read_config(bundle: &str, file: &str) -> Result<Vec<u8>> {
    let at = || ConfigPath::from_text(file.to_owned());
    let path = if file.starts_with('/') {
        file.to_owned()
    } else {
        format!("{}/{file}", bundle.trim_end_matches('/'))
    };
    let refuse = |error: kernel::Error| {
        let problem = Problem::Unreadable(format!("read {path}: {}", reason(&error)));
        let problem = PlanError::new(at(), problem);
        Error::Config(Errors::from(if error.errno() == Errno::NOENT {
            problem.hint("a bundle is a directory with a config.json; `corten spec` writes one")
        } else {
            problem
        }))
    };
    let content = open_config(bundle, file).map_err(refuse)?;
    let stat = fs::stat(content.as_fd()).map_err(refuse)?;
    if stat.kind != FileKind::File {
        let text = format!(
            "read {path}: a regular file is wanted, it is a {}",
            stat.kind.name()
        );
        return Err(refusal(at(), text));
    }
    if stat.size > CONFIG_LIMIT_BYTES as u64 {
        let text = format!(
            "read {path}: at most {CONFIG_LIMIT_BYTES} bytes are read, it has {}",
            stat.size
        );
        return Err(refusal(at(), text));
    }
    fs::read_to_end(content.as_fd(), CONFIG_LIMIT_BYTES).map_err(refuse)
}

/// Reads `--process`. It may be a pipe: what waits then was asked to.
///
/// # Errors
/// One line that names the file.
pub fn read_process(path: &str) -> Result<Vec<u8>> {
    read_argument("--process", path)
}

/// Reads `--resources`; `-` is standard input.
///
/// # Errors
/// One line that names the file.
pub fn read_resources(path: &str) -> Result<Vec<u8>> {
    let path = if path == "-" { "/dev/stdin" } else { path };
    read_argument("--resources", path)
}

/// Reads the list of `mounts add` and `mounts remove`; `-` is standard input.
///
/// # Errors
/// One line that names the file.
pub fn read_mounts(path: &str) -> Result<Vec<u8>> {
    let path = if path == "-" { "/dev/stdin" } else { path };
    read_argument("FILE", path)
}

/// An engine may write long after it has called us: this waits.
fn read_argument(option: &'static str, path: &str) -> Result<Vec<u8>> {
    fs::open_read_waiting(path)
        .and_then(|file| fs::read_to_end(file.as_fd(), CONFIG_LIMIT_BYTES))
        .map_err(|error| {
            let text = format!("read {path}: {}", reason(&error));
            refusal(ConfigPath::flag(option), text)
        })
}

/// `O_NONBLOCK`, or opening a FIFO would wait for somebody to write to it.
fn open_config(bundle: &str, file: &str) -> kernel::Result<OwnedFd> {
    let directory = fs::open_directory(bundle)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    fs::open_at(directory.as_fd(), file, flags)
}

fn reason(error: &kernel::Error) -> String {
    error.detail().map_or_else(|| error.reason(), str::to_owned)
}

fn refusal(at: ConfigPath, text: String) -> Error {
    Error::Config(Errors::from(PlanError::new(at, Problem::Unreadable(text))))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::{read_config, resolve_bundle};

    fn bundle() -> (tempfile::TempDir, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = kernel::fs::resolve(directory.path().to_str().unwrap()).unwrap();
        (directory, path)
    }

    fn refused(bundle: &str, file: &str) -> String {
        read_config(bundle, file).unwrap_err().to_string()
    }

    #[test]
    fn reads_a_name_in_the_bundle_and_an_absolute_path() {
        let (_keep, bundle) = bundle();
        std::fs::write(format!("{bundle}/config.json"), "{}").unwrap();
        assert_eq!(read_config(&bundle, "config.json").unwrap(), b"{}");
        let absolute = format!("{bundle}/config.json");
        assert_eq!(read_config("/", &absolute).unwrap(), b"{}");
    }

    #[test]
    fn says_what_a_bundle_is_when_there_is_no_configuration() {
        let (_keep, bundle) = bundle();
        assert_eq!(
            refused(&bundle, "config.json"),
            format!(
                "config.json: read {bundle}/config.json: no such file or directory \
                 (a bundle is a directory with a config.json; `corten spec` writes one)"
            )
        );
    }

    #[test]
    fn refuses_what_is_no_file_without_waiting() {
        let (_keep, bundle) = bundle();
        let directory = kernel::fs::open_directory(&bundle).unwrap();
        kernel::fs::make_fifo_at(std::os::fd::AsFd::as_fd(&directory), "fifo", 0o600).unwrap();
        std::fs::create_dir(format!("{bundle}/dir")).unwrap();
        symlink("/dev/zero", format!("{bundle}/zero")).unwrap();
        for (file, kind) in [("fifo", "fifo"), ("dir", "directory"), ("zero", "char")] {
            let text = refused(&bundle, file);
            let start = format!("{file}: read {bundle}/{file}: a regular file is wanted, it is a ");
            assert!(text.starts_with(&start) && text.contains(kind), "{text}");
        }
    }

    #[test]
    fn refuses_a_file_that_is_too_large_unread() {
        let (_keep, bundle) = bundle();
        let file = std::fs::File::create(format!("{bundle}/config.json")).unwrap();
        file.set_len(50_000_000).unwrap();
        assert_eq!(
            refused(&bundle, "config.json"),
            format!(
                "config.json: read {bundle}/config.json: at most 16777216 bytes are read, it has 50000000"
            )
        );
    }

    #[test]
    fn a_bundle_is_a_directory_and_its_path_is_resolved() {
        let (_keep, bundle) = bundle();
        symlink(&bundle, format!("{bundle}/link")).unwrap();
        assert_eq!(resolve_bundle(&format!("{bundle}/link")).unwrap(), bundle);
        std::fs::write(format!("{bundle}/file"), "").unwrap();
        assert_eq!(
            resolve_bundle(&format!("{bundle}/file"))
                .unwrap_err()
                .to_string(),
            format!("--bundle: open the bundle \"{bundle}/file\": not a directory")
        );
        assert_eq!(
            resolve_bundle(&format!("{bundle}/none"))
                .unwrap_err()
                .to_string(),
            format!("--bundle: open the bundle \"{bundle}/none\": no such file or directory")
        );
    }
}
