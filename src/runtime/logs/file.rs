//! A file to which an output is appended, byte for byte as it was written.
//!
//! When it is full or old it is put aside: `.1` becomes `.2` and so on, it becomes `.1`, and another one begins.
//!
//! - That happens between two lines. A line is finished in the file in which it has begun, which may become longer by that,
//!   unless the line alone has as many bytes as a file may have.
//! - A file's age counts from its first byte; after a restart of the daemon, from when the kernel says that it was made. Where
//!   the file system doesn't keep that, from its last byte before.
//! - One that was put aside goes when its last byte is as old as a file may become, or when there are too many.
//! - A file that has a second name (a hard link, as some backups make) is put aside, too, when it would be opened.
//! - Nothing is synced: what the kernel has taken outlives the daemon, not the machine.
//! - What cannot be written is missing in whole lines: the file goes back to the end of the last one that it has, and goes
//!   on with the first that begins when it can be written again. Meanwhile a try is made once a second.

use super::library::{Directory, Made, Place, is_regular};
use super::policy::FileBounds;
use crate::limits::{LOG_FILE_RETRY_DELAY, LOG_FILES_MAX};
use crate::runtime::error::{Error, errno_of};
use memchr::{memchr, memrchr};
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Calls may block as long as the disk does.
#[derive(Debug)]
pub struct LogFile {
    place: Place,
    bounds: FileBounds,
    file: File,
    /// When its first byte was written; `None` while it has none.
    began: Option<SystemTime>,
    /// Its bytes, as of the last look at it.
    size: u64,
    /// Those of a line that has not ended yet.
    line: u64,
    /// Those put aside have been looked at.
    tidy: bool,
    gap: Option<Gap>,
}

/// What is missing in a file, up to now.
#[derive(Debug)]
struct Gap {
    bytes: u64,
    /// It ends within a line.
    in_line: bool,
    next_try: Instant,
    /// What is to be cut off: the size then, and the size to come.
    torn: Option<(u64, u64)>,
}

/// What the daemon's log should tell of a file.
#[derive(Debug)]
pub enum News {
    /// From now on something is missing.
    Failing(Error),
    /// There is a file again, and so many bytes are missing before the next.
    Resumed(String, u64),
    /// There will be no more, and so many bytes are missing at its end.
    Missing(String, u64),
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failing(error) => {
                write!(f, "output is not written to its file, and tried again each second: {error}")
            }
            Self::Resumed(path, bytes) => {
                write!(f, "output is written to {path} again; {bytes} bytes are missing in it")
            }
            Self::Missing(path, bytes) => write!(f, "{bytes} bytes are missing at the end of {path}"),
        }
    }
}

impl LogFile {
    pub(super) fn open(place: Place, bounds: FileBounds, made: &mut Made) -> Result<Self, Error> {
        leave_linked(&place, bounds, made)?;
        let file = place.open(made)?;
        let (size, line, tidy, gap) = Default::default();
        let mut opened = Self { place, bounds, file, began: None, size, line, tidy, gap };
        opened.look()?;
        Ok(opened)
    }

    /// Appends what the output has given.
    fn write(&mut self, mut bytes: &[u8]) -> Option<News> {
        if let Some(gap) = &mut self.gap {
            bytes = gap.skip(bytes);
            if bytes.is_empty() {
                return None;
            }
        }
        match self.append(&mut bytes) {
            Ok(()) => {
                let gap = self.gap.take()?;
                Some(News::Resumed(self.shown(), gap.bytes))
            }
            Err(error) => {
                let is_new = self.gap.is_none();
                self.lose(bytes);
                is_new.then_some(News::Failing(error))
            }
        }
    }

    /// After a failure with these bytes left: goes back to the end of the last whole line.
    fn lose(&mut self, bytes: &[u8]) {
        let gap = self.gap.get_or_insert_with(Gap::new);
        gap.count(bytes);
        gap.next_try = Instant::now() + LOG_FILE_RETRY_DELAY;
        if self.line > 0 {
            gap.bytes += self.line;
            gap.torn = Some((self.size, self.size - self.line));
            self.line = 0;
            // If it fails, it is tried again before anything else is written.
            let _ = self.mend();
        }
    }

