//! One trait for each service, which the daemon implements, and one client, which `aer` and the tests call.

use crate::api::{Api, Kind, Method, Service};

/// The traits and the clients of all services that have a method to implement.
pub fn items(api: &Api) -> String {
    let built = api.services.iter().filter(|service| service.declares_trait && service.has_built_methods());
    built.map(|service| service_trait(service) + &client(service)).collect()
}

fn service_trait(service: &Service) -> String {
    let functions: String = service.methods.iter().filter(|method| !method.planned).map(function).collect();
    format!("{}pub trait {}: Send + Sync {{ {functions} }}\n", service.comment, service.trait_name)
}

fn function(method: &Method) -> String {
    let Method { comment, function, request, response, .. } = method;
    let (takes, gives) = match method.kind {
        Kind::Unary => (request.clone(), response.clone()),
        Kind::ServerStreaming => (request.clone(), format!("Answers<{response}>")),
        Kind::Bidirectional => (format!("Items<{request}>"), format!("Answers<{response}>")),
    };
    let argument = if method.kind == Kind::Bidirectional { "requests" } else { "request" };
    format!(
        "{comment}fn {function}(&self, {argument}: {takes})
            -> impl Future<Output = Result<{gives}, Status>> + Send;\n"
    )
}

/// Empty when no method can be called by a client: there is no stub for bidirectional calls, since nothing of ours
/// makes one.
fn client(service: &Service) -> String {
    let stubs: String = service.methods.iter().filter(|method| !method.planned).map(stub).collect();
    if stubs.is_empty() {
        return String::new();
    }
    let name = format!("{}Client", service.trait_name);
    format!(
        "/// Calls `{}`. Calls that are planned, and bidirectional ones, have no stub.
        pub struct {name}<'a, C> {{ channel: &'a C }}
        impl<'a, C: Channel> {name}<'a, C> {{
            pub fn new(channel: &'a C) -> Self {{ Self {{ channel }} }}
            {stubs}
        }}\n",
        service.full_name
    )
}

fn stub(method: &Method) -> String {
    let Method { comment, function, request, response, variant, .. } = method;
    let (gives, helper) = match method.kind {
        Kind::Unary => (response.clone(), "ask"),
        Kind::ServerStreaming => (format!("Items<{response}>"), "ask_stream"),
        Kind::Bidirectional => return String::new(),
    };
    format!(
        "{comment}pub fn {function}(&self, request: &{request}) -> impl Future<Output = Result<{gives}, Status>> {{
            {helper}(self.channel, Method::{variant}.path(), request)
        }}\n"
    )
}
