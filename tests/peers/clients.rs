//! The clients: programs that are started for each call, and scripts that keep one channel open.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Value, json};

use crate::contract;

/// Ends a client that hangs; far above what any call here takes.
const CALL_SECONDS_MAX: &str = "120";

pub trait Peer {
    /// The services that the server lists by reflection; `None` where the client has no reflection.
    fn services(&mut self) -> Option<Vec<String>>;

    /// Calls `package.Service/Method`. Requests and responses are in protobuf's JSON, with default values spelled out.
    fn call(&mut self, method: &str, request: &Value) -> Result<Value, Failure>;
}

pub struct Failure {
    /// The number of the gRPC code.
    pub code: u64,
    /// The message and the details, as far as the client shows them.
    pub text: String,
}

pub struct Grpcurl {
    program: PathBuf,
    socket: PathBuf,
}

impl Grpcurl {
    pub fn find(socket: &Path) -> Result<Self, String> {
        Ok(Self { program: find("grpcurl")?, socket: socket.to_owned() })
    }

    fn command(&self) -> Command {
        let mut command = bounded(&self.program);
        command.args(["-plaintext", "-emit-defaults", "-unix"]);
        command
    }
}

impl Peer for Grpcurl {
    fn services(&mut self) -> Option<Vec<String>> {
        let output = run(self.command().arg(&self.socket).arg("list"));
        assert!(output.status.success(), "grpcurl list: {}", text(&output.stderr));
        Some(text(&output.stdout).lines().map(str::to_owned).collect())
    }

    fn call(&mut self, method: &str, request: &Value) -> Result<Value, Failure> {
        let mut command = self.command();
        if method.ends_with("/Unknown") {
            command.args(["-import-path", &file("tests/peers"), "-proto", "unknown.proto"]);
        }
        command.arg("-d").arg(request.to_string()).arg(&self.socket).arg(method);
        let output = run(&mut command);
        match exit_code(&output) {
            0 => Ok(parse(&output.stdout)),
            // grpcurl adds 64 to the code of the call.
            code if code > 64 => Err(Failure { code: code - 64, text: text(&output.stderr) }),
            code => panic!("grpcurl {method}: exit {code}: {}", text(&output.stderr)),
        }
    }
}

pub struct Buf {
    program: PathBuf,
    socket: PathBuf,
}

impl Buf {
    pub fn find(socket: &Path) -> Result<Self, String> {
        Ok(Self { program: find("buf")?, socket: socket.to_owned() })
    }

    fn command(&self) -> Command {
        let mut command = bounded(&self.program);
        command
            .args(["curl", "--protocol", "grpc", "--http2-prior-knowledge", "--unix-socket"])
            .arg(&self.socket);
        command
    }
}

impl Peer for Buf {
    fn services(&mut self) -> Option<Vec<String>> {
        let output = run(self.command().args(["--list-services", "http://localhost"]));
        assert!(output.status.success(), "buf curl --list-services: {}", text(&output.stderr));
        Some(text(&output.stdout).lines().map(str::to_owned).collect())
    }

    fn call(&mut self, method: &str, request: &Value) -> Result<Value, Failure> {
        let mut command = self.command();
        if method.ends_with("/Unknown") {
            command.args(["--schema", &file("tests/peers/unknown.proto")]);
        }
        command.args(["--emit-defaults", "-d", &request.to_string(), &format!("http://localhost/{method}")]);
        let output = run(&mut command);
        match exit_code(&output) {
            0 => Ok(parse(&output.stdout)),
            // buf exits with 8 times the code of the call and shows details in base64.
            code if code % 8 == 0 => {
                let shown = text(&output.stderr);
                let details =
                    serde_json::from_str(&shown).map(|error: Value| details(&error)).unwrap_or_default();
                Err(Failure { code: code / 8, text: format!("{shown}\n{details}") })
            }
            code => panic!("buf curl {method}: exit {code}: {}", text(&output.stderr)),
        }
    }
}

/// The decoded values of the details in the error that buf prints.
fn details(error: &Value) -> String {
    let details = error["details"].as_array().map(Vec::as_slice).unwrap_or_default();
    details.iter().filter_map(|detail| detail["value"].as_str()).map(decode_base64).collect()
}

/// CURLE_HTTP2_STREAM (libcurl-errors(3)).
const CURL_STREAM_ERROR: u64 = 92;

/// curl knows nothing of gRPC: the messages are made and read by [`contract`], the frames here.
pub struct Curl {
    program: PathBuf,
    socket: PathBuf,
}

impl Curl {
    pub fn find(socket: &Path) -> Result<Self, String> {
        Ok(Self { program: find("curl")?, socket: socket.to_owned() })
    }
}

impl Peer for Curl {
    fn services(&mut self) -> Option<Vec<String>> {
        None
    }

