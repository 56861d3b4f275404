//! The message types: prost-build's output, one module per package, nested as the packages are.

use std::collections::BTreeMap;

use anyhow::Result;
use prost_build::{Config, Module};

use crate::api::{ALIASES, Api};

/// The modules of all packages.
pub fn modules(api: &Api) -> Result<String> {
    let files =
        api.files.iter().map(|file| (Module::from_protobuf_package_name(file.package()), file.clone()));
    let mut root = Tree::default();
    for (module, code) in config().generate(files.collect())? {
        root.insert(&module.parts().collect::<Vec<_>>(), code);
    }
    Ok(root.into_code())
}

fn config() -> Config {
    let mut config = Config::new();
    config
        // Sorted, so that the same value always has the same bytes.
        .btree_map(["."])
        // Descriptors are sent straight from the program's constants.
        .bytes([".grpc.reflection"])
        // An error that names the message.
        .enable_type_names()
        // Status details are made below the generated code, where statuses are.
        .extern_path(".google.rpc", "crate::grpc::status");
    for (alias, original) in ALIASES {
        config.extern_path(format!(".{alias}"), format!("crate::proto::{}", original.replace('.', "::")));
    }
    config
}

/// A module of Rust with its submodules, sorted.
#[derive(Default)]
struct Tree {
    code: String,
    children: BTreeMap<String, Tree>,
}

impl Tree {
    fn insert(&mut self, path: &[&str], code: String) {
        match path {
            [] => self.code = code,
            [first, rest @ ..] => self.children.entry((*first).to_owned()).or_default().insert(rest, code),
        }
    }

    fn into_code(self) -> String {
        let children = self.children.into_iter();
        let modules = children.map(|(name, child)| format!("pub mod {name} {{ {} }}\n", child.into_code()));
        self.code + &modules.collect::<String>()
    }
}
