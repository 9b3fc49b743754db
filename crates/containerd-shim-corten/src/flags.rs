//! The command line by which containerd calls a shim: Go's flags, one dash each.

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Action {
    /// Be the shim: serve the socket on standard input.
    #[default]
    Serve,
    /// Start a shim, or find the one of this group, and print its address.
    Start,
    /// Remove what is left of a container whose shim is gone.
    Delete,
    /// Wait in a user namespace of its own: asked for by another shim.
    HoldUserNamespace,
    /// `-v`
    Version,
    /// `-info`: what this runtime can do (containerd 2).
    Info,
}

/// The flags of runtime v2 shims.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flags {
    /// `-namespace`: of containerd, not of the kernel.
    pub namespace: String,
    /// `-id`: of the container.
    pub id: String,
    /// `-address`: of containerd's socket.
    pub address: String,
    /// `-bundle`: only with `delete`; else it is the working directory.
    pub bundle: String,
    /// `-debug`
    pub debug: bool,
    /// The action.
    pub action: Action,
}

impl Flags {
    /// Reads the arguments, without `argv[0]`.
    ///
    /// # Errors
    /// One line that names the argument.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut flags = Self::default();
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            let Some(flag) = argument.strip_prefix('-') else {
                flags.action = match argument.as_str() {
                    "start" => Action::Start,
                    "delete" => Action::Delete,
                    crate::id_map::HOLD => Action::HoldUserNamespace,
                    other => {
                        return Err(format!("unknown action {other:?} (start or delete)"));
                    }
                };
                continue;
            };
            let flag = flag.strip_prefix('-').unwrap_or(flag);
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            match name {
                "debug" => flags.debug = value.is_none_or(|value| value != "false"),
                "v" => flags.action = Action::Version,
                "info" => flags.action = Action::Info,
                _ => flags.set(name, value.or_else(|| arguments.next()))?,
            }
        }
        Ok(flags)
    }

    fn set(&mut self, name: &str, value: Option<String>) -> Result<(), String> {
        let value = value.ok_or_else(|| format!("flag needs an argument: -{name}"))?;
        match name {
            "namespace" => self.namespace = value,
            "id" => self.id = value,
            "address" => self.address = value,
            "bundle" => self.bundle = value,
            // What a shim of another kind needs: events go by ttrpc, and the
            // socket is inherited.
            "publish-binary" | "socket" => {}
            _ => return Err(format!("flag provided but not defined: -{name}")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Flags, String> {
        Flags::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_call_of_start() {
        let line = "-namespace k8s.io -address /run/c.sock -publish-binary /bin/containerd -id a -debug start";
        let flags = parse(line).unwrap_or_default();
        assert_eq!(flags.namespace, "k8s.io");
        assert_eq!(flags.address, "/run/c.sock");
        assert_eq!(flags.id, "a");
        assert!(flags.debug);
        assert_eq!(flags.action, Action::Start);
    }

    #[test]
    fn values_after_an_equals_sign() {
        let flags = parse("--id=a -bundle=/b -debug=false delete").unwrap_or_default();
        assert_eq!((flags.id.as_str(), flags.bundle.as_str()), ("a", "/b"));
        assert!(!flags.debug);
        assert_eq!(flags.action, Action::Delete);
    }

    #[test]
    fn what_is_not_known_is_named() {
        assert!(parse("-nonsense x").is_err_and(|e| e.contains("-nonsense")));
        assert!(parse("-id").is_err_and(|e| e.contains("-id")));
        assert!(parse("stop").is_err_and(|e| e.contains("stop")));
    }
}
