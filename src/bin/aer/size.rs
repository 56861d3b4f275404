//! Sizes and rates as people write them; the daemon takes and tells plain numbers.

use std::fmt;
use std::str::FromStr;

use auraed::proto::aurae::runtime::v0::IoMax;

/// A number, or a multiple of 1024: `4096`, `512K`, `64M`, `2G`, `1T`. What is out of range is for the daemon to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub i64);

/// A device and its rates: `8:0,read-bytes=1M,writes=100`.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceRates(pub IoMax);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, shift) = match text.char_indices().next_back() {
            Some((end, unit)) => match unit.to_ascii_uppercase() {
                'K' => (&text[..end], 10),
                'M' => (&text[..end], 20),
                'G' => (&text[..end], 30),
                'T' => (&text[..end], 40),
                _ => (text, 0),
            },
            None => (text, 0),
        };
        let number: Option<i64> = digits.parse().ok();
        let bytes = number.and_then(|number| number.checked_mul(1 << shift));
        bytes.map(Self).ok_or_else(|| {
            format!("{text:?} is no size; accepted: a number such as 4096, or with K, M, G or T behind it")
        })
    }
}

/// Exact: in the largest unit of which it is a whole number.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = self;
        let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
        let unit = units.iter().find(|(shift, _)| *bytes != 0 && bytes % (1_i64 << shift) == 0);
        match unit {
            Some((shift, name)) => write!(f, "{}{name}", bytes >> shift),
            None => write!(f, "{bytes}"),
        }
    }
}

impl FromStr for DeviceRates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(',');
        let device = words.next().unwrap_or_default().to_owned();
        let mut max = IoMax { device, ..IoMax::default() };
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let rate = match key {
                "read-bytes" => &mut max.read_bytes_per_second,
                "write-bytes" => &mut max.write_bytes_per_second,
                "reads" => &mut max.reads_per_second,
                "writes" => &mut max.writes_per_second,
                _ => {
                    let known = "read-bytes, write-bytes, reads and writes";
                    return Err(format!("{key:?} is no rate; accepted: {known}, each with = and a number"));
                }
            };
            let Size(number) = value.parse()?;
            let number =
                u64::try_from(number).map_err(|_| format!("{number} is no rate; accepted: 1 and more"))?;
            if rate.replace(number).is_some() {
                return Err(format!("{key} is there twice"));
            }
        }
        Ok(Self(max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("1K", 1 << 10),
            ("64M", 64 << 20),
            ("64m", 64 << 20),
            ("2G", 2 << 30),
            ("1T", 1 << 40),
            ("-1", -1),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "M", "1.5G", "1 G", "1KB", "1MiB", "9999999T", "1µ", "x"] {
            assert!(text.parse::<Size>().expect_err(text).contains("is no size"), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_as_they_are_taken() {
        for (bytes, text) in [
            (0, "0"),
            (1, "1"),
            (1023, "1023"),
            (1 << 10, "1K"),
            (1025, "1025"),
            (1536, "1536"),
            (64 << 20, "64M"),
            (3 << 30, "3G"),
            (1 << 60, "1048576T"),
            (i64::MAX, "9223372036854775807"),
            (-4096, "-4K"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
    }

    #[test]
    fn rates_stand_behind_their_device() {
        let rates = |text: &str| text.parse::<DeviceRates>().map(|DeviceRates(max)| max);
        let max = IoMax { device: "/dev/sda".to_owned(), ..IoMax::default() };
        let expected =
            IoMax { read_bytes_per_second: Some(1 << 20), writes_per_second: Some(7), ..max.clone() };
        assert_eq!(rates("/dev/sda,read-bytes=1M,writes=7"), Ok(expected));
        // The daemon says what is wrong with this.
        assert_eq!(rates("/dev/sda"), Ok(max));
        for (text, why) in [
            ("8:0,bytes=1", "is no rate"),
            ("8:0,reads", "is no size"),
            ("8:0,reads=-1", "is no rate"),
            ("8:0,reads=1,reads=1", "is there twice"),
        ] {
            assert!(rates(text).expect_err(text).contains(why), "{text}");
        }
    }
}
