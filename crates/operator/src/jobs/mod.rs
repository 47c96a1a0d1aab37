//! What happens without a request: transfers that wait for the rail, fund orders that a crash left undecided, losses to be
//! written off, returns of what closed wallets had not spent, and revocations of keys whose certificates have ended. All of it is found in the store, so that nothing is lost with the
//! process.

use std::time::Duration;

use crate::service::Service;

/// How often the jobs look.
const PERIOD: Duration = Duration::from_secs(5);

/// Runs until it is dropped.
pub(crate) async fn run(service: Service) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let service = service.clone();
        match tokio::task::spawn_blocking(move || service.catch_up()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "a job failed"),
            Err(error) => tracing::error!(%error, "a job broke off"),
        }
    }
}
