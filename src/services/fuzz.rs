//! Fuzz body of dispatch: any bytes as the message of any method, over a runtime that is only asked what has parsed.

use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use smol::stream::{self, Stream};

use super::Services;
use super::cells::Runtime;
use super::vitals::Vitals;
use crate::grpc::call::{Input, Kind, Messages, Reply};
use crate::grpc::status::{Code, Status};
use crate::limits::HEADER_LIST_SOFT_BYTES_MAX;
use crate::proto::aurae::runtime::v0::{CellServiceAllocateRequest, CellServiceListResponse};
use crate::proto::{self, Method};
use crate::runtime::logs::Feed;
use crate::runtime::{
    CellInfo, CellName, CellSpec, Ended, ExecutableName, ExecutableSpec, Limits, LimitsChange, Output,
    SignalNumber, Whose,
};

/// Nothing here waits for anything, so that a few polls are plenty.
const POLLS_MAX: usize = 16;

/// All that can be asked of reflection, and some text. What was asked may be in the answer too, twice.
const ANSWER_BYTES_MAX: usize = proto::DESCRIPTORS.len() + (1 << 10);

/// Byte 0 chooses a method, the rest is a message. A call ends at once and in the same way each time; a refusal says
/// all that is wrong in headers that peers take; what was accepted is shown as it was understood.
pub fn dispatch(data: &[u8]) {
    let [number, message @ ..] = data else { return };
    let method = Method::ALL[usize::from(*number) % Method::ALL.len()];
    let services = services();
    let outcome = ask(&services, method, message);
    assert_eq!(outcome, ask(&self::services(), method, message), "{method:?} has two outcomes");
    match &outcome {
        Ok(answers) => {
            let bytes: usize = answers.iter().map(Bytes::len).sum();
            assert!(bytes <= ANSWER_BYTES_MAX + 2 * message.len(), "{method:?} answers with {bytes} bytes");
            if method == Method::CellServiceAllocate {
                check_shown(&services);
            }
        }
        Err(status) => check_refusal(status),
    }
}

fn check_refusal(status: &Status) {
    assert!(!status.message.is_empty(), "{:?} without a message", status.code);
    match status.code {
        Code::InvalidArgument => {
            let violations = status.violations();
            assert!(!violations.is_empty(), "{status}: no violation");
            assert!(violations.iter().all(|v| !v.field.is_empty() && !v.description.is_empty()), "{status}");
        }
        Code::Internal => assert!(status.message.starts_with("failed to parse "), "{status}"),
        Code::NotFound | Code::OutOfRange | Code::Unimplemented => {}
        code => panic!("{code:?} for bytes alone"),
    }
    let trailers = status.to_trailers();
    let bytes: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    assert!(bytes <= HEADER_LIST_SOFT_BYTES_MAX, "trailers of {bytes} bytes, which peers may refuse");
}

/// The cell that was allocated, asked for as List shows it, is the same cell.
fn check_shown(services: &Services<Notebook>) {
    let listed = ask(services, Method::CellServiceList, b"").expect("a list");
    let listed = CellServiceListResponse::decode(listed[0].clone()).expect("a list's message");
    let cell = listed.cells.into_iter().next().expect("the cell is listed").cell;
    let again = self::services();
    let request = CellServiceAllocateRequest { cell };
    ask(&again, Method::CellServiceAllocate, &request.encode_to_vec()).expect("a shown cell is valid");
    assert_eq!(again.cells.runtime.cells(), services.cells.runtime.cells());
}

pub(super) fn services() -> Services<Notebook> {
    let vitals = Arc::new(Vitals::new(Box::new(|| Box::pin(ready(true)))));
    // One for all, as its sequences begin with the time of day.
    static FEED: LazyLock<Arc<Feed>> = LazyLock::new(|| {
        let feed = Feed::new(&Arc::default(), 1 << 10, false);
        feed.put(b"");
        feed.end();
        feed
    });
    Services::new(vitals, Notebook::default(), FEED.clone(), FEED.clone())
}

/// The one answer, or the first of a stream.
fn ask(services: &Services<Notebook>, method: Method, message: &[u8]) -> Result<Vec<Bytes>, Status> {
    let message = Bytes::copy_from_slice(message);
    let input = match method.kind() {
        Kind::Unary | Kind::ServerStreaming => Input::One(message),
        Kind::Bidirectional => Input::Many(Box::pin(stream::once(Ok(message)))),
    };
    let mut answer = proto::call(services, method, input);
    match soon(|cx| answer.as_mut().poll(cx))? {
        Reply::One(message) => Ok(vec![message]),
        Reply::Many(mut messages) => first(&mut messages).map(|message| message.into_iter().collect()),
    }
}

fn first(messages: &mut Messages) -> Result<Option<Bytes>, Status> {
    soon(|cx| Pin::new(&mut *messages).poll_next(cx)).transpose()
}

fn soon<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..POLLS_MAX {
        if let Poll::Ready(output) = poll(&mut cx) {
            return output;
        }
    }
    panic!("a call waits, for nothing that comes");
}

/// A runtime that notes the cells that it is asked for, and does nothing.
#[derive(Default)]
pub(super) struct Notebook(Mutex<Vec<CellSpec>>);

impl Notebook {
    fn cells(&self) -> Vec<CellSpec> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn info(spec: CellSpec) -> CellInfo {
    let (executables, children) = (Vec::new(), Vec::new());
    CellInfo { spec, freeing: false, frozen: false, usage: None, executables, children }
}

impl Runtime for Notebook {
    fn cgroup_v2(&self) -> bool {
        true
    }

    async fn allocate(&self, spec: CellSpec) -> Result<(), Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(spec);
        Ok(())
    }

    async fn start(&self, _: CellName, _: ExecutableSpec) -> Result<i32, Status> {
        Ok(1)
    }

    async fn stop(&self, cell: CellName, _: ExecutableName, _: Option<Duration>) -> Result<(), Status> {
        Err(Status::new(Code::NotFound, cell.to_string()))
    }

    async fn free(&self, _: CellName, _: bool, _: Option<Duration>) -> Result<(), Status> {
        Ok(())
    }

    async fn signal(&self, _: CellName, _: ExecutableName, _: SignalNumber, _: bool) -> Result<(), Status> {
        Ok(())
    }

    async fn list(&self) -> Result<Arc<Vec<CellInfo>>, Status> {
        Ok(Arc::new(self.cells().into_iter().map(info).collect()))
    }

    async fn get(&self, cell: CellName) -> Result<CellInfo, Status> {
        let found = self.cells().into_iter().find(|spec| spec.name == cell);
        found.map(info).ok_or_else(|| Status::new(Code::NotFound, cell.to_string()))
    }

    async fn freeze(&self, cell: CellName) -> Result<(), Status> {
        Err(Status::new(Code::NotFound, cell.to_string()))
    }

    async fn thaw(&self, _: CellName) -> Result<(), Status> {
        Ok(())
    }

    async fn wait(&self, cell: CellName, _: ExecutableName) -> Result<Ended, Status> {
        Err(Status::new(Code::NotFound, cell.to_string()))
    }

    fn output(&self, whose: &Whose) -> Result<Output, Status> {
        Err(Status::new(Code::NotFound, format!("{whose:?}")))
    }

    async fn update(&self, cell: CellName, change: LimitsChange) -> Result<CellSpec, Status> {
        Ok(CellSpec {
            name: cell,
            limits: change.applied_to(&Limits::default()),
            isolation: change.isolation,
        })
    }
}
