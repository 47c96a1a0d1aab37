//! The fields of each kind of message and certificate, in words that people use.

use anyhow::{Result, anyhow};
use counterfoil_trust::key_id;
use counterfoil_wallet::amounts::{currency_code, format_amount};
use counterfoil_wire::cert::{AuthorityCert, Grade, Role, RootCert, WalletCert};
use counterfoil_wire::element::Tamper;
use counterfoil_wire::header::Extra;
use counterfoil_wire::lists::{RevocationList, TrustList, from_gaps};
use counterfoil_wire::message::{Decline, Payment, Receipt, Request};
use counterfoil_wire::proof::SignedHeader;
use counterfoil_wire::sync::{Enrolment, Entry, FundOrder, Outcome, Settlement, Statement};
use counterfoil_wire::{Amount, Code, Currency, PublicKey};
use serde_json::{Map, Value, json};
use x509_cert::crl::CertificateList;
use x509_cert::der::{Decode, DecodePem};

use crate::fields::Fields;
use crate::time::{span, utc};
use crate::words::{money, standing_name};

pub(crate) fn key(key: &PublicKey) -> Fields {
    Fields::new()
        .put("algorithm", key.algorithm().name())
        .put("key", hex::encode(key.as_bytes()))
        .put("key_id", key_id(key).to_string())
}

pub(crate) fn root(cert: &RootCert) -> Fields {
    Fields::new()
        .put("kind", "root certificate")
        .put("name", cert.name.as_str())
        .extend(key(&cert.key))
        .put("not_before", utc(cert.not_before_s))
        .put("not_after", utc(cert.not_after_s()))
}

pub(crate) fn authority(cert: &AuthorityCert) -> Fields {
    let role = match cert.role {
        Role::Issuer => "issuer",
        Role::Signer => "signer",
    };
    let grades: Vec<&str> =
        Grade::ALL.iter().filter(|grade| cert.grades & grade.bit() != 0).map(|grade| grade.name()).collect();
    let fields = Fields::new()
        .put("kind", "authority certificate")
        .put("role", role)
        .put("name", cert.name.as_str())
        .extend(key(&cert.key))
        .put("not_before", utc(cert.not_before_s))
        .put("not_after", utc(cert.not_after_s()))
        .put("since_trust_list", cert.since);
    if cert.role == Role::Signer {
        return fields;
    }
    let range = format!("{} to {}", cert.index_first, cert.index_last);
    fields.put_as("grades", grades.join(", "), grades.clone()).put_as(
        "status_indexes",
        range,
        json!([cert.index_first, cert.index_last]),
    )
}

pub(crate) fn wallet(cert: &WalletCert) -> Fields {
    let fields = Fields::new().put("kind", "wallet certificate");
    let fields = if cert.name.as_str().is_empty() { fields } else { fields.put("name", cert.name.as_str()) };
    let fields = fields
        .put("grade", cert.grade.name())
        .extend(key(&cert.key))
        .put("issuer", cert.issuer.to_string())
        .put("not_before", utc(cert.not_before_s))
        .put("not_after", utc(cert.not_after_s()))
        .put("status_index", cert.status_index)
        .put("currency", currency_code(cert.currency));
    amount(fields, "ceiling", Some(cert.ceiling), Some(cert.currency))
}

pub(crate) fn request(body: &Request, currency: Option<Currency>) -> Fields {
    let fields = Fields::new()
        .put("standing", body.is_standing())
        .put("request_no", body.number)
        .put("nonce", body.nonce.map(|nonce| nonce.to_string()));
    let fields = match body.amount {
        Some(_) => amount(fields, "amount", body.amount, currency),
        None => fields.put_as("amount", "any", Value::Null),
    };
    let expiry = (body.expiry_s != 0).then(|| utc(body.expiry_s));
    fields
        .put_as("expires", expiry.clone().unwrap_or_else(|| "never".to_owned()), expiry)
        .put("revocation_list_held", body.revocation_no)
        .put("trust_list_held", body.trust_no)
}

pub(crate) fn payment(body: &Payment, currency: Option<Currency>) -> Fields {
    let fields = Fields::new().group("payee", key(&body.payee));
    let fields = amount(fields, "amount", Some(body.amount), currency);
    let fields = amount(fields, "spent", Some(body.spent), currency);
    fields
        .put("request", body.request.to_string())
        .put("request_no", body.request_no)
        .put("seq", body.seq)
        .put("prev", body.prev.to_string())
}

