//! Where the files of outputs are: below `LIBRARY_DIR/logs`, in a directory for each label of the cell's name. A label has no
//! dot and the name of a file has some, so that neither takes the other's place.
//!
//! Everything below the library directory is opened name by name, from the descriptor of the directory that it is in, and
//! never through a symbolic link: whatever somebody has put there, no other file is written to. Directories and files
//! are for the daemon's user alone, as its socket is, which gives the same output.

use super::Channel;
use super::file::LogFile;
use super::policy::FileBounds;
use crate::limits::{FILE_NAME_BYTES_MAX, LOG_DIRECTORY_TRIES};
use crate::runtime::error::Error;
use crate::runtime::names::{CellName, ExecutableName};
use crate::sys::failpoint::check;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The library directory. It is made when it is needed.
#[derive(Clone, Debug)]
pub struct Library(Arc<Path>);

/// The files of both outputs of a run. What had to be made for them goes again with this, unless it is kept.
#[derive(Debug)]
pub struct LogFiles {
    files: [Box<LogFile>; 2],
    made: Made,
}

/// Where the file of one output is.
#[derive(Debug)]
pub(super) struct Place {
    library: Library,
    cell: CellName,
    name: String,
}

/// A directory below the library directory, or on the way to it.
#[derive(Debug)]
pub(super) struct Directory {
    directory: Arc<OwnedFd>,
    path: PathBuf,
}

/// Files and directories that are new. They are removed, the last one first, unless they are kept. A directory in which
/// others have something by then stays, even if they remove that in the end.
#[derive(Debug, Default)]
pub(super) struct Made(Vec<(Arc<OwnedFd>, PathBuf, UnlinkatFlags)>);

/// To find what is in it; not to read it.
const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
/// Without waiting: whoever has put a FIFO there must not hold us.
const APPEND: OFlag = OFlag::O_WRONLY
    .union(OFlag::O_APPEND)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);

impl Library {
    pub fn new(path: &Path) -> Self {
        Self(path.into())
    }

    /// Opens the files of an executable, to go on at their ends.
    pub fn open(
        &self,
        cell: &CellName,
        executable: &ExecutableName,
        bounds: FileBounds,
    ) -> Result<LogFiles, Error> {
        let mut made = Made::default();
        let mut open = |channel| {
            let name = file_name(executable, channel);
            let place = Place { library: self.clone(), cell: cell.clone(), name };
            LogFile::open(place, bounds, &mut made).map_err(Error::at_start)
        };
        let files = [open(Channel::Stdout)?, open(Channel::Stderr)?].map(Box::new);
        Ok(LogFiles { files, made })
    }
}

impl LogFiles {
    /// From now on they stay.
    pub fn stay(&mut self) {
        std::mem::take(&mut self.made).keep();
    }

    /// The same, and gives them away.
    pub fn keep(mut self) -> [Box<LogFile>; 2] {
        self.stay();
        self.files
    }
}

impl Place {
    pub fn path(&self) -> PathBuf {
        let mut path = self.library.0.join("logs");
        path.extend(self.cell.labels());
        path.join(&self.name)
    }

    /// Opens the file to append to it, and its directory. Makes what is missing.
    pub fn open(&self, made: &mut Made) -> Result<File, Error> {
        self.try_often(made, |directory, made| directory.open_file(&self.name, made))
    }

    /// Of the file and of those put aside. Makes what is missing.
    pub fn directory(&self, made: &mut Made) -> Result<Directory, Error> {
        self.try_often(made, |directory, _| Ok(directory))
    }

    /// What is missing is made by several, and taken back by those who fail: what somebody has found may be gone at the
    /// next step.
    fn try_often<T>(
        &self,
        made: &mut Made,
        open: impl Fn(Directory, &mut Made) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut tries = LOG_DIRECTORY_TRIES;
        loop {
            tries -= 1;
            match self.try_directory(made).and_then(|directory| open(directory, made)) {
                Err(Error::File { errno: Errno::ENOENT, .. }) if tries > 0 => {}
                outcome => return outcome,
            }
        }
    }

