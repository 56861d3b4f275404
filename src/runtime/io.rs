//! Limits on block devices: values, their bounds, and how a device is named. Touches no file, except to see which
//! device a path stands for.

use super::error::{Error, errno_of};
use super::quote::Quoted;
use crate::limits::{DEVICE_PATH_BYTES_MAX, IO_BYTES_MAX, IO_DEVICES_MAX, IO_OPERATIONS_MAX, IO_WEIGHT_MAX};
use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// The limits that a cell puts on reads and writes of block devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IoLimits {
    /// `None` is not limited.
    pub weight: Option<IoWeight>,
    /// A device that is not here is not limited.
    pub max: BTreeMap<Device, IoMax>,
}

/// Share of a device's time when cells compete, relative to siblings; 1 to 10000, the kernel's default is 100
/// (cgroup-v2.rst, "io.weight").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoWeight(u16);

/// A block device. What is in use has numbers: see [`IoLimits::resolved`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Device {
    Numbers {
        major: u32,
        minor: u32,
    },
    /// Absolute.
    Path(String),
}

/// What may be read and written in a second; at least one is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoMax {
    rates: [Option<u64>; 4],
}

/// What an [`IoMax`] limits, in the order of its rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    ReadBytes,
    WriteBytes,
    Reads,
    Writes,
}

/// Why a value is no limit on block devices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IoError {
    #[error("io weight {0} is out of range; accepted: 1 to {IO_WEIGHT_MAX} (the kernel's default is 100)")]
    Weight(u64),
    #[error("{given} is out of range; accepted: 1 to {most}, or unset for no limit")]
    Rate { given: u64, most: u64 },
    #[error("{0} devices are too many; accepted: at most {IO_DEVICES_MAX}")]
    Devices(usize),
    #[error("limits nothing; set at least one of the rates")]
    NoRate,
    #[error(
        "device {given} is {what}; accepted: numbers as in 8:0, or the path of a device node as in /dev/sda"
    )]
    Device { given: String, what: &'static str },
}

/// Largest device numbers that the kernel has (`MINORBITS` in linux/kdev_t.h: 20 of 32 bits).
const MAJOR_MAX: u32 = (1 << 12) - 1;
const MINOR_MAX: u32 = (1 << 20) - 1;

impl IoWeight {
    pub fn new(weight: u64) -> Result<Self, IoError> {
        match u16::try_from(weight) {
            Ok(small @ 1..=IO_WEIGHT_MAX) => Ok(Self(small)),
            _ => Err(IoError::Weight(weight)),
        }
    }

    pub fn value(self) -> u64 {
        self.0.into()
    }

    /// The same share for the scheduler BFQ, which has 1 to 1000 around the same default. What is below the default
    /// stays; what is above is squeezed.
    pub fn bfq(self) -> u64 {
        match self.value() {
            small @ ..=100 => small,
            large => 100 + (large - 100) * 900 / 9_900,
        }
    }
}

impl IoMax {
    /// Rates in the order of [`Rate::ALL`].
    pub fn new(rates: [Option<u64>; 4]) -> Result<Self, IoError> {
        for (rate, given) in Rate::ALL.into_iter().zip(rates) {
            rate.check(given)?;
        }
        match rates.iter().any(Option::is_some) {
            true => Ok(Self { rates }),
            false => Err(IoError::NoRate),
        }
    }

    /// `None` is not limited.
    pub fn rate(&self, rate: Rate) -> Option<u64> {
        self.rates[rate as usize]
    }
}

impl Rate {
    pub const ALL: [Self; 4] = [Self::ReadBytes, Self::WriteBytes, Self::Reads, Self::Writes];

    /// Whether the kernel takes this much of it.
    pub fn check(self, given: Option<u64>) -> Result<(), IoError> {
        let most = match self {
            Self::ReadBytes | Self::WriteBytes => IO_BYTES_MAX,
            Self::Reads | Self::Writes => IO_OPERATIONS_MAX,
        };
        match given {
            Some(given) if !(1..=most).contains(&given) => Err(IoError::Rate { given, most }),
            _ => Ok(()),
        }
    }
}

