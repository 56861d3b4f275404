//! Output in files: what stands in them, when they are put aside, and what a disk that is full, absent or dead does to
//! the executables, over the daemon's socket. Needs root; says so and does nothing without.

#[path = "common/under_test.rs"]
mod under_test;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use auraed::client::Channel;
use auraed::grpc::status::{Code, Status};
use auraed::proto::aurae::observe::v0::*;
use auraed::proto::aurae::runtime::v0::*;
use auraed::proto::{CellServiceClient, ObserveServiceClient};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use smol::future::FutureExt;
use smol::stream::StreamExt;
use smol::{Executor, Timer, future};
use under_test::{Auraed, PATIENCE, eventually_async};

#[test]
fn bytes_stand_there_as_they_were_written() {
    with_daemon("bytes", async |daemon| {
        daemon.allocate("web").await;
        daemon.allocate("web/front").await;
        let copy = daemon.file("copy");
        let script =
            format!("head -c 3000000 /dev/urandom | tee {}; printf 'no newline' >&2", copy.display());
        daemon.start("web/front", "job", &script, files()).await.expect("start");
        daemon.end("web/front", "job").await;
        let logs = daemon.logs("web/front");
        let is_whole = || fs::read(logs.join("job.stdout.log")).unwrap() == fs::read(&copy).unwrap();
        eventually("all of it", is_whole).await;
        eventually("the other output", || read(&logs.join("job.stderr.log")) == "no newline").await;

        daemon.start("web/front", "job", "echo again", files()).await.expect("start");
        daemon.end("web/front", "job").await;
        let whole = fs::metadata(&copy).expect("it is there").len() + 6;
        let file = logs.join("job.stdout.log");
        eventually("it is appended", || fs::metadata(&file).unwrap().len() == whole).await;
        daemon.start("web", "../x", "echo dots", files()).await.expect("start");
        daemon.end("web", "../x").await;
        daemon.free("web").await;
        eventually("a plain name", || read(&daemon.logs("web").join("%2E.%2Fx.stdout.log")) == "dots\n")
            .await;
        assert_eq!(fs::metadata(&file).expect("it stays").len(), whole);
        assert_eq!(fs::metadata(&file).expect("it stays").mode() & 0o777, 0o600);
    });
}

#[test]
fn nothing_is_made_before_somebody_asks_for_it() {
    with_daemon("lazy", async |daemon| {
        daemon.allocate("web").await;
        daemon.start("web", "job", "echo ring", None).await.expect("start");
        daemon.end("web", "job").await;
        assert!(!daemon.file("lib").exists());
    });
}

#[test]
fn a_restart_of_either_goes_on_with_the_file() {
    with_daemon("restart", async |daemon| {
        daemon.allocate("web").await;
        let runs = daemon.file("runs");
        let script = format!("echo run >>{0}; echo line; [ $(wc -l <{0}) = 3 ]", runs.display());
        let condition = RestartCondition::OnFailure.into();
        let restart = Some(RestartPolicy { condition, max_restarts: None });
        daemon.start_with("web", "job", &script, files(), restart).await.expect("start");
        daemon.end("web", "job").await;
        let file = daemon.logs("web").join("job.stdout.log");
        eventually("three lines", || read(&file) == "line\nline\nline\n").await;
        // What it says when it is told to end is there, too.
        daemon
            .start(
                "web",
                "last",
                "trap 'echo last; exit' TERM; echo first; while :; do sleep 0.1; done",
                files(),
            )
            .await
            .expect("start");
        let last = daemon.logs("web").join("last.stdout.log");
        eventually("it runs", || read(&last) == "first\n").await;
        daemon.again().await;
        assert_eq!(read(&last), "first\nlast\n");
        daemon.allocate("web").await;
        daemon.start("web", "job", "echo new", files()).await.expect("start");
        daemon.end("web", "job").await;
        eventually("a fourth", || read(&file) == "line\nline\nline\nnew\n").await;
    });
}

