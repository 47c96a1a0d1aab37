//! What the service counts while it runs, in the text format that Prometheus reads (OpenMetrics 1.0). Nothing here names anybody: labels
//! are routes, methods, statuses, reasons.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::reason::Reason;

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the buckets of times, seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// Upper bounds of the buckets of statements in a batch.
const STATEMENTS: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    method: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Settled {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Opened {
    reason: &'static str,
}

/// Counters of one service.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    request_seconds: Family<Route, Histogram>,
    statements: Family<Settled, Counter>,
    batch_statements: Histogram,
    batch_seconds: Histogram,
    payments: Counter,
    cases: Family<Opened, Counter>,
    held_bytes: Gauge<u64, AtomicU64>,
    waiting: Gauge<u64, AtomicU64>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("counterfoil");
        let seconds = || Histogram::new(SECONDS);
        let made = Self {
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            statements: Family::default(),
            batch_statements: Histogram::new(STATEMENTS),
            batch_seconds: seconds(),
            payments: Counter::default(),
            cases: Family::default(),
            held_bytes: Gauge::default(),
            waiting: Gauge::default(),
            registry: Registry::default(),
        };
        registry.register("http_requests", "Requests answered", made.requests.clone());
        registry.register_with_unit(
            "http_request",
            "From a request to its answer",
            Unit::Seconds,
            made.request_seconds.clone(),
        );
        registry.register(
            "statements",
            "Statements of wallets, by what came of them",
            made.statements.clone(),
        );
        registry.register("batch_statements", "Statements settled together", made.batch_statements.clone());
        registry.register_with_unit(
            "batch",
            "From a batch's first statement to its last settlement",
            Unit::Seconds,
            made.batch_seconds.clone(),
        );
        registry.register("payments", "Payments made known by either half", made.payments.clone());
        registry.register("cases", "Cases of misbehaviour, or of what looks like it", made.cases.clone());
        registry.register_with_unit(
            "intake_held",
            "Bodies of statements that are held",
            Unit::Bytes,
            made.held_bytes.clone(),
        );
        registry.register(
            "intake_waiting",
            "Statements that wait for a batch or are in one",
            made.waiting.clone(),
        );
        Self { registry, ..made }
    }
}

impl Metrics {
    /// Everything, as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }

    pub(crate) fn answered(&self, route: &str, method: &str, status: u16, took: Duration) {
        let answered = Answered { route: route.to_owned(), method: method.to_owned(), status };
        self.requests.get_or_create(&answered).inc();
        self.request_seconds.get_or_create(&Route { route: route.to_owned() }).observe(took.as_secs_f64());
    }

    pub(crate) fn batch(&self, statements: usize, refused: usize, took: Duration) {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let settled = statements.saturating_sub(refused);
        self.statements.get_or_create(&Settled { outcome: "settled" }).inc_by(count(settled));
        self.statements.get_or_create(&Settled { outcome: "refused" }).inc_by(count(refused));
        self.batch_statements.observe(f64::from(u32::try_from(statements).unwrap_or(u32::MAX)));
        self.batch_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn booked(&self, payments: usize, cases: impl Iterator<Item = Reason>) {
        self.payments.inc_by(u64::try_from(payments).unwrap_or(u64::MAX));
        for reason in cases {
            self.cases.get_or_create(&Opened { reason: reason.name() }).inc();
        }
    }

    pub(crate) fn intake(&self, held_bytes: usize, waiting: u64) {
        self.held_bytes.set(u64::try_from(held_bytes).unwrap_or(u64::MAX));
        self.waiting.set(waiting);
    }
}
