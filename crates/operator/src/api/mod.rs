//! The operator over HTTP. Messages and certificates in JSON are hexadecimal; every error is a problem document.

mod cases;
mod layers;
mod lists;
mod problem;
mod psp;
mod reconciliation;
mod wallets;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef, State};
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use counterfoil_trust::key_id;
use counterfoil_wire::codec::OBJECT_MAX;
use counterfoil_wire::{Code, Wire};
use serde::Serialize;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use crate::error::Refusal;
use crate::init::currency_letters;
use crate::service::{Intake, Service};

pub use problem::{MEDIA_TYPE as PROBLEM_MEDIA_TYPE, Problem};

/// Largest body of a statement's request in bytes: an object of the largest legal size in hexadecimal, and the JSON around it.
pub const BODY_MAX: usize = 2 * OBJECT_MAX + 1024;

/// Largest body of any other request in bytes. An enrolment's attestation is a list, and a list of nothings takes many times its length
/// in memory; the largest chain that is looked at takes half of this.
pub const OTHER_BODY_MAX: usize = 256 << 10;

/// The API as a document (OpenAPI 3.1), made of what stands at the handlers.
#[derive(OpenApi)]
#[openapi(
    info(title = "Counterfoil operator", description = "Messages and certificates in JSON are hexadecimal."),
    modifiers(&Tokens)
)]
struct Document;

/// Bearer tokens (RFC 6750).
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, about) in
            [("psp", "The token of the PSP in the path"), ("operator", "The operator's own token")]
        {
            let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(about)).build();
            components.add_security_scheme(name, SecurityScheme::Http(bearer));
        }
    }
}

#[derive(Serialize, ToSchema)]
struct Health {
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
struct SchemeAnswer {
    name: String,
    /// ISO 4217 letters.
    currency: String,
    sandbox: bool,
    psps: Vec<String>,
    /// The root's certificate in its compact form, in hex.
    root: String,
    /// SHA-256 of the root's key, in hex: what wallets compare.
    root_fingerprint: String,
}

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
    let (routes, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(healthz))
        .routes(routes!(metrics))
        .routes(routes!(scheme))
        .routes(routes!(wallets::enrol))
        .routes(routes!(wallets::challenge))
        .routes(routes!(wallets::fund))
        .routes(
            routes!(wallets::settle)
                .layer(DefaultBodyLimit::max(BODY_MAX))
                .layer(from_fn_with_state(intake.clone(), layers::admit)),
        )
        .routes(routes!(lists::trust))
        .routes(routes!(lists::rules))
        .routes(routes!(lists::revocation))
        .routes(routes!(lists::revocation_since))
        .routes(routes!(lists::crl))
        .routes(routes!(lists::root))
        .routes(routes!(lists::issuer))
        .routes(routes!(reconciliation::summary))
        .routes(routes!(reconciliation::items))
        .routes(routes!(reconciliation::items_of_psp))
        .routes(routes!(cases::list))
        .routes(routes!(cases::list_of_psp))
        .routes(routes!(cases::file))
        .routes(routes!(psp::activate))
        .routes(routes!(psp::unblock))
        .routes(routes!(psp::lift))
        .routes(routes!(psp::close))
        .routes(routes!(psp::holding))
        .split_for_parts();
    let document = Arc::new(document);
    routes
        .route("/openapi.json", get(async move || axum::Json(&*document).into_response()))
        .fallback(async || Problem::of(Code::RouteUnknown).with_status(404))
        .method_not_allowed_fallback(async || Problem::of(Code::RouteUnknown).with_status(405))
        .layer(DefaultBodyLimit::max(OTHER_BODY_MAX))
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

/// Whether it serves.
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = 200, description = "It does", body = Health), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")))]
async fn healthz() -> impl IntoResponse {
    axum::Json(Health { status: "ok" })
}

/// What is counted while it runs, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "service", responses((status = 200, description = "OpenMetrics 1.0", body = String, content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")))]
async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let metrics = api.service.metrics();
    let (held_bytes, waiting) = api.intake.load();
    metrics.intake(held_bytes, waiting);
    ([(header::CONTENT_TYPE, crate::metrics::MEDIA_TYPE)], metrics.text())
}

/// What everybody may know of the scheme.
#[utoipa::path(get, path = "/v1/scheme", tag = "lists", responses((status = 200, description = "The scheme", body = SchemeAnswer), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")))]
async fn scheme(State(service): State<Service>) -> impl IntoResponse {
    let scheme = service.scheme();
    let root = &scheme.anchors.root;
    axum::Json(SchemeAnswer {
        name: scheme.name.clone(),
        currency: currency_letters(scheme.rules.currency),
        sandbox: scheme.sandbox,
        psps: scheme.psps.clone(),
        root: hex::encode(root.to_bytes()),
        root_fingerprint: key_id(&root.key).to_string(),
    })
}
