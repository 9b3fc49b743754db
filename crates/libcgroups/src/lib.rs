//! libcgroups
