//! Durations as Go programs write them, because engines pass on their own.

use std::time::Duration;

/// Units and their nanoseconds; a unit comes before those that begin like it.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// `1m30s`, `500ms`, `1.5h`: numbers, each with its unit.
///
/// # Errors
/// What would have been accepted.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wanted = || "a duration above zero like 5s, 500ms or 1m30s".to_owned();
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let end = rest.find(|c| !is_number(c)).ok_or_else(wanted)?;
        let (number, after) = rest.split_at(end);
        let unit = UNITS
            .iter()
            .find_map(|(name, ns)| Some((after.strip_prefix(name)?, *ns)));
        let (after, ns) = unit.ok_or_else(wanted)?;
        let part = amount(number, ns).ok_or_else(wanted)?;
        total = total.checked_add(part).ok_or_else(wanted)?;
        rest = after;
    }
    if total.is_zero() {
        return Err(wanted());
    }
    Ok(total)
}

fn amount(number: &str, unit_ns: u64) -> Option<Duration> {
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * unit_ns as f64 / 1e9).ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn durations_of_go() {
        for (text, ms) in [
            ("5s", 5_000),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
            ("2000us", 2),
            ("3000\u{b5}s", 3),
            (".5s", 500),
            ("1h0m0s", 3_600_000),
        ] {
            assert_eq!(parse(text).unwrap().as_millis(), ms, "{text}");
        }
        for text in [
            "", "0", "0s", "5", "s", "-5s", "5 s", "1.2.3s", "5x", "1e400s",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
