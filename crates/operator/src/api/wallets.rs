//! What wallets ask for: enrolment, funding, settlement.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use counterfoil_trust::sha256;
use counterfoil_wire::{Code, Digest};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Problem, blocking};
use crate::error::Refusal;
use crate::service::intake::Arrival;
use crate::service::{FundReply, Intake, NewKey, Service};
use crate::store::Kept;

/// Longest idempotency key, in bytes.
const KEY_MAX: usize = 255;

/// The body as JSON. A body that is not what it should be is one problem, whatever is wrong with it.
pub(super) fn parse<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<(T, Bytes), Problem> {
    let body = body.map_err(|rejected| {
        let too_long = rejected.status() == StatusCode::PAYLOAD_TOO_LARGE;
        Problem::of(if too_long { Code::TooLong } else { Code::Truncated })
    })?;
    let value = serde_json::from_slice(&body).map_err(|_| Problem::of(Code::NotAMessage))?;
    Ok((value, body))
}

fn message(text: &str) -> Result<Vec<u8>, Problem> {
    hex::decode(text).map_err(|_| Problem::of(Code::NotAMessage))
}

#[derive(Serialize, ToSchema)]
struct ChallengeAnswer {
    /// 16 bytes, in hex.
    challenge: String,
    /// Until when it is open, seconds since 1970.
    expires_at_s: u32,
}

#[derive(Serialize, ToSchema)]
struct SettlementAnswer {
    /// A message to the wallet, in hex.
    settlement: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Enrol {
    psp: String,
    account: String,
    activation_code: Option<String>,
    enrolment: String,
    /// Certificates of Android Key Attestation as DER, the leaf first.
    attestation: Option<Vec<String>>,
}

/// A challenge that an enrolment answers.
#[utoipa::path(post, path = "/v1/enrolments/challenge", tag = "wallets", responses((status = 201, description = "Good for ten minutes", body = ChallengeAnswer), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn challenge(State(service): State<Service>) -> Result<Response, Problem> {
    let (challenge, expires_at_s) = service.challenge()?;
    let answer = ChallengeAnswer { challenge: challenge.to_string(), expires_at_s };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Enrols a key; the same enrolment gets the same answer.
#[utoipa::path(post, path = "/v1/enrolments", tag = "wallets", request_body = Enrol, responses((status = 201, description = "Enrolled", body = SettlementAnswer), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn enrol(
    State(service): State<Service>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let (ask, _) = parse::<Enrol>(body)?;
    let enrolment = message(&ask.enrolment)?;
    let attestation = match &ask.attestation {
        Some(chain) => Some(chain.iter().map(|der| message(der)).collect::<Result<Vec<_>, _>>()?),
        None => None,
    };
    let settlement = blocking(move || {
        service.enrol(&NewKey {
            psp: &ask.psp,
            account: &ask.account,
            activation: ask.activation_code.as_deref(),
            enrolment: &enrolment,
            attestation: attestation.as_deref(),
        })
    })
    .await?;
    let answer = SettlementAnswer { settlement: hex::encode(settlement) };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Fund {
    order: String,
}

/// Moves value from the account behind a wallet to it, once.
#[utoipa::path(post, path = "/v1/fundings", tag = "wallets", request_body = Fund, params(("Idempotency-Key" = String, Header, description = "Names the request: 1 to 255 visible characters")), responses((status = 201, description = "The value is the wallet's, and arrives with its next settlement", body = FundReply), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn fund(
    State(service): State<Service>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let (ask, bytes) = parse::<Fund>(body)?;
    let order = message(&ask.order)?;
    once("/v1/fundings", service, &headers, &bytes, move |service| {
        let reply = service.fund(&order)?;
        Ok((201, serde_json::to_value(reply).map_err(|_| Code::Internal)?))
    })
    .await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Settle {
    statement: String,
}

/// Settles a statement; the same statement gets the same answer.
#[utoipa::path(post, path = "/v1/statements", tag = "wallets", request_body = Settle, params(("Idempotency-Key" = String, Header, description = "Names the request: 1 to 255 visible characters")), responses((status = 200, description = "Settled", body = SettlementAnswer), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn settle(
    State(intake): State<Intake>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let (ask, bytes) = parse::<Settle>(body)?;
    let (key, request) = named("/v1/statements", &headers, &bytes)?;
    // What waits in the queue is the statement alone, not the body that it came in.
    let arrival = Arrival { statement: message(&ask.statement)?, key, request };
    drop((ask, bytes));
    let settlement = intake.settle(arrival).await?;
    Ok(Json(SettlementAnswer { settlement: hex::encode(settlement) }).into_response())
}

/// Names the request's idempotency key, and the request.
fn named(route: &str, headers: &HeaderMap, body: &[u8]) -> Result<(Digest, Digest), Problem> {
    let key = headers.get("idempotency-key").map(|key| key.as_bytes()).unwrap_or_default();
    if key.is_empty() || key.len() > KEY_MAX {
        return Err(Problem::of(Code::IdempotencyMissing));
    }
    let named = |bytes: &[u8]| sha256(&[route.as_bytes(), b"\n", bytes].concat());
    Ok((named(key), named(body)))
}

/// Runs an operation that moves money under the request's idempotency key
/// (draft-ietf-httpapi-idempotency-key-header). Final answers are kept: success, and the rail's refusal. The operation
/// is idempotent by its own content as well, so that a crash before the answer is kept does no harm.
async fn once(
    route: &'static str,
    service: Service,
    headers: &HeaderMap,
    body: &[u8],
    run: impl FnOnce(&Service) -> Result<(u16, serde_json::Value), Refusal> + Send + 'static,
) -> Result<Response, Problem> {
    let (key, request) = named(route, headers, body)?;
    let kept = blocking(move || {
        if let Some(kept) = service.kept(&key, &request)? {
            return Ok(kept);
        }
        let kept = match run(&service) {
            Ok((status, body)) => Kept { request, status, body: body.to_string() },
            Err(refusal) if refusal.code() == Code::RailRefused => {
                let problem = Problem::of(Code::RailRefused);
                Kept { request, status: problem.status, body: problem.to_json() }
            }
            Err(refusal) => return Err(refusal),
        };
        service.keep(&key, &kept)?;
        Ok(kept)
    })
    .await?;
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = if status.is_success() { "application/json" } else { super::PROBLEM_MEDIA_TYPE };
    Ok((status, [(header::CONTENT_TYPE, kind)], kept.body).into_response())
}
