//! runtime-tests