    fn try_directory(&self, made: &mut Made) -> Result<Directory, Error> {
        let mut directory = Directory::start_of(&self.library.0)?;
        for component in self.library.0.components() {
            match component {
                // The operator's, who may have linked it to another place.
                Component::Normal(name) => directory = directory.enter(name, OFlag::empty(), 0o755, made)?,
                Component::ParentDir => {
                    directory = directory.enter(OsStr::new(".."), OFlag::empty(), 0o755, made)?;
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        for label in ["logs"].into_iter().chain(self.cell.labels()) {
            directory = directory.enter(OsStr::new(label), OFlag::O_NOFOLLOW, 0o700, made)?;
        }
        Ok(directory)
    }

    /// The name of the file that was put aside so many files ago; its own for 0.
    pub fn name(&self, number: u32) -> String {
        match number {
            0 => self.name.clone(),
            number => format!("{}.{number}", self.name),
        }
    }
}

impl Directory {
    fn start_of(path: &Path) -> Result<Self, Error> {
        let path = PathBuf::from(if path.is_absolute() { "/" } else { "." });
        let opened = check("open a log directory").and_then(|()| open(&path, DIRECTORY, Mode::empty()));
        match opened {
            Ok(directory) => Ok(Self { directory: Arc::new(directory), path }),
            Err(errno) => Err(Error::File { verb: "open", path, errno }),
        }
    }

    fn enter(&self, name: &OsStr, flags: OFlag, mode: u32, made: &mut Made) -> Result<Self, Error> {
        let path = self.path.join(name);
        let open = || {
            check("open a log directory")?;
            openat(&self.directory, name, DIRECTORY | flags, Mode::empty())
        };
        let opened = match open() {
            Err(Errno::ENOENT) => {
                self.make(name, mode, made).map_err(|errno| Error::File {
                    verb: "make the directory",
                    path: path.clone(),
                    errno,
                })?;
                open()
            }
            opened => opened,
        };
        match opened {
            Ok(directory) => Ok(Self { directory: Arc::new(directory), path }),
            // What a link is, too, where none is followed: open(2).
            Err(Errno::ENOTDIR | Errno::ELOOP) => Err(Error::NoLogFile { path, why: "is no directory" }),
            Err(errno) => Err(Error::File { verb: "open", path, errno }),
        }
    }

    fn make(&self, name: &OsStr, mode: u32, made: &mut Made) -> Result<(), Errno> {
        check("make a log directory")?;
        match mkdirat(&self.directory, name, Mode::from_bits_truncate(mode)) {
            Ok(()) => made.add(&self.directory, name, UnlinkatFlags::RemoveDir),
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
        Ok(())
    }

    fn open_file(&self, name: &str, made: &mut Made) -> Result<File, Error> {
        let path = self.path.join(name);
        let open = |flags| openat(&self.directory, name, APPEND | flags, Mode::S_IRUSR | Mode::S_IWUSR);
        let opened = match check("make a log file").and_then(|()| open(OFlag::O_CREAT | OFlag::O_EXCL)) {
            Ok(file) => {
                made.add(&self.directory, OsStr::new(name), UnlinkatFlags::NoRemoveDir);
                return Ok(file.into());
            }
            Err(Errno::EEXIST) => check("open a log file").and_then(|()| open(OFlag::empty())),
            Err(errno) => return Err(Error::File { verb: "make", path, errno }),
        };
        let refused = |why| Error::NoLogFile { path: path.clone(), why };
        let file = opened.map_err(|errno| match errno {
            Errno::ELOOP => refused("is a symbolic link"),
            Errno::EISDIR => refused("is a directory"),
            // A FIFO that nobody reads, a socket, or the device of no driver: open(2).
            Errno::ENXIO => refused("is no regular file"),
            errno => Error::File { verb: "open", path: path.clone(), errno },
        })?;
        let looked = check("look at a log file").and_then(|()| fstat(&file));
        let found = looked.map_err(|errno| Error::File { verb: "look at", path: path.clone(), errno })?;
        if !is_regular(&found) {
            return Err(refused("is no regular file"));
        }
        if found.st_nlink > 1 {
            return Err(refused("has another name, too (a hard link)"));
        }
        Ok(file.into())
    }

    /// `None` when there is nothing of this name.
    pub fn look(&self, name: &str) -> Result<Option<FileStat>, Error> {
        match fstatat(&self.directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(Error::File { verb: "look at", path: self.path.join(name), errno }),
        }
    }

    /// Nothing is done where there is no such file.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        match renameat(&self.directory, from, &self.directory, to) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(Error::File { verb: "rename", path: self.path.join(from), errno }),
        }
    }

    /// Nothing is done where there is no such file.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        match unlinkat(&self.directory, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(Error::File { verb: "remove", path: self.path.join(name), errno }),
        }
    }
}

impl Made {
    fn add(&mut self, directory: &Arc<OwnedFd>, name: &OsStr, kind: UnlinkatFlags) {
        self.0.push((Arc::clone(directory), name.into(), kind));
    }

