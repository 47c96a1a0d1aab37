//! The operator over HTTP. Messages and certificates in JSON are hexadecimal; every error is a problem document.

mod layers;
mod lists;
mod problem;
mod psp;
mod reconciliation;
mod wallets;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef, State};
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use counterfoil_trust::key_id;
use counterfoil_wire::codec::OBJECT_MAX;
use counterfoil_wire::{Code, Wire};
use serde_json::json;

use crate::error::Refusal;
use crate::init::currency_letters;
use crate::service::{Intake, Service};

pub use problem::{MEDIA_TYPE as PROBLEM_MEDIA_TYPE, Problem};

/// Largest request body in bytes: an object of the largest legal size in hexadecimal, and the JSON around it.
pub const BODY_MAX: usize = 2 * OBJECT_MAX + 1024;

/// Largest body of an enrolment in bytes. An attestation is a list, and a list of nothings takes many times its length in
/// memory; the largest chain that is looked at takes half of this.
pub const ENROLMENT_BODY_MAX: usize = 256 << 10;

/// What handlers work on.
#[derive(Clone)]
struct Api {
    service: Service,
    intake: Intake,
}

impl FromRef<Api> for Service {
    fn from_ref(api: &Api) -> Self {
        api.service.clone()
    }
}

impl FromRef<Api> for Intake {
    fn from_ref(api: &Api) -> Self {
        api.intake.clone()
    }
}

/// The whole API over one operator.
pub fn router(service: Service) -> Router {
    let intake = Intake::start(&service);
    Router::new()
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .route("/v1/scheme", get(scheme))
        .route("/v1/enrolments", post(wallets::enrol).layer(DefaultBodyLimit::max(ENROLMENT_BODY_MAX)))
        .route("/v1/enrolments/challenge", post(wallets::challenge))
        .route("/v1/fundings", post(wallets::fund))
        .route(
            "/v1/statements",
            post(wallets::settle).layer(from_fn_with_state(intake.clone(), layers::admit)),
        )
        .route("/v1/trust-list", get(lists::trust))
        .route("/v1/rules", get(lists::rules))
        .route("/v1/revocation-list", get(lists::revocation))
        .route("/v1/revocation-list/{since}", get(lists::revocation_since))
        .route("/v1/crl/{psp}/{alg}", get(lists::crl))
        .route("/v1/certificates/root", get(lists::root))
        .route("/v1/certificates/{psp}/{alg}", get(lists::issuer))
        .route("/v1/reconciliation", get(reconciliation::summary))
        .route("/v1/reconciliation/items", get(reconciliation::items))
        .route("/v1/psp/{psp}/reconciliation/items", get(reconciliation::items_of_psp))
        .route("/v1/psp/{psp}/activations", post(psp::activate))
        .route("/v1/psp/{psp}/wallets/{key_id}/unblock", post(psp::unblock))
        .route("/v1/psp/{psp}/wallets/{key_id}/lift", post(psp::lift))
        .route("/v1/psp/{psp}/wallets/{key_id}/close", post(psp::close))
        .route("/v1/psp/{psp}/wallets/{key_id}", get(psp::holding))
        .fallback(async || Problem::of(Code::RouteUnknown).with_status(404))
        .method_not_allowed_fallback(async || Problem::of(Code::RouteUnknown).with_status(405))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn_with_state(service.clone(), layers::observe))
        .with_state(Api { service, intake })
}

/// Runs an operation where it may block.
async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(run).await {
        Ok(done) => done.map_err(Problem::from),
        Err(error) => {
            tracing::error!(%error, "an operation broke off");
            Err(Problem::of(Code::Internal))
        }
    }
}

async fn healthz() -> impl IntoResponse {
    axum::Json(json!({ "status": "ok" }))
}

async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let metrics = api.service.metrics();
    let (held_bytes, waiting) = api.intake.load();
    metrics.intake(held_bytes, waiting);
    ([(header::CONTENT_TYPE, crate::metrics::MEDIA_TYPE)], metrics.text())
}

async fn scheme(State(service): State<Service>) -> impl IntoResponse {
    let scheme = service.scheme();
    let root = &scheme.anchors.root;
    axum::Json(json!({
        "name": scheme.name,
        "currency": currency_letters(scheme.rules.currency),
        "sandbox": scheme.sandbox,
        "psps": scheme.psps,
        "root": hex::encode(root.to_bytes()),
        "root_fingerprint": key_id(&root.key).to_string(),
    }))
}
