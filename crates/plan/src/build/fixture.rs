//! For the tests of the chapters: a configuration, a machine, what came out.

use super::Context;
use crate::{HostFacts, InitOp, MountOp, NamespaceKind, ParentOp, Request};
use serde_json::{Value, json};

/// What a chapter is given.
pub(crate) struct Fixture {
    pub spec: oci_spec::runtime::Spec,
    pub request: Request,
    pub host: HostFacts,
    pub namespaces: Vec<NamespaceKind>,
}

/// What it made of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Built {
    pub rootfs: String,
    pub problems: Vec<String>,
    pub warnings: Vec<String>,
    pub parent: Vec<(String, ParentOp)>,
    pub init: Vec<(String, InitOp)>,
}

impl Fixture {
    /// A root-owned v2 host, a container with a mount, pid and cgroup namespace.
    pub fn new(mut spec: Value) -> Self {
        spec["ociVersion"] = json!("1.3.0");
        Self {
            spec: serde_json::from_value(spec).expect("a configuration that decodes"),
            request: Request::create("c1", "/bundle"),
            host: HostFacts::v2_root(),
            namespaces: vec![
                NamespaceKind::Mount,
                NamespaceKind::Pid,
                NamespaceKind::Cgroup,
            ],
        }
    }

    /// The same with `mounts`.
    pub fn mounts(mounts: Value) -> Self {
        Self::new(json!({"root": {"path": "rootfs"}, "mounts": mounts}))
    }

    /// The same with a `linux` section.
    pub fn linux(linux: Value) -> Self {
        Self::new(json!({"root": {"path": "rootfs"}, "linux": linux}))
    }

    pub fn with(mut self, kind: NamespaceKind) -> Self {
        self.namespaces.push(kind);
        self
    }

    pub fn without(mut self, kind: NamespaceKind) -> Self {
        self.namespaces.retain(|known| *known != kind);
        self
    }

    /// Runs one chapter.
    pub fn build(&self, chapter: fn(&mut Context<'_>)) -> Built {
        let mut context = Context::new(&self.spec, &self.request, &self.host);
        context.namespaces.clone = self.namespaces.clone();
        chapter(&mut context);
        let texts = |list: &[crate::Warning]| {
            list.iter()
                .map(|w| format!("{}: {}", w.path, w.text))
                .collect()
        };
        Built {
            problems: context.problems.iter().map(ToString::to_string).collect(),
            warnings: texts(&context.warnings),
            rootfs: context.rootfs,
            parent: context
                .parent
                .into_iter()
                .map(|step| (step.from.to_string(), step.op))
                .collect(),
            init: context
                .init
                .into_iter()
                .map(|step| (step.from.to_string(), step.op))
                .collect(),
        }
    }
}

impl Built {
    /// Only the mounts.
    pub fn mounts(&self) -> Vec<&MountOp> {
        let ops = self.init.iter();
        ops.filter_map(|(_, op)| match op {
            InitOp::Mount(mount) => Some(mount),
            _ => None,
        })
        .collect()
    }

    /// The one mount of a configuration without problems.
    pub fn mount(&self) -> &MountOp {
        assert_eq!(self.problems, Vec::<String>::new());
        self.mounts()[0]
    }
}
