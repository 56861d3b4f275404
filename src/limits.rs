//! Every bound of the program, each with its reason. Relations between bounds are asserted at compile time.

use std::time::Duration;

// gRPC messages and headers

/// One request message: gRPC's customary 4 MiB. Decided on the declared length, and again after inflating.
pub const REQUEST_BYTES_MAX: usize = 4 << 20;
/// Reads (of a key, a length, a value) that it takes to decode a request. The largest that is not refused takes some
/// 21 000; without a bound, a list of empty items would become forty times as large as its message.
pub const REQUEST_READS_MAX: usize = 32 << 10;
/// All request bytes that peers make us hold, over all streams: messages that are not whole yet, that are being
/// inflated, and those whose call has not ended. A message of the largest size always fits a few times; more is
/// refused with RESOURCE_EXHAUSTED instead of growing.
pub const REQUEST_BYTES_HELD_MAX: usize = 16 << 20;
/// Of these, those of one connection: a message of the largest size with what it was inflated from. The other half is left
/// to others, whatever one peer does.
pub const CONNECTION_REQUEST_BYTES_MAX: usize = REQUEST_BYTES_HELD_MAX / 2;
/// Headers of a request, counted as RFC 9113 does. Above it a call is answered with RESOURCE_EXHAUSTED.
pub const HEADER_LIST_SOFT_BYTES_MAX: usize = 8 << 10;
/// What SETTINGS_MAX_HEADER_LIST_SIZE advertises; above it h2 answers 431 or resets.
pub const HEADER_LIST_BYTES_MAX: u32 = 16 << 10;
/// `grpc-message`, and `grpc-status-details-bin`, as they stand in trailers. Clients take 8 KiB of headers in all, and
/// what a caller has sent comes back in them, up to three times as long.
pub const STATUS_BYTES_MAX: usize = 3 << 10;
/// Below it gzip's own 18 bytes and the CPU cost more than they save.
pub const GZIP_WORTH_TRYING_BYTES: usize = 1 << 10;
/// Compressing an answer is one step on the executor, during which nothing else runs: some milliseconds at this size.
/// What is larger goes as it is.
pub const GZIP_BYTES_MAX: usize = 1 << 20;
/// Inflated between two yields of the executor; takes a fraction of a millisecond.
pub const INFLATE_STEP_BYTES: usize = 64 << 10;

const _: () = assert!(CONNECTION_REQUEST_BYTES_MAX >= 2 * REQUEST_BYTES_MAX);
const _: () = assert!(REQUEST_BYTES_HELD_MAX - CONNECTION_REQUEST_BYTES_MAX >= 2 * REQUEST_BYTES_MAX);
// An argument takes three reads, a variable eight, and a quarter more is left for all else.
const _: () = assert!(REQUEST_READS_MAX >= (ARGUMENTS_MAX * 3 + ENVIRONMENT_MAX * 8) * 5 / 4);
const _: () = assert!(GZIP_WORTH_TRYING_BYTES < GZIP_BYTES_MAX);
const _: () = assert!(HEADER_LIST_SOFT_BYTES_MAX < HEADER_LIST_BYTES_MAX as usize);

/// One answer that our client takes; a list of all cells is far smaller.
pub const ANSWER_BYTES_MAX: usize = 16 << 20;
/// All answers, over all streams, that are larger than [`STREAM_ANSWER_BYTES`] and that peers have not read yet. The
/// largest answer that our client takes fits once, an ordinary list some hundred times; what does not fit is refused
/// with RESOURCE_EXHAUSTED.
pub const ANSWER_BYTES_HELD_MAX: usize = 16 << 20;

const _: () = assert!(ANSWER_BYTES_HELD_MAX >= ANSWER_BYTES_MAX);

// The pool

/// Threads for calls that block in the kernel. Most take microseconds; moving a process on cgroup v1 stalls for
/// about 12 ms, and four of those may overlap. Each thread costs 12 KB when idle.
pub const POOL_THREADS: usize = 4;
/// Jobs that wait for a thread. At 12 ms each the last of them starts within a second.
pub const POOL_QUEUE_MAX: usize = 256;

