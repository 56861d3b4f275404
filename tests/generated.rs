//! The generated code is made from the .proto files and the generator that stand beside it. Says so without building
//! the generator; `codegen -- --check` compares the bytes themselves.

// The generator's own file, so that the two cannot come to differ.
#[path = "../codegen/src/fingerprint.rs"]
mod fingerprint;

use std::path::Path;

#[test]
fn generated_code_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let generated =
        std::fs::read_to_string(root.join("src/proto/generated.rs")).expect("generated.rs is there");
    let stated = generated.lines().find_map(|line| line.strip_prefix(fingerprint::LINE_START));
    let computed = format!("{:016x}.", fingerprint::fingerprint(root).expect("the inputs can be read"));
    assert_eq!(
        stated,
        Some(computed.as_str()),
        "src/proto/generated.rs is stale; run `cargo run --manifest-path codegen/Cargo.toml`"
    );
}