    pub fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for (directory, name, kind) in self.0.drain(..).rev() {
            let _ = unlinkat(directory.as_fd(), &name, kind);
        }
    }
}

pub(super) fn is_regular(found: &FileStat) -> bool {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
}

/// What the file of an output is called. No two executables share one, unless 64 bits of a hash are the same, on a file
/// system that tells upper from lower case.
fn file_name(executable: &ExecutableName, channel: Channel) -> String {
    let suffix = format!(".{}.log", channel.name());
    let bytes = executable.as_str().as_bytes();
    let units = bytes.iter().enumerate().map(|(index, byte)| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => char::from(*byte).to_string(),
        // Neither hidden nor a directory's own name.
        b'.' if index > 0 => ".".to_owned(),
        byte => format!("%{byte:02X}"),
    });
    let (mut name, mut cut) = (String::new(), 0);
    for unit in units {
        if name.len() <= NAME_BYTES_MAX - HASH_BYTES {
            cut = name.len();
        }
        name.push_str(&unit);
    }
    if name.len() > NAME_BYTES_MAX {
        name.truncate(cut);
        // No whole name has it.
        name.push_str(&format!("~{:016x}", fnv1a(bytes)));
    }
    name + &suffix
}

/// What is left of a file's name for that of the executable, beside the longest suffix.
const NAME_BYTES_MAX: usize = FILE_NAME_BYTES_MAX - ".stdout.log.100".len();
/// With what shows that it is one.
const HASH_BYTES: usize = 1 + 16;