    /// Where there is nothing to write the output has ended, and the file is closed: that may block, too.
    pub fn write_or_end(mut self: Box<Self>, bytes: &[u8]) -> (Option<Box<Self>>, Option<News>) {
        if bytes.is_empty() {
            return (None, self.end());
        }
        let news = self.write(bytes);
        (Some(self), news)
    }

    fn end(&mut self) -> Option<News> {
        let gap = self.gap.take()?;
        Some(News::Missing(self.shown(), gap.bytes))
    }

    /// Takes from `bytes` what it has written.
    fn append(&mut self, bytes: &mut &[u8]) -> Result<(), Error> {
        self.mend()?;
        self.look()?;
        if !self.tidy {
            remove_old(&self.place, self.bounds, &self.directory()?)?;
            self.tidy = true;
        }
        while !bytes.is_empty() {
            match self.fitting(bytes) {
                0 => self.begin_another()?,
                count => self.write_some(bytes, count)?,
            }
        }
        Ok(())
    }

    /// How many of these bytes belong into this file; 0 when a next one is to begin.
    fn fitting(&self, bytes: &[u8]) -> usize {
        let bytes_max = self.bounds.bytes_max();
        let room = if self.is_old() { 0 } else { bytes_max.saturating_sub(self.size) };
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        if bytes.len() <= room {
            return bytes.len();
        }
        if let Some(end) = memrchr(b'\n', &bytes[..room]) {
            return end + 1;
        }
        if self.line > 0 || self.size == 0 {
            let rest = usize::try_from(bytes_max.saturating_sub(self.line)).unwrap_or(usize::MAX);
            return memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1).min(rest);
        }
        0
    }

    fn is_old(&self) -> bool {
        matches!((self.bounds.age_max(), self.began), (Some(most), Some(began)) if age(began) >= most)
    }

    /// Writes `count` of these bytes, or as many as the file takes at once.
    fn write_some(&mut self, bytes: &mut &[u8], count: usize) -> Result<(), Error> {
        self.began.get_or_insert_with(now);
        let written = match self.file.write(&bytes[..count]) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(0),
            outcome => outcome,
        };
        let written = written.map_err(|error| self.error("write to", &error))?;
        let (part, rest) = bytes.split_at(written);
        self.size += written as u64;
        self.line = match memrchr(b'\n', part) {
            Some(end) => (written - end - 1) as u64,
            None => self.line + written as u64,
        };
        *bytes = rest;
        Ok(())
    }

    fn mend(&mut self) -> Result<(), Error> {
        let Some((torn, whole)) = self.gap.as_ref().and_then(|gap| gap.torn) else { return Ok(()) };
        let cut = || {
            // Somebody else may have written behind it: a run before this one, or the operator.
            if self.file.metadata()?.len() == torn && torn > whole {
                self.file.set_len(whole)
            } else {
                Ok(())
            }
        };
        cut().map_err(|error| self.error("cut off the end of", &error))?;
        self.gap.iter_mut().for_each(|gap| gap.torn = None);
        self.size = whole;
        Ok(())
    }

    /// What has become of the file since the last write: somebody may have removed it or cut it off.
    fn look(&mut self) -> Result<(), Error> {
        let mut found = self.metadata()?;
        if found.nlink() == 0 {
            self.reopen()?;
            found = self.metadata()?;
        }
        if found.len() != self.size {
            (self.size, self.line) = (found.len(), 0);
        }
        if self.size == 0 {
            self.began = None;
        } else if self.began.is_none() {
            self.began = found.created().or_else(|_| found.modified()).ok();
        }
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), Error> {
        let mut made = Made::default();
        leave_linked(&self.place, self.bounds, &mut made)?;
        self.file = self.place.open(&mut made)?;
        made.keep();
        (self.began, self.size, self.line) = (None, 0, 0);
        Ok(())
    }

    fn begin_another(&mut self) -> Result<(), Error> {
        let directory = self.directory()?;
        // Unless somebody has done so by now: an earlier run of the executable may have something to write still.
        let own = self.metadata()?;
        let found = directory.look(&self.place.name(0))?;
        if found.is_some_and(|found| (found.st_dev, found.st_ino) == (own.dev(), own.ino())) {
            put_aside(&self.place, self.bounds, &directory)?;
        }
        self.reopen()?;
        self.look()
    }

    fn directory(&self) -> Result<Directory, Error> {
        let mut made = Made::default();
        self.place.directory(&mut made).inspect(|_| made.keep())
    }

    fn metadata(&self) -> Result<Metadata, Error> {
        self.file.metadata().map_err(|error| self.error("look at", &error))
    }

    fn error(&self, verb: &'static str, error: &io::Error) -> Error {
        Error::File { verb, path: self.place.path(), errno: errno_of(error) }
    }

    fn shown(&self) -> String {
        self.place.path().display().to_string()
    }
}