pub(crate) fn receipt(body: &Receipt) -> Fields {
    Fields::new()
        .put("payment", body.payment.to_string())
        .put("seq", body.seq)
        .put("prev", body.prev.to_string())
}

pub(crate) fn decline(body: &Decline) -> Fields {
    Fields::new()
        .put("payment", body.payment.to_string())
        .extend(reason(body.reason))
        .put("seq", body.seq)
        .put("prev", body.prev.to_string())
}

fn reason(number: u16) -> Fields {
    let what = Code::from_number(number).map_or("an unknown number", Code::what);
    Fields::new().put_as("reason", format!("{number}: {what}"), json!({ "code": number, "what": what }))
}

pub(crate) fn enrolment(body: &Enrolment) -> Fields {
    Fields::new()
        .put("nonce", body.nonce.to_string())
        .put("grade", body.grade.name())
        .put("name", body.name.as_str())
        .put("binding", body.binding.to_string())
        .put("image", body.element.image.to_string())
        .put("image_version", body.element.image_version)
        .put("application", body.element.application.to_string())
        .put("counter", body.element.counter.name())
        .put("tamper", body.element.tamper.map(Tamper::name))
        .put("challenge", body.element.challenge.to_string())
}

pub(crate) fn fund_order(body: &FundOrder, currency: Option<Currency>) -> Fields {
    let fields = Fields::new().put("order_no", body.number);
    amount(fields, "amount", Some(body.amount), currency).put("reference", body.reference.to_string())
}

pub(crate) fn statement(body: &Statement, currency: Option<Currency>) -> Fields {
    let fields = Fields::new()
        .put("seq", body.seq)
        .put("prev", body.prev.to_string())
        .put("after_seq", body.after_seq)
        .put("after_prev", body.after_prev.to_string())
        .list("entries", body.entries.iter().map(|e| entry(e, currency)).collect())
        .put("receipts", body.receipts.len())
        .put("proofs", body.proofs.len());
    let fields = amount(fields, "funded", Some(body.funded), currency);
    let fields = amount(fields, "received", Some(body.received), currency);
    let fields = amount(fields, "spent", Some(body.spent), currency);
    amount(fields, "funding_total", Some(body.funding_total), currency)
        .put("requests_closed_below", body.closed_below)
        .put("closed_before", utc(body.closed_before_s))
        .put("rules_held", body.rules_no)
        .put("trust_list_held", body.trust_no)
        .put("revocation_list_held", body.revocation_no)
        .put("pin_blocked", body.pin_blocked)
        .put("tamper", body.tamper.map(Tamper::name))
        .put("nonce", body.nonce.to_string())
}

fn entry(entry: &Entry, currency: Option<Currency>) -> Fields {
    let kind = |kind: &str| Fields::new().put("entry", kind);
    match entry {
        Entry::Payment { payment } => kind("payment").put("bytes", payment.0.len()),
        Entry::Receipt { payment } => kind("receipt").put("bytes", payment.0.len()),
        Entry::Decline { payment, reason: number } => {
            kind("decline").put("bytes", payment.0.len()).extend(reason(*number))
        }
        Entry::Reclaim { payment, .. } => kind("reclaim").put("payment", payment.to_string()),
        Entry::Statement { digest } => kind("statement").put("digest", digest.to_string()),
        Entry::Settled { settlement, funded, refunded, returned } => {
            let fields = kind("settled").put("settlement", settlement.to_string());
            amount(fields, "funded", Some(*funded), currency)
                .put("refunded", refunded.len())
                .put("returned", returned.len())
        }
        Entry::Defund { amount: value, reference } => {
            amount(kind("defund"), "amount", Some(*value), currency).put("reference", reference.to_string())
        }
    }
}

