//! The API as Rust: messages, service traits, the table of methods and its dispatch, clients, and the index that
//! reflection answers from.
//!
//! All of that is in `generated.rs`, which `codegen/` writes from `proto/`; here are the few functions that it calls,
//! which turn bytes into messages and back. Nothing here knows a socket or what a cell is.

use std::future::{Future, ready};
use std::marker::PhantomData;
use std::pin::Pin;

use bytes::{Buf, Bytes};
use prost::{Message, Name};
use smol::stream::{Stream, StreamExt};

use crate::grpc::call::{Answer, Input, Messages, Reply};
use crate::grpc::status::{Code, Status};
use crate::limits::REQUEST_READS_MAX;

#[rustfmt::skip]
pub mod generated;

pub use generated::*;

/// Messages of one type, in order. An error is the last item.
pub type Items<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What a service gives for a call that is answered with any number of messages of one type.
pub struct Answers<T> {
    messages: Messages,
    of: PhantomData<fn() -> T>,
}

impl<T: Message + 'static> Answers<T> {
    pub fn new(items: Items<T>) -> Self {
        Self::encoded(Box::pin(items.map(|item| item.map(|message| encode(&message)))))
    }

    /// Messages that are encoded already.
    pub fn encoded(messages: Messages) -> Self {
        Self { messages, of: PhantomData }
    }
}

/// One .proto file of the API, as reflection needs it.
pub struct File {
    /// Its path below `proto/`.
    pub name: &'static str,
    /// Where in [`DESCRIPTORS`] its encoded `google.protobuf.FileDescriptorProto` starts.
    pub start: usize,
    /// Where it ends; exclusive.
    pub end: usize,
    /// The files that it imports, as indices into [`FILES`].
    pub dependencies: &'static [usize],
    /// The full names of its messages, nested ones too; sorted, one a line.
    pub messages: &'static str,
    /// The full names of everything else in it: services, methods, fields, oneofs, enums and their values; sorted, one
    /// a line.
    pub members: &'static str,
}

impl File {
    pub fn descriptor(&self) -> Bytes {
        Bytes::from_static(&DESCRIPTORS[self.start..self.end])
    }
}

