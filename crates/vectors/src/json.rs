//! Wire values as JSON: records are objects with the fields' names in wire order, amounts and numbers are integers, byte
//! strings are lower-case hexadecimal, enums are their names in kebab case, an absent field is `null`.
//!
//! Both directions are written here and nowhere derived from the codec, so that a field which changes its place or its
//! meaning on the wire shows as a difference.

use counterfoil_ta::api::{Command, Overview, PaymentRow, PaymentState, Pin, Reply, RequestRow, Response};
use counterfoil_wire::bundle::Bundle;
use counterfoil_wire::cert::{AuthorityCert, Grade, Name, Role, RootCert, WalletCert};
use counterfoil_wire::element::{CounterKind, ElementStatement, Tamper};
use counterfoil_wire::header::{Extra, Header, Purpose, Signer};
use counterfoil_wire::ids::{Algorithm, PublicKey};
use counterfoil_wire::lists::{RevocationList, TrustList};
use counterfoil_wire::message::{Decline, Payment, Receipt, Request};
use counterfoil_wire::proof::{Gossip, Proof, SignedHeader};
use counterfoil_wire::rules::{Liability, Limits, Rules, TamperAnswer, TamperRule};
use counterfoil_wire::sync::{
    Enrolment, Entry, FundOrder, Outcome, Resolution, Settlement, Standing, Statement,
};
use counterfoil_wire::{Amount, Bytes, Code, Currency, Digest, KeyId, Nonce, Reference, Signature};
use serde_json::{Map, Value};

/// JSON that stands for no such value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct Mismatch {
    /// The members that lead to it, with points between.
    pub at: String,
    /// What was expected.
    pub what: String,
}

impl Mismatch {
    fn new(what: impl Into<String>) -> Self {
        Self { at: String::new(), what: what.into() }
    }

    fn within(mut self, member: &str) -> Self {
        self.at = if self.at.is_empty() { member.to_owned() } else { format!("{member}.{}", self.at) };
        self
    }
}

/// A value with exactly one JSON form.
pub trait Json: Sized {
    /// The JSON form.
    fn to_json(&self) -> Value;

    /// The value that `json` stands for.
    ///
    /// # Errors
    /// [`Mismatch`] names the member.
    fn from_json(json: &Value) -> Result<Self, Mismatch>;
}

/// A member of an object, as the value it stands for.
///
/// # Errors
/// [`Mismatch`] if it is missing or no such value.
pub fn member<T: Json>(json: &Value, name: &str) -> Result<T, Mismatch> {
    let value = json.get(name).ok_or_else(|| Mismatch::new("is missing").within(name))?;
    T::from_json(value).map_err(|mismatch| mismatch.within(name))
}

/// Hexadecimal as bytes.
///
/// # Errors
/// [`Mismatch`].
pub fn unhex(text: &str) -> Result<Vec<u8>, Mismatch> {
    if text.chars().any(|c| c.is_ascii_uppercase()) {
        return Err(Mismatch::new("hexadecimal is written in lower case"));
    }
    hex::decode(text).map_err(|_| Mismatch::new("is not hexadecimal"))
}

fn bytes_of(json: &Value) -> Result<Vec<u8>, Mismatch> {
    unhex(json.as_str().ok_or_else(|| Mismatch::new("is no text"))?)
}

