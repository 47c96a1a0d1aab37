//! What is open: for the operator's own people, with its bearer token, and for a PSP as far as its customers are concerned.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use counterfoil_wire::{Code, Digest, KeyId};
use serde::Deserialize;
use serde_json::json;

use super::psp::token;
use super::{Problem, blocking};
use crate::domain::reason::Reason;
use crate::service::Service;
use crate::service::report::{Asking, Page};
use crate::store::Cursor;

/// Items on a page where nobody says how many.
const PAGE: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    reason: Option<Reason>,
    psp: Option<String>,
    #[serde(default)]
    older_than_s: u32,
    after: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn summary(State(service): State<Service>, headers: HeaderMap) -> Result<Response, Problem> {
    let token = token(&headers);
    let summary = blocking(move || {
        service.check_operator_token(&token)?;
        service.summary()
    });
    Ok(Json(summary.await?).into_response())
}

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
    Json(json!({ "items": page.items, "next": page.next.as_ref().map(text) })).into_response()
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
