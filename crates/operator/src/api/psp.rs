//! What a PSP asks for its own customers, with its bearer token (RFC 6750).

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use counterfoil_wire::{Code, KeyId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::wallets::parse;
use super::{Problem, blocking};
use crate::domain::holding::Holding;
use crate::error::Refusal;
use crate::service::{Activation, Service};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Activate {
    account: String,
    /// Display name that the PSP vouches for, of a terminal.
    name: Option<String>,
}

pub(super) fn token(headers: &HeaderMap) -> String {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default().to_owned()
}

/// Makes a one-time code with which a wallet enrols for an account.
#[utoipa::path(post, path = "/v1/psp/{psp}/activations", tag = "psp", request_body = Activate, params(("psp" = String, Path, description = "Name of the PSP")), responses((status = 201, description = "The code; the operator keeps its hash alone", body = Activation), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")), security(("psp" = [])))]
pub(super) async fn activate(
    State(service): State<Service>,
    Path(psp): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let token = token(&headers);
    let activation = blocking(move || {
        service.check_token(&psp, &token)?;
        // A stranger learns nothing about what a request must look like.
        let (ask, _) = parse::<Activate>(body).map_err(|_| Refusal::from(Code::NotAMessage))?;
        service.create_activation(&psp, &ask.account, ask.name.as_deref().unwrap_or_default())
    })
    .await?;
    Ok((StatusCode::CREATED, Json(activation)).into_response())
}

/// Has the wallet's next settlement unblock its PIN.
#[utoipa::path(post, path = "/v1/psp/{psp}/wallets/{key_id}/unblock", tag = "psp", params(("psp" = String, Path, description = "Name of the PSP"), ("key_id" = String, Path, description = "SHA-256 of the wallet's key, in hex")), responses((status = 204, description = "It will"), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")), security(("psp" = [])))]
pub(super) async fn unblock(
    State(service): State<Service>,
    Path(wallet): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    of_wallet(service, wallet, &headers, |service, psp, key| service.unblock(Some(psp), key)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Gives a wallet that reported tampering its whole limits again.
#[utoipa::path(post, path = "/v1/psp/{psp}/wallets/{key_id}/lift", tag = "psp", params(("psp" = String, Path, description = "Name of the PSP"), ("key_id" = String, Path, description = "SHA-256 of the wallet's key, in hex")), responses((status = 204, description = "From its next settlement on"), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")), security(("psp" = [])))]
pub(super) async fn lift(
    State(service): State<Service>,
    Path(wallet): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    of_wallet(service, wallet, &headers, |service, psp, key| service.lift(Some(psp), key)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Closes a lost or suspended wallet for good; again it changes nothing.
#[utoipa::path(post, path = "/v1/psp/{psp}/wallets/{key_id}/close", tag = "psp", params(("psp" = String, Path, description = "Name of the PSP"), ("key_id" = String, Path, description = "SHA-256 of the wallet's key, in hex")), responses((status = 200, description = "Its arithmetic", body = Holding), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")), security(("psp" = [])))]
pub(super) async fn close(
    State(service): State<Service>,
    Path(wallet): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let closed =
        of_wallet(service, wallet, &headers, |service, psp, key| service.close_wallet(Some(psp), key));
    Ok(Json(closed.await?).into_response())
}

/// What a wallet holds, and how that adds up.
#[utoipa::path(get, path = "/v1/psp/{psp}/wallets/{key_id}", tag = "psp", params(("psp" = String, Path, description = "Name of the PSP"), ("key_id" = String, Path, description = "SHA-256 of the wallet's key, in hex")), responses((status = 200, description = "Its arithmetic", body = Holding), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")), security(("psp" = [])))]
pub(super) async fn holding(
    State(service): State<Service>,
    Path(wallet): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let held = of_wallet(service, wallet, &headers, |service, psp, key| service.holding(Some(psp), key));
    Ok(Json(held.await?).into_response())
}

/// Does something about the wallet that the path names, for the PSP that it names, once its token is checked.
async fn of_wallet<T: Send + 'static>(
    service: Service,
    (psp, key_id): (String, String),
    headers: &HeaderMap,
    run: impl FnOnce(&Service, &str, &KeyId) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Problem> {
    let token = token(headers);
    blocking(move || {
        service.check_token(&psp, &token)?;
        let key = parse_key_id(&key_id).ok_or(Code::UnknownWallet)?;
        run(&service, &psp, &key)
    })
    .await
}

/// A key id from its 64 hexadecimal digits.
pub(crate) fn parse_key_id(text: &str) -> Option<KeyId> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(KeyId(bytes))
}
