//! What happens around every request: a request id, a time limit, one line in the log. The log names the route and
//! never what was in its place: no account, no key, no code.

use std::time::{Duration, Instant};

use axum::body::HttpBody as _;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use counterfoil_wire::Code;

use super::{BODY_MAX, Problem};
use crate::error::random;
use crate::service::{Intake, Service};

/// Lets a statement's request in if there is room for its body, before it is read.
pub(super) async fn admit(State(intake): State<Intake>, request: Request, next: Next) -> Response {
    // As it is framed, whatever else a header says. Of one that is too long no more is read than may be, and one of unknown length may
    // be a long one.
    let length = request.body().size_hint().upper().and_then(|length| usize::try_from(length).ok());
    match intake.admit(length.map_or(BODY_MAX, |length| length.min(BODY_MAX))) {
        // Held until the answer is there.
        Ok(_room) => next.run(request).await,
        Err(busy) => {
            let mut response = Problem::of(Code::Busy).into_response();
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(busy.retry_after_s));
            response
        }
    }
}

const TIME_MAX: Duration = Duration::from_secs(30);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An operation that is cut off goes on and is written; asked again it answers what it did.
pub(super) async fn observe(State(service): State<Service>, request: Request, next: Next) -> Response {
    let id = random::<8>().map(hex::encode).unwrap_or_default();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let begun = Instant::now();
    let mut response = match tokio::time::timeout(TIME_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::of(Code::Internal).with_status(504).into_response(),
    };
    let (took, status) = (begun.elapsed(), response.status().as_u16());
    let latency_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    service.metrics().answered(&route, method.as_str(), status, took);
    tracing::info!(request_id = id, %method, route, status, latency_ms, "request");
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
