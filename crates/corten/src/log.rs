//! The log, in the two forms that engines parse.
//!
//! ```text
//! text  time="2026-11-23T15:41:48.917427Z" level=error msg="..."
//! json  {"level":"error","msg":"...","time":"2026-11-23T15:41:48.917427Z"}
//! ```
//!
//! containerd reads the last line of level `error`; podman decodes the whole file
//! as one object. So a failing command writes exactly one line. Warnings wait for
//! the outcome, and a failure discards them; only `--log-level warning`, `debug` or
//! `--debug` writes them at once. Without `--log` they are written nowhere at the
//! default level: the standard error of `create` is the container's.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use libcontainer::timeline::Recorder;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use crate::cli::{Global, LogFormat, LogLevel};
use crate::report::CommandError;
use crate::sink::{Line, Sink};

/// Where lines go, and which.
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    /// None is standard error.
    sink: Option<Sink>,
    format: Option<LogFormat>,
    level: LogLevel,
    /// `--timings` wants every event, whatever the log does.
    timeline: Option<Recorder>,
    /// Warnings that wait for the outcome; only with a sink and without a level
    /// that was asked for.
    held: Option<Mutex<Vec<Line>>>,
}

impl Log {
    /// Opens the log that the options ask for, and has a timeline recorded where one
    /// is given. Nothing is installed when they ask for none: the common case pays
    /// nothing.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(global: &Global, timeline: Option<Recorder>) -> Result<Self, CommandError> {
        let log = global.log.as_deref().filter(|name| !name.is_empty());
        let sink = log.map(Sink::open).transpose()?;
        let asked = if global.debug {
            Some(LogLevel::Debug)
        } else {
            global.log_level
        };
        let held = (sink.is_some() && asked.is_none()).then(Mutex::default);
        let inner = Arc::new(Inner {
            level: asked.unwrap_or(if held.is_some() {
                LogLevel::Warning
            } else {
                LogLevel::Error
            }),
            sink,
            format: global.log_format,
            timeline,
            held,
        });
        if inner.level > LogLevel::Error || inner.timeline.is_some() {
            let dispatch = Dispatch::new(Tracer(Arc::clone(&inner)));
            // Fails only when there is one already.
            let _ = tracing::dispatcher::set_global_default(dispatch);
        }
        Ok(Self { inner })
    }

    /// Standard error, for what fails before there is a log.
    pub fn standard() -> Self {
        Self::of(None, None)
    }

    /// A log that takes one error.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn append_to(name: &str, format: Option<LogFormat>) -> Result<Self, CommandError> {
        Sink::open(name).map(|sink| Self::of(Some(sink), format))
    }

    fn of(sink: Option<Sink>, format: Option<LogFormat>) -> Self {
        let inner = Inner {
            sink,
            format,
            level: LogLevel::Error,
            timeline: None,
            held: None,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The timeline, if one is recorded.
    pub fn timeline(&self) -> Option<&Recorder> {
        self.inner.timeline.as_ref()
    }

    /// The command succeeded: what waited is written.
    pub fn release(&self) {
        if let Some(held) = &self.inner.held {
            let lines = held.lock().map(|mut lines| std::mem::take(&mut *lines));
            lines
                .unwrap_or_default()
                .iter()
                .for_each(|line| self.inner.write(line));
        }
    }

    /// The command failed: one line in the log, and the plain message on standard error.
    pub fn fail(&self, message: &str) {
        let inner = &self.inner;
        let line = inner.line(LogLevel::Error, message, &[]);
        let (sink, json) = (inner.sink.is_some(), inner.format == Some(LogFormat::Json));
        if sink || json {
            inner.write(&line);
        }
        if json && !sink {
            // It is on standard error already.
            return;
        }
        write_error(&format!("corten: {}\n", line.message));
    }
}

/// Nobody is left to tell when standard error is closed.
fn write_error(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

impl Inner {
    fn line(&self, level: LogLevel, message: &str, others: &[(&str, String)]) -> Line {
        let format = self.format.unwrap_or(LogFormat::Text);
        let message = one_line(message);
        let rendered = render(format, name_of(level), &message, others);
        Line {
            level,
            message,
            rendered,
        }
    }

    fn write(&self, line: &Line) {
        match &self.sink {
            Some(sink) => sink.write(line),
            None => write_error(&line.rendered),
        }
    }

    fn wants(&self, level: &Level) -> bool {
        level_of(level) <= self.level
    }
}

fn level_of(level: &Level) -> LogLevel {
    match *level {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warning,
        Level::INFO => LogLevel::Info,
        _ => LogLevel::Debug,
    }
}

/// The names of logrus, which engines decode.
fn name_of(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warning => "warning",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
    }
}

/// Receives the events of all crates. There are no spans: the sequence is one.
struct Tracer(Arc<Inner>);

impl Subscriber for Tracer {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.timeline.is_some() || self.0.wants(metadata.level())
    }

    /// What nobody reads is not put into words, and `exec` runs as without a log.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.0.level {
            _ if self.0.timeline.is_some() => LevelFilter::TRACE,
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warning => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::TRACE,
        })
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let inner = &self.0;
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(timeline) = &inner.timeline {
            fields.note(timeline);
        }
        if !inner.wants(event.metadata().level()) {
            return;
        }
        let level = level_of(event.metadata().level());
        let line = inner.line(level, &fields.message, &fields.others);
        match inner.held.as_ref().map(Mutex::lock) {
            Some(Ok(mut held)) => held.push(line),
            _ => inner.write(&line),
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The message of an event and its other fields, as text.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Fields {
    /// An event with a `track` begins one: init says so of itself.
    fn note(&self, timeline: &Recorder) {
        if let Some((_, track)) = self.others.iter().find(|(name, _)| *name == "track") {
            timeline.enter_track(track);
        }
        timeline.note(&self.message);
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.others.push((field.name(), format!("{value:?}")));
        }
    }
}

