//! What is open: for the operator's own people, with its bearer token, and for a PSP as far as its customers are concerned.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use counterfoil_wire::{Code, Digest, KeyId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::psp::token;
use super::{Problem, blocking};
use crate::domain::item::Item;
use crate::domain::reason::Reason;
use crate::service::Service;
use crate::service::report::{Asking, Page, Summary};
use crate::store::Cursor;

/// Items on a page where nobody says how many.
const PAGE: usize = 100;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Those that are open for this reason.
    reason: Option<Reason>,
    /// Those of payments in which this PSP has the payer or the payee.
    psp: Option<String>,
    /// Those that the operator has known for so long, seconds.
    #[serde(default)]
    older_than_s: u32,
    /// Those after the place that the page before named.
    after: Option<String>,
    /// At most so many: 1 to 1,000, 100 where nobody says.
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
struct ItemsAnswer {
    items: Vec<Item>,
    /// What `after` is for the next page; null at the end. A page may be short, or empty, and not the last.
    next: Option<String>,
}

/// What is open, by reason.
#[utoipa::path(get, path = "/v1/reconciliation", tag = "reconciliation", responses((status = 200, description = "In short", body = Summary), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")), security(("operator" = [])))]
pub(super) async fn summary(State(service): State<Service>, headers: HeaderMap) -> Result<Response, Problem> {
    let token = token(&headers);
    let summary = blocking(move || {
        service.check_operator_token(&token)?;
        service.summary()
    });
    Ok(Json(summary.await?).into_response())
}

/// Open items, a page at a time.
#[utoipa::path(get, path = "/v1/reconciliation/items", tag = "reconciliation", params(Asked), responses((status = 200, description = "A page", body = ItemsAnswer), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")), security(("operator" = [])))]
pub(super) async fn items(
    State(service): State<Service>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let token = token(&headers);
    let page = blocking(move || {
        service.check_operator_token(&token)?;
        service.items(&asking(asked)?)
    });
    page.await.map(answer)
}

/// Open items of payments in which a PSP has the payer or the payee.
#[utoipa::path(get, path = "/v1/psp/{psp}/reconciliation/items", tag = "reconciliation", params(("psp" = String, Path, description = "Name of the PSP"), Asked), responses((status = 200, description = "A page", body = ItemsAnswer), (status = "default", description = "A problem document: what happened, whose fault it is, what to do next", body = Problem, content_type = "application/problem+json")), security(("psp" = [])))]
pub(super) async fn items_of_psp(
    State(service): State<Service>,
    Path(psp): Path<String>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let token = token(&headers);
    let page = blocking(move || {
        service.check_token(&psp, &token)?;
        // Whatever it asks for, it sees its own.
        service.items(&Asking { psp: Some(psp), ..asking(asked)? })
    });
    page.await.map(answer)
}

fn asking(asked: Result<Query<Asked>, QueryRejection>) -> Result<Asking, Code> {
    let Query(asked) = asked.map_err(|_| Code::ValueOutOfRange)?;
    let after = asked.after.map(|text| cursor(&text).ok_or(Code::ValueOutOfRange)).transpose()?;
    Ok(Asking {
        psp: asked.psp,
        reason: asked.reason,
        older_than_s: asked.older_than_s,
        after,
        limit: asked.limit.unwrap_or(PAGE),
    })
}

fn answer(page: Page) -> Response {
    Json(ItemsAnswer { items: page.items, next: page.next.as_ref().map(text) }).into_response()
}

/// A place, as the next request names it.
fn text(cursor: &Cursor) -> String {
    hex::encode([&cursor.payer.0[..], &cursor.payer_seq.to_be_bytes(), &cursor.id.0].concat())
}

fn cursor(text: &str) -> Option<Cursor> {
    let bytes = hex::decode(text).ok()?;
    let (payer, rest) = bytes.split_first_chunk()?;
    let (seq, id) = rest.split_first_chunk()?;
    let id = Digest(id.try_into().ok()?);
    Some(Cursor { payer: KeyId(*payer), payer_seq: u32::from_be_bytes(*seq), id })
}
