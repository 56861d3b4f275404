//! What the generated code is made from, as one number. Knows no protobuf and uses only std, so that the test that
//! notices stale code (`tests/generated.rs` of the main crate) compiles this same file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The line of the generated file that carries the number starts with this.
pub const LINE_START: &str = "// Made from inputs with the fingerprint ";

/// The fingerprint of everything that decides what is generated, below the repository's `root`: the .proto files and
/// this generator. File names count, modification times and the order of directory entries do not.
///
/// FNV-1a in 64 bits: it has to notice a forgotten step, not an attacker, who could edit the number as well; and it is
/// a loop of two operations, where a cryptographic hash would be a dependency of the main crate's tests.
pub fn fingerprint(root: &Path) -> io::Result<u64> {
    let mut inputs = vec![root.join("codegen/Cargo.toml")];
    inputs.extend(files_below(&root.join("codegen/src"), "rs")?);
    inputs.extend(files_below(&root.join("proto"), "proto")?);

    let mut hash = 0xcbf2_9ce4_8422_2325;
    for path in inputs {
        let name = path.strip_prefix(root).expect("the inputs are below the root");
        let contents = fs::read(&path)?;
        // Lengths, so that bytes moved from one file to the next are seen.
        for part in [name.as_os_str().as_encoded_bytes(), &contents] {
            hash = fnv1a(hash, &(part.len() as u64).to_le_bytes());
            hash = fnv1a(hash, part);
        }
    }
    Ok(hash)
}

/// All files below `folder` with the given extension, sorted by path.
pub fn files_below(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_below(&path, extension)?);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// One step of FNV-1a, 64 bits (Fowler, Noll, Vo; RFC 9923).
fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
