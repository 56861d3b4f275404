//! `grpc.health.v1.Health`: the daemon's health, for load balancers and supervisors. All services stand and fall
//! together, since all of them need what the probe looks at.
//!
//! Reference: the "GRPC Health Checking Protocol" description, cited as "health spec" below.

use std::sync::Arc;
use std::time::Duration;

use smol::Timer;
use smol::future::FutureExt;
use smol::stream::unfold;

use crate::grpc::status::{Code, Status};
use crate::limits::HEALTH_WATCH_INTERVAL;
use crate::proto::grpc::health::v1::health_check_response::ServingStatus;
use crate::proto::grpc::health::v1::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use crate::proto::{Items, SERVICES};
use crate::runtime::Quoted;

use super::vitals::{Condition, Vitals};

pub struct HealthService {
    pub vitals: Arc<Vitals>,
    /// How often a watcher asks; tests ask more often.
    watch_interval: Duration,
}

impl HealthService {
    pub fn new(vitals: Arc<Vitals>) -> Self {
        Self { vitals, watch_interval: HEALTH_WATCH_INTERVAL }
    }

    /// `NOT_FOUND` for a service that is not in the API (health spec).
    pub async fn check(&self, request: HealthCheckRequest) -> Result<HealthCheckResponse, Status> {
        if !is_known(&request.service) {
            let service = Quoted(&request.service);
            let message = format!("there is no service {service}; grpc.health.v1.Health/List names all");
            return Err(Status::new(Code::NotFound, message));
        }
        Ok(response(self.status().await))
    }

    pub async fn list(&self, _: HealthListRequest) -> Result<HealthListResponse, Status> {
        let status = self.status().await;
        let names = SERVICES.iter().copied().chain([""]);
        Ok(HealthListResponse { statuses: names.map(|name| (name.to_owned(), response(status))).collect() })
    }

    /// The stream ends only when the daemon stops, also for a service that is not in the API: the health spec has it
    /// wait until the service comes up.
    pub async fn watch(&self, request: HealthCheckRequest) -> Result<Items<HealthCheckResponse>, Status> {
        let is_known = is_known(&request.service);
        if is_known {
            // The first item is then a fresh answer.
            self.vitals.healthy().await;
        }
        let vitals = Arc::clone(&self.vitals);
        let watch = Watch { vitals, interval: self.watch_interval, is_known, sent: None };
        Ok(Box::pin(unfold(Some(watch), |watch| async move { watch?.next().await })))
    }

    async fn status(&self) -> ServingStatus {
        if self.vitals.healthy().await { ServingStatus::Serving } else { ServingStatus::NotServing }
    }
}

/// One watcher's stream: a status whenever it differs from the last one sent.
struct Watch {
    vitals: Arc<Vitals>,
    interval: Duration,
    is_known: bool,
    sent: Option<ServingStatus>,
}

/// An item, and the stream behind it; `None` when the item is the last.
type Step = (Result<HealthCheckResponse, Status>, Option<Watch>);

impl Watch {
    async fn next(mut self) -> Option<Step> {
        loop {
            let change = self.vitals.changes();
            let condition = self.vitals.condition();
            let status = self.status(condition);
            if self.sent != Some(status) {
                self.sent = Some(status);
                return Some((Ok(response(status)), Some(self)));
            }
            if condition == Condition::Stopping {
                return Some((Err(Status::new(Code::Unavailable, "the daemon is stopping")), None));
            }
            change.or(self.asked()).await;
        }
    }

    /// After the interval, asks whether there was a change: perhaps nobody else does. What comes of it is announced to
    /// all who watch. There is nothing to ask about a service that is not in the API.
    async fn asked(&self) {
        if !self.is_known {
            return std::future::pending().await;
        }
        Timer::after(self.interval).await;
        self.vitals.healthy().await;
    }

    fn status(&self, condition: Condition) -> ServingStatus {
        match condition {
            _ if !self.is_known => ServingStatus::ServiceUnknown,
            Condition::Healthy => ServingStatus::Serving,
            Condition::Unhealthy | Condition::Stopping => ServingStatus::NotServing,
        }
    }
}

