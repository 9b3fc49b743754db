//! `--timings`: the timeline of one start, for people and for the trace viewers of
//! browsers (<https://ui.perfetto.dev>, chrome://tracing).

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use libcontainer::timeline::{Mark, Recorder};
use serde_json::{Value, json};

use crate::report::CommandError;

/// Tells the timeline of a command that succeeded: a table on standard error, or
/// trace events in the file `destination`.
///
/// # Errors
/// When the file cannot be written.
pub fn tell(timeline: &Recorder, destination: &str) -> Result<(), CommandError> {
    let end = timeline.elapsed();
    let marks = timeline.marks()?;
    if destination.is_empty() {
        // Nobody is left to tell when standard error is closed.
        let _ = std::io::stderr().write_all(text(&marks, end).as_bytes());
        return Ok(());
    }
    std::fs::write(destination, trace_events(&marks, end)).map_err(|source| CommandError::File {
        argument: "--timings",
        doing: "write",
        path: destination.to_owned(),
        source,
    })
}

/// What lasted from one event of a track to its next.
struct Slice<'a> {
    mark: &'a Mark,
    lasted: Duration,
}

/// The last stretch of a track lasts until anybody's next event: init falls silent
/// when it becomes the stub, and is heard again through its parent.
fn slices(marks: &[Mark], end: Duration) -> Vec<Slice<'_>> {
    let lasted = |index: usize, mark: &Mark| {
        let mut later = marks[index + 1..].iter();
        let next = later.clone().find(|other| other.track == mark.track);
        let until = next.or_else(|| later.next()).map_or(end, |next| next.at);
        until.saturating_sub(mark.at)
    };
    let slice = |(index, mark)| Slice {
        mark,
        lasted: lasted(index, mark),
    };
    let mut all: Vec<Slice<'_>> = marks.iter().enumerate().map(slice).collect();
    all.sort_by_key(|slice| slice.mark.at);
    all
}

/// A table: begin and duration in microseconds, who, what.
fn text(marks: &[Mark], end: Duration) -> String {
    let mut page = format!("{:>10}{:>10}  {:8}{}\n", "at µs", "took µs", "who", "what");
    for Slice { mark, lasted } in slices(marks, end) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "{:>10.1}{:>10.1}  {:8}{}",
            micros(mark.at),
            micros(lasted),
            name_of(&mark.track),
            mark.text
        );
    }
    let _ = writeln!(page, "{:>10.1}", micros(end));
    page
}

/// The trace-event format: one complete event (`ph: X`) for each stretch, and the
/// names of the tracks. Times are microseconds.
fn trace_events(marks: &[Mark], end: Duration) -> String {
    let mut tracks: Vec<&str> = Vec::new();
    let mut events: Vec<Value> = Vec::new();
    for Slice { mark, lasted } in slices(marks, end) {
        let track = match tracks.iter().position(|track| *track == mark.track) {
            Some(track) => track,
            None => {
                tracks.push(&mark.track);
                let number = tracks.len() - 1;
                events.push(
                    json!({"ph": "M", "name": "thread_name", "pid": 1, "tid": number,
                    "args": {"name": name_of(&mark.track)}}),
                );
                number
            }
        };
        let (property, what) = split(&mark.text);
        events.push(
            json!({"ph": "X", "name": what, "cat": name_of(&mark.track), "pid": 1,
            "tid": track, "ts": micros(mark.at), "dur": micros(lasted),
            "args": {"property": property}}),
        );
    }
    format!(
        "{:#}\n",
        json!({"displayTimeUnit": "ns", "traceEvents": events})
    )
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn name_of(track: &str) -> &str {
    if track.is_empty() { "corten" } else { track }
}

/// A step is told as `property: what`; a phase of the command has no property.
fn split(text: &str) -> (Option<&str>, &str) {
    match text.split_once(": ") {
        Some((property, what)) if !property.contains(' ') => (Some(property), what),
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use libcontainer::timeline::Mark;
    use serde_json::Value;

    use super::{text, trace_events};

    fn marks() -> Vec<Mark> {
        let mark = |at, track: &str, text: &str| Mark {
            at: Duration::from_micros(at),
            track: track.to_owned(),
            text: text.to_owned(),
        };
        vec![
            mark(0, "", "plan"),
            mark(100, "", "wait until init is ready"),
            mark(110, "init", "mounts[0]: mount proc on /proc"),
            mark(130, "init", "become the sealed stub"),
            mark(180, "", "init is ready"),
        ]
    }

    #[test]
    fn a_stretch_ends_where_the_next_of_its_track_begins() {
        let page = text(&marks(), Duration::from_micros(200));
        let words: Vec<Vec<&str>> = page
            .lines()
            .map(|line| line.split_whitespace().take(5).collect())
            .collect();
        assert_eq!(words[1], ["0.0", "100.0", "corten", "plan"]);
        assert_eq!(words[2][..3], ["100.0", "80.0", "corten"]);
        assert_eq!(words[3], ["110.0", "20.0", "init", "mounts[0]:", "mount"]);
        assert_eq!(words[4][..3], ["130.0", "50.0", "init"]);
        assert_eq!(words[5][..3], ["180.0", "20.0", "corten"]);
        assert_eq!(words[6], ["200.0"]);
    }

    #[test]
    fn browsers_get_complete_events_with_the_property() {
        let file = trace_events(&marks(), Duration::from_micros(200));
        let file: Value = serde_json::from_str(&file).unwrap();
        let events = file["traceEvents"].as_array().unwrap();
        let mount = events
            .iter()
            .find(|event| event["name"] == "mount proc on /proc")
            .unwrap();
        assert_eq!(mount["ph"], "X");
        assert_eq!(mount["ts"], 110.0);
        assert_eq!(mount["dur"], 20.0);
        assert_eq!(mount["args"]["property"], "mounts[0]");
        let tracks = events.iter().filter(|event| event["ph"] == "M").count();
        assert_eq!(tracks, 2);
    }
}
