//! `corten explain`

use plan::{Errors, Plan, Request, TerminalHost};

use super::existing;
use super::prepare::uses_systemd;
use crate::cli::{CgroupManager, Explain, ExplainFormat, Global};
use crate::report::{self, CommandError};
use libcontainer::Error;

/// The id that a bundle without a container is explained under.
const ANY_ID: &str = "ID";

/// Prints what a configuration will do, or every problem it has. Nothing is made.
pub fn explain(global: &Global, args: &Explain) -> Result<(), CommandError> {
    let (config, id, bundle) = match &args.id {
        Some(id) => {
            let (config, state) = libcontainer::saved(&existing(global, id)?, id)?;
            (config, id.as_str(), state.bundle)
        }
        None => {
            let bundle = libcontainer::resolve_bundle(&args.bundle)?;
            (
                libcontainer::read_config(&bundle, &args.config)?,
                ANY_ID,
                bundle,
            )
        }
    };
    match plan_of(global, &config, id, &bundle)? {
        Ok(plan) => report::print(&plan_text(&plan, args.format)),
        Err(problems) => {
            report::print(&problems_text(&problems, args.format))?;
            Err(CommandError::Problems(problems.all().len()))
        }
    }
}

fn plan_text(plan: &Plan, format: ExplainFormat) -> String {
    match format {
        ExplainFormat::Text => plan::explain::text(plan).trim_end().to_owned() + "\n",
        ExplainFormat::Json => report::pretty_json(&plan::explain::json(plan)) + "\n",
    }
}

fn problems_text(problems: &Errors, format: ExplainFormat) -> String {
    match format {
        ExplainFormat::Text => plan::explain::problems(problems).trim_end().to_owned() + "\n",
        ExplainFormat::Json => {
            let object = serde_json::json!({ "problems": problems });
            report::pretty_json(&object) + "\n"
        }
    }
}

/// The plan of a `create` whose caller has what a terminal needs.
fn plan_of(
    global: &Global,
    config: &[u8],
    id: &str,
    bundle: &str,
) -> Result<Result<Plan, Errors>, Error> {
    let spec = match plan::spec::load(config) {
        Ok(spec) => spec,
        Err(problems) => return Ok(Err(problems)),
    };
    let request = Request {
        cgroups_disabled: global.cgroup_manager == CgroupManager::Disabled,
        systemd_cgroup: uses_systemd(global),
        terminal: TerminalHost::Foreground,
        ..Request::create(id, bundle)
    };
    let host = libcontainer::host::probe_for(global.rootless.said(), request.systemd_cgroup)?;
    Ok(plan::build(&spec, &request, &host))
}