pub(crate) fn settlement(body: &Settlement) -> Fields {
    let currency = body.cert.as_ref().map(|cert| cert.currency);
    let resolutions = body.resolutions.iter().map(|resolution| {
        let outcome = match resolution.outcome {
            Outcome::Confirmed => "confirmed",
            Outcome::Refunded => "refunded",
        };
        Fields::new().put("payment", resolution.payment.to_string()).put("outcome", outcome)
    });
    let fields = Fields::new()
        .group("wallet", key(&body.wallet))
        .put("nonce", body.nonce.to_string())
        .put("acked_seq", body.acked_seq)
        .put("acked", body.acked.to_string())
        .put("time", utc(body.time_s));
    let fields =
        amount(fields, "funding_total", Some(body.funding_total), currency).put("order_no", body.order_no);
    let fields = match body.spent_start {
        Some(_) => amount(fields, "spent_start", body.spent_start, currency),
        None => fields,
    };
    let fields = fields.list("resolutions", resolutions.collect()).put("returned", body.returned.len());
    let fields = amount(fields, "paid_out", Some(body.paid_out), currency)
        .put("standing", standing_name(body.standing))
        .put("pin_unblocked", body.pin_unblocked);
    let size = |bytes: &Option<counterfoil_wire::Bytes>| bytes.as_ref().map(|bytes| bytes.0.len());
    fields
        .maybe_group("certificate", body.cert.as_ref().map(wallet))
        .maybe_group("root", body.root.as_ref().map(root))
        .put("trust_list_bytes", size(&body.trust))
        .put("rules_bytes", size(&body.rules))
        .put("revocation_list_bytes", size(&body.revocation))
}

pub(crate) fn trust_list(body: &TrustList) -> Fields {
    Fields::new()
        .put("number", body.number)
        .put("issued_at", utc(body.issued_at_s))
        .list("authorities", body.authorities.iter().map(authority).collect())
}

pub(crate) fn revocation_list(body: &RevocationList) -> Fields {
    let indexes = |gaps: &[u32]| match from_gaps(gaps) {
        Some(indexes) => {
            let text = indexes.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
            (if text.is_empty() { "none".to_owned() } else { text }, json!(indexes))
        }
        None => ("malformed".to_owned(), Value::Null),
    };
    let ((added, added_json), (removed, removed_json)) = (indexes(&body.added), indexes(&body.removed));
    let since =
        if body.since == 0 { "the whole list".to_owned() } else { format!("changes since {}", body.since) };
    Fields::new()
        .put("number", body.number)
        .put("issued_at", utc(body.issued_at_s))
        .put_as("holds", since, json!({ "since": body.since }))
        .put_as("revoked", added, added_json)
        .put_as("no_longer_listed", removed, removed_json)
}

pub(crate) fn header(signed: &SignedHeader, currency: Option<Currency>) -> Fields {
    let header = &signed.header;
    let purpose = format!("{:?}", header.purpose).to_lowercase();
    let fields = Fields::new()
        .put("purpose", purpose)
        .put("seq", header.seq)
        .put("prev", header.prev.to_string())
        .put("digest", header.digest.to_string());
    match header.extra {
        Extra::None => fields,
        Extra::Reason(number) => fields.extend(reason(number)),
        Extra::Spending { spent, amount: value } => {
            amount(amount(fields, "spent", Some(spent), currency), "amount", Some(value), currency)
        }
    }
}

/// A JSON object's members as fields.
pub(crate) fn members(object: Map<String, Value>) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in object {
        let text = match &value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        // The names are those of the record's fields: known, few, and the same in every run.
        fields = match name.as_str() {
            "number" => fields.put_as("number", text, value),
            "name" => fields.put_as("name", text, value),
            "currency" => fields.put_as("currency", text, value),
            "limits" => fields.list("limits", value.as_array().into_iter().flatten().map(limit).collect()),
            "request_window_s" => fields.put_as("request_window_s", seconds(&value), value),
            "claim_window_s" => fields.put_as("claim_window_s", seconds(&value), value),
            "grace_s" => fields.put_as("grace_s", seconds(&value), value),
            "share_headers" => fields.put("share_headers", value),
            "tamper" => fields.put("tamper", value),
            "lowered_percent" => fields.put_as("lowered_percent", text, value),
            "liability" => fields.put_as("liability", text, value),
            "loss_fund" => fields.put_as("loss_fund", text, value),
            _ => fields,
        };
    }
    fields
}

fn seconds(value: &Value) -> String {
    value.as_u64().and_then(|s| u32::try_from(s).ok()).map_or_else(String::new, span)
}

