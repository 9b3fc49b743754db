//! `process.execCPUAffinity`

use oci_spec::runtime::Process;

use crate::build::Context;
use crate::error::quote;
use crate::{ConfigPath, InitOp, PlanError};

/// `CPU_SETSIZE`; the kernel's largest machines have 8192.
const MOST: u32 = 8192;

/// Adds the step for `final`; the result is `initial`.
pub(super) fn build(context: &mut Context<'_>, process: &Process) -> Option<Vec<u32>> {
    let affinity = process.exec_cpu_affinity().as_ref()?;
    let at = ConfigPath::new("process.execCPUAffinity");
    let mut read = |name: &str, list: Option<&String>| {
        let list = list.filter(|list| !list.is_empty())?;
        let cpus = parse(list);
        if cpus.is_none() {
            let wanted = "a list of CPUs, as \"0-3,7\"";
            context.problem(PlanError::invalid(at.field(name), wanted, quote(list)));
        }
        cpus
    };
    let initial = read("initial", affinity.initial().as_ref());
    if let Some(cpus) = read("final", affinity.cpu_affinity_final().as_ref()) {
        context.init(at.field("final"), InitOp::SetCpuAffinity { cpus });
    }
    initial
}

fn parse(list: &str) -> Option<Vec<u32>> {
    let number = |text: &str| text.trim().parse::<u32>().ok().filter(|n| *n < MOST);
    let mut cpus = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lists() {
        assert_eq!(parse("0-2,7"), Some(vec![0, 1, 2, 7]));
        assert_eq!(parse("3"), Some(vec![3]));
        for wrong in ["", "a", "2-1", "1-", "-1", "0,,1", "99999"] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }
}