// Connections and streams

/// Connections at a time, over all listeners. Clients multiplex, so each is a process on the machine.
pub const CONNECTIONS_MAX: usize = 256;
/// SETTINGS_MAX_CONCURRENT_STREAMS of a connection.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 128;
/// Streams at a time over all connections: each may hold its send buffer and a task.
pub const STREAMS_MAX: usize = 2048;
/// What h2 may hold of one stream's answer while the peer does not read.
pub const SEND_BUFFER_BYTES: usize = 16 << 10;
/// Receive windows, of a stream and of a connection: what a peer may send before we take it.
pub const WINDOW_BYTES: u32 = 64 << 10;
/// SETTINGS_MAX_FRAME_SIZE: the least that the protocol allows.
pub const FRAME_BYTES_MAX: u32 = 16 << 10;
/// SETTINGS_HEADER_TABLE_SIZE: the protocol's default, of which each connection may hold one.
pub const HEADER_TABLE_BYTES: u32 = 4 << 10;
/// Stream items are joined up to this size before they are sent: one DATA frame, one capacity grant.
pub const BATCH_BYTES: usize = SEND_BUFFER_BYTES;
/// Between two batches of items that are smaller than that: soon enough for people, and a hundred frames a second at most.
pub const ITEMS_PAUSE: Duration = Duration::from_millis(10);
/// What each stream may hold of its answer without being asked: a full send buffer, and a batch that waits.
pub const STREAM_ANSWER_BYTES: usize = SEND_BUFFER_BYTES + BATCH_BYTES;

/// Streams that we reset and of which we still ignore late frames, per connection: all that may be open. A call that is
/// refused before its body has come is one, and under load all are refused at once; late frames of a stream that h2
/// has forgotten are errors, and some of them end the connection.
pub const LOCAL_RESETS_REMEMBERED_MAX: usize = STREAMS_PER_CONNECTION_MAX as usize;
/// For how long; the frames that were on their way arrive within a round trip.
pub const LOCAL_RESETS_REMEMBERED_FOR: Duration = Duration::from_secs(1);
/// Streams reset by the peer before we accepted them; above it the connection is closed (CVE-2023-44487).
pub const PENDING_RESETS_MAX: usize = 32;
/// Streams that we reset because the peer broke the protocol, over the life of a connection; above it the connection is
/// closed. An honest peer on a slow machine sends a late frame now and then, and connections last for months.
pub const ERROR_RESETS_MAX: usize = 1024;
/// What h2 charges for an unread small DATA frame.
pub const SMALL_FRAME_CHARGE: usize = 256;
/// 1000 of them may wait for us.
pub const SMALL_FRAME_BUDGET: usize = SMALL_FRAME_CHARGE * 1000;

/// Control frames (PING, SETTINGS, WINDOW_UPDATE, RST_STREAM, unknown …) a peer may send at once …
pub const CONTROL_FRAMES_BURST: u32 = 1000;
/// … and per second from then on, beside what our own answers to it justify.
pub const CONTROL_FRAMES_PER_SECOND: u32 = 100;
/// Each frame that we send may cause a window update for stream and connection, a ping for the bandwidth estimate and
/// a reset.
pub const CONTROL_FRAMES_PER_FRAME_SENT: u32 = 4;
/// Reads of one connection in a row before others get their turn; one read takes about 100 µs to digest at worst.
pub const READS_IN_A_ROW: u32 = 4;
/// Frames of one connection after which others get their turn, with the next read. Among the others are the streams that
/// the frames are for: a burst of small messages must not fill [`SMALL_FRAME_BUDGET`] before anyone could take them.
pub const FRAMES_IN_A_ROW: u32 = 256;

// Waits for a peer