#[test]
fn files_are_put_aside_by_size_and_counted() {
    with_daemon("size", async |daemon| {
        daemon.allocate("web").await;
        let policy = LogPolicy { file_bytes_max: Some(4096), file_count_max: Some(2), ..files().unwrap() };
        daemon.start("web", "job", "seq 100000 106000", Some(policy)).await.expect("start");
        daemon.end("web", "job").await;
        let logs = daemon.logs("web");
        let file = |suffix: &str| read(&logs.join(format!("job.stdout.log{suffix}")));
        eventually("the last line", || file("").ends_with("\n106000\n")).await;
        let all = file(".2") + &file(".1") + &file("");
        let expected: String = (100_000..=106_000).map(|number| format!("{number}\n")).collect();
        assert!(expected.ends_with(&all) && all.len() > 2 * 4000, "{}", all.len());
        // The rest of a line may be in it.
        assert!(["", ".1", ".2"].into_iter().all(|suffix| file(suffix).len() < 4096 + 7));
        assert_eq!(fs::read_dir(&logs).expect("it is there").count(), 3 + 1);
    });
}

/// How old what was put aside is, the kernel is asked; here we tell it.
#[test]
fn files_are_put_aside_and_removed_by_age() {
    with_daemon("age", async |daemon| {
        daemon.allocate("web").await;
        let policy = LogPolicy { file_age_seconds_max: Some(1), ..files().unwrap() };
        let gate = daemon.file("go");
        let script = format!(
            "for n in a b c d; do until [ -e {0}.$n ]; do sleep 0.02; done; echo $n; done",
            gate.display()
        );
        daemon.start("web", "job", &script, Some(policy)).await.expect("start");
        let path = |suffix: &str| daemon.logs("web").join(format!("job.stdout.log{suffix}"));
        let set_age = |suffix: &str, time: SystemTime| {
            let file = fs::File::options().write(true).open(path(suffix)).expect("it is there");
            file.set_modified(time).expect("a time");
        };
        let day = Duration::from_secs(24 * 3600);
        let held = || ["", ".1", ".2", ".3"].map(|suffix| read(&path(suffix)));
        for (line, expected) in [
            ("a", ["a\n", "", "", ""]),
            ("b", ["b\n", "a\n", "", ""]),
            ("c", ["c\n", "b\n", "a\n", ""]),
            // The oldest is gone.
            ("d", ["d\n", "c\n", "b\n", ""]),
        ] {
            if line == "d" {
                set_age(".2", SystemTime::now() - day);
            }
            fs::write(daemon.file(&format!("go.{line}")), "").expect("go on");
            eventually("another file", || held() == expected).await;
            set_age("", SystemTime::now() + day);
            Timer::after(Duration::from_millis(1100)).await;
        }
        daemon.end("web", "job").await;
        assert_eq!(held(), ["d\n", "c\n", "b\n", ""]);
    });
}

#[test]
fn a_start_that_has_no_place_for_its_files_leaves_nothing() {
    with_daemon("refused", async |daemon| {
        daemon.allocate("web").await;
        let refused = async |name: &str, code: Code, text: &str| {
            let status = daemon.start("web", name, "echo", files()).await.expect_err("refused");
            assert!(status.code == code && status.message.contains(text), "{status}");
            assert!(daemon.start("web", name, "echo", None).await.is_ok(), "the name is free");
            daemon.end("web", name).await;
        };
        fs::write(daemon.file("lib"), "").expect("a file");
        refused("job", Code::FailedPrecondition, "lib is no directory").await;
        fs::remove_file(daemon.file("lib")).expect("removed");

        let logs = daemon.logs("web");
        fs::create_dir_all(&logs).expect("directories");
        symlink("/etc/passwd", logs.join("job.stderr.log")).expect("a link");
        refused("job", Code::FailedPrecondition, "job.stderr.log is a symbolic link").await;
        assert_eq!(fs::read_dir(&logs).expect("it is there").count(), 1);
        daemon.start("web", "bad", "exit 1", files()).await.expect("start");
        daemon.end("web", "bad").await;
        let missing = Executable { args: vec!["/nowhere".into()], ..executable("none", "", files()) };
        assert_eq!(
            daemon.request("web", missing).await.expect_err("no such program").code,
            Code::FailedPrecondition
        );
        assert!(!logs.join("none.stdout.log").exists());

        let read_only = Disk::tmpfs(&daemon.file("lib"), "size=64k", MsFlags::MS_RDONLY);
        refused("job", Code::FailedPrecondition, "mount that file system writable").await;
        drop(read_only);
        // Room for the directory itself, and for one below it.
        let _full = Disk::tmpfs(&daemon.file("lib"), "size=64k,nr_inodes=2", MsFlags::empty());
        refused("job", Code::ResourceExhausted, "make room on that file system").await;
        assert_eq!(fs::read_dir(daemon.file("lib")).expect("it is there").count(), 0);
    });
}

