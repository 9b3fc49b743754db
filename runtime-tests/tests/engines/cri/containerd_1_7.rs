//! Pods with containerd 1.7, of Debian 13.

use runtime_tests::{Case, convention};

use super::{confinement, crashes, lifecycle, limits, mounts, namespaces, story, streams};
use crate::release::Release;

const CHAPTER: &str = "Kubernetes: containerd 1.7";
const RELEASE: Release = Release::Trixie;

include!("every_release.in");