/// How a client's calls reach a daemon.
pub trait Channel {
    /// Sends one message to the method at `path`, and waits for the one that answers it.
    fn unary(&self, path: &'static str, message: Bytes) -> impl Future<Output = Result<Bytes, Status>>;

    /// Sends one message to the method at `path`, and waits until the stream of answers has begun.
    fn server_streaming(
        &self,
        path: &'static str,
        message: Bytes,
    ) -> impl Future<Output = Result<Messages, Status>>;
}

/// Serves a call with one message each way.
fn unary<'a, Req, Res, Work>(input: Input, serve: impl FnOnce(Req) -> Work) -> Answer<'a>
where
    Req: Message + Name + Default,
    Res: Message,
    Work: Future<Output = Result<Res, Status>> + Send + 'a,
{
    match one(input) {
        Ok(request) => {
            let work = serve(request);
            Box::pin(async move { Ok(Reply::One(encode(&work.await?))) })
        }
        Err(status) => refuse(status),
    }
}

/// Serves a call with one message in and any number out.
fn server_streaming<'a, Req, Res, Work>(input: Input, serve: impl FnOnce(Req) -> Work) -> Answer<'a>
where
    Req: Message + Name + Default,
    Work: Future<Output = Result<Answers<Res>, Status>> + Send + 'a,
{
    match one(input) {
        Ok(request) => {
            let work = serve(request);
            Box::pin(async move { Ok(Reply::Many(work.await?.messages)) })
        }
        Err(status) => refuse(status),
    }
}

/// Serves a call with any number of messages each way.
fn bidirectional<'a, Req, Res, Work>(input: Input, serve: impl FnOnce(Items<Req>) -> Work) -> Answer<'a>
where
    Req: Message + Name + Default + 'static,
    Work: Future<Output = Result<Answers<Res>, Status>> + Send + 'a,
{
    match input {
        Input::Many(messages) => {
            let work = serve(Box::pin(messages.map(|message| message.and_then(decode_request))));
            Box::pin(async move { Ok(Reply::Many(work.await?.messages)) })
        }
        Input::One(_) => refuse(wrong_input()),
    }
}

/// Answers a method that is declared, but that no service implements yet.
fn planned<'a>(path: &str) -> Answer<'a> {
    let method = path.trim_start_matches('/');
    refuse(Status::new(Code::Unimplemented, format!("{method} is planned, not built yet")))
}

/// A client's call with one message each way.
async fn ask<C, Req, Res>(channel: &C, path: &'static str, request: &Req) -> Result<Res, Status>
where
    C: Channel,
    Req: Message,
    Res: Message + Name + Default,
{
    decode_answer(channel.unary(path, encode(request)).await?)
}

/// A client's call with one message out and any number in.
async fn ask_stream<C, Req, Res>(channel: &C, path: &'static str, request: &Req) -> Result<Items<Res>, Status>
where
    C: Channel,
    Req: Message,
    Res: Message + Name + Default + 'static,
{
    let answers = channel.server_streaming(path, encode(request)).await?;
    Ok(Box::pin(answers.map(|answer| answer.and_then(decode_answer))))
}

fn one<M: Message + Name + Default>(input: Input) -> Result<M, Status> {
    match input {
        Input::One(message) => decode_request(message),
        Input::Many(_) => Err(wrong_input()),
    }
}

fn wrong_input() -> Status {
    Status::new(Code::Internal, "the transport read the wrong kind of call")
}

fn refuse<'a>(status: Status) -> Answer<'a> {
    Box::pin(ready(Err(status)))
}

/// A message that a peer has sent, which may be up to no good.
fn decode_request<M: Message + Name + Default>(bytes: Bytes) -> Result<M, Status> {
    decode(bytes, REQUEST_READS_MAX)
}

/// A message of the daemon that our client asked.
fn decode_answer<M: Message + Name + Default>(bytes: Bytes) -> Result<M, Status> {
    decode(bytes, usize::MAX)
}

fn decode<M: Message + Name + Default>(bytes: Bytes, reads_max: usize) -> Result<M, Status> {
    let mut reads = Reads { bytes, left: Some(reads_max) };
    let decoded = M::decode(&mut reads);
    if reads.left.is_none() {
        let text = format!("{} has far more items than any of its fields may have", M::full_name());
        return Err(Status::new(Code::ResourceExhausted, text));
    }
    let refused = |error| format!("failed to parse {}: {error}", M::full_name());
    decoded.map_err(|error| Status::new(Code::Internal, refused(error)))
}

/// Bytes that end after so many reads. An item of a repeated field takes two bytes and two reads, and becomes up to 88
/// bytes of memory: what a message may become is bounded by its reads, not by its size.
struct Reads {
    bytes: Bytes,
    /// `None` when it was too few.
    left: Option<usize>,
}

impl Buf for Reads {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.left = self.left.and_then(|left| left.checked_sub(1));
        match self.left {
            Some(_) => self.bytes.advance(count),
            None => self.bytes.clear(),
        }
    }
}

fn encode(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

#[cfg(test)]
mod tests {
    use smol::future::block_on;
    use smol::stream;

    use super::aurae::runtime::v0::*;
    use super::*;
    use crate::limits::{ARGUMENTS_MAX, ENVIRONMENT_MAX, IO_DEVICES_MAX, REQUEST_BYTES_MAX};

    #[test]
    fn every_method_is_found_by_its_path_and_stands_at_its_number() {
        for (number, method) in Method::ALL.iter().enumerate() {
            assert_eq!(*method as usize, number);
            assert_eq!(Method::from_path(method.path()), Some(*method));
        }
    }

    #[test]
    fn only_an_exact_path_is_a_method() {
        let path = "/aurae.runtime.v0.CellService/Allocate";
        assert_eq!(Method::from_path(path), Some(Method::CellServiceAllocate));
        for wrong in ["", "/", &path[1..], &path[..path.len() - 1], &format!("{path}/"), &path.to_lowercase()]
        {
            assert_eq!(Method::from_path(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn services_and_files_have_no_name_twice() {
        let mut names: Vec<&str> = SERVICES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SERVICES.len());
        assert!(FILES.is_sorted_by(|a, b| a.name < b.name));
    }

    /// The numbers of the contract, as bytes.
    #[test]
    fn a_cell_has_the_bytes_that_other_clients_send() {
        let bytes: &[u8] = b"\x0a\x0b\x0a\x01a\x12\x02\x10\x05\x50\x01\x58\x01";
        let request: CellServiceAllocateRequest =
            decode_request(Bytes::from_static(bytes)).expect("it parses");
        let cell = request.cell.expect("field 1 is the cell");
        assert_eq!((cell.name.as_str(), cell.isolate_process, cell.isolate_network), ("a", true, true));
        assert_eq!(cell.cpu.and_then(|cpu| cpu.max), Some(5));
    }

    #[test]
    fn bytes_that_do_not_parse_are_internal_and_named() {
        let serve = |cell: Cell| ready(Ok(cell));
        let Err(status) = block_on(unary(Input::One(Bytes::from_static(b"\x0a\x05ab")), serve)) else {
            panic!("a cut message was served")
        };
        assert_eq!(status.code, Code::Internal);
        assert!(status.message.starts_with("failed to parse aurae.runtime.v0.Cell: "), "{status}");
    }

    /// Two bytes each, of which 88 would be made.
    #[test]
    fn a_message_of_very_many_items_is_refused_before_they_are_made() {
        let items = b"\x12\x00".repeat(REQUEST_BYTES_MAX / 2);
        let refused = decode_request::<IoController>(items.clone().into()).expect_err("too many");
        assert_eq!(refused.code, Code::ResourceExhausted);
        assert!(refused.message.starts_with("aurae.runtime.v0.IoController has far more items"), "{refused}");
        let most = items[..REQUEST_READS_MAX].to_vec();
        let most: IoController = decode_request(most.into()).expect("a read for each byte");
        assert_eq!(most.max.len(), REQUEST_READS_MAX / 2);
        assert_eq!(
            decode_answer::<IoController>(items.into()).expect("ours").max.len(),
            REQUEST_BYTES_MAX / 2
        );
    }

    #[test]
    fn a_request_with_as_many_items_as_may_be_is_read() {
        let number = |n: usize| format!("{n}");
        let executable = Executable {
            args: (0..ARGUMENTS_MAX).map(number).collect(),
            env: (0..ENVIRONMENT_MAX).map(|n| (number(n), number(n))).collect(),
            rlimits: vec![Rlimit { name: "nofile".to_owned(), soft: Some(1), hard: Some(2) }; 16],
            capabilities: Some(CapabilitySet { names: (0..64).map(number).collect() }),
            stdin: Some(vec![1; 64 << 10]),
            ..Executable::default()
        };
        let request = CellServiceStartRequest { executable: Some(executable), ..Default::default() };
        assert_eq!(decode_request(encode(&request)), Ok(request));
        let max = vec![IoMax { device: "8:0".to_owned(), ..IoMax::default() }; IO_DEVICES_MAX];
        let cell = Cell { io: Some(IoController { weight: Some(1), max }), ..Cell::default() };
        let request = CellServiceAllocateRequest { cell: Some(cell) };
        assert_eq!(decode_request(encode(&request)), Ok(request));
    }

    #[test]
    fn input_of_the_wrong_kind_is_internal() {
        let many = Input::Many(Box::pin(stream::empty()));
        assert!(block_on(unary(many, |cell: Cell| ready(Ok(cell)))).is_err_and(|s| s.code == Code::Internal));
        let one = Input::One(Bytes::new());
        let echo = |cells: Items<Cell>| ready(Ok(Answers::new(cells)));
        assert!(block_on(bidirectional(one, echo)).is_err_and(|s| s.code == Code::Internal));
    }

    #[test]
    fn an_item_that_does_not_parse_ends_a_bidirectional_call() {
        let messages =
            stream::iter([Ok(Bytes::from_static(b"\x0a\x01a")), Ok(Bytes::from_static(b"\x0a\x05ab"))]);
        let echo = |cells: Items<Cell>| ready(Ok(Answers::new(cells)));
        let Ok(Reply::Many(answers)) = block_on(bidirectional(Input::Many(Box::pin(messages)), echo)) else {
            panic!("the call was refused")
        };
        let answers: Vec<_> = block_on(answers.collect());
        assert_eq!(answers[0], Ok(Bytes::from_static(b"\x0a\x01a")));
        assert!(answers[1].as_ref().is_err_and(|status| status.code == Code::Internal));
    }
}
