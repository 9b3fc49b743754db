//! `corten doctor`

use libcontainer::ExitCode;

use plan::HostFacts;
use plan::doctor::{Check, Health, Survey};
use serde::Serialize;

use crate::cli::{Doctor, ExplainFormat};
use crate::paint::{Paint, Style};
use crate::report::{self, CommandError};

/// What `--format json` prints; `explain --host` takes its `host`.
#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    host: &'a HostFacts,
    survey: &'a Survey,
    checks: &'a [Check],
}

/// Checks the machine, for the user who asks. The exit status tells whether containers
/// can run at all.
#[inline(never)]
pub fn doctor(args: &Doctor) -> Result<ExitCode, CommandError> {
    let host = libcontainer::host::probe()?;
    let path = std::env::var("PATH").unwrap_or_default();
    // What root's tools are in is not in the path of users.
    let path = format!("{path}:/usr/local/sbin:/usr/sbin:/sbin");
    let own_path = std::env::current_exe().ok();
    let own_path = own_path.map(|path| path.to_string_lossy().into_owned());
    let survey = libcontainer::survey(&path, std::env::var("HOME").ok().as_deref(), own_path);
    let checks = plan::doctor::examine(&host, &survey);
    report::print(&match args.format {
        ExplainFormat::Text => text(&checks, Paint::for_output()),
        ExplainFormat::Json => {
            let report = Report {
                version: env!("CARGO_PKG_VERSION"),
                host: &host,
                survey: &survey,
                checks: &checks,
            };
            report::pretty_json(&report) + "\n"
        }
    })?;
    let ill = checks.iter().any(|check| check.state == Health::Missing);
    Ok(if ill {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn text(checks: &[Check], paint: Paint) -> String {
    let width = checks
        .iter()
        .map(|check| check.name.chars().count())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let style = match check.state {
            Health::Ok => Style::Good,
            Health::Degraded => Style::Warn,
            Health::Missing => Style::Bad,
        };
        let word = paint.apply(style, &format!("{:<8}", check.state.word()));
        text += &format!("{word}  {:<width$}  {}\n", check.name, check.found);
        for (label, detail) in [("costs", &check.costs), ("mend", &check.mend)] {
            if let Some(detail) = detail {
                let label = paint.apply(Style::Dim, &format!("{:>width$}", format!("{label}:")));
                text += &format!("{:8}  {label}  {detail}\n", "");
            }
        }
    }
    let count = |state| checks.iter().filter(|check| check.state == state).count();
    let (degraded, missing) = (count(Health::Degraded), count(Health::Missing));
    text + &match (degraded, missing) {
        (0, 0) => "\nNothing is missing.\n".to_owned(),
        (_, 0) => format!(
            "\nContainers run here; {degraded} of {} could be better.\n",
            checks.len()
        ),
        _ => format!("\nContainers do not run here: {missing} missing, {degraded} degraded.\n"),
    }
}

#[cfg(test)]
mod tests {
    use plan::HostFacts;
    use plan::doctor::{Survey, examine};

    use super::{Paint, text};

    #[test]
    fn a_line_each_and_a_verdict() {
        let checks = examine(&HostFacts::v2_root(), &Survey::default());
        let report = text(&checks, Paint::never());
        assert!(report.starts_with("ok        kernel "), "{report}");
        assert!(report.contains("\nmissing   seccomp "), "{report}");
        assert!(report.contains("  costs:  "), "{report}");
        assert!(report.ends_with(" degraded.\n"), "{report}");
    }
}
