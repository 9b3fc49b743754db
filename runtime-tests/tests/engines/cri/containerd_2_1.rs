//! Pods with containerd 2.1, of the Debian after that.

use runtime_tests::{Case, convention};

use super::{confinement, crashes, lifecycle, limits, mounts, namespaces, story, streams};
use crate::release::Release;

const CHAPTER: &str = "Kubernetes: containerd 2.1";
const RELEASE: Release = Release::Forky;

include!("every_release.in");
