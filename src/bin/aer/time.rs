//! Times as people write and read them: a while ago, Unix seconds, or RFC 3339; shown in UTC.

use std::io::Write;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// A point in time, in whole seconds of Unix time: `10m` (that long ago), `1767225600`, `2026-01-01T00:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since(pub i64);

/// A time span in seconds: `90`, `90s`, `1h30m`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub u64);

const SECONDS_PER_DAY: i64 = 86_400;

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ago = || i64::try_from(span(text)?).ok().map(|seconds| now().saturating_sub(seconds));
        let time = text.parse().ok().or_else(ago).or_else(|| date_time(text));
        time.map(Self).ok_or_else(|| {
            format!(
                "{text:?} is no time; accepted: a while ago, as 10m, 1h30m or 7d; seconds since 1970, as 1767225600; or \
                 a date with time and zone, as 2026-01-01T00:00:00Z or 2026-01-01T01:00:00+01:00"
            )
        })
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = text.parse().ok().or_else(|| span(text));
        seconds.map(Self).ok_or_else(|| {
            format!("{text:?} is no time span; accepted: seconds, as 90, or with units, as 90s, 1h30m or 7d")
        })
    }
}

/// RFC 3339 with nanoseconds, in UTC.
pub fn write(buffer: &mut Vec<u8>, seconds: i64, nanos: i32) {
    let (year, month, day) = date(seconds.div_euclid(SECONDS_PER_DAY));
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let written =
        write!(buffer, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z");
    written.expect("memory takes all");
}

/// The clock of whoever types "10 minutes ago".
#[expect(clippy::disallowed_methods, reason = "a time of day is asked for")]
pub fn now() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)
}

/// Numbers, each with a unit, the largest first.
fn span(text: &str) -> Option<u64> {
    let units = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];
    let (mut seconds, mut rest) = (0_u64, text);
    for (unit, unit_seconds) in units {
        let Some((number, behind)) = rest.split_once(unit) else { continue };
        let number: u64 = digits(number)?;
        seconds = seconds.checked_add(number.checked_mul(unit_seconds)?)?;
        rest = behind;
    }
    (rest.is_empty() && !text.is_empty()).then_some(seconds)
}

/// `parse` alone would take a sign, too.
fn digits<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// RFC 3339, section 5.6. A fraction of a second is left out.
fn date_time(text: &str) -> Option<i64> {
    let (day, time) = text.split_once(['T', 't', ' '])?;
    let [year, month, day] = fields(day, '-', [4, 2, 2])?;
    let days = days(year, month, day);
    let (time, zone) = time.split_at(time.find(['Z', 'z', '+', '-'])?);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = fields(time, ':', [2, 2, 2])?;
    // 60 is a leap second.
    let is_right = date(days) == (year, month, day) && hour < 24 && minute < 60 && second <= 60;
    let has_fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    (is_right && has_fraction).then_some(seconds - offset(zone)?)
}

/// How many seconds a zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    let (sign, zone) = zone.split_at_checked(1)?;
    if sign.eq_ignore_ascii_case("z") {
        return zone.is_empty().then_some(0);
    }
    let [hours, minutes] = fields(zone, ':', [2, 2])?;
    let seconds = hours * 3600 + minutes * 60;
    (hours < 24 && minutes < 60).then_some(if sign == "-" { -seconds } else { seconds })
}

/// Numbers of just so many digits.
fn fields<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut words = text.split(separator);
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        *number = digits(words.next().filter(|word| word.len() == width)?)?;
    }
    words.next().is_none().then_some(numbers)
}

/// A year is counted from March, so that the leap day is its last: month m of it begins (153 m + 2) / 5 days in.
const DAYS_PER_ERA: i64 = 146_097;
/// From the first of March of the year 0 to 1970.
const DAYS_TO_1970: i64 = 719_468;

/// Days from 1970-01-01 to a date of the Gregorian calendar. One that there is not gives that of another.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + (153 * month + 2) / 5 + day - 1 - DAYS_TO_1970
}

/// The reverse of [`days`].
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let (era, day) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    // Without the leap days: each four years but the hundredth, and the last day of the era.
    let year = (day - day / 1460 + day / 36_524 - day / (DAYS_PER_ERA - 1)) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(seconds: i64, nanos: i32) -> String {
        let mut buffer = Vec::new();
        write(&mut buffer, seconds, nanos);
        String::from_utf8(buffer).expect("it is ASCII")
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31t23:59:59z", -1),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2026-11-24 14:19:00Z", 1_795_529_940),
            ("2026-11-24T15:19:00+01:00", 1_795_529_940),
            ("2026-11-24T10:49:00.999-03:30", 1_795_529_940),
            ("1990-12-31T23:59:60Z", 662_688_000),
            ("0000-03-01T00:00:00Z", -62_162_035_200),
        ] {
            assert_eq!(text.parse(), Ok(Since(seconds)), "{text}");
        }
        assert_eq!(shown(1_795_529_940, 7), "2026-11-24T14:19:00.000000007Z");
        assert_eq!(shown(-1, 999_999_999), "1969-12-31T23:59:59.999999999Z");
        for day in (-800_000..800_000).step_by(7) {
            let (year, month, day_of_month) = date(day);
            assert_eq!(days(year, month, day_of_month), day);
            assert!((1..=12).contains(&month) && (1..=31).contains(&day_of_month), "{day}");
        }
        // Whatever a daemon sends.
        shown(i64::MIN, i32::MIN);
        shown(i64::MAX, i32::MAX);
    }

    #[test]
    fn a_while_ago_is_seen_from_now() {
        for (text, seconds) in
            [("10m", 600), ("1h30m", 5400), ("7d", 604_800), ("1d2h3m4s", 93_784), ("0s", 0)]
        {
            let Since(since) = text.parse().expect(text);
            assert!((now() - seconds - since).abs() <= 1, "{text}");
            assert_eq!(text.parse(), Ok(Span(seconds.unsigned_abs())), "{text}");
        }
        assert_eq!("1767225600".parse(), Ok(Since(1_767_225_600)));
        assert_eq!("-5".parse(), Ok(Since(-5)));
        assert_eq!("90".parse(), Ok(Span(90)));
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_is() {
        for text in [
            "",
            "m",
            "10 m",
            "1m1h",
            "-1m",
            "+1m",
            "1.5h",
            "1w",
            "99999999999999999999s",
            "999999999999999999d",
            "yesterday",
            "2026-11-24",
            "2026-11-24T14:19:00",
            "2026-11-24T14:19Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-11-24T24:00:00Z",
            "2026-11-24T14:19:00.Z",
            "2026-11-24T14:19:00+25:00",
            "2026-11-24T14:19:00Z1",
            "26-11-24T14:19:00Z",
            "2026-11-24T14:19:00µ",
        ] {
            let refusal = text.parse::<Since>().expect_err(text);
            assert!(refusal.contains("is no time; accepted: ") && refusal.contains("10m"), "{refusal}");
            assert!(text.parse::<Span>().expect_err(text).contains("is no time span"), "{text}");
        }
    }
}
