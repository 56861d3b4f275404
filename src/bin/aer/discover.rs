//! `aer discover`.

use argh::FromArgs;
use auraed::client::Channel;
use auraed::grpc::status::Status;
use auraed::proto::DiscoveryServiceClient;
use auraed::proto::aurae::discovery::v0::{DiscoverRequest, DiscoverResponse};

use crate::json;
use crate::output::{Answer, Side, columns, printable};

/// say which version of the daemon answers, and whether it can do its work
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "discover",
    help_triggers("-h", "--help"),
    example = "aer discover\naer discover --socket 127.0.0.1:7070 --json"
)]
pub struct Discover {}

impl Discover {
    pub async fn run(self, channel: &Channel) -> Result<Answer, Status> {
        let response = DiscoveryServiceClient::new(channel).discover(&DiscoverRequest {}).await?;
        Ok(Answer::new(json::discover(&response), text(&response)))
    }
}

fn text(response: &DiscoverResponse) -> String {
    let healthy = if response.healthy { "yes" } else { "no" };
    let rows = [["version".into(), printable(&response.version)], ["healthy".into(), healthy.into()]];
    columns(&rows, [Side::Left; 2])
}
