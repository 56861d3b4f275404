//! Reads the .proto files and says, in the words of the generated code, what the services and methods are.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use heck::{ToSnakeCase, ToUpperCamelCase};
use prost_types::{FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto, SourceCodeInfo};

use crate::fingerprint::files_below;

/// Methods that no service implements yet: all whose path starts with one of these. They are declared, listed by
/// reflection, and answered with UNIMPLEMENTED. Every other method of a .proto file must be implemented, or the main
/// crate does not compile.
const PLANNED: &[&str] = &["/aurae.runtime.v0.PodService/"];

/// Packages that repeat another one, message for message, under an older name. Both are served by the types and the
/// trait of the second.
pub const ALIASES: &[(&str, &str)] = &[("grpc.reflection.v1alpha", "grpc.reflection.v1")];

pub struct Api {
    /// Sorted by name, with comments.
    pub files: Vec<FileDescriptorProto>,
    /// In the order of the files, and in the order of declaration within one.
    pub services: Vec<Service>,
}

pub struct Service {
    /// `aurae.runtime.v0.CellService`
    pub full_name: String,
    /// The trait that serves it, `CellService`.
    pub trait_name: String,
    /// False when an alias: another service has the same trait.
    pub declares_trait: bool,
    pub comment: String,
    pub methods: Vec<Method>,
}

pub struct Method {
    /// Of the enum of methods, `CellServiceAllocate`.
    pub variant: String,
    /// Of the trait's function, `allocate`.
    pub function: String,
    /// `/aurae.runtime.v0.CellService/Allocate`
    pub path: String,
    pub kind: Kind,
    pub planned: bool,
    /// A path of Rust, `aurae::runtime::v0::CellServiceAllocateRequest`.
    pub request: String,
    pub response: String,
    pub comment: String,
}

/// The variants of `crate::grpc::call::Kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Unary,
    ServerStreaming,
    Bidirectional,
}

impl Api {
    /// Reads all .proto files below `folder`, which is also where imports are looked for.
    pub fn read(folder: &Path) -> Result<Self> {
        let paths = files_below(folder, "proto").context("failed to list the .proto files")?;
        let mut compiler = protox::Compiler::new([folder])?;
        compiler.include_imports(true).include_source_info(true);
        compiler.open_files(paths).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let mut files = compiler.file_descriptor_set().file;
        files.sort_by(|a, b| a.name().cmp(b.name()));

        check_aliases(&files)?;
        let mut services = Vec::new();
        for file in &files {
            for (index, service) in file.service.iter().enumerate() {
                services.push(Service::read(file, index, service, is_ambiguous(&files, service.name()))?);
            }
        }
        let api = Self { files, services };
        api.check_planned()?;
        Ok(api)
    }

    /// The methods that a service has to implement.
    pub fn built_methods(&self) -> impl Iterator<Item = (&Service, &Method)> {
        self.methods().filter(|(_, method)| !method.planned)
    }

    pub fn methods(&self) -> impl Iterator<Item = (&Service, &Method)> {
        self.services.iter().flat_map(|service| service.methods.iter().map(move |method| (service, method)))
    }

    fn check_planned(&self) -> Result<()> {
        for prefix in PLANNED {
            let used = self.methods().any(|(_, method)| method.path.starts_with(prefix));
            ensure!(used, "PLANNED in codegen/src/api.rs has {prefix}, but no method's path starts so");
        }
        Ok(())
    }
}

impl Service {
    fn read(
        file: &FileDescriptorProto,
        index: usize,
        service: &ServiceDescriptorProto,
        ambiguous: bool,
    ) -> Result<Self> {
        let path = [6, index as i32];
        let full_name = format!("{}.{}", file.package(), service.name());
        let version = file.package().rsplit('.').next().unwrap_or_default().to_upper_camel_case();
        let variant_start = service.name().to_owned() + if ambiguous { &version } else { "" };
        let methods = service.method.iter().enumerate().map(|(number, method)| {
            let comment = comment(file, &[path[0], path[1], 2, number as i32]);
            Method::read(&full_name, &variant_start, method, comment)
                .with_context(|| format!("{}: {full_name}.{}", file.name(), method.name()))
        });
        Ok(Self {
            methods: methods.collect::<Result<_>>()?,
            trait_name: service.name().to_owned(),
            declares_trait: package_aliased(file.package()) == file.package(),
            comment: comment(file, &path),
            full_name,
        })
    }