/// From accept to the peer's preface and SETTINGS.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// From our SETTINGS to their acknowledgement.
pub const SETTINGS_ACK_TIMEOUT: Duration = Duration::from_secs(20);
/// From the first byte of a frame to its last: 16 KiB at 800 bytes a second.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the rest of a request is waited for while not one byte of it comes. A caller has its request ready when it
/// calls; as long as for a frame.
pub const BODY_STALL_TIMEOUT: Duration = FRAME_TIMEOUT;
/// How long it is waited for in all, however steadily it comes: 4 MiB at 14 KB a second.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// Silence after which we ask with a PING whether the peer still lives …
pub const SILENCE_BEFORE_PING: Duration = Duration::from_secs(60);
/// … and for how long we wait for any byte of an answer.
pub const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// The kernel asks for a client whether its daemon is still there (tcp(7)) after so many seconds of silence …
pub const KEEPALIVE_IDLE_SECONDS: u32 = 30;
/// … again after so many without an answer …
pub const KEEPALIVE_INTERVAL_SECONDS: u32 = 10;
/// … and so often, before it takes the connection for lost. A minute in all: a network that is down for a moment is sat out.
pub const KEEPALIVE_PROBES: u32 = 3;
/// A connection without a call for so long is asked to leave (GOAWAY); gRPC clients reconnect by themselves.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// On shutdown, from GOAWAY to the end of the last call; then connections are cut.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two lines in the log about connections that are closed because there are too many.
pub const CROWD_TOLD_EVERY: Duration = Duration::from_secs(1);
/// Connections that wait for accept(2); a burst of clients fits.
pub const ACCEPT_BACKLOG: i32 = 128;
/// From the start, or the close of the last connection, to giving back memory that is no longer needed.
pub const SETTLE_DELAY: Duration = Duration::from_millis(200);
/// After accept(2) failed for lack of descriptors or memory.
pub const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

const _: () = assert!(STREAMS_PER_CONNECTION_MAX as usize <= STREAMS_MAX);
const _: () = assert!(HANDSHAKE_TIMEOUT.as_secs() <= SETTINGS_ACK_TIMEOUT.as_secs());
const _: () = assert!(SILENCE_BEFORE_PING.as_secs() < IDLE_TIMEOUT.as_secs());
const _: () = assert!(BODY_STALL_TIMEOUT.as_secs() < BODY_TIMEOUT.as_secs());

// The daemon

/// How long a daemon that was killed may keep its locks until it is gone …
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// … and how long to wait between two tries for one.
pub const LOCK_RETRY_DELAY: Duration = Duration::from_millis(10);
/// Listening sockets; more than one is already rare.
pub const SOCKETS_MAX: usize = 8;
/// Between SIGTERM and SIGKILL, when neither flag nor request says otherwise.
pub const STOP_GRACE: Duration = Duration::from_secs(5);
/// The longest grace period that may be asked for.
pub const STOP_GRACE_MAX: Duration = Duration::from_secs(3600);
/// How long a probe's answer about the daemon's health is taken for true: polling, from however many clients, costs one
/// probe a second, and a supervisor sees a failure at its next poll.
pub const HEALTH_CACHED_FOR: Duration = Duration::from_secs(1);
/// A probe of the pool and the cgroups that takes longer means that they are stuck: it is a job of microseconds.
pub const HEALTH_PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often somebody who watches has the daemon probed, when nobody else asks: soon enough for a load balancer, and
/// still next to nothing. Without a watcher nothing is probed.
pub const HEALTH_WATCH_INTERVAL: Duration = Duration::from_secs(5);

const _: () = assert!(HEALTH_CACHED_FOR.as_millis() < HEALTH_WATCH_INTERVAL.as_millis());

// The worst case

