//! What everybody may fetch: lists, rules, certificates, CRLs.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use counterfoil_trust::x509;
use counterfoil_wire::{Algorithm, Code};

use super::{Problem, blocking};
use crate::keys::ALGORITHMS;
use crate::service::Service;

fn typed(kind: &'static str, bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, kind)], bytes).into_response()
}

fn cbor(bytes: Vec<u8>) -> Response {
    typed("application/cbor", bytes)
}

fn algorithm(name: &str) -> Result<Algorithm, Problem> {
    let known = ALGORITHMS.into_iter().find(|algorithm| algorithm.name() == name);
    known.ok_or_else(|| Problem::of(Code::UnsupportedAlgorithm).with_status(404))
}

/// The newest trust list.
#[utoipa::path(get, path = "/v1/trust-list", tag = "lists", responses((status = 200, description = "An envelope", body = [u8], content_type = "application/cbor"), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn trust(State(service): State<Service>) -> Response {
    cbor(service.scheme().trust.clone())
}

/// The newest rules.
#[utoipa::path(get, path = "/v1/rules", tag = "lists", responses((status = 200, description = "An envelope", body = [u8], content_type = "application/cbor"), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn rules(State(service): State<Service>) -> Response {
    cbor(service.scheme().rules_bytes.clone())
}

/// The newest revocation list, whole.
#[utoipa::path(get, path = "/v1/revocation-list", tag = "lists", responses((status = 200, description = "An envelope", body = [u8], content_type = "application/cbor"), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn revocation(State(service): State<Service>) -> Result<Response, Problem> {
    blocking(move || service.revocation_list()).await.map(cbor)
}

/// What changed since a revocation list.
#[utoipa::path(get, path = "/v1/revocation-list/{since}", tag = "lists", params(("since" = u32, Path, description = "Number of the list that is held")), responses((status = 200, description = "An envelope", body = [u8], content_type = "application/cbor"), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn revocation_since(
    State(service): State<Service>,
    Path(since): Path<String>,
) -> Result<Response, Problem> {
    let since: u32 = since.parse().map_err(|_| Problem::of(Code::ValueOutOfRange))?;
    blocking(move || service.revocation_changes(since)).await.map(cbor)
}

/// The revocation list as an X.509 CRL.
#[utoipa::path(get, path = "/v1/crl/{psp}/{alg}", tag = "lists", params(("psp" = String, Path, description = "Name of the PSP"), ("alg" = String, Path, description = "EdDSA or ES256")), responses((status = 200, description = "DER", body = [u8], content_type = "application/pkix-crl"), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn crl(
    State(service): State<Service>,
    Path((psp, alg)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let algorithm = algorithm(&alg)?;
    let der = blocking(move || service.crl(&psp, algorithm)).await?;
    Ok(typed("application/pkix-crl", der))
}

fn pem(der: &[u8]) -> Response {
    typed("application/x-pem-file", x509::pem("CERTIFICATE", der).into_bytes())
}

/// The root's certificate.
#[utoipa::path(get, path = "/v1/certificates/root", tag = "lists", responses((status = 200, description = "PEM", body = String, content_type = "application/x-pem-file"), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn root(State(service): State<Service>) -> Response {
    pem(&x509::root_der(&service.scheme().anchors.root))
}

/// A PSP's issuing certificate.
#[utoipa::path(get, path = "/v1/certificates/{psp}/{alg}", tag = "lists", params(("psp" = String, Path, description = "Name of the PSP"), ("alg" = String, Path, description = "EdDSA or ES256")), responses((status = 200, description = "PEM", body = String, content_type = "application/x-pem-file"), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn issuer(
    State(service): State<Service>,
    Path((psp, alg)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let scheme = service.scheme();
    let issuer = scheme.issuer(&psp, algorithm(&alg)?).ok_or_else(|| Problem::of(Code::UnknownPsp))?;
    Ok(pem(&x509::authority_der(issuer, &scheme.anchors.root)))
}
