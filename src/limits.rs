//! Every bound of the program, each with its reason. Relations between bounds are asserted at compile time.

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

/// Bytes of a description. It is kept as long as the executable's record, for people: a paragraph is enough.
pub const DESCRIPTION_BYTES_MAX: usize = 1024;

/// Cells at a time. Each costs about 1 KiB here, and some 10 to 100 KiB of kernel memory on v1 or v2: 4096 are far more
/// than a small machine can use, and an end to a client that loops.
pub const CELLS_MAX: usize = 4096;

/// Executables in one cell, exited ones whose name is not yet released included.
pub const EXECUTABLES_PER_CELL_MAX: usize = 1024;

/// Executables in all cells. Each holds a descriptor while it runs, and at most 1.6 KiB of names and state: 6.4 MiB in all.
pub const EXECUTABLES_MAX: usize = 4096;

/// Largest `weight` (cgroup-v2.rst, "cpu.weight").
pub const CPU_WEIGHT_MAX: u16 = 10_000;

/// Smallest quota that the kernel takes, in µs (`min_bw_quota_period_us` in kernel/sched/core.c).
pub const CPU_MAX_US_FLOOR: u64 = 1_000;

/// Largest quota that the kernel takes, in µs (`max_bw_runtime_us`: 44 bits).
pub const CPU_MAX_US_MAX: u64 = (1 << 44) - 1;

/// Period of `max` when none is given, in µs (the API's contract).
pub const CPU_PERIOD_US_DEFAULT: u64 = 1_000_000;

/// Highest number of a cpu or memory node: no Linux is built for more than 8192 cpus (`NR_CPUS`) or 1024 nodes.
pub const ID_MAX: u32 = 8191;

/// Bytes of a list of cpus or nodes: the kernel takes no more than a page in one write to a cgroup file.
pub const ID_LIST_BYTES_MAX: usize = 4095;

/// Bytes that are read of one cgroup file. A `cgroup.procs` of this size lists more than 100 000 processes; what is
/// beyond is found when the first ones are gone.
pub const CGROUP_FILE_BYTES_MAX: usize = 1 << 20;

/// Pidfds held at a time while the processes of one cgroup are signalled.
pub const SIGNAL_BATCH: usize = 64;

/// Rounds of signalling what `cgroup.procs` lists. Two find all but what is forked in the wrong microsecond; more are for
/// a freeze that takes effect late, and for a fork bomb, which must not hold a thread for ever.
pub const SIGNAL_ROUNDS_MAX: usize = 16;

/// Milliseconds that the start of the daemon waits at most for the processes of a dead predecessor to go.
pub const SWEEP_MS_MAX: u64 = 5_000;

const _: () = assert!(EXECUTABLES_PER_CELL_MAX <= EXECUTABLES_MAX);
const _: () = assert!(CPU_MAX_US_FLOOR <= CPU_PERIOD_US_DEFAULT);
const _: () = assert!(CELL_NAME_BYTES_MAX == 511);
