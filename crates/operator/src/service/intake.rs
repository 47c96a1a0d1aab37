//! The way in for statements: a crowd's are settled in batches, and no more are held than memory and patience bear.
//!
//! A request is [admitted](Intake::admit) before its body is read: all bodies that are held together have at most
//! [`HELD_MAX`] bytes. One that finds no room is told when to come again. An admitted statement waits in a queue; whichever
//! worker is free takes all that wait, up to a batch. A batch's signatures are checked on all cores while the batch before it is
//! written: each of the two is one batch's turn. Nothing is acknowledged before it is durable: a process that is killed owes its
//! clients an answer, and the same statement, sent again, gets the one that was written, or is settled then.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use counterfoil_wire::{Code, Digest};
use tokio::sync::oneshot;

use super::Service;
use super::settle::{Incoming, Settled, all_refused};
use crate::store::Kept;

/// Bytes of all bodies that are held at once.
pub const HELD_MAX: usize = 256 << 20;
/// Bytes that a body counts at least: it bounds how many statements wait, and so how long.
pub const HELD_MIN: usize = 128 << 10;
/// Statements in a batch: some thousands of payments.
pub const BATCH_MAX: usize = 64;
/// Bytes of the statements in a batch.
const BATCH_BYTES_MAX: usize = 16 << 20;
/// Batches under way at once: one is written while one is read.
pub const WORKERS: usize = 2;
/// What a statement is thought to take until some were settled.
const FIRST_GUESS: Duration = Duration::from_millis(5);
/// Longest time after which a client is asked to come again, seconds.
const RETRY_MAX_S: u64 = 30;

/// A statement, and the request that it came in.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The statement.
    pub statement: Vec<u8>,
    /// Names the request's idempotency key.
    pub key: Digest,
    /// SHA-256 of the request.
    pub request: Digest,
}

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy {
    /// When to come again, seconds.
    pub retry_after_s: u64,
}

/// What all see of what is held.
#[derive(Debug)]
struct Load {
    held: AtomicUsize,
    waiting: AtomicU64,
    /// What a statement takes, in a batch, microseconds.
    pace_us: AtomicU64,
}

/// Room for one request; given back when it is dropped.
#[derive(Debug)]
pub struct Room {
    load: Arc<Load>,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.load.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Job {
    arrival: Arrival,
    answer: oneshot::Sender<Settled>,
}

/// The queue and its workers. Cheap to clone; the workers end with the last clone, when nothing waits any more.
#[derive(Clone)]
pub struct Intake {
    queue: Sender<Job>,
    load: Arc<Load>,
}

impl Intake {
    /// Starts the workers.
    pub fn start(service: &Service) -> Self {
        let (queue, jobs) = channel();
        let jobs = Arc::new(Mutex::new(jobs));
        let load = Arc::new(Load {
            held: AtomicUsize::new(0),
            waiting: AtomicU64::new(0),
            pace_us: AtomicU64::new(u64::try_from(FIRST_GUESS.as_micros()).unwrap_or(u64::MAX)),
        });
        for _ in 0..WORKERS {
            let (service, jobs, load) = (service.clone(), jobs.clone(), load.clone());
            std::thread::spawn(move || work(&service, &jobs, &load));
        }
        Self { queue, load }
    }

    /// Room for a request with a body of at most `bytes`.
    ///
    /// # Errors
    /// [`Busy`].
    pub fn admit(&self, bytes: usize) -> Result<Room, Busy> {
        let bytes = bytes.max(HELD_MIN);
        let more = |held: usize| held.checked_add(bytes).filter(|held| *held <= HELD_MAX);
        match self.load.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(Room { load: self.load.clone(), bytes }),
            Err(_) => {
                let waiting = self.load.waiting.load(Ordering::Relaxed);
                let wait_us = waiting.saturating_mul(self.load.pace_us.load(Ordering::Relaxed));
                Err(Busy { retry_after_s: wait_us.div_ceil(1_000_000).clamp(1, RETRY_MAX_S) })
            }
        }
    }

    /// What is held now: bytes, and statements that wait or are in a batch.
    pub fn load(&self) -> (usize, u64) {
        (self.load.held.load(Ordering::Relaxed), self.load.waiting.load(Ordering::Relaxed))
    }

