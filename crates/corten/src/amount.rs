//! Numbers of bytes for people.

const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// `0 B`, `1.5 KiB`, `512 MiB`: powers of 1024, three digits.
pub fn bytes(number: u64) -> String {
    let (mut whole, mut rest, mut unit) = (number, 0, 0);
    while whole >= 1024 && unit + 1 < UNITS.len() {
        (whole, rest, unit) = (whole / 1024, whole % 1024, unit + 1);
    }
    let name = UNITS.get(unit).unwrap_or(&"");
    let tenth = rest * 10 / 1024;
    if unit == 0 || whole >= 100 || tenth == 0 {
        format!("{whole} {name}")
    } else {
        format!("{whole}.{tenth} {name}")
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn three_digits_and_a_unit() {
        let table = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (536_870_912, "512 MiB"),
            (536_870_912 + 60_000, "512 MiB"),
            (u64::MAX, "16383 PiB"),
        ];
        for (number, wanted) in table {
            assert_eq!(bytes(number), wanted);
        }
    }
}