/// `VirtualSeBound` as `virtual-se-bound`.
pub(crate) fn kebab(camel: &str) -> String {
    let mut kebab = String::new();
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

macro_rules! json_uint {
    ($($ty:ty),*) => {$(
        impl Json for $ty {
            fn to_json(&self) -> Value {
                Value::from(*self)
            }
            fn from_json(json: &Value) -> Result<Self, Mismatch> {
                let number = json.as_u64().ok_or_else(|| Mismatch::new("is no unsigned integer"))?;
                number.try_into().map_err(|_| Mismatch::new("is out of range"))
            }
        }
    )*};
}
json_uint!(u8, u16, u32, u64);

impl Json for bool {
    fn to_json(&self) -> Value {
        Value::from(*self)
    }
    fn from_json(json: &Value) -> Result<Self, Mismatch> {
        json.as_bool().ok_or_else(|| Mismatch::new("is neither true nor false"))
    }
}

impl<T: Json> Json for Option<T> {
    fn to_json(&self) -> Value {
        self.as_ref().map_or(Value::Null, Json::to_json)
    }
    fn from_json(json: &Value) -> Result<Self, Mismatch> {
        if json.is_null() { Ok(None) } else { T::from_json(json).map(Some) }
    }
}

impl<T: Json> Json for Vec<T> {
    fn to_json(&self) -> Value {
        self.iter().map(Json::to_json).collect()
    }
    fn from_json(json: &Value) -> Result<Self, Mismatch> {
        let items = json.as_array().ok_or_else(|| Mismatch::new("is no array"))?;
        let item = |(at, item): (usize, &Value)| T::from_json(item).map_err(|e| e.within(&at.to_string()));
        items.iter().enumerate().map(item).collect()
    }
}

impl Json for Amount {
    fn to_json(&self) -> Value {
        Value::from(self.minor())
    }
    fn from_json(json: &Value) -> Result<Self, Mismatch> {
        Self::new(u64::from_json(json)?).ok_or_else(|| Mismatch::new("is no amount"))
    }
}

impl Json for Currency {
    fn to_json(&self) -> Value {
        Value::from(self.number())
    }
    fn from_json(json: &Value) -> Result<Self, Mismatch> {
        Self::new(u16::from_json(json)?).ok_or_else(|| Mismatch::new("is no currency"))
    }
}

macro_rules! json_fixed {
    ($($ty:ident),*) => {$(
        impl Json for $ty {
            fn to_json(&self) -> Value {
                Value::from(hex::encode(self.0))
            }
            fn from_json(json: &Value) -> Result<Self, Mismatch> {
                let bytes = bytes_of(json)?;
                Ok(Self(bytes.try_into().map_err(|_| Mismatch::new("is of the wrong length"))?))
            }
        }
    )*};
}
json_fixed!(Digest, KeyId, Signature, Nonce, Reference);

impl Json for PublicKey {
    fn to_json(&self) -> Value {
        Value::from(hex::encode(self.as_bytes()))
    }
    fn from_json(json: &Value) -> Result<Self, Mismatch> {
        Self::from_slice(&bytes_of(json)?).ok_or_else(|| Mismatch::new("is no public key"))
    }
}

impl Json for Bytes {
    fn to_json(&self) -> Value {
        Value::from(hex::encode(&self.0))
    }
    fn from_json(json: &Value) -> Result<Self, Mismatch> {
        Ok(Self(bytes_of(json)?))
    }
}

impl Json for Name {
    fn to_json(&self) -> Value {
        Value::from(self.as_str())
    }
    fn from_json(json: &Value) -> Result<Self, Mismatch> {
        json.as_str().and_then(Self::new).ok_or_else(|| Mismatch::new("is no name"))
    }
}

impl Json for Pin {
    fn to_json(&self) -> Value {
        Value::from(self.0.as_str())
    }
    fn from_json(json: &Value) -> Result<Self, Mismatch> {
        let digits = json.as_str().ok_or_else(|| Mismatch::new("is no text"))?;
        Ok(Self(digits.to_owned().into()))
    }
}

impl Json for Algorithm {
    fn to_json(&self) -> Value {
        Value::from(self.name())
    }
    fn from_json(json: &Value) -> Result<Self, Mismatch> {
        let all = [Self::EdDsa, Self::Es256];
        let found = all.into_iter().find(|algorithm| json.as_str() == Some(algorithm.name()));
        found.ok_or_else(|| Mismatch::new("is neither eddsa nor es256"))
    }
}

macro_rules! json_enum {
    ($($ty:ident),*) => {$(
        impl Json for $ty {
            fn to_json(&self) -> Value {
                Value::from(kebab(&format!("{self:?}")))
            }
            fn from_json(json: &Value) -> Result<Self, Mismatch> {
                let found = Self::ALL.iter().copied().find(|value| value.to_json() == *json);
                found.ok_or_else(|| Mismatch::new(concat!("is no ", stringify!($ty))))
            }
        }
    )*};
}
json_enum!(
    Grade,
    Role,
    Purpose,
    Outcome,
    Standing,
    Liability,
    PaymentState,
    CounterKind,
    Tamper,
    TamperAnswer
);

/// An object of these members.
pub(crate) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

/// Refuses members beyond `names`.
fn only(json: &Value, names: &[&str]) -> Result<(), Mismatch> {
    let members = json.as_object().ok_or_else(|| Mismatch::new("is no object"))?;
    match members.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(Mismatch::new("is not known").within(name)),
        None => Ok(()),
    }
}

macro_rules! json_record {
    ($($ty:ident { $($field:ident),* $(,)? })*) => {$(
        impl Json for $ty {
            fn to_json(&self) -> Value {
                object([$((stringify!($field), self.$field.to_json()),)*])
            }
            fn from_json(json: &Value) -> Result<Self, Mismatch> {
                only(json, &[$(stringify!($field)),*])?;
                Ok(Self { $($field: member(json, stringify!($field))?,)* })
            }
        }
    )*};
}