/// What a connection costs without streams: h2's state and buffers, its window, its header table (measured: 20 KB
/// idle; the window may be full).
const CONNECTION_BYTES: usize = 20 << 10;
/// What a stream costs beside its send buffer: task, h2's entry, headers (measured: 1.6 KB; headers up to the list).
const STREAM_BYTES: usize = (2 << 10) + HEADER_LIST_SOFT_BYTES_MAX;
/// What h2 keeps of a stream that it remembers as reset.
const REMEMBERED_STREAM_BYTES: usize = 1 << 10;
/// Binary, threads, executor (measured: 2.3 MB resident when idle).
const IDLE_BYTES: usize = 3 << 20;
/// What a request is decoded into before its fields are checked, one at a time: 88 bytes for every second read, and the
/// bytes themselves once more.
const DECODED_BYTES: usize = REQUEST_READS_MAX / 2 * 88 + REQUEST_BYTES_MAX;
/// A job in the queue and its request.
const JOB_BYTES: usize = 1 << 10;
/// What we remember of a cell, its name at its longest, its init, and all devices limited that may be; the nodes of maps
/// half full.
const CELL_BYTES: usize = (2 << 10) + IO_DEVICES_MAX * 192;
/// What we remember of an executable, name and description at their longest, and its watch.
const EXECUTABLE_BYTES: usize = 4 << 10;

/// Descriptors when every bound is reached at once. A cell has one if it is isolated, an executable five while it runs (its
/// own, two pipes, and two files if its output is written to files), and both one more while they are ended, or when their
/// end was given up; whoever ends one has three beside that, and who signals the processes of one a batch. Who follows, and
/// does not read, may keep the two pipes of an executable that is forgotten. All else has a few dozen.
pub const DESCRIPTORS_MAX: u64 = (CONNECTIONS_MAX
    + SOCKETS_MAX
    + 2 * CELLS_MAX
    + 6 * EXECUTABLES_MAX
    + 3 * ENDS_MAX
    + 2 * STREAMS_MAX
    + POOL_THREADS * (SIGNAL_BATCH + 16)
    + 64) as u64;

/// The rings of all outputs, of the log and of events; a read more each may be held, as it is cut into lines before the oldest
/// makes way; what is read, what is to be written to files, and what waits for somebody who follows, of two outputs each.
const OUTPUT_BYTES: usize = LOG_MEMORY_BYTES
    + DAEMON_LOG_BYTES
    + EVENTS_BYTES
    + (3 + 1 + LOG_WRITES_MAX) * OUTPUT_READ_BYTES
    + 2 * STREAMS_MAX * OUTPUT_BLOCK_READ_BYTES;

/// The memory that peers can make the daemon use, in bytes, when every bound is reached at once and the flags are not used
/// to change one.
pub const WORST_CASE_BYTES: usize = IDLE_BYTES
    + CONNECTIONS_MAX * (CONNECTION_BYTES + WINDOW_BYTES as usize + HEADER_LIST_BYTES_MAX as usize)
    + CONNECTIONS_MAX * LOCAL_RESETS_REMEMBERED_MAX * REMEMBERED_STREAM_BYTES
    + STREAMS_MAX * (STREAM_BYTES + STREAM_ANSWER_BYTES)
    + REQUEST_BYTES_HELD_MAX
    + DECODED_BYTES
    + ANSWER_BYTES_HELD_MAX
    + POOL_QUEUE_MAX * JOB_BYTES
    + CELLS_MAX * CELL_BYTES
    + EXECUTABLES_MAX * EXECUTABLE_BYTES
    + RESTART_BYTES_HELD_MAX
    + OUTPUT_BYTES;

/// The limits that an operator may want to know, one a line.
pub fn table() -> String {
    let rows = [
        ("cells", CELLS_MAX.to_string()),
        ("executables in all", EXECUTABLES_MAX.to_string()),
        ("executables per cell", EXECUTABLES_PER_CELL_MAX.to_string()),
        ("kept for restarts in all", kib(RESTART_BYTES_HELD_MAX)),
        ("output held (--log-memory)", kib(LOG_MEMORY_BYTES)),
        ("output held of each by default", kib(RING_BYTES as usize)),
        ("line of output", kib(LINE_BYTES_MAX)),
        ("connections", CONNECTIONS_MAX.to_string()),
        ("streams per connection", STREAMS_PER_CONNECTION_MAX.to_string()),
        ("streams in all", STREAMS_MAX.to_string()),
        ("request message", kib(REQUEST_BYTES_MAX)),
        ("requests held of a connection", kib(CONNECTION_REQUEST_BYTES_MAX)),
        ("requests held in all", kib(REQUEST_BYTES_HELD_MAX)),
        ("request headers", kib(HEADER_LIST_SOFT_BYTES_MAX)),
        ("unread answers in all", kib(ANSWER_BYTES_HELD_MAX)),
        ("send buffer per stream", kib(SEND_BUFFER_BYTES)),
        ("receive window", kib(WINDOW_BYTES as usize)),
        ("pool threads", POOL_THREADS.to_string()),
        ("pool queue", POOL_QUEUE_MAX.to_string()),
        ("control frames per second", CONTROL_FRAMES_PER_SECOND.to_string()),
        ("descriptors at worst", DESCRIPTORS_MAX.to_string()),
        ("memory at worst", kib(WORST_CASE_BYTES)),
    ];
    rows.iter().map(|(name, value)| format!("{name:32} {value:>12}\n")).collect()
}

