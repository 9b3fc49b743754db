//! What a command did, and when: the notes from which `--timings` draws.
//!
//! Every event of `tracing` begins a stretch that lasts until the next event of the
//! same track. The notes lie in a memory file, because init, a copy of this process,
//! writes into them too until it becomes the sealed stub, which is silent.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use crate::error::{Doing, Error, Result};

/// The notes of this process and of the init it clones.
#[derive(Debug)]
pub struct Recorder {
    begun: SystemTime,
    notes: File,
    /// Set in init's copy of this memory, never in ours.
    track: OnceLock<String>,
}

/// Something that began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Since the recorder was made.
    pub at: Duration,
    /// Who: empty for the command itself, `init` inside the container.
    pub track: String,
    /// What, `mounts[3]: bind on /data`.
    pub text: String,
}

impl Recorder {
    /// Begins to take notes.
    ///
    /// # Errors
    /// `memfd_create(2)`.
    pub fn new() -> Result<Self> {
        let notes =
            kernel::memfd::shared_memfd("corten-timeline").doing(|| "--timings".to_owned())?;
        Ok(Self {
            begun: SystemTime::now(),
            notes: notes.into(),
            track: OnceLock::new(),
        })
    }

    /// From now on what this process notes goes to this track.
    pub fn enter_track(&self, name: &str) {
        // Whoever has a track keeps it.
        let _ = self.track.set(name.to_owned());
    }

    /// Notes that something begins. One write a note: both processes share the
    /// position in the file, so neither overwrites the other.
    pub fn note(&self, text: &str) {
        // Not the monotonic clock: a time namespace shifts it for init.
        let at = self.elapsed().as_nanos();
        let track = self.track.get().map_or("", String::as_str);
        let text = text.replace('\n', " ");
        // What is measured must not fail for want of memory for the notes.
        let _ = (&self.notes).write_all(format!("{at} {track} {text}\n").as_bytes());
    }

    /// Since the notes began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed().unwrap_or_default()
    }

    /// All notes, in the order in which they were taken.
    ///
    /// # Errors
    /// When the memory file cannot be read.
    pub fn marks(&self) -> Result<Vec<Mark>> {
        let mut text = String::new();
        let mut notes = &self.notes;
        let read = notes
            .rewind()
            .and_then(|()| notes.read_to_string(&mut text));
        read.map_err(|error| Error::Argument {
            argument: "--timings",
            problem: error.to_string(),
        })?;
        Ok(text.lines().filter_map(parse).collect())
    }
}

fn parse(line: &str) -> Option<Mark> {
    let mut parts = line.splitn(3, ' ');
    Some(Mark {
        at: Duration::from_nanos(parts.next()?.parse().ok()?),
        track: parts.next()?.to_owned(),
        text: parts.next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::Recorder;

    #[test]
    fn notes_come_back_in_order_with_their_track() {
        let recorder = Recorder::new().unwrap();
        recorder.note("plan");
        recorder.enter_track("init");
        recorder.note("mounts[0]: mount proc\non /proc");
        let marks = recorder.marks().unwrap();
        let told: Vec<(&str, &str)> = marks
            .iter()
            .map(|mark| (mark.track.as_str(), mark.text.as_str()))
            .collect();
        let wanted = [("", "plan"), ("init", "mounts[0]: mount proc on /proc")];
        assert_eq!(told, wanted);
        assert!(marks[0].at <= marks[1].at);
    }
}