impl Gap {
    fn new() -> Self {
        Self { bytes: 0, in_line: false, next_try: Instant::now(), torn: None }
    }

    /// What is to be tried of these bytes.
    fn skip<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let count = if Instant::now() < self.next_try {
            bytes.len()
        } else if self.in_line {
            memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1)
        } else {
            0
        };
        let (skipped, rest) = bytes.split_at(count);
        self.count(skipped);
        rest
    }

    fn count(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if let Some(last) = bytes.last() {
            self.in_line = *last != b'\n';
        }
    }
}

/// A file that has another name, too, is put aside before anything is written to it: that would be written under the other name,
/// too, which may be that of a backup, or of something else altogether.
fn leave_linked(place: &Place, bounds: FileBounds, made: &mut Made) -> Result<(), Error> {
    let directory = place.directory(made)?;
    let found = directory.look(&place.name(0))?;
    if found.is_some_and(|found| is_regular(&found) && found.st_nlink > 1) {
        put_aside(place, bounds, &directory)?;
    }
    Ok(())
}

fn put_aside(place: &Place, bounds: FileBounds, directory: &Directory) -> Result<(), Error> {
    let most = bounds.count_max();
    if most == 0 {
        return directory.remove(&place.name(0));
    }
    for number in (0..most).rev() {
        directory.rename(&place.name(number), &place.name(number + 1))?;
    }
    remove_old(place, bounds, directory)
}

/// Those too many are from when more were to be kept.
fn remove_old(place: &Place, bounds: FileBounds, directory: &Directory) -> Result<(), Error> {
    for number in 1..=LOG_FILES_MAX {
        let name = place.name(number);
        let Some(found) = directory.look(&name)?.filter(is_regular) else { continue };
        let last = UNIX_EPOCH + Duration::from_secs(u64::try_from(found.st_mtime).unwrap_or_default());
        let is_old = bounds.age_max().is_some_and(|most| age(last) >= most);
        if is_old || number > bounds.count_max() {
            directory.remove(&name)?;
        }
    }
    Ok(())
}

