//! `aurae.discovery.v0.DiscoveryService`: is this an Aurae daemon, which version, and does it work?

use std::sync::Arc;

use crate::grpc::status::Status;
use crate::proto::aurae::discovery::v0::{DiscoverRequest, DiscoverResponse};

use super::vitals::Vitals;

pub struct Discovery {
    pub vitals: Arc<Vitals>,
}

impl Discovery {
    /// Never an error: a daemon that cannot work says so in its answer.
    pub async fn discover(&self, _: DiscoverRequest) -> Result<DiscoverResponse, Status> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(DiscoverResponse { healthy: self.vitals.healthy().await, version })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use smol::future::block_on;

    use crate::services::vitals::tests::Patient;

    use super::*;

    #[test]
    fn health_is_computed_and_the_version_is_the_crates() {
        for ill in [false, true] {
            let patient = Arc::new(Patient::default());
            patient.ill.store(ill, Ordering::Relaxed);
            let discovery = Discovery { vitals: Arc::new(patient.vitals()) };
            let answer = block_on(discovery.discover(DiscoverRequest {})).expect("discover never fails");
            assert_eq!(answer.healthy, !ill);
            assert_eq!(answer.version, env!("CARGO_PKG_VERSION"));
        }
    }
}
