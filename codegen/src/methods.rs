//! The enum of all methods, and the match that gives each call to its service.

use crate::api::{Api, Kind, Method, Service};

pub fn table(api: &Api) -> String {
    method_enum(api) + &method_impl(api) + &dispatch(api)
}

fn method_enum(api: &Api) -> String {
    let variants = each(api, |method| format!("/// `{}`\n{},\n", method.path, method.variant));
    format!(
        "/// Every method of the API, planned ones too. A small value that stands for a method in logs, limits, policy \
         and fuzzing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Method {{ {variants} }}\n"
    )
}

fn method_impl(api: &Api) -> String {
    let all = each(api, |method| format!("Method::{}, ", method.variant));
    let from_path = each(api, |method| format!("{:?} => Method::{},\n", method.path, method.variant));
    let path = each(api, |method| format!("Method::{} => {:?},\n", method.variant, method.path));
    let kind = each(api, |method| format!("Method::{} => Kind::{:?},\n", method.variant, method.kind));
    let is_planned = planned(api).map_or("false".to_owned(), |pattern| format!("matches!(self, {pattern})"));
    format!(
        "impl Method {{
            /// Each method, at the index of its number.
            pub const ALL: &'static [Method] = &[{all}];

            /// The method of a request's `:path`, `/package.Service/Method`; `None` when there is no such method.
            pub fn from_path(path: &str) -> Option<Method> {{
                let method = match path {{ {from_path} _ => return None, }};
                Some(method)
            }}

            /// The `:path` of its requests.
            pub fn path(self) -> &'static str {{ match self {{ {path} }} }}

            /// How many messages travel each way.
            pub fn kind(self) -> Kind {{ match self {{ {kind} }} }}

            /// True when it is declared, but no service implements it yet.
            pub fn is_planned(self) -> bool {{ {is_planned} }}
        }}\n"
    )
}

fn dispatch(api: &Api) -> String {
    let traits: Vec<&str> = api
        .services
        .iter()
        .filter(|service| service.declares_trait && service.has_built_methods())
        .map(|service| service.trait_name.as_str())
        .collect();
    let planned = planned(api).map(|pattern| format!("{pattern} => super::planned(method.path()),"));
    let planned = planned.unwrap_or_default();
    let arms: String = api.built_methods().map(|(service, method)| arm(service, method)).collect();
    format!(
        "/// Gives one call to the service that implements it. `input` must fit the method's [`Kind`].
        pub fn call<'a, S>(services: &'a S, method: Method, input: Input) -> Answer<'a>
        where S: {} {{
            match method {{ {arms} {planned} }}
        }}\n",
        traits.join(" + "),
    )
}

fn arm(service: &Service, method: &Method) -> String {
    let (helper, argument) = match method.kind {
        Kind::Unary => ("unary", "request"),
        Kind::ServerStreaming => ("server_streaming", "request"),
        Kind::Bidirectional => ("bidirectional", "requests"),
    };
    let Method { variant, function, .. } = method;
    let trait_name = &service.trait_name;
    format!(
        "Method::{variant} => {helper}(input, |{argument}| {trait_name}::{function}(services, {argument})),\n"
    )
}

/// The pattern of all planned methods; `None` when everything is built.
fn planned(api: &Api) -> Option<String> {
    let planned = api.methods().filter(|(_, method)| method.planned);
    let variants: Vec<String> = planned.map(|(_, method)| format!("Method::{}", method.variant)).collect();
    (!variants.is_empty()).then(|| variants.join(" | "))
}

fn each(api: &Api, line: impl Fn(&Method) -> String) -> String {
    api.methods().map(|(_, method)| line(method)).collect()
}