    /// Settles a statement with whichever others wait.
    ///
    /// # Errors
    /// Those of [`Service::settle`]; [`Code::IdempotencyReused`].
    pub async fn settle(&self, arrival: Arrival) -> Settled {
        let (answer, settled) = oneshot::channel();
        self.load.waiting.fetch_add(1, Ordering::Relaxed);
        if self.queue.send(Job { arrival, answer }).is_err() {
            return Err(Code::Internal.into());
        }
        settled.await.unwrap_or(Err(Code::Internal.into()))
    }
}

fn work(service: &Service, jobs: &Mutex<Receiver<Job>>, load: &Load) {
    loop {
        // The other worker waits for the queue no longer than this takes.
        let batch = next_batch(&jobs.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(batch) = batch else { return };
        let (arrivals, answers): (Vec<Arrival>, Vec<oneshot::Sender<Settled>>) =
            batch.into_iter().map(|job| (job.arrival, job.answer)).unzip();
        let count = u64::try_from(arrivals.len()).unwrap_or(u64::MAX);
        let begun = Instant::now();
        // A batch that breaks off has written all or nothing; its clients ask again.
        let settled = catch_unwind(AssertUnwindSafe(|| service.settle_arrivals(&arrivals)));
        let refused = settled.as_ref().map(|settled| settled.iter().filter(|one| one.is_err()).count());
        service.metrics.batch(arrivals.len(), refused.unwrap_or(arrivals.len()), begun.elapsed());
        match settled {
            Ok(settled) => {
                for (answer, settled) in answers.into_iter().zip(settled) {
                    // Whoever does not wait any more asks again.
                    let _ = answer.send(settled);
                }
            }
            Err(_) => tracing::error!(statements = count, "a batch of statements broke off"),
        }
        load.waiting.fetch_sub(count, Ordering::Relaxed);
        let took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let of_one = took_us / count.max(1);
        let _ = load.pace_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |pace| {
            Some((pace.saturating_mul(7).saturating_add(of_one) / 8).max(1))
        });
    }
}

/// Waits for a statement and takes all that wait behind it, as far as a batch holds them. `None` when none can come any more.
fn next_batch(jobs: &Receiver<Job>) -> Option<Vec<Job>> {
    let mut batch = vec![jobs.recv().ok()?];
    let mut bytes = 0usize;
    while batch.len() < BATCH_MAX && bytes < BATCH_BYTES_MAX {
        let Ok(job) = jobs.try_recv() else { break };
        bytes = bytes.saturating_add(job.arrival.statement.len());
        batch.push(job);
    }
    Some(batch)
}

impl Service {
    /// Settles statements together that came in requests with idempotency keys. A key names one request; the answer to a statement
    /// is kept with the statement, so that of the key no more than that is kept.
    pub fn settle_arrivals(&self, arrivals: &[Arrival]) -> Vec<Settled> {
        let keys: Vec<Digest> = arrivals.iter().map(|arrival| arrival.key).collect();
        let kept = match self.beside(|store| store.kept(&keys)) {
            Ok(kept) => kept,
            Err(refusal) => return all_refused(refusal, arrivals.len()),
        };
        // A key that is kept, or that came with another request in this very batch.
        let mut named: HashMap<Digest, Digest> = HashMap::new();
        let reused = |(arrival, kept): (&Arrival, &Option<Kept>)| {
            let first = kept.as_ref().map_or(arrival.request, |kept| kept.request);
            *named.entry(arrival.key).or_insert(first) != arrival.request
        };
        let reused: Vec<bool> = arrivals.iter().zip(&kept).map(reused).collect();
        let now_s = self.now_s();
        let fresh = arrivals.iter().zip(&kept).zip(&reused).filter(|(_, reused)| !**reused);
        let incoming: Vec<Incoming<'_>> = fresh
            .map(|((arrival, kept), _)| Incoming {
                bytes: &arrival.statement,
                kept: kept.is_none().then(|| {
                    (arrival.key, Kept { request: arrival.request, status: 200, body: String::new() }, now_s)
                }),
            })
            .collect();
        let mut settled = self.settle_incoming(&incoming).into_iter();
        let each = reused.iter().map(|reused| match reused {
            true => Err(Code::IdempotencyReused.into()),
            false => settled.next().unwrap_or(Err(Code::Internal.into())),
        });
        each.collect()
    }
}
