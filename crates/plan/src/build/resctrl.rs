//! `linux.intelRdt` -> a group of resctrl, Documentation/arch/x86/resctrl.rst of the kernel.

use oci_spec::runtime::LinuxIntelRdt;

use super::Context;
use crate::error::quote;
use crate::{ConfigPath, ParentOp, PlanError, ResctrlGroup};

/// What resctrl has in a group besides groups.
const NO_GROUPS: [&str; 5] = [".", "..", "info", "mon_groups", "mon_data"];

/// Adds the steps that make the group and put init into it.
pub(crate) fn build(context: &mut Context<'_>) {
    if let Some(group) = read(context) {
        let at = ConfigPath::new("linux.intelRdt");
        let join = join_step(&group);
        context.parent(at.clone(), ParentOp::MakeResctrlGroup(group));
        context.parent(at, join);
    }
}

/// For `exec`: into the group that the container is in.
pub(crate) fn join(context: &mut Context<'_>) {
    if let Some(group) = read(context) {
        let at = ConfigPath::new("linux.intelRdt");
        context.parent(at, join_step(&group));
    }
}

fn join_step(group: &ResctrlGroup) -> ParentOp {
    let directories = std::iter::once(&group.directory).chain(&group.monitor);
    ParentOp::JoinResctrlGroups(directories.cloned().collect())
}

/// The group, if there is one to be made and nothing is wrong with it.
pub(crate) fn read(context: &mut Context<'_>) -> Option<ResctrlGroup> {
    let asked = context.linux()?.intel_rdt().as_ref()?;
    let at = ConfigPath::new("linux.intelRdt");
    let before = context.problems.len();
    let schemata = read_schemata(context, asked, &at);
    let named = asked.clos_id().as_deref().filter(|id| !id.is_empty());
    if let Some(id) = named
        && (NO_GROUPS.contains(&id) || (id != "/" && id.contains(['/', '\0', '\n'])))
    {
        let wanted = "the name of a directory, or \"/\" for the default class";
        context.problem(PlanError::invalid(at.field("closID"), wanted, quote(id)));
    }
    let host = context.host;
    let Some(root) = &host.resctrl else {
        let text = "needs resctrl, which is not mounted on this host";
        let hint = "mount -t resctrl resctrl /sys/fs/resctrl, where the processor has Intel RDT";
        context.problem(PlanError::unsupported(at, text).hint(hint));
        return None;
    };
    if context.problems.len() > before {
        return None;
    }
    let directory = match named {
        Some("/") => root.clone(),
        Some(id) => format!("{root}/{id}"),
        None => format!("{root}/{}", context.request.id),
    };
    Some(ResctrlGroup {
        root: root.clone(),
        monitor: wants_monitoring(asked)
            .then(|| format!("{directory}/mon_groups/{}", context.request.id)),
        // A class of that name was prepared by somebody, or it is a misspelling.
        must_exist: named.is_some() && schemata.is_empty(),
        directory,
        schemata,
    })
}

/// The two that the spec had before 1.3 mean the same.
#[allow(deprecated, reason = "configurations of spec 1.2 have them")]
fn wants_monitoring(asked: &LinuxIntelRdt) -> bool {
    [
        asked.enable_monitoring(),
        asked.enable_cmt(),
        asked.enable_mbm(),
    ]
    .into_iter()
    .any(|wanted| *wanted == Some(true))
}

/// All lines, in the order of writing: what is set twice is what was set last.
fn read_schemata(context: &mut Context<'_>, asked: &LinuxIntelRdt, at: &ConfigPath) -> Vec<String> {
    let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (cache, bandwidth) = (set(asked.l3_cache_schema()), set(asked.mem_bw_schema()));
    let mut lines = Vec::new();
    for line in cache.iter().flat_map(|text| text.lines()) {
        // "If l3CacheSchema contains a line beginning with MB:, the value written MUST
        // be the non-MB: line(s) in l3CacheSchema and the line in memBwSchema."
        if bandwidth.is_none() || !line.trim_start().starts_with("MB:") {
            lines.push((at.field("l3CacheSchema"), line.to_owned()));
        }
    }
    if let Some(line) = bandwidth {
        let field = at.field("memBwSchema");
        if !line.starts_with("MB:") || line.contains('\n') {
            let wanted = "one line that starts with \"MB:\"";
            context.problem(PlanError::invalid(field, wanted, quote(&line)));
        } else {
            lines.push((field, line));
        }
    }
    for (n, line) in asked.schemata().iter().flatten().enumerate() {
        lines.push((at.field("schemata").index(n), line.clone()));
    }
    for (field, line) in &lines {
        if ResctrlGroup::parse_line(line).is_none() {
            let wanted = "one line, as \"L3:0=ff;1=c0\"";
            context.problem(PlanError::invalid(field.clone(), wanted, quote(line)));
        }
    }
    lines.into_iter().map(|(_, line)| line).collect()
}

#[cfg(test)]
#[path = "resctrl_tests.rs"]
mod tests;