json_record! {
    RootCert { name, not_before_s, lifetime_d, key, signature }
    AuthorityCert {
        role, name, not_before_s, lifetime_d, since, grades, index_first, index_last, key, signature,
    }
    WalletCert {
        issuer, not_before_s, lifetime_h, status_index, grade, currency, ceiling, key, name, signature,
    }
    Request { number, nonce, amount, expiry_s, revocation_no, trust_no }
    Payment { request, request_no, payee, amount, spent, seq, prev }
    Receipt { payment, seq, prev }
    Decline { payment, reason, seq, prev }
    ElementStatement { image, image_version, application, counter, tamper, challenge }
    Enrolment { nonce, grade, name, binding, element }
    FundOrder { number, amount, reference }
    Statement {
        seq, prev, after_seq, after_prev, entries, receipts, proofs, funded, received, spent, funding_total,
        closed_below, closed_before_s, rules_no, trust_no, revocation_no, pin_blocked, tamper, nonce,
    }
    Resolution { payment, outcome }
    Settlement {
        wallet, nonce, acked_seq, acked, time_s, funding_total, order_no, spent_start, resolutions, returned,
        paid_out, standing, balance, pin_unblocked, cert, root, trust, rules, revocation,
    }
    TrustList { number, issued_at_s, authorities }
    RevocationList { number, issued_at_s, since, added, removed }
    Limits {
        grade, balance_max, payment_max, no_pin_max, no_pin_total_max, platform_auth_max, sync_total_max, sync_count_max,
        window_s, window_total_max, window_count_max, receipts_max, offline_max_s, respend_percent,
        payer_grades, cert_lifetime_h,
    }
    TamperRule { tamper, answer }
    Rules {
        number, name, currency, limits, request_window_s, claim_window_s, grace_s, share_headers, tamper,
        lowered_percent, liability, loss_fund,
    }
    SignedHeader { header, signature }
    Proof { cert, first, second }
        Gossip { revocation, trust, proofs, headers }
    Bundle { message, gossip }
    PaymentRow { id, amount, state, peer, peer_name, seq }
    RequestRow { number, amount, expiry_s }
    Overview {
        key, root, cert, grade, funded, received, spendable, spent, funding_total, order, defunding,
        time_bound_s, synced_at_s, sync_total, sync_count, receipts_count, pin_tries, rules_no, trust_no,
        revocation_no, standing, tamper, platform, statement_pending, journal_len, payments, requests, cheats,
    }
}

macro_rules! json_tagged {
    ($($ty:ident { $($variant:ident { $($field:ident),* })* })*) => {$(
        impl Json for $ty {
            fn to_json(&self) -> Value {
                match self {
                    $(Self::$variant { $($field),* } => object([
                        ("kind", Value::from(kebab(stringify!($variant)))),
                        $((stringify!($field), $field.to_json()),)*
                    ]),)*
                }
            }
            fn from_json(json: &Value) -> Result<Self, Mismatch> {
                let kind = json.get("kind").and_then(Value::as_str).unwrap_or_default();
                $(if kind == kebab(stringify!($variant)) {
                    only(json, &["kind", $(stringify!($field)),*])?;
                    return Ok(Self::$variant { $($field: member(json, stringify!($field))?,)* });
                })*
                Err(Mismatch::new(concat!("is no ", stringify!($ty))).within("kind"))
            }
        }
    )*};
}

json_tagged! {
    Entry {
        Payment { payment }
        Receipt { payment }
        Decline { payment, reason }
        Reclaim { payment, decline }
        Statement { digest }
        Settled { settlement, funded, refunded, returned }
        Defund { amount, reference }
    }
    Command {
        Enrol { es256, grade, name, pin, root, binding, element }
        Request { amount, standing, reference }
        Pay { request, amount, pin, reference, approval }
        Accept { payment }
        Decline { payment }
        Confirm { receipt }
        Reclaim { decline }
        GossipOut { room }
        GossipIn { gossip }
        FundOrder { amount, reference }
        Defund { amount, pin, reference }
        Statement {}
        Settle { settlement }
        Show {}
        Resend { payment }
        Rider { room, revocation_after, trust_after }
        ReportTamper { tamper }
        BindPlatform { key, pin }
        PlatformChallenge { request, amount, reference }
    }
    Reply {
        Message { message, again }
        Accepted { receipt, amount, again }
        Declined { decline, amount, reason, again }
        Resolved { payment, amount, again }
        Learnt { revocation_no, revocation_new, cheats }
        Defunding { seq, amount, again }
        Settled { funded, refunded, confirmed, returned, paid_out, standing, again }
        Overview { overview }
        Challenge { challenge }
        Deactivated { tamper, again }
        PlatformBound { key }
    }
}