/// One finished line of the log.
fn render(format: LogFormat, level: &str, message: &str, others: &[(&str, String)]) -> String {
    let time = format_time(SystemTime::now());
    let mut line = String::new();
    // Writing to a String cannot fail.
    let _ = match format {
        LogFormat::Text => write!(line, "time=\"{time}\" level={level} msg={message:?}"),
        LogFormat::Json => {
            let text = quote(message);
            write!(
                line,
                "{{\"level\":\"{level}\",\"msg\":{text},\"time\":\"{time}\""
            )
        }
    };
    for (name, value) in others {
        let _ = match format {
            LogFormat::Text => write!(line, " {name}={value:?}"),
            LogFormat::Json => write!(line, ",\"{name}\":{}", quote(value)),
        };
    }
    line.push_str(if format == LogFormat::Json {
        "}\n"
    } else {
        "\n"
    });
    line
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A message is one line, whatever a configuration puts into it.
fn one_line(message: &str) -> String {
    message.replace(['\n', '\r'], " ")
}

/// RFC 3339 in UTC: "2026-11-23T15:41:48.917427Z". Engines take the fraction, and
/// `--debug` needs it.
fn format_time(time: SystemTime) -> String {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date_of(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let micros = since.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Days since 1970-01-01 to year, month, day. Years are counted from March, so that
/// the leap day is the last of its year and months have a regular length.
fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // 0000-03-01 to 1970-01-01
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{format_time, one_line, render};
    use crate::cli::LogFormat;

    fn at(seconds: u64) -> String {
        format_time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(at(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000000Z");
        assert_eq!(at(1_700_000_000), "2023-11-14T22:13:20.000000Z");
        assert_eq!(at(4_107_542_399), "2100-02-28T23:59:59.000000Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.000000Z");
        assert_eq!(at(1_798_761_599), "2026-12-31T23:59:59.000000Z");
    }

    #[test]
    fn json_has_the_keys_of_logrus_in_their_order() {
        let line = render(
            LogFormat::Json,
            "error",
            "say \"no\"\u{7}",
            &[("step", "a".into())],
        );
        let start = "{\"level\":\"error\",\"msg\":\"say \\\"no\\\"\\u0007\",\"time\":\"";
        assert!(line.starts_with(start), "{line}");
        assert!(line.ends_with("Z\",\"step\":\"a\"}\n"), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["msg"], "say \"no\"\u{7}");
    }

    #[test]
    fn text_is_one_line_of_pairs() {
        let line = render(LogFormat::Text, "error", &one_line("a\nb"), &[]);
        assert!(line.starts_with("time=\"2"), "{line}");
        assert!(line.ends_with("Z\" level=error msg=\"a b\"\n"), "{line}");
    }
}
