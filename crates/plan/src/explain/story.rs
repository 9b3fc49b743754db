//! A plan as a story: who it is, what it sees, who it may be, what it may use, what
//! guards the host. Each thing once, in the order in which people ask.

use super::findings::{Weight, findings};
use super::inside::say_hook;
use super::last::{say as say_last, say_capabilities};
use super::mounts::say_mount;
use super::outside::{Sources, say as say_outside};
use super::page::Page;
use super::surroundings;
use crate::cgroup::{CgroupPlan, Setting};
use crate::{ConfigPath, InitOp, LastOp, ParentOp, Plan, RootChange};

/// The whole story, with what deserves a look first.
pub fn story(plan: &Plan) -> String {
    let mut page = Page::default();
    let sources = Sources::of(plan);
    let found = findings(plan);
    let (ignored, striking): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|finding| finding.weight == Weight::Ignored);
    page.title("Look here");
    for finding in &striking {
        page.row(finding.weight.word(), &finding.text, &finding.path);
    }
    surroundings::add_container(&mut page, plan);
    surroundings::add_namespaces(&mut page, plan, &sources);
    add_filesystem(&mut page, plan, &sources);
    add_identity(&mut page, plan);
    add_limits(&mut page, plan);
    add_security(&mut page, plan);
    add_hooks(&mut page, plan);
    page.title("Ignored, or done otherwise");
    for finding in &ignored {
        page.row("ignored", &finding.text, &finding.path);
    }
    page.render_narrow()
}

/// Where it lies, and what becomes of what is written there.
fn add_root(page: &mut Page, plan: &Plan, sources: &Sources<'_>) {
    let mut root = plan.rootfs.clone();
    let mut from = ConfigPath::new("root.path");
    for step in &plan.init {
        match &step.op {
            InitOp::MakeRootReadOnly => {
                root.push_str(", read-only");
                from = step.from.clone();
            }
            InitOp::OverlayRoot { layer, .. } => {
                let layer = layer.map_or("memory", |slot| sources.get(slot).path);
                root.push_str(&format!(", below a writable layer in {layer}"));
                from = step.from.clone();
            }
            InitOp::ChangeRoot(RootChange::Move) => root.push_str(", by moving mounts and chroot"),
            InitOp::ChangeRoot(RootChange::Chroot) => root.push_str(", by chroot alone"),
            _ => {}
        }
    }
    page.row("root", root, &from);
}

fn add_filesystem(page: &mut Page, plan: &Plan, sources: &Sources<'_>) {
    page.title("File system");
    add_root(page, plan, sources);
    for step in &plan.init {
        if let InitOp::Mount(mount) = &step.op {
            page.row("mounts", say_mount(mount, sources), &step.from);
        }
    }
    let nodes = plan.init.iter().filter_map(|step| match &step.op {
        InitOp::MakeDevice(node) => Some(node.path.strip_prefix("/dev/").unwrap_or(&node.path)),
        _ => None,
    });
    let nodes: Vec<&str> = nodes.collect();
    if !nodes.is_empty() {
        page.note("devices", nodes.join(" "));
    }
    let paths = |wanted: fn(&InitOp) -> Option<&String>| -> Vec<&str> {
        plan.init
            .iter()
            .filter_map(|step| wanted(&step.op))
            .map(String::as_str)
            .collect()
    };
    let hidden = paths(|op| match op {
        InitOp::MaskPath { path, .. } => Some(path),
        _ => None,
    });
    if !hidden.is_empty() {
        page.row(
            "hidden",
            hidden.join(" "),
            &ConfigPath::new("linux.maskedPaths"),
        );
    }
    let protected = paths(|op| match op {
        InitOp::ProtectPath { path } => Some(path),
        _ => None,
    });
    if !protected.is_empty() {
        page.row(
            "read-only",
            protected.join(" "),
            &ConfigPath::new("linux.readonlyPaths"),
        );
    }
}

fn add_identity(page: &mut Page, plan: &Plan) {
    page.title("Identity");
    for step in &plan.init {
        match &step.op {
            InitOp::SetHostname(name) => page.row("host name", name, &step.from),
            InitOp::SetDomainname(name) => page.row("domain", name, &step.from),
            _ => {}
        }
    }
    for step in &plan.last {
        match &step.op {
            LastOp::SetIdentity { .. } => {
                let text = say_last(&step.op, &plan.program);
                let text = text.strip_prefix("become ").unwrap_or(&text);
                page.row("user", text, &step.from);
            }
            LastOp::SetCapabilities(sets) => {
                page.row("may", say_capabilities(sets.effective), &step.from);
            }
            _ => {}
        }
    }
    for step in &plan.parent {
        if let ParentOp::WriteIdMap { .. } = &step.op {
            page.row("id maps", say_outside(&step.op), &step.from);
        }
    }
}