impl Device {
    /// Reads `8:0` or an absolute path. Whether there is such a device is not known by that.
    pub fn parse(text: &str) -> Result<Self, IoError> {
        let refused = |what| IoError::Device { given: Quoted(text).to_string(), what };
        if text.starts_with('/') {
            return match text.len() {
                _ if text.contains('\0') => Err(refused("a path with a NUL")),
                0..=DEVICE_PATH_BYTES_MAX => Ok(Self::Path(text.to_owned())),
                _ => Err(refused("too long")),
            };
        }
        let numbers = text.split_once(':').ok_or_else(|| refused("neither numbers nor an absolute path"))?;
        let number = |digits: &str, most: u32| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse().ok().filter(|number| plain && *number <= most)
        };
        match (number(numbers.0, MAJOR_MAX), number(numbers.1, MINOR_MAX)) {
            (Some(major), Some(minor)) => Ok(Self::Numbers { major, minor }),
            _ => Err(refused("no pair of device numbers")),
        }
    }

    /// The device that a path stands for now.
    fn resolved(&self) -> Result<Self, Error> {
        let Self::Path(path) = self else { return Ok(self.clone()) };
        let refused = |why| Error::NoBlockDevice { device: self.to_string(), why };
        let found = Path::new(path).metadata();
        let found = found.map_err(|error| refused(errno_of(&error).desc()))?;
        if !found.file_type().is_block_device() {
            return Err(refused("it is no block device"));
        }
        let rdev = found.rdev();
        let (major, minor) = (nix::sys::stat::major(rdev), nix::sys::stat::minor(rdev));
        let number = |number: u64| u32::try_from(number).map_err(|_| refused("its numbers are out of range"));
        Ok(Self::Numbers { major: number(major)?, minor: number(minor)? })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers { major, minor } => write!(f, "{major}:{minor}"),
            Self::Path(path) => path.fmt(f),
        }
    }
}

impl IoLimits {
    /// The same with each device by its numbers.
    pub(super) fn resolved(self) -> Result<Self, Error> {
        let mut max = BTreeMap::new();
        for (device, rates) in self.max {
            let numbers = device.resolved()?;
            if max.insert(numbers, rates).is_some() {
                let why = "it is named twice, in two ways";
                return Err(Error::NoBlockDevice { device: device.to_string(), why });
            }
        }
        Ok(Self { weight: self.weight, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_have_bounds_and_a_bfq_form() {
        for (weight, bfq) in [(1, 1), (100, 100), (111, 101), (10_000, 1_000)] {
            let parsed = IoWeight::new(weight).expect("valid");
            assert_eq!((parsed.value(), parsed.bfq()), (weight, bfq));
        }
        for weight in [0, 10_001, 65_537, u64::MAX] {
            assert_eq!(IoWeight::new(weight), Err(IoError::Weight(weight)));
        }
    }

    #[test]
    fn rates_have_bounds() {
        let max = IoMax::new([Some(1), None, Some(4_294_967_294), None]).expect("valid");
        assert_eq!((max.rate(Rate::ReadBytes), max.rate(Rate::WriteBytes)), (Some(1), None));
        assert_eq!(max.rate(Rate::Reads), Some(4_294_967_294));
        assert_eq!(IoMax::new([None; 4]), Err(IoError::NoRate));
        for rates in [
            [Some(0), None, None, None],
            [None, Some(u64::MAX), None, None],
            [None, None, None, Some(4_294_967_295)],
        ] {
            assert!(matches!(IoMax::new(rates), Err(IoError::Rate { .. })), "{rates:?}");
        }
    }

    #[test]
    fn devices_are_numbers_or_paths() {
        for (text, device) in [
            ("8:0", Device::Numbers { major: 8, minor: 0 }),
            ("4095:1048575", Device::Numbers { major: 4095, minor: 1_048_575 }),
            ("/dev/sda", Device::Path("/dev/sda".to_owned())),
        ] {
            assert_eq!(Device::parse(text), Ok(device.clone()));
            assert_eq!(device.to_string(), text);
        }
        for text in ["", "sda", "8", "8:", ":0", "8:0:0", "+8:0", "8:0 ", "4096:0", "8:1048576", "/a\0b"] {
            let error = Device::parse(text).expect_err(text).to_string();
            assert!(error.contains("accepted: numbers as in 8:0"), "{error}");
        }
        assert!(Device::parse(&format!("/{}", "x".repeat(4096))).is_err());
    }

    #[test]
    fn a_path_must_be_of_a_block_device() {
        let limits = |device| {
            let max = IoMax::new([Some(1), None, None, None]).expect("valid");
            IoLimits { weight: None, max: [(Device::parse(device).expect("valid"), max)].into() }
        };
        for (path, why) in [("/dev/null", "no block device"), ("/nonexistent", "No such file")] {
            let error = limits(path).resolved().expect_err(path).to_string();
            assert!(error.contains(why) && error.contains(path), "{error}");
        }
        assert_eq!(limits("8:0").resolved().expect("numbers"), limits("8:0"));
    }
}
