//! Keys that misbehaved: for the operator's own people, and for a PSP as far as the keys are its customers'.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use counterfoil_wire::{Code, KeyId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::psp::token;
use super::{Problem, blocking};
use crate::domain::reason::Reason;
use crate::domain::trace::HOPS_MAX;
use crate::service::Service;
use crate::service::cases::{AskingCases, CaseFile, CaseLine, CasePage};
use crate::store::CaseCursor;

/// Cases on a page where nobody says how many.
const PAGE: usize = 100;
/// Steps that value is followed where nobody says how many.
const HOPS: u8 = 3;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Those of this reason.
    reason: Option<Reason>,
    /// Those of keys of this PSP.
    psp: Option<String>,
    /// Those after the place that the page before named.
    after: Option<String>,
    /// At most so many: 1 to 1,000, 100 where nobody says.
    limit: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Followed {
    /// From how many wallets to the next the value is followed: 0 to 8, 3 where nobody says.
    #[param(minimum = 0, maximum = 8)]
    hops: Option<u8>,
}

#[derive(Serialize, ToSchema)]
struct CasesAnswer {
    cases: Vec<CaseLine>,
    /// What `after` is for the next page; null at the end. A page may be short, or empty, and not the last.
    next: Option<String>,
}

/// Keys that misbehaved, or seem to have, a page at a time.
#[utoipa::path(get, path = "/v1/cases", tag = "cases", params(Asked), responses((status = 200, description = "A page", body = CasesAnswer), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")), security(("operator" = [])))]
pub(super) async fn list(
    State(service): State<Service>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let token = token(&headers);
    let page = blocking(move || {
        service.check_operator_token(&token)?;
        service.cases(&asking(asked)?)
    });
    page.await.map(answer)
}

/// Keys of a PSP that misbehaved, or seem to have.
#[utoipa::path(get, path = "/v1/psp/{psp}/cases", tag = "cases", params(("psp" = String, Path, description = "Name of the PSP"), Asked), responses((status = 200, description = "A page", body = CasesAnswer), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")), security(("psp" = [])))]
pub(super) async fn list_of_psp(
    State(service): State<Service>,
    Path(psp): Path<String>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let token = token(&headers);
    let page = blocking(move || {
        service.check_token(&psp, &token)?;
        // Whatever it asks for, it sees its own.
        service.cases(&AskingCases { psp: Some(psp), ..asking(asked)? })
    });
    page.await.map(answer)
}

/// One accused key: what proves it, since which revocation list everybody may know, and where the value went.
#[utoipa::path(get, path = "/v1/cases/{key_id}", tag = "cases", params(("key_id" = String, Path, description = "SHA-256 of the key, in hex"), Followed), responses((status = 200, description = "Everything about it", body = CaseFile), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")), security(("operator" = [])))]
pub(super) async fn file(
    State(service): State<Service>,
    Path(key): Path<String>,
    headers: HeaderMap,
    followed: Result<Query<Followed>, QueryRejection>,
) -> Result<Response, Problem> {
    let token = token(&headers);
    let file = blocking(move || {
        service.check_operator_token(&token)?;
        let Query(followed) = followed.map_err(|_| Code::ValueOutOfRange)?;
        let hops = followed.hops.unwrap_or(HOPS);
        if hops > HOPS_MAX {
            return Err(Code::ValueOutOfRange.into());
        }
        let mut id = [0; 32];
        hex::decode_to_slice(&key, &mut id).map_err(|_| Code::CaseUnknown)?;
        service.case(&KeyId(id), hops)
    });
    Ok(Json(file.await?).into_response())
}

fn asking(asked: Result<Query<Asked>, QueryRejection>) -> Result<AskingCases, Code> {
    let Query(asked) = asked.map_err(|_| Code::ValueOutOfRange)?;
    let after = asked.after.map(|text| cursor(&text).ok_or(Code::ValueOutOfRange)).transpose()?;
    Ok(AskingCases { psp: asked.psp, reason: asked.reason, after, limit: asked.limit.unwrap_or(PAGE) })
}

fn answer(page: CasePage) -> Response {
    Json(CasesAnswer { cases: page.cases, next: page.next.as_ref().map(text) }).into_response()
}

/// A place, as the next request names it.
fn text(cursor: &CaseCursor) -> String {
    format!("{}-{}", cursor.key, cursor.reason.name())
}

fn cursor(text: &str) -> Option<CaseCursor> {
    let (id, name) = text.split_once('-')?;
    let mut key = [0; 32];
    hex::decode_to_slice(id, &mut key).ok()?;
    let reason = Reason::ALL.iter().copied().find(|reason| reason.name() == name)?;
    Some(CaseCursor { key: KeyId(key), reason })
}