fn kib(bytes: usize) -> String {
    format!("{} KiB", bytes >> 10)
}

// Cells

/// Labels in a cell name (the API's contract). cgroups nest no deeper than that below the daemon, plus one for the leaf.
pub const CELL_DEPTH_MAX: usize = 8;

/// Bytes of one label (the API's contract): a DNS label, so that it can be a hostname (RFC 1035, section 2.3.4).
pub const CELL_LABEL_BYTES_MAX: usize = 63;

/// Bytes of a whole cell name: follows from the two above, with the slashes.
pub const CELL_NAME_BYTES_MAX: usize = CELL_DEPTH_MAX * (CELL_LABEL_BYTES_MAX + 1) - 1;

/// Bytes of an executable name (the API's contract): as long as a file name may be.
pub const EXECUTABLE_NAME_BYTES_MAX: usize = 255;

/// Bytes of a command: the kernel takes 32 pages with the NUL for one argument (`MAX_ARG_STRLEN`, execve(2)).
pub const COMMAND_BYTES_MAX: usize = 131_071;

/// Arguments that are run without a shell, the program among them, and their bytes with a NUL each. As many bytes as one
/// argument may have, so that none is too long for the kernel; xargs(1) stops there, too.
pub const ARGUMENTS_MAX: usize = 4096;
pub const ARGUMENTS_BYTES_MAX: usize = 128 << 10;

/// Variables of an environment beside our own, and their bytes with `=` and NUL: as above. Together they stay far below
/// the 2 MiB that the kernel takes of a program whose stack may have the usual 8 MiB (execve(2)).
pub const ENVIRONMENT_MAX: usize = 1024;
pub const ENVIRONMENT_BYTES_MAX: usize = 128 << 10;

/// Directories of a PATH: each may be tried for each start.
pub const SEARCH_PATH_DIRECTORIES_MAX: usize = 256;

/// Bytes of a file's name (`NAME_MAX`) and of a path without its NUL (`PATH_MAX`).
pub const FILE_NAME_BYTES_MAX: usize = 255;
pub const PATH_BYTES_MAX: usize = 4095;

/// Bytes of standard input: what a pipe holds while nobody reads (pipe(7)).
pub const STDIN_BYTES_MAX: usize = 64 << 10;

/// Bytes of a description. It is kept as long as the executable's record, for people: a paragraph is enough.
pub const DESCRIPTION_BYTES_MAX: usize = 1024;

/// Cells at a time. Each costs about 1 KiB here, and some 10 to 100 KiB of kernel memory on v1 or v2: 4096 are far more
/// than a small machine can use, and an end to a client that loops.
pub const CELLS_MAX: usize = 4096;

/// Executables in one cell, exited ones whose name is not yet released included.
pub const EXECUTABLES_PER_CELL_MAX: usize = 1024;

/// Executables in all cells. Each holds a descriptor while it runs, and at most [`EXECUTABLE_BYTES`].
pub const EXECUTABLES_MAX: usize = 4096;

/// What is kept of executables in order to start them again, over all of them: some thousand ordinary ones, or ten with
/// all that may be long at its longest.
pub const RESTART_BYTES_HELD_MAX: usize = 4 << 20;