/// `{"cert": ...}` or `{"key": ...}`.
impl Json for Signer {
    fn to_json(&self) -> Value {
        match self {
            Self::Cert(cert) => object([("cert", cert.to_json())]),
            Self::Key(key) => object([("key", key.to_json())]),
        }
    }
    fn from_json(json: &Value) -> Result<Self, Mismatch> {
        only(json, &["cert", "key"])?;
        if json.get("cert").is_some() {
            member(json, "cert").map(Self::Cert)
        } else {
            member(json, "key").map(Self::Key)
        }
    }
}

/// The fields of a header, and of what only some purposes have: `spent` and `amount`, or `reason`.
impl Json for Header {
    fn to_json(&self) -> Value {
        let mut json = object([
            ("purpose", self.purpose.to_json()),
            ("key", self.key.to_json()),
            ("seq", self.seq.to_json()),
            ("prev", self.prev.to_json()),
            ("digest", self.digest.to_json()),
        ]);
        if let Some(members) = json.as_object_mut() {
            match self.extra {
                Extra::None => {}
                Extra::Spending { spent, amount } => {
                    members.insert("spent".into(), spent.to_json());
                    members.insert("amount".into(), amount.to_json());
                }
                Extra::Reason(reason) => {
                    members.insert("reason".into(), reason.to_json());
                }
            }
        }
        json
    }
    fn from_json(json: &Value) -> Result<Self, Mismatch> {
        only(json, &["purpose", "key", "seq", "prev", "digest", "spent", "amount", "reason"])?;
        let extra = if json.get("spent").is_some() {
            Extra::Spending { spent: member(json, "spent")?, amount: member(json, "amount")? }
        } else if json.get("reason").is_some() {
            Extra::Reason(member(json, "reason")?)
        } else {
            Extra::None
        };
        Ok(Self {
            purpose: member(json, "purpose")?,
            key: member(json, "key")?,
            seq: member(json, "seq")?,
            prev: member(json, "prev")?,
            digest: member(json, "digest")?,
            extra,
        })
    }
}

/// `{"ok": reply}` or `{"error": number}`.
impl Json for Response {
    fn to_json(&self) -> Value {
        match &self.0 {
            Ok(reply) => object([("ok", reply.to_json())]),
            Err(error) => object([("error", Value::from(error.code.number()))]),
        }
    }
    fn from_json(json: &Value) -> Result<Self, Mismatch> {
        only(json, &["ok", "error"])?;
        if json.get("ok").is_some() {
            return Ok(Self(Ok(member(json, "ok")?)));
        }
        let code = Code::from_number(member(json, "error")?);
        Ok(Self(Err(code.ok_or_else(|| Mismatch::new("is no error's number").within("error"))?.into())))
    }
}

/// A reply in short: without the messages in it and without the overview, which the bytes hold and the state repeats.
pub(crate) fn reply_in_short(response: &Response) -> Value {
    let mut json = response.to_json();
    if let Some(members) = json.get_mut("ok").and_then(Value::as_object_mut) {
        for long in ["message", "receipt", "decline", "overview"] {
            members.shift_remove(long);
        }
    }
    json
}

/// What a wallet shows, in short: without key, root and grade, which never change; of the certificate its end, of each payment its state, of each request
/// its number; and without what is zero, false, empty or absent.
pub(crate) fn state_of(overview: Option<Overview>) -> Value {
    let Some(overview) = overview else { return Value::Null };
    let mut json = overview.to_json();
    let payments = overview.payments.iter().map(|payment| (hex::encode(payment.id), payment.state.to_json()));
    let payments = Value::Object(payments.collect());
    let requests = overview.requests.iter().map(|request| Value::from(request.number)).collect();
    let until = overview.cert.as_ref().map(WalletCert::not_after_s);
    if let Some(members) = json.as_object_mut() {
        for settled in ["key", "root", "grade"] {
            members.shift_remove(settled);
        }
        members.insert("cert".into(), until.map_or(Value::Null, Value::from));
        members.insert("payments".into(), payments);
        members.insert("requests".into(), requests);
        members.retain(|_, value| !is_nothing(value));
    }
    json
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}
