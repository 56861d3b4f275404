//! The fuzz targets by name. Each body stands beside the code that it tests and asserts what that code promises.
//! `fuzz/` runs them on inputs that it finds; the tests below run them, in a plain `cargo test`, on the inputs that
//! are kept there: seeds, and what crashed in the past.

use crate::{grpc, runtime, services, transport};

/// Takes any bytes; panics when the code under test breaks a promise.
pub type Body = fn(&[u8]);

/// Each target's name, as in `fuzz/targets/`, and its body.
pub const TARGETS: &[(&str, Body)] = &[
    ("dispatch", services::fuzz::dispatch),
    ("grpc_deframe", grpc::frame::fuzz),
    ("grpc_head", grpc::head::fuzz),
    ("grpc_status", grpc::status::fuzz),
    ("h2_server", transport::fuzz::h2_server),
    ("h2_wire", transport::fuzz::h2_wire),
    ("log_lines", runtime::logs::fuzz),
    ("names", runtime::fuzz::names),
];

/// The target that must crash, to show that a crash would be noticed.
pub fn canary(data: &[u8]) {
    assert!(!data.starts_with(b"tweet"), "the canary sings, as it should");
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeSet;
    use std::fs;
    use std::panic;
    use std::path::{Path, PathBuf};
    use std::sync::Once;

    use super::*;

    #[test]
    fn seeds_and_past_crashes_hold() {
        let mut failed = Vec::new();
        for (target, body) in TARGETS {
            failed.extend(inputs(target).into_iter().filter(|input| panics(*body, input) > 0));
        }
        assert!(failed.is_empty(), "their targets fail on {failed:#?}");
    }

    #[test]
    fn the_canary_sings_for_its_word_alone() {
        for input in inputs("canary") {
            assert_eq!(panics(canary, &input), 0, "canary fails on {}", input.display());
        }
        assert!(panic::catch_unwind(|| canary(b"tweet tweet")).is_err());
    }

    /// A target that is not in the manifest is never fuzzed; one that is not in the table is never replayed.
    #[test]
    fn table_manifest_and_folder_name_the_same_targets() {
        let table: BTreeSet<String> =
            TARGETS.iter().map(|(name, _)| *name).chain(["canary"]).map(str::to_owned).collect();
        let manifest = fs::read_to_string(folder("Cargo.toml")).expect("fuzz/ has a manifest");
        let paths = manifest.lines().filter_map(|line| line.strip_prefix("path = \"targets/"));
        let bins = paths.filter_map(|path| path.strip_suffix(".rs\"")).map(str::to_owned).collect();
        let files = files(&folder("targets")).iter().map(|path| stem(path)).collect();
        assert_eq!(table, bins);
        assert_eq!(table, files);
    }

    /// The seeds of a target, of which there must be some, and its past crashes.
    fn inputs(target: &str) -> Vec<PathBuf> {
        let mut inputs = files(&folder("corpus").join(target));
        assert!(!inputs.is_empty(), "fuzz/corpus/{target} has no seeds");
        inputs.extend(files(&folder("regress").join(target)));
        inputs
    }

    fn folder(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
    }

    /// The files of a folder in the order of their names; none when there is no such folder.
    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten();
        let mut files: Vec<_> = entries.map(|entry| entry.expect("the folder is readable").path()).collect();
        files.sort();
        files
    }

    fn stem(path: &Path) -> String {
        path.file_stem().expect("it has a name").to_string_lossy().into_owned()
    }

    thread_local!(static PANICS: Cell<usize> = const { Cell::new(0) });

    /// How often the body panics on a file's bytes; the transport catches panics, and they count all the same.
    fn panics(body: Body, input: &Path) -> usize {
        static COUNTING: Once = Once::new();
        COUNTING.call_once(|| {
            let report = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                PANICS.set(PANICS.get() + 1);
                report(info);
            }));
        });
        let bytes = fs::read(input).expect("the input is readable");
        let before = PANICS.get();
        let _ = panic::catch_unwind(|| body(&bytes));
        PANICS.get() - before
    }
}
