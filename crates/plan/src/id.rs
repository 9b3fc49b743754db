//! Container ids: they become directory names, cgroup names and keyring names.

use crate::{ConfigPath, PlanError};

/// `NAME_MAX`: the id is a directory name.
const LONGEST: usize = 255;

/// Checks a container id: letters, digits, `_`, `+`, and after the first
/// character also `.` and `-`, at most 255 bytes.
///
/// A leading `.` would hide the container from a directory listing, a leading
/// `-` looks like a flag to every tool; `/` and `..` would leave the state directory.
///
/// # Errors
/// One line that says what is allowed.
pub fn check(id: &str) -> Result<(), PlanError> {
    let at = || ConfigPath::flag("ID");
    if id.is_empty() {
        return Err(PlanError::new(
            at(),
            crate::Problem::Missing {
                wanted: "the id of a container",
            },
        ));
    }
    if id.len() > LONGEST {
        return Err(PlanError::invalid(
            at(),
            format!("at most {LONGEST} bytes"),
            format!("{} bytes", id.len()),
        ));
    }
    let word = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'+');
    let good = id
        .bytes()
        .enumerate()
        .all(|(n, c)| word(c) || (n > 0 && matches!(c, b'.' | b'-')));
    if good {
        return Ok(());
    }
    Err(PlanError::invalid(
        at(),
        "letters, digits and _ + . - (the first one neither . nor -)",
        crate::error::quote(id),
    ))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn accepts_what_engines_use() {
        for id in [
            "a",
            "c1",
            "0af3b2",
            "_x",
            "+x",
            "a.b-c_d+e",
            &"x".repeat(255),
        ] {
            assert_eq!(check(id), Ok(()), "{id}");
        }
    }

    #[test]
    fn refuses_what_is_no_plain_name() {
        let bad = [
            ".", "..", ".hidden", "-v", "a/b", "../x", "a b", "a\n", "ü", "a\0b",
        ];
        for id in bad {
            let text = check(id).map_err(|e| e.to_string());
            let found = crate::error::quote(id);
            assert_eq!(
                text,
                Err(format!(
                    "ID: expected letters, digits and _ + . - (the first one neither . nor -), found {found}"
                ))
            );
        }
        let text = check(&"x".repeat(256)).map_err(|e| e.to_string());
        assert_eq!(
            text,
            Err("ID: expected at most 255 bytes, found 256 bytes".into())
        );
        let text = check("").map_err(|e| e.to_string());
        assert_eq!(text, Err("ID: missing: the id of a container".into()));
    }
}
