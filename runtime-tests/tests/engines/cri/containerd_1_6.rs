//! Pods with containerd 1.6, that is installed.

use runtime_tests::{Case, convention};

use super::{confinement, crashes, lifecycle, limits, mounts, namespaces, story, streams};
use crate::release::Release;

const CHAPTER: &str = "Kubernetes: containerd 1.6";
const RELEASE: Release = Release::System;

include!("every_release.in");
