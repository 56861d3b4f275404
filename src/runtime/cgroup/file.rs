//! Reading and writing the kernel's files: bounded, in one call, and with an error that names the file.

use super::super::error::{Error, errno_of};
use crate::limits::CGROUP_FILE_BYTES_MAX;
use crate::sys::failpoint::check;
use nix::errno::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// The contents, up to a bound.
pub fn read(path: &Path) -> Result<String, Error> {
    let mut contents = String::new();
    check("read a file").map_err(|errno| Error::File { verb: "read", path: path.to_owned(), errno })?;
    let file = File::open(path).map_err(|error| Error::file("open", path, &error))?;
    let read = file.take(CGROUP_FILE_BYTES_MAX as u64).read_to_string(&mut contents);
    read.map_err(|error| Error::file("read", path, &error))?;
    Ok(contents)
}

/// As [`read`]; `None` when the file is not there, or is of a cgroup that has been removed.
pub fn read_if_there(path: &Path) -> Result<Option<String>, Error> {
    match read(path) {
        Err(Error::File { errno: Errno::ENOENT | Errno::ENODEV, .. }) => Ok(None),
        other => other.map(Some),
    }
}

/// Writes `value` in one call, as the kernel wants it. Neither makes nor truncates a file.
pub fn write(path: &Path, value: &str) -> Result<(), Errno> {
    check("write a file")?;
    let mut file = File::options().write(true).open(path).map_err(|error| errno_of(&error))?;
    file.write_all(value.as_bytes()).map_err(|error| errno_of(&error))
}
