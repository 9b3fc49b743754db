//! `corten ps`

use std::process::{Command, Stdio};

use super::existing;
use crate::cli::{Global, ListFormat, Ps};
use crate::report::{self, CommandError};

/// Shows the processes of a container: their pids, or the rows that the host's
/// ps(1) has for them.
#[inline(never)]
pub fn ps(global: &Global, args: &Ps) -> Result<(), CommandError> {
    let Some((id, options)) = args.words.split_first() else {
        return Ok(());
    };
    let pids = libcontainer::processes(&existing(global, id)?, id)?;
    report::print(&match args.format {
        ListFormat::Json => report::line_of_json(&pids),
        ListFormat::Table => rows_of(&run_ps(options)?, &pids)?,
    })
}

/// The output of ps(1). Its own complaints go to our standard error.
fn run_ps(options: &[String]) -> Result<String, CommandError> {
    let mut command = Command::new("ps");
    if options.is_empty() {
        command.arg("-ef");
    }
    let command = command
        .args(options)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = command.output().map_err(|error| {
        CommandError::Ps(format!("could not be executed: {}", report::reason(&error)))
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let how = match output.status.code() {
        Some(code) => format!("exited with status {code}"),
        None => "was killed".to_owned(),
    };
    Err(CommandError::Ps(how))
}

/// The header, and the rows whose column PID is one of `pids`.
fn rows_of(table: &str, pids: &[i32]) -> Result<String, CommandError> {
    let mut lines = table.lines();
    let header = lines.next().unwrap_or_default();
    let Some(column) = header.split_whitespace().position(|title| title == "PID") else {
        let problem = "the output has no column PID to find the container's processes by";
        return Err(CommandError::Ps(problem.to_owned()));
    };
    let ours = lines.filter(|line| {
        let pid = line
            .split_whitespace()
            .nth(column)
            .and_then(|word| word.parse().ok());
        pid.is_some_and(|pid| pids.contains(&pid))
    });
    Ok(std::iter::once(header)
        .chain(ours)
        .fold(String::new(), |text, line| text + line + "\n"))
}

#[cfg(test)]
mod tests {
    use super::rows_of;

    #[test]
    fn rows_are_chosen_by_the_column_of_the_header() {
        let table =
            "UID   PID  PPID CMD\nroot    1     0 init\nroot   12     1 sh 7\nroot    7     1 x\n";
        assert_eq!(
            rows_of(table, &[12, 99]).unwrap(),
            "UID   PID  PPID CMD\nroot   12     1 sh 7\n"
        );
        assert_eq!(rows_of(table, &[]).unwrap(), "UID   PID  PPID CMD\n");
    }

    #[test]
    fn without_a_column_of_pids_nothing_can_be_said() {
        let error = rows_of("USER CMD\nroot init\n", &[1]).unwrap_err();
        assert!(error.to_string().contains("no column PID"), "{error}");
        assert!(rows_of("", &[1]).is_err());
    }
}
