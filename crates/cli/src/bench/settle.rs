//! Giving statements in to a service as fast as it takes them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use counterfoil_operator::Service;
use counterfoil_operator::service::intake::{BATCH_MAX, WORKERS};

use crate::output::Output;

/// Gives all statements in, as the service does it over HTTP, and waits for every settlement; how long that took.
pub(super) fn all(
    service: &Service,
    statements: impl Iterator<Item = Vec<u8>> + Send,
    output: &Output,
) -> Result<Duration> {
    let progress = output.progress("statements settled", statements.size_hint().0 as u64);
    let queue = Mutex::new(statements);
    let done = AtomicU64::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let batch: Vec<Vec<u8>> = queue
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .by_ref()
                            .take(BATCH_MAX)
                            .collect();
                        if batch.is_empty() {
                            return Ok::<_, anyhow::Error>(());
                        }
                        let slices: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
                        for settled in service.settle_all(&slices) {
                            settled?;
                        }
                        let count = batch.len() as u64;
                        progress.set(done.fetch_add(count, Ordering::Relaxed) + count);
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().map_err(|_| anyhow!("the operator broke off"))??;
        }
        Ok::<_, anyhow::Error>(())
    })?;
    let took = start.elapsed();
    progress.done();
    Ok(took)
}
