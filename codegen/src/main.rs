//! Writes `src/proto/generated.rs` and `src/proto/descriptor.bin` of auraed from `proto/**/*.proto`.
//!
//! ```text
//! cargo run --manifest-path codegen/Cargo.toml              writes both
//! cargo run --manifest-path codegen/Cargo.toml -- --check   writes nothing; exit code 1 when they are stale
//! ```
//!
//! The same inputs always give the same bytes. In order: `api` reads the files and says what the services are,
//! `messages` makes the message types, `services` the traits and clients, `methods` the table of methods and its
//! dispatch, `reflection` the index of descriptors.

mod api;
mod fingerprint;
mod messages;
mod methods;
mod reflection;
mod services;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use api::Api;

const COMMAND: &str = "cargo run --manifest-path codegen/Cargo.toml";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("codegen: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let check = match arguments.as_slice() {
        [] => false,
        [one] if one == "--check" => true,
        other => bail!("unknown arguments {other:?}; there is only --check"),
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("codegen/ has no parent directory")?;
    let (rust, descriptors) = generate(root)?;
    for (path, contents) in
        [("src/proto/generated.rs", rust.as_bytes()), ("src/proto/descriptor.bin", &descriptors)]
    {
        let fresh = fs::read(root.join(path)).is_ok_and(|present| present == contents);
        match (fresh, check) {
            (true, _) => {}
            (false, true) => bail!("{path} is stale; run `{COMMAND}`"),
            (false, false) => {
                fs::write(root.join(path), contents).with_context(|| format!("failed to write {path}"))?;
            }
        }
    }
    Ok(())
}

/// The contents of `generated.rs` and of `descriptor.bin`.
fn generate(root: &Path) -> Result<(String, Vec<u8>)> {
    let fingerprint = fingerprint::fingerprint(root).context("failed to read the inputs")?;
    let api = Api::read(&root.join("proto"))?;
    let (index, descriptors) = reflection::index(&api)?;
    let parts = [IMPORTS, &methods::table(&api), &services::items(&api), &index, &messages::modules(&api)?];
    let file = syn::parse_file(&parts.concat()).context("the generated code is not Rust")?;
    let header = format!(
        "// Made by codegen/ from proto/. Never edit: `{COMMAND}` writes it anew.\n\
         {}{fingerprint:016x}.\n\n",
        fingerprint::LINE_START
    );
    Ok((header + &prettyplease::unparse(&file), descriptors))
}

const IMPORTS: &str = "
use std::future::Future;

use crate::grpc::call::{Answer, Input, Kind};
use crate::grpc::status::Status;

use super::{Answers, Channel, File, Items, ask, ask_stream, bidirectional, server_streaming, unary};
";
