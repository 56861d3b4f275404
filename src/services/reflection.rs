//! `grpc.reflection.v1.ServerReflection`, and v1alpha, which is the same under an older name: the API, for clients
//! that do not have its .proto files. Answers come from the index that the code generator made; nothing is parsed.

use smol::stream::{StreamExt, unfold};

use crate::grpc::status::{Code, Status};
use crate::proto::grpc::reflection::v1::server_reflection_request::MessageRequest;
use crate::proto::grpc::reflection::v1::server_reflection_response::MessageResponse;
use crate::proto::grpc::reflection::v1::{
    ErrorResponse, ExtensionNumberResponse, ExtensionRequest, FileDescriptorResponse, ListServiceResponse,
    ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
};
use crate::proto::{FILES, File, Items, SERVICES};
use crate::runtime::Quoted;

pub struct Reflection;

impl Reflection {
    /// One answer for each request. What cannot be found is an answer too, and the stream goes on.
    pub async fn server_reflection_info(
        &self,
        requests: Items<ServerReflectionRequest>,
    ) -> Result<Items<ServerReflectionResponse>, Status> {
        Ok(Box::pin(unfold((requests, Sent::default()), |(mut requests, mut sent)| async move {
            let request = requests.next().await?;
            Some((request.map(|request| answer(request, &mut sent)), (requests, sent)))
        })))
    }
}

/// The files that a stream has carried, by their index: a client keeps what it got.
#[derive(Default)]
struct Sent([bool; FILES.len()]);

fn answer(request: ServerReflectionRequest, sent: &mut Sent) -> ServerReflectionResponse {
    let found = match &request.message_request {
        Some(MessageRequest::FileByFilename(name)) => file_by_name(name, sent),
        Some(MessageRequest::FileContainingSymbol(symbol)) => file_by_symbol(symbol, sent),
        Some(MessageRequest::FileContainingExtension(extension)) => Err(no_extension(extension)),
        Some(MessageRequest::AllExtensionNumbersOfType(name)) => extension_numbers(name),
        Some(MessageRequest::ListServices(_)) => Ok(services()),
        None => Err(error(Code::InvalidArgument, "message_request: not set, or not known here".to_owned())),
    };
    ServerReflectionResponse {
        valid_host: request.host.clone(),
        original_request: Some(request),
        message_response: Some(found.unwrap_or_else(MessageResponse::ErrorResponse)),
    }
}

fn file_by_name(name: &str, sent: &mut Sent) -> Result<MessageResponse, ErrorResponse> {
    match FILES.iter().position(|file| file.name == name) {
        Some(index) => Ok(files(index, sent)),
        None => Err(error(Code::NotFound, format!("there is no file {}", Quoted(name)))),
    }
}

fn file_by_symbol(symbol: &str, sent: &mut Sent) -> Result<MessageResponse, ErrorResponse> {
    match FILES.iter().position(|file| declares(file, symbol)) {
        Some(index) => Ok(files(index, sent)),
        None => Err(error(Code::NotFound, format!("there is no symbol {}", Quoted(symbol)))),
    }
}

/// The code generator refuses .proto files with extensions, so none exists.
fn no_extension(extension: &ExtensionRequest) -> ErrorResponse {
    let ExtensionRequest { containing_type, extension_number } = extension;
    error(Code::NotFound, format!("{} has no extension {extension_number}", Quoted(containing_type)))
}

fn extension_numbers(name: &str) -> Result<MessageResponse, ErrorResponse> {
    if !FILES.iter().any(|file| is_line(file.messages, name)) {
        return Err(error(Code::NotFound, format!("there is no message {}", Quoted(name))));
    }
    Ok(MessageResponse::AllExtensionNumbersResponse(ExtensionNumberResponse {
        base_type_name: name.to_owned(),
        extension_number: Vec::new(),
    }))
}

fn services() -> MessageResponse {
    let service = SERVICES.iter().map(|name| ServiceResponse { name: (*name).to_owned() }).collect();
    MessageResponse::ListServicesResponse(ListServiceResponse { service })
}

/// The file at `index`, and behind it those of its imports, direct or not, that the stream has not carried. The file
/// itself is there even if it was sent before: it is what the client asked for.
fn files(index: usize, sent: &mut Sent) -> MessageResponse {
    sent.0[index] = true;
    let mut chosen = vec![index];
    let mut next = 0;
    while let Some(file) = chosen.get(next).map(|index| &FILES[*index]) {
        for dependency in file.dependencies {
            if !std::mem::replace(&mut sent.0[*dependency], true) {
                chosen.push(*dependency);
            }
        }
        next += 1;
    }
    let file_descriptor_proto = chosen.into_iter().map(|index| FILES[index].descriptor()).collect();
    MessageResponse::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto })
}

fn declares(file: &File, symbol: &str) -> bool {
    is_line(file.messages, symbol) || is_line(file.members, symbol)
}

fn is_line(text: &str, line: &str) -> bool {
    text.lines().any(|other| other == line)
}

