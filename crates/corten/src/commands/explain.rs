//! `corten explain`

use std::fs;

use plan::explain::{self, Difference};
use plan::{Errors, HostFacts, Plan, Request, TerminalHost};
use serde_json::Value;

use super::existing;
use super::prepare::{configuration, uses_systemd};
use crate::cli::{CgroupManager, Explain, ExplainFormat, Global};
use crate::paint::{Paint, Style};
use crate::report::{self, CommandError};
use libcontainer::Error;

/// The id that a bundle without a container is explained under.
const ANY_ID: &str = "ID";

/// A configuration, and what it is the configuration of.
struct Subject {
    config: Vec<u8>,
    id: String,
    bundle: String,
}

/// Prints what a configuration will do, or every problem it has. Nothing is made.
#[inline(never)]
pub fn explain(global: &Global, args: &Explain) -> Result<(), CommandError> {
    let subject = match &args.id {
        Some(id) => of_container(global, id)?,
        None => of_bundle(&args.bundle, &args.config)?,
    };
    if let Some(other) = &args.diff {
        let other = find(global, other)?;
        let found = explain::diff(&document(&subject)?, &document(&other)?);
        return report::print(&difference_text(&found, args.format));
    }
    let host = match &args.host {
        Some(file) => read_host(file)?,
        None => libcontainer::host::probe_for(global.rootless.said(), uses_systemd(global))?,
    };
    match plan_of(global, &subject, &host) {
        Ok(plan) => report::print(&plan_text(&plan, args)),
        Err(problems) => {
            report::print(&problems_text(&problems, args.format))?;
            Err(CommandError::Problems(problems.all().len()))
        }
    }
}

fn of_container(global: &Global, id: &str) -> Result<Subject, CommandError> {
    let (config, state) = libcontainer::saved(&existing(global, id)?, id)?;
    Ok(Subject {
        config,
        id: id.to_owned(),
        bundle: state.bundle,
    })
}

fn of_bundle(bundle: &str, config: &str) -> Result<Subject, CommandError> {
    let bundle = libcontainer::resolve_bundle(bundle)?;
    Ok(Subject {
        config: libcontainer::read_config(&bundle, &configuration(config))?,
        id: ANY_ID.to_owned(),
        bundle,
    })
}

/// `--diff`: a bundle or a file where there is one of that name, else a container.
fn find(global: &Global, other: &str) -> Result<Subject, CommandError> {
    match fs::metadata(other) {
        Ok(found) if found.is_dir() => of_bundle(other, "config.json"),
        Ok(_) => {
            let path =
                std::path::absolute(other).map_err(|source| failed("--diff", other, source))?;
            of_bundle("/", &path.to_string_lossy())
        }
        Err(_) => of_container(global, other),
    }
}

fn document(subject: &Subject) -> Result<Value, CommandError> {
    // Decoded first, for its words about what is no configuration.
    plan::spec::load(&subject.config).map_err(Error::Config)?;
    serde_json::from_slice(&subject.config).map_err(|error| CommandError::Argument {
        argument: "--diff",
        problem: error.to_string(),
    })
}

fn failed(argument: &'static str, path: &str, source: std::io::Error) -> CommandError {
    CommandError::File {
        argument,
        doing: "read",
        path: path.to_owned(),
        source,
    }
}

/// The facts alone, or as `info` and `doctor` print them, among others.
fn read_host(file: &str) -> Result<HostFacts, CommandError> {
    let text = fs::read_to_string(file).map_err(|source| failed("--host", file, source))?;
    let facts = serde_json::from_str::<Value>(&text).and_then(|mut value| {
        let host = value.get_mut("host").map(Value::take);
        serde_json::from_value(host.unwrap_or(value))
    });
    facts.map_err(|error| CommandError::Argument {
        argument: "--host",
        problem: format!("{file}: expected the output of `corten info`: {error}"),
    })
}

fn plan_text(plan: &Plan, args: &Explain) -> String {
    match args.format {
        ExplainFormat::Json => report::pretty_json(&explain::json(plan)) + "\n",
        ExplainFormat::Text => {
            let text = if args.steps {
                explain::text(plan)
            } else {
                explain::story(plan)
            };
            painted(text.trim_end(), Paint::for_output())
        }
    }
}

/// Headings, what is striking, and the properties at the right.
fn painted(page: &str, paint: Paint) -> String {
    let mut style = None;
    let mut text = String::new();
    for line in page.lines() {
        let (row, from) = match line.split_once("  <- ") {
            Some((row, from)) => (row, paint.apply(Style::Dim, &format!("  <- {from}"))),
            None => (line, String::new()),
        };
        style = match row.strip_prefix("  ") {
            Some(row) if row.starts_with("danger") => Some(Style::Bad),
            Some(row) if row.starts_with("unusual") => Some(Style::Warn),
            Some(row) if row.starts_with(' ') => style,
            Some(_) => None,
            None if row.is_empty() => None,
            None => Some(Style::Bold),
        };
        text += &match style {
            Some(style) => paint.apply(style, row),
            None => row.to_owned(),
        };
        text += &from;
        text.push('\n');
    }
    text
}

fn difference_text(found: &[Difference], format: ExplainFormat) -> String {
    match format {
        ExplainFormat::Text => explain::differences(found),
        ExplainFormat::Json => report::pretty_json(&found) + "\n",
    }
}

fn problems_text(problems: &Errors, format: ExplainFormat) -> String {
    match format {
        ExplainFormat::Text => explain::problems(problems).trim_end().to_owned() + "\n",
        ExplainFormat::Json => {
            let object = serde_json::json!({ "problems": problems });
            report::pretty_json(&object) + "\n"
        }
    }
}

/// The plan of a `create` whose caller has what a terminal needs.
fn plan_of(global: &Global, subject: &Subject, host: &HostFacts) -> Result<Plan, Errors> {
    let spec = plan::spec::load(&subject.config)?;
    let request = Request {
        cgroups_disabled: global.cgroup_manager == CgroupManager::Disabled,
        systemd_cgroup: uses_systemd(global),
        terminal: TerminalHost::Foreground,
        ..Request::create(&subject.id, &subject.bundle)
    };
    plan::build(&spec, &request, host)
}

#[cfg(test)]
mod tests {
    use super::{Paint, painted};

    #[test]
    fn without_colour_a_page_stays_as_it_is() {
        let page = "Look here\n  danger   x  <- linux\n           y\n\nContainer\n  id  c1\n";
        assert_eq!(painted(page, Paint::never()), page);
    }
}
