//! The standard streams of a process.
//!
//! ```text
//! process ── pipe or terminal ── copy.rs ── fifo or file ── client
//!         └─ pipe ────────────────────────────────────────── logger
//! ```
//!
//! The process never holds an end of the client's fifo: that is a file of the host,
//! and its label and owner are the host's.

mod copy;
mod logger;
mod place;
mod streams;
mod terminal;

pub use logger::Subject;
pub use place::register;
pub use streams::{Owner, Plumbing, ProcessEnds, Wanted};
pub use terminal::ConsoleSocket;
