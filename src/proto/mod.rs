//! The API as Rust: messages, service traits, the table of methods and its dispatch, clients, and the index that
//! reflection answers from.
//!
//! All of that is in `generated.rs`, which `codegen/` writes from `proto/`; here are the few functions that it calls,
//! which turn bytes into messages and back. Nothing here knows a socket or what a cell is.

use std::future::{Future, ready};
use std::pin::Pin;

use bytes::Bytes;
use prost::{Message, Name};
use smol::stream::{Stream, StreamExt};

use crate::grpc::call::{Answer, Input, Messages, Reply};
use crate::grpc::status::{Code, Status};

#[rustfmt::skip]
pub mod generated;

pub use generated::*;

/// Messages of one type, in order. An error is the last item.
pub type Items<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

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
    Res: Message + 'static,
    Work: Future<Output = Result<Items<Res>, Status>> + Send + 'a,
{
    match one(input) {
        Ok(request) => {
            let work = serve(request);
            Box::pin(async move { Ok(Reply::Many(encode_each(work.await?))) })
        }
        Err(status) => refuse(status),
    }
}

/// Serves a call with any number of messages each way.
fn bidirectional<'a, Req, Res, Work>(input: Input, serve: impl FnOnce(Items<Req>) -> Work) -> Answer<'a>
where
    Req: Message + Name + Default + 'static,
    Res: Message + 'static,
    Work: Future<Output = Result<Items<Res>, Status>> + Send + 'a,
{
    match input {
        Input::Many(messages) => {
            let work = serve(decode_each(messages));
            Box::pin(async move { Ok(Reply::Many(encode_each(work.await?))) })
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
    decode(channel.unary(path, encode(request)).await?)
}

/// A client's call with one message out and any number in.
async fn ask_stream<C, Req, Res>(channel: &C, path: &'static str, request: &Req) -> Result<Items<Res>, Status>
where
    C: Channel,
    Req: Message,
    Res: Message + Name + Default + 'static,
{
    Ok(decode_each(channel.server_streaming(path, encode(request)).await?))
}

fn one<M: Message + Name + Default>(input: Input) -> Result<M, Status> {
    match input {
        Input::One(message) => decode(message),
        Input::Many(_) => Err(wrong_input()),
    }
}

fn wrong_input() -> Status {
    Status::new(Code::Internal, "the transport read the wrong kind of call")
}

fn refuse<'a>(status: Status) -> Answer<'a> {
    Box::pin(ready(Err(status)))
}

fn decode<M: Message + Name + Default>(bytes: Bytes) -> Result<M, Status> {
    let refused = |error| format!("failed to parse {}: {error}", M::full_name());
    M::decode(bytes).map_err(|error| Status::new(Code::Internal, refused(error)))
}

fn encode(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

fn decode_each<M: Message + Name + Default + 'static>(messages: Messages) -> Items<M> {
    Box::pin(messages.map(|message| message.and_then(decode)))
}

fn encode_each<M: Message + 'static>(items: Items<M>) -> Messages {
    Box::pin(items.map(|item| item.map(|message| encode(&message))))
}

#[cfg(test)]
mod tests {
    use smol::future::block_on;
    use smol::stream;

    use super::aurae::runtime::v0::{Cell, CellServiceAllocateRequest};
    use super::*;

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
        let request: CellServiceAllocateRequest = decode(Bytes::from_static(bytes)).expect("it parses");
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

    #[test]
    fn input_of_the_wrong_kind_is_internal() {
        let many = Input::Many(Box::pin(stream::empty()));
        assert!(block_on(unary(many, |cell: Cell| ready(Ok(cell)))).is_err_and(|s| s.code == Code::Internal));
        let one = Input::One(Bytes::new());
        let echo = |cells: Items<Cell>| ready(Ok(cells));
        assert!(block_on(bidirectional(one, echo)).is_err_and(|s| s.code == Code::Internal));
    }

    #[test]
    fn an_item_that_does_not_parse_ends_a_bidirectional_call() {
        let messages =
            stream::iter([Ok(Bytes::from_static(b"\x0a\x01a")), Ok(Bytes::from_static(b"\x0a\x05ab"))]);
        let echo = |cells: Items<Cell>| ready(Ok(cells));
        let Ok(Reply::Many(answers)) = block_on(bidirectional(Input::Many(Box::pin(messages)), echo)) else {
            panic!("the call was refused")
        };
        let answers: Vec<_> = block_on(answers.collect());
        assert_eq!(answers[0], Ok(Bytes::from_static(b"\x0a\x01a")));
        assert!(answers[1].as_ref().is_err_and(|status| status.code == Code::Internal));
    }
}