fn error(code: Code, error_message: String) -> ErrorResponse {
    ErrorResponse { error_code: code as i32, error_message }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use smol::future::block_on;
    use smol::stream;

    use super::*;

    const RUNTIME: &str = "aurae/runtime/v0/runtime.proto";

    /// The answers to some questions on one stream.
    fn ask<const N: usize>(questions: [MessageRequest; N]) -> [MessageResponse; N] {
        let requests = questions.map(|question| ServerReflectionRequest {
            host: "here".to_owned(),
            message_request: Some(question),
        });
        let expected = requests.clone();
        let answers = answers(requests.into());
        for (answer, request) in answers.iter().zip(expected) {
            assert_eq!(answer.valid_host, "here");
            assert_eq!(answer.original_request, Some(request));
        }
        let messages = answers.into_iter().filter_map(|answer| answer.message_response);
        messages.collect::<Vec<_>>().try_into().expect("one answer for each question")
    }

    fn answers(requests: Vec<ServerReflectionRequest>) -> Vec<ServerReflectionResponse> {
        let requests = Box::pin(stream::iter(requests.into_iter().map(Ok)));
        block_on(async {
            let answers = Reflection.server_reflection_info(requests).await.expect("the call is accepted");
            answers.map(|answer| answer.expect("no answer ends the stream")).collect().await
        })
    }

    fn descriptors(answer: &MessageResponse) -> &[Bytes] {
        let MessageResponse::FileDescriptorResponse(files) = answer else { panic!("no files: {answer:?}") };
        &files.file_descriptor_proto
    }

    fn code(answer: &MessageResponse) -> i32 {
        let MessageResponse::ErrorResponse(error) = answer else { panic!("no error: {answer:?}") };
        assert!(!error.error_message.is_empty());
        error.error_code
    }

    fn descriptor(name: &str) -> Bytes {
        FILES.iter().find(|file| file.name == name).expect("the file is there").descriptor()
    }

    #[test]
    fn every_file_is_found_by_its_name_and_starts_with_it() {
        for file in FILES {
            let [answer] = ask([MessageRequest::FileByFilename(file.name.to_owned())]);
            let [descriptor] = descriptors(&answer) else { panic!("{}: imports nothing", file.name) };
            // Field 1 of FileDescriptorProto, length-delimited, is the name.
            let start = [&[0x0a, file.name.len() as u8], file.name.as_bytes()].concat();
            assert!(descriptor.starts_with(&start), "{}", file.name);
        }
    }

    #[test]
    fn every_kind_of_symbol_is_found() {
        for (symbol, file) in [
            ("aurae.runtime.v0.CellService", RUNTIME),
            ("aurae.runtime.v0.CellService.Allocate", RUNTIME),
            ("aurae.runtime.v0.InstanceService", RUNTIME),
            ("aurae.runtime.v0.CpuController", RUNTIME),
            ("aurae.runtime.v0.CpuController.max", RUNTIME),
            ("aurae.runtime.v0.CellExecutableState", RUNTIME),
            ("aurae.runtime.v0.CELL_EXECUTABLE_STATE_EXITED", RUNTIME),
            ("grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto"),
            ("grpc.health.v1.HealthCheckResponse.SERVING", "grpc/health/v1/health.proto"),
            ("grpc.reflection.v1alpha.ServerReflection", "grpc/reflection/v1alpha/reflection.proto"),
        ] {
            let [answer] = ask([MessageRequest::FileContainingSymbol(symbol.to_owned())]);
            assert_eq!(descriptors(&answer), [descriptor(file)], "{symbol}");
        }
    }

    #[test]
    fn what_is_not_there_is_an_answer_and_the_stream_goes_on() {
        let extension =
            ExtensionRequest { containing_type: "aurae.runtime.v0.Cell".to_owned(), extension_number: 1000 };
        let [file, symbol, prefix, extension, numbers, again] = ask([
            MessageRequest::FileByFilename("nope.proto".to_owned()),
            MessageRequest::FileContainingSymbol(String::new()),
            MessageRequest::FileContainingSymbol("aurae.runtime.v0.Cel".to_owned()),
            MessageRequest::FileContainingExtension(extension),
            MessageRequest::AllExtensionNumbersOfType("aurae.runtime.v0.CellService".to_owned()),
            MessageRequest::FileByFilename(RUNTIME.to_owned()),
        ]);
        for answer in [file, symbol, prefix, extension, numbers] {
            assert_eq!(code(&answer), Code::NotFound as i32);
        }
        assert_eq!(descriptors(&again).len(), 1);
    }

    #[test]
    fn a_question_that_is_not_set_is_invalid() {
        let answers = answers(vec![ServerReflectionRequest::default()]);
        let answer = answers[0].message_response.as_ref().expect("an answer");
        assert_eq!(code(answer), Code::InvalidArgument as i32);
    }

    #[test]
    fn a_message_without_extensions_has_an_empty_list() {
        let name = "grpc.health.v1.HealthListResponse.StatusesEntry";
        let [answer] = ask([MessageRequest::AllExtensionNumbersOfType(name.to_owned())]);
        let MessageResponse::AllExtensionNumbersResponse(numbers) = answer else { panic!("{answer:?}") };
        assert_eq!((numbers.base_type_name.as_str(), numbers.extension_number), (name, Vec::new()));
    }

    #[test]
    fn all_services_are_listed() {
        let [answer] = ask([MessageRequest::ListServices("*".to_owned())]);
        let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
        let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
        assert_eq!(names, SERVICES);
    }

    #[test]
    fn an_error_of_the_peer_ends_the_stream() {
        let error = Status::new(Code::Internal, "cut");
        let requests = Box::pin(stream::iter([Err(error.clone())]));
        let mut answers =
            block_on(Reflection.server_reflection_info(requests)).expect("the call is accepted");
        assert_eq!(block_on(answers.next()), Some(Err(error)));
        assert_eq!(block_on(answers.next()), None);
    }
}
