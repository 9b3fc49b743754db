//! `corten spec`

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::cli::Spec;
use crate::report::CommandError;

/// Writes a config.json to start from; never over one that is there.
pub fn spec(args: &Spec) -> Result<(), CommandError> {
    let path = Path::new(&args.bundle).join(&args.file);
    let path = path.to_string_lossy().into_owned();
    let failed = |source: io::Error| match source.kind() {
        ErrorKind::AlreadyExists => CommandError::ConfigExists(path.clone()),
        _ => CommandError::File {
            argument: "--bundle",
            doing: "write",
            path: path.clone(),
            source,
        },
    };
    let own = if args.rootless {
        let host = libcontainer::host::probe()?;
        Some((host.effective_uid, host.effective_gid))
    } else {
        None
    };
    let mut file = File::create_new(&path).map_err(failed)?;
    file.write_all(plan::template(own).as_bytes())
        .map_err(failed)
}