fn add_limits(page: &mut Page, plan: &Plan) {
    page.title("Limits");
    let cgroup = &plan.cgroup;
    page.row("group", &cgroup.path, &ConfigPath::new("linux.cgroupsPath"));
    for setting in cgroup
        .settings
        .iter()
        .filter(|setting| !setting.file.starts_with("devices."))
    {
        page.row("cgroup", say_limit(setting, cgroup), &setting.from);
    }
    for step in &plan.last {
        if let LastOp::SetRlimit(_) = &step.op {
            page.row("process", say_last(&step.op, &plan.program), &step.from);
        }
    }
    for step in &plan.parent {
        let limits = matches!(
            &step.op,
            ParentOp::SetRlimit(_)
                | ParentOp::SetOomScore(_)
                | ParentOp::SetIoPriority { .. }
                | ParentOp::SetScheduler(_)
        );
        if limits {
            page.row("process", say_outside(&step.op), &step.from);
        }
    }
}

/// `memory.max = 536870912 (512 MiB)`
fn say_limit(setting: &Setting, cgroup: &CgroupPlan) -> String {
    let text = surroundings::say_setting(setting, cgroup.directories.get(setting.directory));
    let value = setting.value.trim();
    let human = match value.parse::<u64>() {
        Ok(bytes) if setting.file.starts_with("memory.") => mebibytes(bytes),
        _ if setting.file == "cpu.max" => processors(value),
        _ => None,
    };
    match human {
        Some(human) => format!("{text} ({human})"),
        None => text,
    }
}

fn mebibytes(bytes: u64) -> Option<String> {
    const MIB: u64 = 1 << 20;
    (bytes >= MIB).then(|| match bytes % MIB {
        0 => format!("{} MiB", bytes / MIB),
        _ => format!("about {} MiB", bytes / MIB),
    })
}

/// `50000 100000` is half a processor.
fn processors(value: &str) -> Option<String> {
    let (quota, period) = value.split_once(' ')?;
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.parse().ok()?);
    let hundredths = quota.checked_mul(100)?.checked_div(period)?;
    Some(format!(
        "{}.{:02} processors",
        hundredths / 100,
        hundredths % 100
    ))
}

fn add_security(page: &mut Page, plan: &Plan) {
    page.title("Security");
    for step in &plan.last {
        let text = match &step.op {
            LastOp::LoadSeccomp { .. } | LastOp::SetExecLabel { .. } | LastOp::NoNewPrivileges => {
                say_last(&step.op, &plan.program)
            }
            LastOp::LimitBounding { keep, .. } => {
                format!("what programs may ever gain: {}", say_capabilities(*keep))
            }
            _ => continue,
        };
        page.row("guards", text, &step.from);
    }
    if let Some(program) = &plan.cgroup.device_program {
        page.row(
            "guards",
            "device accesses are decided by the configuration's rules",
            &program.from,
        );
    }
    for step in &plan.init {
        if let InitOp::WriteSysctl { .. } = &step.op {
            page.row(
                "sysctls",
                super::inside::say(&step.op, &Sources::of(plan)),
                &step.from,
            );
        }
    }
}

fn add_hooks(page: &mut Page, plan: &Plan) {
    page.title("Hooks");
    for step in &plan.parent {
        if let ParentOp::RunHook(hook) = &step.op {
            page.row("create", say_hook(hook, "on the host"), &step.from);
        }
    }
    for step in &plan.init {
        if let InitOp::RunHook(hook) = &step.op {
            page.row(
                "create",
                say_hook(hook, "in the container's namespaces"),
                &step.from,
            );
        }
    }
    for step in &plan.last {
        if let LastOp::RunHook(hook) = &step.op {
            page.row("start", say_hook(hook, "in the container"), &step.from);
        }
    }
    for (label, steps) in [("start", &plan.poststart), ("delete", &plan.poststop)] {
        for step in steps {
            page.row(label, say_hook(&step.op, "on the host"), &step.from);
        }
    }
}