/// The empty name is the server as a whole (health spec).
fn is_known(service: &str) -> bool {
    service.is_empty() || SERVICES.contains(&service)
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    use smol::future::{block_on, poll_once};
    use smol::stream::StreamExt;

    use crate::services::vitals::tests::Patient;

    use super::*;

    const CELLS: &str = "aurae.runtime.v0.CellService";

    fn service(ill: bool) -> HealthService {
        let patient = Arc::new(Patient::default());
        patient.ill.store(ill, Ordering::Relaxed);
        HealthService::new(Arc::new(patient.vitals()))
    }

    fn request(service: &str) -> HealthCheckRequest {
        HealthCheckRequest { service: service.to_owned() }
    }

    fn watch(health: &HealthService, name: &str) -> Items<HealthCheckResponse> {
        block_on(health.watch(request(name))).expect("watch never fails at once")
    }

    /// The next item if there is one now, as the number of a status or as an error.
    fn item(items: &mut Items<HealthCheckResponse>) -> Option<Option<Result<ServingStatus, Status>>> {
        let item = block_on(poll_once(items.next()))?;
        Some(item.map(|item| item.map(|response| response.status())))
    }

    #[test]
    fn check_knows_the_server_and_every_service() {
        for (ill, expected) in [(false, ServingStatus::Serving), (true, ServingStatus::NotServing)] {
            let health = service(ill);
            for name in SERVICES.iter().copied().chain([""]) {
                assert_eq!(block_on(health.check(request(name))).unwrap().status(), expected, "{name}");
            }
        }
    }

    #[test]
    fn check_of_an_unknown_service_is_not_found() {
        let status = block_on(service(false).check(request("aurae.Nope"))).unwrap_err();
        assert_eq!(status.code, Code::NotFound);
        assert!(status.message.contains("\"aurae.Nope\""), "{status}");
    }

    #[test]
    fn list_has_the_server_and_every_service() {
        let statuses = block_on(service(false).list(HealthListRequest {})).unwrap().statuses;
        assert_eq!(statuses.len(), SERVICES.len() + 1);
        assert_eq!(statuses[""].status(), ServingStatus::Serving);
        assert_eq!(statuses[CELLS].status(), ServingStatus::Serving);
    }

    #[test]
    fn watch_sends_the_status_at_once_and_then_what_others_find_out() {
        let patient = Arc::new(Patient::default());
        patient.ill.store(true, Ordering::Relaxed);
        let health = HealthService::new(Arc::new(patient.vitals()));
        let mut items = watch(&health, CELLS);
        assert_eq!(item(&mut items), Some(Some(Ok(ServingStatus::NotServing))));
        assert_eq!(item(&mut items), None);

        patient.ill.store(false, Ordering::Relaxed);
        block_on(health.vitals.healthy_at(Instant::now() + Duration::from_secs(1)));
        assert_eq!(item(&mut items), Some(Some(Ok(ServingStatus::Serving))));
        assert_eq!(item(&mut items), None);
    }

    #[test]
    fn a_lone_watcher_hears_of_a_change() {
        let patient = Arc::new(Patient::default());
        let mut health = HealthService::new(Arc::new(patient.vitals()));
        health.watch_interval = Duration::from_millis(10);
        let mut items = watch(&health, CELLS);
        assert_eq!(item(&mut items), Some(Some(Ok(ServingStatus::Serving))));
        patient.ill.store(true, Ordering::Relaxed);
        let late = async {
            Timer::after(Duration::from_secs(60)).await;
            None
        };
        let next = block_on(items.next().or(late)).expect("an item in time");
        assert_eq!(next.map(|response| response.status()), Ok(ServingStatus::NotServing));
    }

    #[test]
    fn watch_of_an_unknown_service_stays_open() {
        let mut items = watch(&service(false), "aurae.Nope");
        assert_eq!(item(&mut items), Some(Some(Ok(ServingStatus::ServiceUnknown))));
        assert_eq!(item(&mut items), None);
    }

    #[test]
    fn watch_ends_when_the_daemon_stops() {
        for (name, last) in [(CELLS, Some(ServingStatus::NotServing)), ("aurae.Nope", None)] {
            let health = service(false);
            let mut items = watch(&health, name);
            item(&mut items);
            health.vitals.shut_down();
            if let Some(last) = last {
                assert_eq!(item(&mut items), Some(Some(Ok(last))));
            }
            let Some(Some(Err(end))) = item(&mut items) else { panic!("{name}: no error at the end") };
            assert_eq!((end.code, end.message.as_str()), (Code::Unavailable, "the daemon is stopping"));
            assert_eq!(item(&mut items), Some(None));
        }
    }
}
