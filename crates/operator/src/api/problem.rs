//! Problem documents (RFC 9457). They say what happened, whose fault it is and what to do next, and hold nothing
//! personal.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use counterfoil_wire::Code;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Refusal;

/// The media type of problem documents.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A problem document.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code's name.
    pub title: &'static str,
    /// HTTP status.
    pub status: u16,
    /// What happened.
    pub detail: &'static str,
    /// The numbered code.
    pub code: u16,
    /// Whose fault it is.
    pub fault: &'static str,
    /// What to do next.
    pub next: &'static str,
}

impl Problem {
    /// The problem with this code, under the code's usual status.
    pub fn of(code: Code) -> Self {
        Self {
            kind: format!("urn:counterfoil:error:{}", code.number()),
            title: code.name(),
            status: status(code),
            detail: code.what(),
            code: code.number(),
            fault: code.fault().name(),
            next: code.next(),
        }
    }

    /// The same problem under another HTTP status.
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The document.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let problem = Self::of(refusal.code());
        if !matches!(refusal, Refusal::Rule(_)) {
            // For the log alone: paths and the database's words are nothing for a caller.
            tracing::error!(code = problem.code, error = %refusal, "refused");
        }
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = HeaderValue::from_static(MEDIA_TYPE);
        (status, [(header::CONTENT_TYPE, kind)], self.to_json()).into_response()
    }
}

fn status(code: Code) -> u16 {
    match code {
        Code::IdempotencyMissing => 400,
        Code::PspUnauthorised | Code::OperatorUnauthorised => 401,
        Code::ActivationRefused | Code::EnrolmentMismatch | Code::KeyRevoked => 403,
        Code::UnknownPsp | Code::UnknownWallet | Code::CaseUnknown => 404,
        Code::KeyEnrolled | Code::WalletClosed => 409,
        Code::TooLong => 413,
        Code::Busy => 429,
        Code::Internal => 500,
        Code::RailUnavailable => 503,
        code if code.number() < 200 => 400,
        _ => 422,
    }
}