    fn call(&mut self, method: &str, request: &Value) -> Result<Value, Failure> {
        let body = self.socket.with_file_name("curl-body");
        let mut command = bounded(&self.program);
        command.args(["-sS", "--http2-prior-knowledge", "--unix-socket"]).arg(&self.socket);
        command.args(["-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", "@-"]);
        command.args(["-D", "-", "-o"]).arg(&body).arg(format!("http://localhost/{method}"));
        // curl writes no file when the body is empty.
        std::fs::write(&body, "").expect("the runtime dir can be written");
        let output = run_with_input(&mut command, &frame(&contract::encode(method, request)));
        // Trailers stand among the headers.
        let headers = text(&output.stdout);
        let header =
            |name: &str| headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        // An answer may come before the body has been read, and be followed by RST_STREAM with NO_ERROR (RFC 9113, section
        // 8.1). Curl then has all of it, and yet complains of the stream if it was about to send.
        let is_early = exit_code(&output) == CURL_STREAM_ERROR && header("grpc-status").is_some();
        assert!(output.status.success() || is_early, "curl {method}: {}", text(&output.stderr));
        let status =
            header("grpc-status").unwrap_or_else(|| panic!("{method}: no grpc-status in\n{headers}"));
        match status.trim().parse().expect("grpc-status is a number") {
            0 => Ok(contract::decode(method, message(&std::fs::read(&body).expect("curl's output")))),
            code => {
                let message = header("grpc-message").unwrap_or_default();
                let details = decode_base64(header("grpc-status-details-bin").unwrap_or_default().trim());
                Err(Failure { code, text: format!("{message}\n{details}") })
            }
        }
    }
}

/// gRPC's prefix (uncompressed, length), then the message.
fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a small message");
    [&[0], &length.to_be_bytes()[..], message].concat()
}

/// The only message of a body.
fn message(body: &[u8]) -> &[u8] {
    let (prefix, message) = body.split_at_checked(5).unwrap_or_else(|| panic!("no message in {body:?}"));
    assert_eq!(prefix, &frame(message)[..5], "the prefix of the answer");
    message
}

/// A script that holds one channel open and takes a call per line.
pub struct Script {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Script {
    pub fn grpcio(socket: &Path, kind: &str) -> Result<Self, String> {
        let python = tools().join("venv/bin/python3");
        let mut importing = Command::new(&python);
        importing.args(["-c", "import grpc_reflection, google.rpc.status_pb2"]).stderr(Stdio::null());
        if !importing.status().is_ok_and(|status| status.success()) {
            return Err(format!("{} has no grpcio with reflection", python.display()));
        }
        let mut command = Command::new(python);
        command.arg(file("tests/peers/grpcio_peer.py")).arg(socket).arg(kind);
        Ok(Self::start(command))
    }

    pub fn grpc_js(socket: &Path) -> Result<Self, String> {
        let node = find("node")?;
        let modules = tools().join("node/node_modules");
        if !modules.join("@grpc/grpc-js").is_dir() {
            return Err(format!("{} has no @grpc/grpc-js", modules.display()));
        }
        let mut command = Command::new(node);
        command
            .env("NODE_PATH", modules)
            .arg(file("tests/peers/grpc_js_peer.js"))
            .arg(socket)
            .arg(file("proto"));
        Ok(Self::start(command))
    }

    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("failed to start {command:?}: {error}"));
        let questions = child.stdin.take().expect("stdin is piped");
        let answers = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Self { child, questions, answers }
    }

    fn ask(&mut self, question: &Value) -> Result<Value, Failure> {
        writeln!(self.questions, "{question}").expect("the script reads its questions");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the script answers");
        let mut answer: Value = parse(line.as_bytes());
        match answer["code"].as_u64() {
            None => Ok(answer["response"].take()),
            Some(code) => Err(Failure { code, text: answer["text"].as_str().unwrap_or_default().to_owned() }),
        }
    }
}

impl Peer for Script {
    fn services(&mut self) -> Option<Vec<String>> {
        let answer = self.ask(&json!({ "method": "services" }));
        let names =
            answer.unwrap_or_else(|failure| panic!("reflection: code {}: {}", failure.code, failure.text));
        Some(serde_json::from_value(names).expect("a list of names"))
    }

    fn call(&mut self, method: &str, request: &Value) -> Result<Value, Failure> {
        self.ask(&json!({ "method": method, "request": request }))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Best effort: it may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// Finding and running programs.

/// Where `scripts/setup.sh` puts what it installs.
fn tools() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("tmp is in the target directory");
    target.join("tools")
}

/// The program among those that were installed for the tests, or else on the PATH.
fn find(program: &str) -> Result<PathBuf, String> {
    let installed = [tools().join("venv/bin"), tools().join("node/node_modules/.bin")];
    let path = env::var_os("PATH").unwrap_or_default();
    let mut candidates =
        installed.into_iter().chain(env::split_paths(&path)).map(|folder| folder.join(program));
    candidates.find(|candidate| candidate.is_file()).ok_or_else(|| format!("{program} is not installed"))
}

/// A file of the repository.
fn file(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

fn bounded(program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.arg(CALL_SECONDS_MAX).arg(program);
    command
}

fn run(command: &mut Command) -> Output {
    run_with_input(command, b"")
}

fn run_with_input(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("failed to start {command:?}: {error}"));
    // The inputs are far smaller than a pipe, so this can't block; a client that ends early shows in its exit code.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input);
    child.wait_with_output().unwrap_or_else(|error| panic!("failed to wait for {command:?}: {error}"))
}

fn exit_code(output: &Output) -> u64 {
    let code = output.status.code().unwrap_or_else(|| panic!("ended by a signal: {}", output.status));
    u64::try_from(code).expect("exit codes are not negative")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("not JSON: {error}: {:?}", text(bytes)))
}

/// Binary headers and buf's details come with or without padding.
fn decode_base64(encoded: &str) -> String {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decoder = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    text(&decoder.decode(encoded).unwrap_or_else(|error| panic!("bad base64 {encoded:?}: {error}")))
}
