//! The index of descriptors, so that the daemon answers reflection without parsing any.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};

use crate::api::Api;

/// The index as Rust, and the descriptors that it points into, one after the other.
pub fn index(api: &Api) -> Result<(String, Vec<u8>)> {
    let mut descriptors = Vec::new();
    let mut entries = String::new();
    for file in &api.files {
        let start = descriptors.len();
        descriptors.extend(without_comments(file).encode_to_vec());
        let end = descriptors.len();
        let dependencies = dependencies(api, file).with_context(|| file.name().to_owned())?;
        let symbols = Symbols::of(file).with_context(|| file.name().to_owned())?;
        writeln!(
            entries,
            "File {{ name: {:?}, start: {start}, end: {end}, dependencies: &{dependencies:?}, messages: {}, members: {} }},",
            file.name(),
            lines(symbols.messages),
            lines(symbols.members),
        )?;
    }
    let services: String = api.services.iter().map(|service| format!("{:?},\n", service.full_name)).collect();
    let index = format!(
        "/// The full name of every service, planned and empty ones too.
        pub static SERVICES: &[&str] = &[{services}];
        /// Every file of the API, sorted by name.
        pub static FILES: &[File] = &[{entries}];
        /// The files' descriptors, each at its [`File`]'s place.
        pub static DESCRIPTORS: &[u8] = include_bytes!(\"descriptor.bin\");\n"
    );
    Ok((index, descriptors))
}

/// Comments are half of a descriptor, and no client shows them.
fn without_comments(file: &FileDescriptorProto) -> FileDescriptorProto {
    FileDescriptorProto { source_code_info: None, ..file.clone() }
}

/// The places of a file's direct imports in the sorted list of files.
fn dependencies(api: &Api, file: &FileDescriptorProto) -> Result<Vec<usize>> {
    let place = |name: &String| {
        api.files
            .iter()
            .position(|other| other.name() == name)
            .with_context(|| format!("{name} was not read"))
    };
    file.dependency.iter().map(place).collect()
}

/// The full names of all that a file declares.
#[derive(Default)]
struct Symbols {
    messages: Vec<String>,
    members: Vec<String>,
}

impl Symbols {
    fn of(file: &FileDescriptorProto) -> Result<Self> {
        ensure!(file.extension.is_empty(), "extensions are not supported: reflection has no index of them");
        let mut symbols = Self::default();
        for message in &file.message_type {
            symbols.add_message(file.package(), message)?;
        }
        for item in &file.enum_type {
            symbols.add_enum(file.package(), item);
        }
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            symbols.members.extend(service.method.iter().map(|method| format!("{name}.{}", method.name())));
            symbols.members.push(name);
        }
        symbols.messages.sort();
        symbols.members.sort();
        Ok(symbols)
    }

    fn add_message(&mut self, scope: &str, message: &DescriptorProto) -> Result<()> {
        let name = format!("{scope}.{}", message.name());
        ensure!(message.extension.is_empty(), "{name}: extensions are not supported");
        self.members.extend(message.field.iter().map(|field| format!("{name}.{}", field.name())));
        self.members.extend(message.oneof_decl.iter().map(|oneof| format!("{name}.{}", oneof.name())));
        for nested in &message.nested_type {
            self.add_message(&name, nested)?;
        }
        for nested in &message.enum_type {
            self.add_enum(&name, nested);
        }
        self.messages.push(name);
        Ok(())
    }

    /// The values of an enum are its siblings, not its children (protobuf language guide, "Enumerations").
    fn add_enum(&mut self, scope: &str, item: &EnumDescriptorProto) {
        self.members.push(format!("{scope}.{}", item.name()));
        self.members.extend(item.value.iter().map(|value| format!("{scope}.{}", value.name())));
    }
}

/// A string literal with one name a line, in the program as in the source. One string, because each string of a slice
/// would cost the program a pointer, a length and a relocation, and dirty memory when it starts.
fn lines(names: Vec<String>) -> String {
    let lines: String = names.iter().map(|name| format!("{name}\\n\\\n")).collect();
    format!("\"\\\n{lines}\"")
}
