//! The words of `mounts[].options`. (Placeholder; written by its own author.)