#[test]
fn a_file_that_is_immutable_is_named_with_what_to_do() {
    with_daemon("immutable", async |daemon| {
        let _disk = Disk::tmpfs(&daemon.file("lib"), "size=1m", MsFlags::empty());
        daemon.allocate("web").await;
        daemon.start("web", "job", "echo one", files()).await.expect("start");
        daemon.end("web", "job").await;
        let file = daemon.logs("web").join("job.stdout.log");
        eventually("it is written", || read(&file) == "one\n").await;
        let change =
            |how: &str| Command::new("chattr").arg(how).arg(&file).status().expect("chattr is needed");
        if !change("+i").success() {
            return eprintln!("skipped: this kernel's tmpfs takes no attributes");
        }
        let status = daemon.start("web", "job", "echo two", files()).await.expect_err("immutable");
        assert_eq!(status.code, Code::FailedPrecondition, "{status}");
        let texts = [file.to_str().unwrap(), "EPERM", "chattr(1)"];
        assert!(texts.iter().all(|text| status.message.contains(text)), "{status}");
        change("-i");
        daemon.start("web", "job", "echo two", files()).await.expect("start");
        daemon.end("web", "job").await;
        eventually("it goes on", || read(&file) == "one\ntwo\n").await;
    });
}

#[test]
fn bounds_are_checked_and_belong_to_files() {
    with_daemon("bounds", async |daemon| {
        daemon.allocate("web").await;
        let bad = LogPolicy {
            file_bytes_max: Some(4095),
            file_count_max: Some(101),
            file_age_seconds_max: Some(0),
            ..files().unwrap()
        };
        let no_files = LogPolicy { file_bytes_max: Some(5000), ..LogPolicy::default() };
        for (policy, texts) in [
            (bad, &["4096 and more", "0 to 100", "file_age_seconds_max"][..]),
            (no_files, &["file_bytes_max: has no meaning without files"]),
        ] {
            let status = daemon.start("web", "job", "true", Some(policy)).await.expect_err("refused");
            assert_eq!(status.code, Code::InvalidArgument);
            assert!(texts.iter().all(|text| status.message.contains(text)), "{status}");
        }
    });
}

#[test]
fn a_full_disk_is_told_of_and_hinders_nobody() {
    with_daemon("full", async |daemon| {
        let _disk = Disk::tmpfs(&daemon.file("lib"), "size=256k", MsFlags::empty());
        daemon.allocate("web").await;
        let (go, filler) = (daemon.file("go"), daemon.file("lib/filler"));
        let script = format!(
            "seq 100000 199999; echo written; while ! [ -e {} ]; do sleep 0.05; done; seq 200000 200999; exit 7",
            go.display()
        );
        daemon.start("web", "job", &script, files()).await.expect("start");
        let file = daemon.logs("web").join("job.stdout.log");
        eventually("the log tells of it", || daemon.log().contains("output is not written")).await;
        assert!(daemon.log().contains("job.stdout.log: ENOSPC"), "{}", daemon.log());
        eventually_async("all of it has been read", async || {
            daemon.last_line("web", "job").await == "written"
        })
        .await;
        // All of it has been tried, too, and the next try would be made.
        Timer::after(Duration::from_millis(2500)).await;
        assert_eq!(daemon.log().matches("output is not written").count(), 1, "as long as nothing can be");
        let whole = read(&file);
        assert!(whole.ends_with('\n') && whole.len() > 100_000, "cut off between two lines: {}", whole.len());
        assert!((100_000..).zip(whole.lines()).all(|(number, line)| line == number.to_string()));
        assert!(!filler.exists());

        // Room again, by way of the file itself, as an operator would.
        fs::File::options().write(true).open(&file).and_then(|file| file.set_len(0)).expect("cut off");
        fs::write(&go, "").expect("go on");
        assert_eq!(daemon.end("web", "job").await.exit_code, Some(7));
        let expected: String = (200_000..201_000).map(|number| format!("{number}\n")).collect();
        eventually("it goes on", || read(&file) == expected).await;
        let missing = 700_000 + "written\n".len() - whole.len();
        let told = format!("job.stdout.log again; {missing} bytes are missing in it");
        eventually("the log tells how much", || daemon.log().contains(&told)).await;
    });
}