fn limit(value: &Value) -> Fields {
    let text = |name: &str| match &value[name] {
        Value::Object(money) => {
            let part = |name: &str| money.get(name).and_then(Value::as_str).unwrap_or_default();
            format!("{} {}", part("amount"), part("currency"))
        }
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    let names = [
        "grade",
        "balance_max",
        "payment_max",
        "no_pin_max",
        "no_pin_total_max",
        "platform_auth_max",
        "sync_total_max",
        "sync_count_max",
        "window_s",
        "window_total_max",
        "window_count_max",
        "receipts_max",
        "offline_max_s",
        "respend_percent",
        "payer_grades",
        "cert_lifetime_h",
    ];
    names.into_iter().fold(Fields::new(), |fields, name| fields.put_as(name, text(name), value[name].clone()))
}

/// Without a currency at hand (it stands in certificates) an amount is shown in minor units, and says so.
fn amount(fields: Fields, name: &'static str, amount: Option<Amount>, currency: Option<Currency>) -> Fields {
    match (amount, currency) {
        (Some(amount), Some(currency)) => {
            fields.put_as(name, format_amount(amount, currency), money(Some(amount), currency))
        }
        (Some(amount), None) => {
            fields.put_as(name, format!("{} minor units", amount.minor()), json!({ "minor": amount.minor() }))
        }
        (None, _) => fields.put(name, Value::Null),
    }
}

/// An X.509 certificate or revocation list, if the bytes look like one.
pub(crate) fn x509(bytes: &[u8]) -> Option<Result<Fields>> {
    let pem = std::str::from_utf8(bytes).ok().filter(|text| text.trim_start().starts_with("-----BEGIN "));
    if let Some(text) = pem {
        let label =
            text.trim_start().trim_start_matches("-----BEGIN ").split("-----").next().unwrap_or_default();
        return Some(
            match label {
                "CERTIFICATE" => x509_cert::Certificate::from_pem(text.trim()).map(|cert| certificate(&cert)),
                "X509 CRL" => CertificateList::from_pem(text.trim()).map(|list| crl(&list)),
                other => {
                    return Some(Err(anyhow!(
                        "a PEM block {other:?}, which is neither certificate nor revocation list"
                    )));
                }
            }
            .map_err(|error| anyhow!("the {label} cannot be read: {error}")),
        );
    }
    // A DER SEQUENCE with a length of two bytes; no message of the protocol begins like that.
    if !bytes.starts_with(&[0x30, 0x81]) && !bytes.starts_with(&[0x30, 0x82]) {
        return None;
    }
    if let Ok(cert) = x509_cert::Certificate::from_der(bytes) {
        return Some(Ok(certificate(&cert)));
    }
    CertificateList::from_der(bytes).ok().map(|list| Ok(crl(&list)))
}

fn certificate(cert: &x509_cert::Certificate) -> Fields {
    let tbs = cert.tbs_certificate();
    Fields::new()
        .put("kind", "X.509 certificate")
        .put("subject", plain(tbs.subject()))
        .put("issuer", plain(tbs.issuer()))
        .put("serial_number", plain(tbs.serial_number()))
        .put("not_before", plain(tbs.validity().not_before))
        .put("not_after", plain(tbs.validity().not_after))
        .put("signature_algorithm", plain(cert.signature_algorithm().oid))
        .put("verifies", "not checked here: use `openssl verify -x509_strict`")
}

fn crl(list: &CertificateList) -> Fields {
    let tbs = &list.tbs_cert_list;
    let revoked = tbs.revoked_certificates.as_deref().unwrap_or_default();
    let serials: Vec<String> = revoked.iter().map(|one| plain(&one.serial_number)).collect();
    let text = if serials.is_empty() { "none".to_owned() } else { serials.join(", ") };
    Fields::new()
        .put("kind", "X.509 revocation list")
        .put("issuer", plain(&tbs.issuer))
        .put("this_update", plain(tbs.this_update))
        .put("next_update", tbs.next_update.map(plain))
        .put_as("revoked", text, serials)
        .put("verifies", "not checked here: use `openssl crl -CAfile`")
}

/// What a stranger wrote into a certificate, fit for a terminal.
fn plain(value: impl std::fmt::Display) -> String {
    value.to_string().chars().filter(|c| !c.is_control()).collect()
}