/// FNV-1a, 64 bits: stays the same from one release to the next.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A directory that goes with the test. It has no library directory yet.
    pub struct Scratch(PathBuf);

    impl Scratch {
        pub fn new() -> Self {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("auraed-files-{}-{number}", std::process::id()));
            fs::create_dir(&path).expect("the name is new");
            Self(path)
        }

        pub fn open(&self, executable: &str, bounds: FileBounds) -> Result<LogFiles, Error> {
            let cell = CellName::parse("web/front").expect("valid");
            let executable = ExecutableName::parse(executable).expect("valid");
            Library::new(&self.0.join("var/lib")).open(&cell, &executable, bounds)
        }

        /// Of the cell.
        pub fn directory(&self) -> PathBuf {
            self.0.join("var/lib/logs/web/front")
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn named(name: &str) -> String {
        file_name(&ExecutableName::parse(name).expect("valid"), Channel::Stdout)
    }

    #[test]
    fn names_are_plain_and_whole_where_they_fit() {
        for (name, file) in [
            ("job", "job.stdout.log"),
            ("sleep 4000", "sleep%204000.stdout.log"),
            ("../ä", "%2E.%2F%C3%A4.stdout.log"),
            (".", "%2E.stdout.log"),
            ("%41", "%2541.stdout.log"),
            ("x~0", "x%7E0.stdout.log"),
        ] {
            assert_eq!(named(name), file);
        }
        assert_eq!(named(&"x".repeat(240)), "x".repeat(240) + ".stdout.log");
        let cut = named(&"x".repeat(241));
        assert!(cut.starts_with(&("x".repeat(223) + "~")) && cut.len() + ".100".len() == 255, "{cut}");
        let cut = named(&"ä".repeat(127));
        assert_eq!(cut.find('~'), Some(222), "not within the three characters of one byte: {cut}");
    }

    /// Files that were put aside included.
    #[test]
    fn no_two_executables_share_a_file() {
        let pieces = ["x", "X", ".", ".stdout.log", ".stderr.log", ".1", "%", "%2E", "/", "~", " ", "ä"];
        let long = ["x".repeat(223), "x".repeat(239), "/".repeat(80)];
        let begins = pieces.iter().map(|piece| (*piece).to_owned()).chain(long);
        let pairs = |begin: String| {
            let more = |piece: &&str| pieces.map(|last| format!("{begin}{piece}{last}"));
            pieces.iter().flat_map(more).chain([begin.clone()]).collect::<Vec<_>>()
        };
        let names: BTreeSet<String> = begins.flat_map(pairs).filter(|name| name.len() <= 255).collect();
        let mut files = BTreeSet::new();
        for name in &names {
            let executable = ExecutableName::parse(name).expect("valid");
            for channel in Channel::BOTH {
                let file = file_name(&executable, channel);
                for suffix in ["", ".1", ".100"] {
                    let file = format!("{file}{suffix}");
                    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.%~".contains(c);
                    assert!(file.len() <= 255 && file.chars().all(is_plain), "{file}");
                    assert!(!file.starts_with('.') && file.contains('.'), "{file}");
                    assert!(files.insert(file.clone()), "{file} again, of {name:?}");
                }
            }
        }
        assert!(names.len() > 1000, "{}", names.len());
    }

    #[test]
    fn what_is_not_kept_goes_again() {
        let scratch = Scratch::new();
        drop(scratch.open("job", FileBounds::default()).expect("opened"));
        assert_eq!(fs::read_dir(&scratch.0).expect("it is there").count(), 0);

        scratch.open("job", FileBounds::default()).expect("opened").keep();
        let others = scratch.open("other", FileBounds::default()).expect("opened");
        let files = || fs::read_dir(scratch.directory()).expect("it is there").count();
        assert_eq!(files(), 4);
        drop((others, scratch.open("job", FileBounds::default()).expect("opened")));
        assert_eq!(files(), 2, "what was there stays");
    }

    #[test]
    fn others_cannot_read_it() {
        let scratch = Scratch::new();
        scratch.open("job", FileBounds::default()).expect("opened").keep();
        let mode = |path: PathBuf| fs::metadata(path).expect("it is there").mode() & 0o777;
        assert_eq!(mode(scratch.0.join("var/lib/logs")), 0o700);
        assert_eq!(mode(scratch.directory()), 0o700);
        assert_eq!(mode(scratch.directory().join("job.stderr.log")), 0o600);
    }

    #[test]
    fn nothing_else_is_written_to() {
        let fifo = |path: &Path| nix::unistd::mkfifo(path, Mode::S_IRWXU).expect("a fifo");
        type Put<'a> = (&'a str, &'a dyn Fn(&Path));
        let puts: [Put<'_>; 4] = [
            ("is a symbolic link", &|path| symlink(path.with_file_name("other"), path).expect("a link")),
            ("is a symbolic link", &|path| symlink("/dev/null", path).expect("a link")),
            ("is a directory", &|path| fs::create_dir(path).expect("a directory")),
            ("is no regular file", &fifo),
        ];
        for (reason, put) in puts {
            let scratch = Scratch::new();
            fs::create_dir_all(scratch.directory()).expect("directories");
            put(&scratch.directory().join("job.stderr.log"));
            let before = fs::read_dir(scratch.directory()).expect("it is there").count();
            let error = scratch.open("job", FileBounds::default()).map(drop).expect_err("refused");
            assert!(error.to_string().contains(reason), "{error}");
            assert!(error.to_string().contains("front/job.stderr.log"), "{error}");
            let after = fs::read_dir(scratch.directory()).expect("it is there").count();
            assert_eq!(after, before, "the other file is gone again");
        }
    }

    #[test]
    fn a_fifo_that_is_read_is_no_file_either() {
        let scratch = Scratch::new();
        fs::create_dir_all(scratch.directory()).expect("directories");
        let path = scratch.directory().join("job.stdout.log");
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).expect("a fifo");
        let _reader = open(&path, OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty()).expect("opened");
        let error = scratch.open("job", FileBounds::default()).map(drop).expect_err("refused");
        assert!(error.to_string().contains("is no regular file"), "{error}");
    }

    #[test]
    fn links_are_followed_up_to_the_library_directory_and_not_below() {
        let scratch = Scratch::new();
        fs::create_dir(scratch.0.join("disk")).expect("a directory");
        symlink("disk", scratch.0.join("var")).expect("a link");
        scratch.open("job", FileBounds::default()).expect("opened").keep();
        assert!(scratch.0.join("disk/lib/logs/web/front/job.stdout.log").is_file());
        fs::rename(scratch.directory(), scratch.0.join("elsewhere")).expect("renamed");
        symlink(scratch.0.join("elsewhere"), scratch.directory()).expect("a link");
        let error = scratch.open("job", FileBounds::default()).map(drop).expect_err("refused");
        assert!(error.to_string().contains("web/front is no directory"), "{error}");
    }

    #[test]
    fn starts_that_fail_do_not_disturb_others() {
        let scratch = Scratch::new();
        std::thread::scope(|scope| {
            for number in 0..4 {
                let scratch = &scratch;
                scope.spawn(move || {
                    for _ in 0..200 {
                        drop(scratch.open(&format!("job{number}"), FileBounds::default()).expect("opened"));
                    }
                });
            }
        });
        let left = fs::read_dir(scratch.directory()).into_iter().flatten().count();
        assert_eq!(left, 0, "there may be directories, but no file");
    }
}
