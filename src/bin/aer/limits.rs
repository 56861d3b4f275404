//! `aer cell allocate` and `aer cell update`: the verbs that set limits.

use argh::FromArgs;
use auraed::grpc::status::Status;
use auraed::proto::aurae::runtime::v0 as api;

use crate::cell::{Cells, shown};
use crate::output::Answer;
use crate::size::{DeviceRates, Size};
use crate::{json, listing};

/// Two verbs with the same flags for limits, which argh cannot share.
macro_rules! with_limits {
    ($(#[$attribute:meta])* struct $verb:ident { $($own:tt)* }) => {
        $(#[$attribute])*
        pub struct $verb {
            $($own)*

            /// share of processor time among cells that compete: 1 to 10000, usual is 100
            #[argh(option)]
            cpu_weight: Option<u64>,

            /// processor time per period in microseconds, summed over all processors
            #[argh(option)]
            cpu_max: Option<i64>,

            /// the period of --cpu-max in microseconds: 1000 to 1000000, which is the default
            #[argh(option)]
            cpu_period: Option<u64>,

            /// processors that may be used, as 0-3,7
            #[argh(option)]
            cpus: Option<String>,

            /// memory nodes that may be used, as 0-1
            #[argh(option)]
            mems: Option<String>,

            /// memory that is never taken away; sizes are bytes, or as 512K, 64M, 2G
            #[argh(option)]
            memory_min: Option<Size>,

            /// memory that is taken away only when there is none elsewhere
            #[argh(option)]
            memory_low: Option<Size>,

            /// memory above which programs are slowed down
            #[argh(option)]
            memory_high: Option<Size>,

            /// memory above which a program is killed
            #[argh(option)]
            memory_max: Option<Size>,

            /// swap space beside the memory
            #[argh(option)]
            memory_swap_max: Option<Size>,

            /// number of processes and threads
            #[argh(option)]
            pids_max: Option<i64>,

            /// share of block devices among cells that compete: 1 to 10000, usual is 100
            #[argh(option)]
            io_weight: Option<u64>,

            /// rates of one device, as /dev/sda,read-bytes=1M,write-bytes=1M,reads=100,writes=100; may be repeated
            #[argh(option)]
            io_max: Vec<DeviceRates>,
        }

        impl $verb {
            fn cell(self) -> api::Cell {
                let bytes = |size: Option<Size>| size.map(|Size(bytes)| bytes);
                api::Cell {
                    name: self.name,
                    cpu: some_unless_default(api::CpuController {
                        weight: self.cpu_weight,
                        max: self.cpu_max,
                        period: self.cpu_period,
                    }),
                    cpuset: some_unless_default(api::CpusetController { cpus: self.cpus, mems: self.mems }),
                    memory: some_unless_default(api::MemoryController {
                        min: bytes(self.memory_min),
                        low: bytes(self.memory_low),
                        high: bytes(self.memory_high),
                        max: bytes(self.memory_max),
                        swap_max: bytes(self.memory_swap_max),
                    }),
                    pids: some_unless_default(api::PidsController { max: self.pids_max }),
                    io: some_unless_default(api::IoController {
                        weight: self.io_weight,
                        max: self.io_max.into_iter().map(|DeviceRates(max)| max).collect(),
                    }),
                    ..api::Cell::default()
                }
            }
        }
    };
}

/// A controller without a limit is left out.
fn some_unless_default<T: Default + PartialEq>(message: T) -> Option<T> {
    Some(message).filter(|message| *message != T::default())
}

with_limits! {
    /// make a cell and set its limits; starts nothing
    #[derive(FromArgs, Debug)]
    #[argh(
        subcommand,
        name = "allocate",
        help_triggers("-h", "--help"),
        usage = "<name> [<limits>] [--isolate-process] [--isolate-network]",
        example = "Twice the usual share of the processors when others want them, too:\n  aer cell allocate web --cpu-weight 200",
        example = "At most half a processor, in slices of 100 ms, on processors 0 and 1 only:\n  aer cell allocate batch --cpu-max 50000 --cpu-period 100000 --cpus 0-1",
        example = "At most 64 MiB, 100 processes, and 1 MiB written to a disk in a second:\n  aer cell allocate job --memory-max 64M --pids-max 100 --io-max /dev/sda,write-bytes=1M",
        example = "With processes, host name and network of its own:\n  aer cell allocate web --isolate-process --isolate-network",
        example = "A cell inside another:\n  aer cell allocate web/api",
        note = "What is not given is not limited, except by the cell around it."
    )]
    struct Allocate {
        /// labels of A-Z a-z 0-9 and "-", joined by "/": web, web/api
        #[argh(positional, arg_name = "name")]
        name: String,

        /// own process ids, System V IPC, host name (the last label) and mounts
        #[argh(switch)]
        isolate_process: bool,

        /// own network: the loopback interface, and nothing else
        #[argh(switch)]
        isolate_network: bool,
    }
}

