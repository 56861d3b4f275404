//! The yardstick of `make bench`: `DiscoveryService.Discover` and `grpc.health.v1.Health` on tonic, over a Unix socket,
//! on one thread, as a small daemon would run them. It ends with the signal that ends the process.
//!
//! usage: `tonic-peer SOCKET VERSION`

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic_prost::ProstCodec;

#[derive(Clone, PartialEq, prost::Message)]
struct DiscoverRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct DiscoverResponse {
    #[prost(bool, tag = "1")]
    healthy: bool,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone)]
struct Discovery {
    version: String,
}

impl UnaryService<DiscoverRequest> for Discovery {
    type Response = DiscoverResponse;
    type Future = Ready<Result<tonic::Response<DiscoverResponse>, tonic::Status>>;

    fn call(&mut self, _: tonic::Request<DiscoverRequest>) -> Self::Future {
        let version = self.version.clone();
        ready(Ok(tonic::Response::new(DiscoverResponse { healthy: true, version })))
    }
}

impl NamedService for Discovery {
    const NAME: &'static str = "aurae.discovery.v0.DiscoveryService";
}

/// What tonic's generator writes for a service with one unary method.
impl tonic::codegen::Service<Request<Body>> for Discovery {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            if request.uri().path() != "/aurae.discovery.v0.DiscoveryService/Discover" {
                return Ok(tonic::Status::unimplemented("").into_http());
            }
            let codec = ProstCodec::<DiscoverResponse, DiscoverRequest>::default();
            Ok(Grpc::new(codec).unary(service, request).await)
        })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(socket), Some(version), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: tonic-peer SOCKET VERSION".into());
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(&socket, version))
}

async fn serve(socket: &str, version: String) -> Result<(), Box<dyn std::error::Error>> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let connections = UnixListenerStream::new(UnixListener::bind(socket)?);
    tonic::transport::Server::builder()
        .add_service(Discovery { version })
        .add_service(health)
        .serve_with_incoming(connections)
        .await?;
    Ok(())
}