/// Largest `weight` (cgroup-v2.rst, "cpu.weight").
pub const CPU_WEIGHT_MAX: u16 = 10_000;

/// Smallest quota that the kernel takes, in µs (`min_bw_quota_period_us` in kernel/sched/core.c).
pub const CPU_MAX_US_FLOOR: u64 = 1_000;

/// Largest quota that the kernel takes, in µs (`max_bw_runtime_us`: 44 bits).
pub const CPU_MAX_US_MAX: u64 = (1 << 44) - 1;

/// Period of `max` when none is given, in µs (the API's contract).
pub const CPU_PERIOD_US_DEFAULT: u64 = 1_000_000;

/// Largest limit on memory, in bytes: more than any machine has. It stays well below what the kernel reads as "no limit"
/// (2^63), and two of them can be added.
pub const MEMORY_BYTES_MAX: u64 = 1 << 60;

/// Largest limit on processes: the kernel has no more (`PID_MAX_LIMIT`), and refuses what is above (`pids_max_write`).
pub const PIDS_MAX: u32 = 1 << 22;

/// Largest `weight` for block devices (cgroup-v2.rst, "io.weight").
pub const IO_WEIGHT_MAX: u16 = 10_000;

/// Largest rate in bytes per second: more than any device has, and no number that the kernel reads as "no limit".
pub const IO_BYTES_MAX: u64 = 1 << 60;

/// Largest rate in operations per second: the kernel keeps it in 32 bits, of which the highest number means "no limit".
pub const IO_OPERATIONS_MAX: u64 = u32::MAX as u64 - 1;

/// Devices that one cell limits. Each is a line of its own in a file, and some system calls.
pub const IO_DEVICES_MAX: usize = 16;

/// Bytes of the path of a device node: what the kernel takes (`PATH_MAX`, with the NUL).
pub const DEVICE_PATH_BYTES_MAX: usize = 4095;

/// Rounds in which Update moves the processes of a cell into a cgroup v1 hierarchy. The second finds what was forked
/// during the first; what still grows after that many is a fork bomb, and must not hold a thread for ever.
pub const MOVE_ROUNDS_MAX: usize = 16;

/// Highest number of a cpu or memory node: no Linux is built for more than 8192 cpus (`NR_CPUS`) or 1024 nodes.
pub const ID_MAX: u32 = 8191;

/// Bytes of a list of cpus or nodes: the kernel takes no more than a page in one write to a cgroup file.
pub const ID_LIST_BYTES_MAX: usize = 4095;

/// Bytes that are read of one cgroup file. A `cgroup.procs` of this size lists more than 100 000 processes; what is
/// beyond is found when the first ones are gone.
pub const CGROUP_FILE_BYTES_MAX: usize = 1 << 20;

/// Bytes that are read of a file that tells what a cell uses. The longest, `io.stat`, has about 100 for each block device;
/// on a machine with more than fit here, it is as if it were not counted.
pub const USAGE_FILE_BYTES_MAX: usize = 16 << 10;

/// Depth and number of the cgroups that a workload may make inside its own (cgroup-v2.rst, "cgroup.max.depth"): enough
/// for a container engine, and their paths stay below PATH_MAX, so that they can be removed.
pub const LEAF_DEPTH_MAX: usize = 8;
pub const LEAF_DESCENDANTS_MAX: usize = 1024;

/// Pidfds held at a time while the processes of one cgroup are signalled.
pub const SIGNAL_BATCH: usize = 64;

/// Rounds of signalling what `cgroup.procs` lists. Two find all but what is forked in the wrong microsecond; more are for
/// a freeze that takes effect late, and for a fork bomb, which must not hold a thread for ever.
pub const SIGNAL_ROUNDS_MAX: usize = 16;

/// From the start of a cell's init to its report: it has a dozen system calls to make, which take a millisecond or two.
pub const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Milliseconds that the start of the daemon waits at most for the processes of a dead predecessor to go.
pub const SWEEP_MS_MAX: u64 = 5_000;

