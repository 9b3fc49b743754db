//! The time of day as text.

use std::time::SystemTime;

/// Now, as RFC 3339 in UTC with nanoseconds: `2026-11-23T15:39:15.314029865Z`.
#[must_use]
pub fn utc_now() -> String {
    // The standard library's clock: that of rustix panics where the vDSO lacks one of
    // the functions it looks for, as on user-mode Linux.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default();
    format_utc(now.as_secs().cast_signed(), now.subsec_nanos())
}

/// A time since 1970 as RFC 3339 in UTC with nanoseconds.
#[must_use]
pub fn format_utc(seconds: i64, nanoseconds: u32) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z")
}

/// Days since 1970-01-01 to year, month and day of the Gregorian calendar.
///
/// Counted in eras of 400 years (146,097 days) that begin on 1 March, so that
/// the leap day is the last of its year.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let leaps = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let before_year = 365 * year_of_era + year_of_era / 4 - year_of_era / 100;
    let day_of_year = day_of_era - before_year;
    // March is 0. Five months have 153 days.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants() {
        assert_eq!(format_utc(0, 0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(
            format_utc(-1, 999_999_999),
            "1969-12-31T23:59:59.999999999Z"
        );
        assert_eq!(format_utc(951_782_400, 1), "2000-02-29T00:00:00.000000001Z");
        assert_eq!(
            format_utc(1_709_164_800, 0),
            "2024-02-29T00:00:00.000000000Z"
        );
        assert_eq!(
            format_utc(1_795_448_355, 314_029_865),
            "2026-11-23T15:39:15.314029865Z"
        );
        assert_eq!(
            format_utc(4_107_542_400, 0),
            "2100-03-01T00:00:00.000000000Z"
        );
        assert_eq!(
            format_utc(253_402_300_799, 0),
            "9999-12-31T23:59:59.000000000Z"
        );
    }

    #[test]
    fn every_day_of_eight_centuries_follows_the_one_before() {
        let length = |year: i64, month: i64| match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let mut expected = (1600, 1, 1);
        for days in -135_140..157_054 {
            assert_eq!(civil_from_days(days), expected);
            let (year, month, day) = expected;
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (month, day) if day == length(year, month) => (year, month + 1, 1),
                (month, day) => (year, month, day + 1),
            };
        }
    }

    #[test]
    fn now_has_the_right_shape() {
        let now = utc_now();
        assert_eq!(now.len(), "2026-11-23T15:39:15.314029865Z".len());
        assert!(now.starts_with("20") && now.ends_with('Z'), "{now}");
    }
}
