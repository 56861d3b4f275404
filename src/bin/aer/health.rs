//! `aer health`.

use argh::FromArgs;
use auraed::client::Channel;
use auraed::grpc::status::Status;
use auraed::proto::HealthClient;
use auraed::proto::grpc::health::v1::HealthCheckRequest;
use auraed::proto::grpc::health::v1::health_check_response::ServingStatus;

use crate::json;
use crate::output::Answer;

/// say whether the daemon serves, for supervisors and scripts: exit 1 when it does not
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "health",
    help_triggers("-h", "--help"),
    example = "aer health && echo well\naer health --timeout-ms 1000 --json"
)]
pub struct HealthCheck {}

impl HealthCheck {
    pub async fn run(self, channel: &Channel) -> Result<Answer, Status> {
        // The empty name stands for the daemon as a whole (health spec).
        let response = HealthClient::new(channel).check(&HealthCheckRequest::default()).await?;
        let text = match response.status() {
            ServingStatus::Serving => "serving\n",
            ServingStatus::NotServing => "not serving\n",
            ServingStatus::Unknown | ServingStatus::ServiceUnknown => "unknown\n",
        };
        let exit_code = u8::from(response.status() != ServingStatus::Serving);
        Ok(Answer { exit_code, ..Answer::new(json::health(&response), text.to_owned()) })
    }
}