const _: () = assert!(EXECUTABLES_PER_CELL_MAX <= EXECUTABLES_MAX);
const _: () = assert!(RESTART_DELAY_MIN.as_millis() <= RESTART_DELAY_MAX.as_millis());
// The largest executable can always be kept, some times over.
const _: () =
    assert!(RESTART_BYTES_HELD_MAX >= 8 * (ARGUMENTS_BYTES_MAX + ENVIRONMENT_BYTES_MAX + STDIN_BYTES_MAX));
const _: () = assert!(ENDS_AT_STOP < POOL_QUEUE_MAX && ENDS_AT_STOP < ENDS_MAX);
const _: () = assert!((CELL_DEPTH_MAX + 2) * 64 + LEAF_DEPTH_MAX * 256 < 4096 - 512);
const _: () =
    assert!(ARGUMENTS_BYTES_MAX == COMMAND_BYTES_MAX + 1 && ENVIRONMENT_BYTES_MAX == COMMAND_BYTES_MAX + 1);
const _: () = assert!(CPU_MAX_US_FLOOR <= CPU_PERIOD_US_DEFAULT);
const _: () = assert!(CELL_NAME_BYTES_MAX == 511);

// Output

/// One item of output: a longer line is split, as container engines do, so that memory does not depend on lines. Where none
/// of it is UTF-8, each byte becomes three, and still fits what a stream may hold.
pub const LINE_BYTES_MAX: usize = 8 << 10;
/// What is held of each output of an executable, where it does not say: some thousand lines.
pub const RING_BYTES: u32 = 64 << 10;
/// The least and the most that it may ask for.
pub const RING_BYTES_MIN: u32 = 4 << 10;
pub const RING_BYTES_MAX: u32 = 16 << 20;
/// What is held of all outputs of all executables, where no flag says otherwise …
pub const LOG_MEMORY_BYTES: usize = 8 << 20;
/// … and the least and the most that a flag may say.
pub const LOG_MEMORY_BYTES_MIN: usize = 256 << 10;
pub const LOG_MEMORY_BYTES_MAX: usize = 1 << 30;
/// What is held of the daemon's own log: some thousand lines.
pub const DAEMON_LOG_BYTES: usize = 128 << 10;
/// What is held of events: some thousand.
pub const EVENTS_BYTES: usize = 64 << 10;
/// One read of a pipe: all that it holds (pipe(7)). Digesting it takes some 100 µs, after which others have their turn.
pub const OUTPUT_READ_BYTES: usize = 64 << 10;
/// The same of an executable that waits for those who follow, for each of which it may be held as long as one of them does
/// not read: no more than the smallest ring.
pub const OUTPUT_BLOCK_READ_BYTES: usize = RING_BYTES_MIN as usize;
/// For how long an output that somebody else has open is read after the exit of its executable, if nothing that it has
/// started is left by then …
pub const OUTPUT_LINGER: Duration = Duration::from_secs(1);
/// … and how long to wait at most, twice as long each time, before looking again whether something is. The end of a Stop or
/// Free is known at once.
pub const OUTPUT_LINGER_MAX: Duration = Duration::from_secs(64);
/// Before an output that the kernel had no memory to watch is tried again.
pub const OUTPUT_RETRY_DELAY: Duration = Duration::from_secs(1);
/// Reads of an output that is given up: what a pipe of the largest usual size holds (pipe(7), "pipe-max-size").
pub const OUTPUT_READS_ABANDONED_MAX: u32 = 16;