/// Files have the time of day, and outlive what `Instant` counts from. Where that clock is put back, they are new.
fn age(since: SystemTime) -> Duration {
    now().duration_since(since).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "compared with the times of files, see `age`")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::super::library::tests::Scratch;
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    fn bounds(bytes: u64, count: u32) -> FileBounds {
        FileBounds::default().with_bytes(bytes).and_then(|bounds| bounds.with_count(count)).expect("valid")
    }

    /// The one of standard output.
    fn open(scratch: &Scratch, bounds: FileBounds) -> LogFile {
        let [out, _] = scratch.open("job", bounds).expect("opened").keep();
        *out
    }

    fn path(scratch: &Scratch, number: u32) -> PathBuf {
        let suffix = if number == 0 { String::new() } else { format!(".{number}") };
        scratch.directory().join(format!("job.stdout.log{suffix}"))
    }

    /// The newest first.
    fn read(scratch: &Scratch) -> Vec<Vec<u8>> {
        (0..=LOG_FILES_MAX).map_while(|number| fs::read(path(scratch, number)).ok()).collect()
    }

    fn written(file: &mut LogFile, bytes: &[u8]) {
        assert!(file.write(bytes).is_none());
    }

    #[test]
    fn bytes_stand_there_as_they_were_written_and_the_next_run_goes_on() {
        let scratch = Scratch::new();
        let all: Vec<u8> = (0..=255).cycle().take(3000).collect();
        for part in all.chunks(1000) {
            let mut file = open(&scratch, FileBounds::default());
            part.chunks(7).for_each(|chunk| written(&mut file, chunk));
        }
        assert_eq!(read(&scratch), [all]);
    }

    #[test]
    fn lines_are_whole_and_none_is_missing_however_they_were_cut() {
        let mut state = 7_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for chunk_max in [10, 1000, 4096, 65_536] {
            let scratch = Scratch::new();
            let mut file = open(&scratch, bounds(4096, LOG_FILES_MAX));
            let mut all = Vec::new();
            while all.len() < 200_000 {
                let length = if random(10) == 0 { random(4000) } else { random(100) };
                all.extend(std::iter::repeat_n(b'a' + random(26) as u8, length));
                all.push(b'\n');
            }
            let mut rest = &all[..];
            while !rest.is_empty() {
                let (chunk, behind) = rest.split_at((1 + random(chunk_max)).min(rest.len()));
                written(&mut file, chunk);
                rest = behind;
            }
            let mut files = read(&scratch);
            files.reverse();
            assert!(files.iter().all(|file| file.ends_with(b"\n")), "{chunk_max}");
            // With the rest of one line.
            assert!(files.iter().all(|file| file.len() <= 4096 + 4000), "{chunk_max}");
            assert!(files.len() >= 200_000 / 8192, "{chunk_max}: {}", files.len());
            assert!(files.concat() == all, "{chunk_max}");
        }
    }

    #[test]
    fn whole_lines_never_pass_the_bound() {
        let scratch = Scratch::new();
        let mut file = open(&scratch, bounds(4096, 3));
        (0..2000).for_each(|number| written(&mut file, format!("line {number}\n").as_bytes()));
        let files = read(&scratch);
        assert_eq!(files.len(), 1 + 3);
        assert!(files.iter().all(|file| file.len() <= 4096));
        assert!(files[1..].iter().all(|file| file.len() > 4000), "full when it was put aside");
        assert!(files[0].ends_with(b"line 1999\n"));
    }

    #[test]
    fn a_line_longer_than_a_file_is_cut() {
        let scratch = Scratch::new();
        let mut file = open(&scratch, bounds(4096, 10));
        written(&mut file, b"short\n");
        [3000, 3000, 4000].into_iter().for_each(|length| written(&mut file, &vec![b'x'; length]));
        written(&mut file, b"\nshort\n");
        let lengths: Vec<usize> = read(&scratch).iter().map(Vec::len).collect();
        assert_eq!(lengths, [10_000 - 2 * 4096 + 7, 4096, 6 + 4096]);
    }

    #[test]
    fn none_is_kept_where_none_is_wanted_and_those_too_many_go() {
        let scratch = Scratch::new();
        let mut file = open(&scratch, bounds(4096, 5));
        (0..10).for_each(|_| written(&mut file, &[&[b'x'; 4000][..], b"\n"].concat()));
        assert_eq!(read(&scratch).len(), 6);
        let mut file = open(&scratch, bounds(4096, 2));
        assert_eq!(read(&scratch).len(), 6, "a start alone removes nothing");
        written(&mut file, b"more\n");
        assert_eq!(read(&scratch).len(), 3);
        let mut file = open(&scratch, bounds(4096, 0));
        (0..3).for_each(|_| written(&mut file, &[&[b'x'; 4000][..], b"\n"].concat()));
        assert_eq!(read(&scratch).len(), 1);
    }

    #[test]
    fn age_puts_aside_between_lines_and_removes() {
        let scratch = Scratch::new();
        let bounds = FileBounds::default().with_age_seconds(1000).expect("valid");
        let mut file = open(&scratch, bounds);
        written(&mut file, b"begun ");
        let ago = |seconds| now() - Duration::from_secs(seconds);
        file.began = Some(ago(500));
        written(&mut file, b"and ");
        file.began = Some(ago(1000));
        written(&mut file, b"ended\nnext\n");
        assert_eq!(read(&scratch), [&b"next\n"[..], b"begun and ended\n"]);

        let put_aside = File::options().write(true).open(path(&scratch, 1)).expect("it is there");
        put_aside.set_modified(ago(500)).expect("a time");
        file.began = Some(ago(1000));
        written(&mut file, b"third\n");
        assert_eq!(read(&scratch), [&b"third\n"[..], b"next\n", b"begun and ended\n"]);
        put_aside.set_modified(ago(1000)).expect("a time");
        file.began = Some(ago(1000));
        written(&mut file, b"fourth\n");
        assert_eq!(read(&scratch), [&b"fourth\n"[..], b"third\n", b"next\n"]);
    }

    #[test]
    fn the_age_of_what_is_found_is_that_of_the_file() {
        let scratch = Scratch::new();
        written(&mut open(&scratch, FileBounds::default()), b"first\n");
        let began = open(&scratch, FileBounds::default()).began.expect("it has bytes");
        assert!(age(began) < Duration::from_secs(100));
        assert!(began <= now());
        fs::write(path(&scratch, 0), "").expect("cut off");
        assert_eq!(open(&scratch, FileBounds::default()).began, None);
    }

    #[test]
    fn one_that_somebody_has_removed_or_cut_off_goes_on() {
        let scratch = Scratch::new();
        let mut file = open(&scratch, FileBounds::default());
        written(&mut file, b"lost\n");
        fs::remove_dir_all(scratch.directory()).expect("removed");
        written(&mut file, b"kept\n");
        assert_eq!(read(&scratch), [b"kept\n"]);
        fs::write(path(&scratch, 0), "").expect("cut off");
        written(&mut file, b"behind\n");
        assert_eq!(read(&scratch), [b"behind\n"]);
    }

    #[test]
    fn what_has_a_second_name_is_put_aside_and_not_written_to() {
        let scratch = Scratch::new();
        written(&mut open(&scratch, FileBounds::default()), b"one\n");
        let backup = scratch.directory().join("backup");
        fs::hard_link(path(&scratch, 0), &backup).expect("a link");
        let mut file = open(&scratch, FileBounds::default());
        written(&mut file, b"two\n");
        assert_eq!(read(&scratch), [b"two\n", b"one\n"]);
        // As by somebody who puts the backup back.
        fs::rename(&backup, path(&scratch, 0)).expect("renamed");
        written(&mut file, b"three\n");
        assert_eq!(read(&scratch), [&b"three\n"[..], b"one\n", b"one\n"]);
        drop(file);
        fs::hard_link(path(&scratch, 0), &backup).expect("a link");
        written(&mut open(&scratch, bounds(4096, 0)), b"four\n");
        assert_eq!(
            (read(&scratch), fs::read(&backup).ok()),
            (vec![b"four\n".into()], Some(b"three\n".into()))
        );
    }

    #[test]
    fn two_runs_do_not_put_aside_each_others_file() {
        let scratch = Scratch::new();
        let (mut late, mut next) = (open(&scratch, bounds(4096, 9)), open(&scratch, bounds(4096, 9)));
        written(&mut late, &[&[b'x'; 4090][..], b"\n"].concat());
        written(&mut next, b"next line\n");
        written(&mut late, b"late line\n");
        let files = read(&scratch);
        assert_eq!((files.len(), &files[0][..], files[1].len()), (2, &b"next line\nlate line\n"[..], 4091));
    }

    /// As if the disk were full.
    fn fill(file: &mut LogFile) -> File {
        let full = File::options().append(true).open("/dev/full").expect("opened");
        std::mem::replace(&mut file.file, full)
    }

    fn try_again(file: &mut LogFile, at: Instant) {
        file.gap.as_mut().expect("something is missing").next_try = at;
    }

    #[test]
    fn what_cannot_be_written_is_missing_in_whole_lines_and_counted() {
        let scratch = Scratch::new();
        let mut file = open(&scratch, FileBounds::default());
        written(&mut file, b"one\n");
        let disk = fill(&mut file);
        let before = Instant::now();
        let news = file.write(b"two is lost\nso is this").expect("news").to_string();
        assert!(news.contains("ENOSPC") && news.contains("job.stdout.log"), "{news}");
        assert!(file.write(b" line\n").is_none(), "told once");
        let next_try = file.gap.as_ref().expect("something is missing").next_try;
        assert!(next_try >= before + LOG_FILE_RETRY_DELAY);
        // Later than this looks.
        try_again(&mut file, next_try + Duration::from_secs(3600));
        file.file = disk;
        assert!(file.write(b"too early ").is_none());
        try_again(&mut file, Instant::now());
        let news = file.write(b"within a line\nthree\n").expect("news").to_string();
        let lost = "two is lost\nso is this line\ntoo early within a line\n".len();
        assert!(news.contains(&format!("again; {lost} bytes are missing")), "{news}");
        assert_eq!(read(&scratch), [b"one\nthree\n"]);
        written(&mut file, b"four\n");
        assert!(file.end().is_none());

        fill(&mut file);
        file.write(b"five").expect("news");
        assert_eq!(file.end().expect("news").to_string().split(' ').next(), Some("4"));
    }
}