/// A file system that is frozen takes no write and answers none, as a disk that is dead.
#[test]
fn a_dead_disk_holds_those_who_write_to_it_and_nobody_else() {
    with_daemon("dead", async |daemon| {
        let Some(mut disk) = Disk::ext4(&daemon.file("lib"), &daemon.file("image")) else {
            return eprintln!("skipped: no file system can be mounted from a file here");
        };
        daemon.allocate("web").await;
        let go = daemon.file("go");
        let script = format!("while ! [ -e {} ]; do sleep 0.05; done; seq 100000; exit 7", go.display());
        for number in 0..8 {
            daemon.start("web", &format!("job{number}"), &script, files()).await.expect("start");
        }
        disk.freeze();
        fs::write(&go, "").expect("go on");
        a_thread_is_held(daemon).await;
        daemon.allocate("other").await;
        for number in 0..8 {
            let name = format!("job{number}");
            daemon.start("other", &name, "exit 3", None).await.expect("start");
            assert_eq!(daemon.end("other", &name).await.exit_code, Some(3));
        }
        daemon.free("other").await;
        eventually("just one is held", || held(daemon).len() == 1).await;
        disk.thaw();
        let expected: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
        for number in 0..8 {
            assert_eq!(daemon.end("web", &format!("job{number}")).await.exit_code, Some(7));
            let file = daemon.logs("web").join(format!("job{number}.stdout.log"));
            eventually("all of it", || read(&file) == expected).await;
        }

        fs::remove_file(&go).expect("removed");
        daemon.start("web", "stuck", &script, files()).await.expect("start");
        disk.freeze();
        fs::write(&go, "").expect("go on");
        a_thread_is_held(daemon).await;
        daemon.auraed.terminate();
        eventually("it stops", || daemon.log().contains("stopped")).await;
        assert!(daemon.log().contains("may be missing at the end of its files"), "{}", daemon.log());
        disk.thaw();
    });
}

/// Threads of the daemon that nothing can interrupt.
fn held(daemon: &Daemon) -> BTreeSet<PathBuf> {
    let is_held = |thread: &PathBuf| read(&thread.join("status")).contains("State:\tD");
    daemon.threads().into_iter().filter(is_held).collect()
}

/// For longer than any thread is that waits for a page, or for a process to become its program.
async fn a_thread_is_held(daemon: &Daemon) {
    let mut since = (BTreeSet::new(), Instant::now());
    eventually("a thread is held", || {
        let still: BTreeSet<PathBuf> = held(daemon).intersection(&since.0).cloned().collect();
        if still.is_empty() {
            since = (held(daemon), Instant::now());
        }
        since.1.elapsed() > Duration::from_millis(300)
    })
    .await;
}

/// The real `auraed`, and a connection to it.
struct Daemon {
    channel: std::cell::RefCell<Option<std::rc::Rc<Channel>>>,
    executor: Executor<'static>,
    auraed: Auraed,
}

/// A file system of the test's own, mounted for as long as there is this.
struct Disk {
    path: PathBuf,
    frozen: bool,
}

impl Disk {
    fn tmpfs(path: &Path, options: &str, flags: MsFlags) -> Self {
        let _ = fs::remove_dir_all(path);
        fs::create_dir(path).expect("a directory");
        mount(Some("none"), path, Some("tmpfs"), flags, Some(options)).expect("mount");
        Self { path: path.to_owned(), frozen: false }
    }

    /// `None` where there is no loop device, as in many containers.
    fn ext4(path: &Path, image: &Path) -> Option<Self> {
        if !Path::new("/dev/loop-control").exists() {
            return None;
        }
        fs::create_dir(path).expect("a directory");
        fs::File::create(image).and_then(|file| file.set_len(16 << 20)).expect("an image");
        run("mkfs.ext4", &["-q", "-F", &image.display().to_string()]);
        run("mount", &["-o", "loop", &image.display().to_string(), &path.display().to_string()]);
        Some(Self { path: path.to_owned(), frozen: false })
    }

    fn freeze(&mut self) {
        run("fsfreeze", &["-f", &self.path.display().to_string()]);
        self.frozen = true;
    }