/// Bytes of a file of output at which it is put aside, where the executable does not say, and the least that it may ask for:
/// a page.
pub const LOG_FILE_BYTES: u64 = 10 << 20;
pub const LOG_FILE_BYTES_MIN: u64 = 4 << 10;
/// Files that were put aside and are kept of each output, where the executable does not say, and the most that it may ask
/// for: each is renamed when another one is put aside.
pub const LOG_FILES: u32 = 4;
pub const LOG_FILES_MAX: u32 = 100;
/// Tries to open a directory for files of output that others make and remove at the same time, as their starts fail. Each
/// fails because another start has, just then: so often in a row none does.
pub const LOG_DIRECTORY_TRIES: u32 = 100;
/// From a failed write to a file of output to the next try. What is written meanwhile is missing in it; a full disk is
/// asked, and told of, no oftener.
pub const LOG_FILE_RETRY_DELAY: Duration = Duration::from_secs(1);
/// Reads of all outputs that wait for their turn to be written to files: enough to keep a disk busy.
pub const LOG_WRITES_MAX: usize = 64;
/// How long the end of the daemon waits for what is still to be written to files.
pub const LOG_FILES_END_TIMEOUT: Duration = Duration::from_secs(2);

const _: () = assert!(LOG_FILE_BYTES_MIN <= LOG_FILE_BYTES && LOG_FILES <= LOG_FILES_MAX);
// What an executable leaves open in somebody else's hands is given up before.
const _: () = assert!(OUTPUT_LINGER.as_millis() < LOG_FILES_END_TIMEOUT.as_millis());
const _: () = assert!(RING_BYTES_MIN <= RING_BYTES && RING_BYTES <= RING_BYTES_MAX);
const _: () = assert!(LINE_BYTES_MAX < OUTPUT_READ_BYTES);
const _: () = assert!(3 * LINE_BYTES_MAX + 1024 <= STREAM_ANSWER_BYTES);

// Ends of executables and cells

/// Processes that are being started at a time, and a write to a file of output: a thread is left for everything else.
pub const STARTS_MAX: usize = POOL_THREADS - 1;
/// From the order to start a process to its program, which takes milliseconds, and some seconds in a cell with next to no
/// cpu time. Whoever takes longer is stopped by a process of its user, or waits for a file system that doesn't answer, and
/// would keep a thread from all other starts.
pub const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Ends under way at a time, those included whose caller has gone: each holds four descriptors.
pub const ENDS_MAX: usize = 256;
/// Ends that the daemon begins at a time when it stops itself; fewer than may wait for the pool.
pub const ENDS_AT_STOP: usize = 64;
/// From SIGKILL to an empty cgroup; longer means a process in uninterruptible sleep.
pub const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// From the order to freeze to all processes standing still, which takes milliseconds unless one is in uninterruptible
/// sleep. Starts in the cell wait meanwhile.
pub const FREEZE_TIMEOUT: Duration = Duration::from_secs(5);
/// Between the first two looks at whether a cell has come to rest; from look to look it doubles, up to …
pub const FREEZE_POLL_MIN: Duration = Duration::from_millis(1);
/// … this.
pub const FREEZE_POLL_MAX: Duration = Duration::from_millis(50);
/// Cells that are removed in one step when a tree of them is freed: some milliseconds on a thread of the pool.
pub const FREED_IN_A_STEP: usize = 64;
/// From the exit of an executable to its first restart; each further one waits twice as long …
pub const RESTART_DELAY_MIN: Duration = Duration::from_millis(100);
/// … up to this: soon enough for what comes back by itself, and next to nothing where it does not.
pub const RESTART_DELAY_MAX: Duration = Duration::from_secs(30);
/// Whoever runs for so long has not failed at its start: delay and count of restarts begin anew.
pub const RESTART_GOOD_RUN: Duration = Duration::from_secs(10);
/// Before a restart that could not be tried (its cell is frozen, or the last run is not gone yet) is tried again.
pub const RESTART_HINDERED_DELAY: Duration = Duration::from_secs(1);
/// Between two looks at a cgroup whose kernel cannot tell when it is empty (cgroup v1 without v2).
pub const EMPTY_POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Between two tries to remove a cgroup that the kernel still calls busy, as it may for some hundred milliseconds.
pub const BUSY_RETRY_DELAY: Duration = Duration::from_millis(20);
/// Before a step of something that has begun asks the full pool again.
pub const QUEUE_RETRY_DELAY: Duration = Duration::from_millis(20);
/// Between two looks at whether the last connection has closed, or the last file of output, while the daemon stops.
pub const STOP_POLL: Duration = Duration::from_millis(20);