    pub fn has_built_methods(&self) -> bool {
        self.methods.iter().any(|method| !method.planned)
    }
}

impl Method {
    fn read(
        service: &str,
        variant_start: &str,
        method: &MethodDescriptorProto,
        comment: String,
    ) -> Result<Self> {
        let path = format!("/{service}/{}", method.name());
        let kind = match (method.client_streaming(), method.server_streaming()) {
            (false, false) => Kind::Unary,
            (false, true) => Kind::ServerStreaming,
            (true, true) => Kind::Bidirectional,
            (true, false) => bail!(
                "client-streaming methods are not supported; give Kind (src/grpc/call.rs) a variant and codegen \
                 a helper to call"
            ),
        };
        // ServerReflection.ServerReflectionInfo need not say its name twice.
        let name = service.rsplit('.').next().and_then(|service| method.name().strip_prefix(service));
        Ok(Self {
            variant: format!("{variant_start}{}", name.unwrap_or(method.name())),
            function: method.name().to_snake_case(),
            planned: PLANNED.iter().any(|prefix| path.starts_with(prefix)),
            kind,
            request: rust_type(method.input_type())?,
            response: rust_type(method.output_type())?,
            comment,
            path,
        })
    }
}

/// Whether services of two packages have this name, so that it takes the version to tell their methods apart.
fn is_ambiguous(files: &[FileDescriptorProto], service: &str) -> bool {
    files.iter().flat_map(|file| &file.service).filter(|other| other.name() == service).count() > 1
}

/// The Rust path of a message that is not nested in another, from its `.package.Name`.
fn rust_type(proto: &str) -> Result<String> {
    let Some((package, name)) = proto.trim_start_matches('.').rsplit_once('.') else {
        bail!("{proto} is in no package");
    };
    ensure!(
        package.split('.').all(|part| part.starts_with(|c: char| c.is_ascii_lowercase())),
        "{proto} is nested in another message; methods take and give messages at the top of a file"
    );
    Ok(format!("{}::{}", package_aliased(package).replace('.', "::"), name.to_upper_camel_case()))
}

/// The package whose Rust types serve `package`.
fn package_aliased(package: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == package).map_or(package, |(_, original)| original)
}

/// An alias that is not a word-for-word copy would be served wrongly, so it is refused here.
fn check_aliases(files: &[FileDescriptorProto]) -> Result<()> {
    let declarations = |package: &str| -> Vec<String> {
        let in_package = files.iter().filter(|file| file.package() == package);
        in_package
            .map(|file| format!("{:?} {:?} {:?}", file.message_type, file.enum_type, file.service))
            .map(|text| text.replace(&format!(".{package}."), ".PACKAGE."))
            .collect()
    };
    for (alias, original) in ALIASES {
        ensure!(
            declarations(alias) == declarations(original),
            "{alias} is an alias of {original} (codegen/src/api.rs), but what they declare differs"
        );
    }
    Ok(())
}

/// The comment above the declaration at `path` (google.protobuf.SourceCodeInfo.Location.path), as a Rust doc comment.
fn comment(file: &FileDescriptorProto, path: &[i32]) -> String {
    let locations = file.source_code_info.as_ref().map(|info: &SourceCodeInfo| info.location.as_slice());
    let location = locations.unwrap_or_default().iter().find(|location| location.path == path);
    let lines = location.map(|location| location.leading_comments()).unwrap_or_default().lines();
    lines.map(|line| format!("///{line}\n")).collect()
}