    fn thaw(&mut self) {
        run("fsfreeze", &["-u", &self.path.display().to_string()]);
        self.frozen = false;
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.frozen {
            self.thaw();
        }
        umount2(&self.path, MntFlags::MNT_DETACH).expect("it is ours");
    }
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    let status = status.unwrap_or_else(|error| panic!("{program} is needed: {error}"));
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

/// Runs a test against a daemon of its own.
fn with_daemon(test: &str, body: impl AsyncFnOnce(&Daemon)) {
    // Long enough for a shell to say its last words on a busy machine.
    let change = |command: &mut Command| _ = command.args(["--stop-grace-ms", "30000"]);
    let Some(auraed) = Auraed::start(test, change) else { return };
    let daemon = Daemon { channel: None.into(), executor: Executor::new(), auraed };
    future::block_on(daemon.executor.run(async {
        daemon.connect().await;
        let late = async {
            Timer::after(5 * PATIENCE).await;
            panic!("{test} takes longer than {:?}", 5 * PATIENCE);
        };
        body(&daemon).or(late).await;
    }));
}

impl Daemon {
    async fn connect(&self) {
        let channel = self.auraed.connect(&self.executor, None).await;
        self.channel.replace(Some(channel.into()));
    }

    /// Stops it, and starts another one.
    async fn again(&self) {
        self.channel.take();
        self.auraed.terminate();
        eventually("it ends", || self.auraed.has_ended().is_some()).await;
        self.auraed.run();
        self.connect().await;
    }

    fn channel(&self) -> std::rc::Rc<Channel> {
        self.channel.borrow().clone().expect("connected")
    }

    async fn allocate(&self, name: &str) {
        let cell = Some(Cell { name: name.to_owned(), ..Cell::default() });
        let channel = self.channel();
        let request = CellServiceAllocateRequest { cell };
        CellServiceClient::new(&*channel).allocate(&request).await.expect("allocate");
    }

    async fn start(
        &self,
        cell: &str,
        name: &str,
        command: &str,
        log: Option<LogPolicy>,
    ) -> Result<(), Status> {
        self.request(cell, executable(name, command, log)).await
    }

    async fn start_with(
        &self,
        cell: &str,
        name: &str,
        command: &str,
        log: Option<LogPolicy>,
        restart: Option<RestartPolicy>,
    ) -> Result<(), Status> {
        self.request(cell, Executable { restart, ..executable(name, command, log) }).await
    }

    async fn request(&self, cell: &str, executable: Executable) -> Result<(), Status> {
        let (cell_name, executable) = (cell.to_owned(), Some(executable));
        let request = CellServiceStartRequest { cell_name, executable, ..CellServiceStartRequest::default() };
        CellServiceClient::new(&*self.channel()).start(&request).await.map(drop)
    }

    /// Waits until it has ended.
    async fn end(&self, cell: &str, name: &str) -> CellServiceWaitResponse {
        let (cell_name, executable_name) = (cell.to_owned(), name.to_owned());
        let request = CellServiceWaitRequest { cell_name, executable_name };
        CellServiceClient::new(&*self.channel()).wait(&request).await.expect("it ends")
    }

    /// The newest line that is held of its output.
    async fn last_line(&self, cell: &str, name: &str) -> String {
        let (cell_name, executable_name) = (cell.to_owned(), name.to_owned());
        let (tail_lines, no_follow) = (Some(1), true);
        let request = GetSubProcessStreamRequest {
            cell_name,
            executable_name,
            tail_lines,
            no_follow,
            ..GetSubProcessStreamRequest::default()
        };
        let channel = self.channel();
        let items =
            ObserveServiceClient::new(&*channel).get_sub_process_stream(&request).await.expect("held");
        let items: Vec<LogItem> = items.try_collect().await.expect("it ends");
        items.into_iter().next().map(|item| item.line).unwrap_or_default()
    }

    async fn free(&self, cell: &str) {
        let request =
            CellServiceFreeRequest { cell_name: cell.to_owned(), grace_period_ms: None, force: true };
        CellServiceClient::new(&*self.channel()).free(&request).await.expect("free");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.auraed.file(name)
    }

    fn logs(&self, cell: &str) -> PathBuf {
        self.file("lib/logs").join(cell)
    }

    fn log(&self) -> String {
        self.auraed.log()
    }

    fn threads(&self) -> Vec<PathBuf> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.auraed.pid())).expect("it runs");
        tasks.flatten().map(|task| task.path()).collect()
    }
}

fn files() -> Option<LogPolicy> {
    Some(LogPolicy { mode: LogMode::File.into(), ..LogPolicy::default() })
}

fn executable(name: &str, command: &str, log: Option<LogPolicy>) -> Executable {
    Executable { name: name.to_owned(), command: command.to_owned(), log, ..Executable::default() }
}

/// Empty where there is none.
fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    eventually_async(what, async || is_so()).await;
}