impl Allocate {
    pub async fn run(self, cells: Cells<'_>) -> Result<Answer, Status> {
        let response = cells.allocate(&self.request()).await?;
        let version = if response.cgroup_v2 { 2 } else { 1 };
        let text = format!("allocated {} (cgroup v{version})\n", shown(&response.cell_name));
        Ok(Answer::new(json::allocate(&response), text))
    }

    fn request(self) -> api::CellServiceAllocateRequest {
        let (isolate_process, isolate_network) = (self.isolate_process, self.isolate_network);
        let cell = api::Cell { isolate_process, isolate_network, ..self.cell() };
        api::CellServiceAllocateRequest { cell: Some(cell) }
    }
}

with_limits! {
    /// change limits of a cell, and of what runs in it
    #[derive(FromArgs, Debug)]
    #[argh(
        subcommand,
        name = "update",
        help_triggers("-h", "--help"),
        usage = "<name> [<limits>] [--clear <limit>]...",
        example = "aer cell update web --cpu-weight 50 --memory-max 128M\naer cell update web --clear cpu-max --clear io-max",
        note = "All of it is changed, or nothing. What is not given stays as it is; of --io-max,\nthe devices that are not named.",
        note = "Limits are cleared by the names of their flags. cpu-max takes cpu-period with it,\nio-max all devices. The API's names, as cpu.max and cpuset.cpus, do, too."
    )]
    struct Update {
        /// the cell
        #[argh(positional, arg_name = "name")]
        name: String,

        /// a limit to take away, as memory-max; may be repeated
        #[argh(option)]
        clear: Vec<String>,
    }
}

impl Update {
    pub async fn run(self, cells: Cells<'_>) -> Result<Answer, Status> {
        let response = cells.update(&self.request()).await?;
        let cell = response.cell.clone().unwrap_or_default();
        let limits = listing::limits(&cell);
        let limits = if limits.is_empty() { "no limits" } else { &limits };
        let text = format!("updated {}: {limits}\n", shown(&cell.name));
        Ok(Answer::new(json::update(&response), text))
    }

    fn request(mut self) -> api::CellServiceUpdateRequest {
        let clear = std::mem::take(&mut self.clear).into_iter().map(api_name).collect();
        api::CellServiceUpdateRequest { cell: Some(self.cell()), clear }
    }
}

/// What the API calls the limit of a flag. Any other name is for the daemon to judge.
fn api_name(flag: String) -> String {
    match flag.as_str() {
        "cpus" | "mems" => format!("cpuset.{flag}"),
        "memory-swap-max" => "memory.swap_max".to_owned(),
        "cpu-weight" | "cpu-max" | "memory-min" | "memory-low" | "memory-high" | "memory-max"
        | "pids-max" | "io-weight" | "io-max" => flag.replacen('-', ".", 1),
        _ => flag,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_without_limits_asks_for_no_controller() {
        let request = |arguments: &[&str]| {
            let verb = Allocate::from_args(&["allocate"], &[&["web"], arguments].concat());
            verb.expect("the arguments are right").request().cell.expect("it is always set")
        };
        assert_eq!(request(&[]), api::Cell { name: "web".to_owned(), ..api::Cell::default() });
        let cell = request(&["--cpu-max", "-5", "--mems", ""]);
        assert_eq!(cell.cpu.and_then(|cpu| cpu.max), Some(-5));
        assert_eq!(cell.cpuset.and_then(|cpuset| cpuset.mems).as_deref(), Some(""));
        let cell = request(&["--memory-max", "64M", "--io-max", "8:0,reads=5", "--io-max", "8:16,writes=6"]);
        assert_eq!(cell.memory.and_then(|memory| memory.max), Some(64 << 20));
        let devices: Vec<_> = cell.io.unwrap_or_default().max.into_iter().map(|max| max.device).collect();
        assert_eq!((devices, cell.pids), (vec!["8:0".to_owned(), "8:16".to_owned()], None));
    }

    #[test]
    fn an_update_sets_and_clears() {
        let arguments = ["web", "--clear", "cpu.max", "--pids-max", "7", "--clear", "io-max"];
        let request = Update::from_args(&["update"], &arguments).expect("right").request();
        assert_eq!(request.clear, ["cpu.max", "io.max"]);
        for (flag, name) in [
            ("cpus", "cpuset.cpus"),
            ("mems", "cpuset.mems"),
            ("memory-swap-max", "memory.swap_max"),
            ("memory-max", "memory.max"),
            ("cpu-weight", "cpu.weight"),
            ("memory.max", "memory.max"),
            ("frob-it", "frob-it"),
        ] {
            assert_eq!(api_name(flag.to_owned()), name);
        }
        let pids = Some(api::PidsController { max: Some(7) });
        assert_eq!(request.cell, Some(api::Cell { name: "web".to_owned(), pids, ..api::Cell::default() }));
    }
}
