//! `counterfoil inspect`: any message or certificate in readable form, and what verifies.
//!
//! What is shown is what the bytes say. Whether it is to be believed stands under *verifies*, and can be said only with
//! the scheme's root: each signature names the scheme that it belongs to.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use counterfoil_trust::{Anchors, header_id, judge, open, x509};
use counterfoil_wire::bundle::Bundle;
use counterfoil_wire::cert::{AuthorityCert, RootCert, WalletCert};
use counterfoil_wire::header::{Envelope, Purpose, Signer};
use counterfoil_wire::lists::{RevocationList, TrustList};
use counterfoil_wire::message::{Body, Decline, Payment, Receipt, Request};
use counterfoil_wire::proof::{Gossip, Proof, SignedHeader};
use counterfoil_wire::rules::Rules;
use counterfoil_wire::sync::{Enrolment, FundOrder, Settlement, Statement};
use counterfoil_wire::{Code, Currency, Error, KeyId, PublicKey, Wire};
use serde_json::Value;

use crate::fields::Fields;
use crate::output::{Answer, Output, REFUSED};
use crate::time::now_s;
use crate::wallet::message;
use crate::{describe, root, rules};

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A message or certificate: CBOR, a QR code as PNG, or X.509 as PEM or DER
    file: PathBuf,
    /// The scheme's root, to check signatures and certificates
    #[arg(long, value_name = "FILE")]
    operator_root: Option<PathBuf>,
    /// A trust list, or gossip that holds one: the issuers, which a message leaves out where the receiver has them
    #[arg(long, value_name = "FILE", requires = "operator_root")]
    trust_list: Option<PathBuf>,
}

pub(crate) fn run(args: &InspectArgs, output: &Output) -> Result<u8> {
    let bytes = message(&args.file)?;
    let root = args.operator_root.as_deref().map(root::read_root).transpose()?;
    let mut anchors = root.map(Anchors::new).transpose()?;
    if let (Some(anchors), Some(file)) = (&mut anchors, &args.trust_list) {
        let list = message(file)?;
        let handed_on = Gossip::from_message(&list).ok().and_then(|gossip| gossip.trust);
        anchors.adopt(&handed_on.map_or(list, |trust| trust.0))?;
    }
    let fields = match describe::x509(&bytes) {
        Some(fields) => fields?,
        None => inspect(&bytes, anchors.as_ref())?,
    };
    let json = fields.json();
    let bad = anchors.is_some() && json.iter().any(|(name, value)| holds_bad(name, value));
    let answer =
        Answer { lines: fields.lines(), json, exit: if bad { REFUSED } else { 0 }, ..Answer::default() };
    Ok(output.answer(&answer))
}

/// What these bytes are, and what of it verifies.
///
/// # Errors
/// The error of reading them as an envelope, if they are nothing else either.
pub(crate) fn inspect(bytes: &[u8], anchors: Option<&Anchors>) -> Result<Fields, Error> {
    let checks = Checks { anchors, now_s: now_s() };
    let failed = match Envelope::from_bytes(bytes) {
        Ok(envelope) => return checks.envelope(bytes, &envelope),
        Err(error) => error,
    };
    let size = |fields: Fields| fields.put_as("size", format!("{} bytes", bytes.len()), bytes.len());
    if let Ok(gossip) = Gossip::from_message(bytes) {
        return Ok(size(checks.gossip(&gossip)));
    }
    if let Ok(Bundle { message, gossip }) = Bundle::from_bytes(bytes) {
        let rider = match Gossip::from_message(&gossip.0) {
            Ok(gossip) => checks.gossip(&gossip),
            Err(error) => Fields::new().put("error", bad(error)),
        };
        // A bundle holds no bundle.
        let message = checks.envelope(&message.0, &Envelope::from_bytes(&message.0)?)?;
        return Ok(message
            .put_as("size_with_rider", format!("{} bytes", bytes.len()), bytes.len())
            .group("came_along", rider));
    }
    if let Ok(cert) = RootCert::from_bytes(bytes) {
        let verdict = match anchors.map(|anchors| &anchors.root) {
            _ if x509::verify_root(&cert).is_err() => "BAD: its own signature does not hold",
            Some(root) if *root == cert => "ok: this is the given root",
            Some(_) => "its own signature holds, but it is not the given root",
            None => "its own signature holds; compare the key id with what the operator publishes",
        };
        return Ok(size(describe::root(&cert).put("verifies", verdict)));
    }
    if let Ok(cert) = AuthorityCert::from_bytes(bytes) {
        return Ok(size(describe::authority(&cert).put("verifies", checks.authority(&cert))));
    }
    if let Ok(cert) = WalletCert::from_bytes(bytes) {
        return Ok(size(describe::wallet(&cert).put("verifies", checks.wallet(&cert, None))));
    }
    if let Ok(proof) = Proof::from_bytes(bytes) {
        return Ok(size(checks.proof(&proof)));
    }
    if let Ok(header) = SignedHeader::from_bytes(bytes) {
        return Ok(size(Fields::new().put("kind", "signed header").group("header", checks.header(&header))));
    }
    if let Ok(bare) = Rules::from_bytes(bytes) {
        let fields =
            Fields::new().put("kind", "rules, unsigned").extend(describe::members(rules::json_of(&bare)));
        return Ok(size(fields));
    }
    Err(failed)
}

struct Checks<'a> {
    anchors: Option<&'a Anchors>,
    now_s: u32,
}

const NO_ROOT: &str = "not checked: give the scheme's root with --operator-root";

impl Checks<'_> {
    fn scheme(&self) -> Option<KeyId> {
        self.anchors.map(|anchors| anchors.scheme)
    }

    fn envelope(&self, bytes: &[u8], envelope: &Envelope) -> Result<Fields, Error> {
        let currency = match &envelope.signer {
            Signer::Cert(cert) => Some(cert.currency),
            Signer::Key(_) => None,
        };
        match envelope.purpose {
            Purpose::Request => self.signed::<Request>(bytes, "request", |b| describe::request(b, currency)),
            Purpose::Payment => self.signed::<Payment>(bytes, "payment", |b| describe::payment(b, currency)),
            Purpose::Receipt => self.signed::<Receipt>(bytes, "receipt", describe::receipt),
            Purpose::Decline => self.signed::<Decline>(bytes, "decline", describe::decline),
            Purpose::Statement => {
                self.signed::<Statement>(bytes, "statement", |b| describe::statement(b, currency))
            }
            Purpose::Enrolment => self.signed::<Enrolment>(bytes, "enrolment", describe::enrolment),
            Purpose::FundOrder => {
                self.signed::<FundOrder>(bytes, "fund order", |b| describe::fund_order(b, currency))
            }
            Purpose::Settlement => self.signed::<Settlement>(bytes, "settlement", describe::settlement),
            Purpose::TrustList => self.signed::<TrustList>(bytes, "trust list", describe::trust_list),
            Purpose::Rules => self.signed::<Rules>(bytes, "rules", |b| describe::members(rules::json_of(b))),
            Purpose::RevocationList => {
                self.signed::<RevocationList>(bytes, "revocation list", describe::revocation_list)
            }
            // Entries of a journal that are never sent alone.
            Purpose::Reclaim | Purpose::Settled | Purpose::Defund | Purpose::Gossip | Purpose::Bundle => {
                Err(Code::WrongKind.into())
            }
        }
    }

    fn signed<B: Body>(
        &self,
        bytes: &[u8],
        kind: &'static str,
        body: impl FnOnce(&B) -> Fields,
    ) -> Result<Fields, Error> {
        let opened = open::<B>(bytes)?;
        let envelope = &opened.envelope;
        let mut fields =
            Fields::new().put("kind", kind).put_as("size", format!("{} bytes", bytes.len()), bytes.len());
        if envelope.issuer.is_some() {
            let alone = Envelope { issuer: None, ..envelope.clone() }.to_bytes().len();
            fields = fields.put_as("size_without_issuer", format!("{alone} bytes"), alone);
        }
        fields = match self.scheme() {
            Some(scheme) => fields.put("identifier", opened.id(&scheme).to_string()),
            None => fields.put_as("identifier", "needs the scheme's root", serde_json::Value::Null),
        };
        fields = fields.group("body", body(&opened.body));
        fields = match &envelope.signer {
            Signer::Cert(cert) => fields.group("signer", describe::wallet(cert)),
            Signer::Key(key) => fields.group("signer", describe::key(key)),
        };
        let issuer = envelope.issuer.as_ref();
        fields = fields.maybe_group("issuer", issuer.map(describe::authority));
        let Some(scheme) = self.scheme() else { return Ok(fields.put("verifies", NO_ROOT)) };

        let mut verifies = Fields::new().put("root", "ok");
        if let Some(issuer) = issuer {
            verifies = verifies.put("issuer", self.authority(issuer));
        }
        verifies = match &envelope.signer {
            Signer::Cert(cert) => verifies.put("certificate", self.wallet(cert, issuer)),
            Signer::Key(key) => verifies.put("signer", self.bare_key(key)),
        };
        let signature = match opened.check_signature(&scheme) {
            Ok(()) => "ok".to_owned(),
            Err(error) => bad(error),
        };
        verifies = verifies.put("signature", signature);
        if B::PURPOSE == Purpose::TrustList {
            let adopted = self
                .anchors
                .map(|known| Anchors::new(known.root.clone()).and_then(|mut held| held.adopt(bytes)));
            let verdict = match adopted {
                Some(Ok(_)) => "ok: every authority in it holds".to_owned(),
                Some(Err(error)) => bad(error),
                None => NO_ROOT.to_owned(),
            };
            verifies = verifies.put("list", verdict);
        }
        Ok(fields.group("verifies", verifies))
    }

    fn bare_key(&self, key: &PublicKey) -> &'static str {
        match self.anchors {
            Some(anchors) if anchors.root.key == *key => "ok: the root itself",
            Some(anchors) if anchors.check_signer(key, self.now_s).is_ok() => "ok: the operator",
            _ => "unknown: a bare key, whose certificate is not in the message",
        }
    }

    fn authority(&self, cert: &AuthorityCert) -> String {
        let Some(anchors) = self.anchors else { return NO_ROOT.to_owned() };
        match x509::verify_authority(cert, &anchors.root) {
            Ok(()) if self.now_s > cert.not_after_s() => "expired, all else ok".to_owned(),
            Ok(()) => "ok".to_owned(),
            Err(error) => bad(error),
        }
    }

    fn wallet(&self, cert: &WalletCert, issuer: Option<&AuthorityCert>) -> String {
        let Some(anchors) = self.anchors else { return NO_ROOT.to_owned() };
        match anchors.check_wallet(cert, issuer, self.now_s) {
            Ok(_) => "ok".to_owned(),
            Err(Error { code: Code::UnknownIssuer }) => {
                format!("unknown: its issuer {} is not in the message; give --trust-list", cert.issuer)
            }
            Err(Error { code: Code::CertificateExpired }) => "expired, all else ok".to_owned(),
            Err(Error { code: Code::CertificateNotYetValid }) => "not valid yet, all else ok".to_owned(),
            Err(error) => bad(error),
        }
    }

    fn header(&self, signed: &SignedHeader) -> Fields {
        let fields = describe::header(signed, None::<Currency>);
        match self.scheme() {
            Some(scheme) => {
                let verdict = match counterfoil_trust::check_header(&scheme, signed) {
                    Ok(()) => "ok".to_owned(),
                    Err(error) => bad(error),
                };
                fields
                    .put("identifier", header_id(&scheme, &signed.header).to_string())
                    .put("signature", verdict)
            }
            None => fields.put("signature", NO_ROOT),
        }
    }

    fn proof(&self, proof: &Proof) -> Fields {
        let verdict = match self.anchors.map(|anchors| judge(anchors, proof)) {
            None => NO_ROOT.to_owned(),
            Some(Ok(shown)) => format!("proven: {}", shown.name()),
            // The certificate says more of it: whether its issuer is known.
            Some(Err(Error { code: Code::UnknownIssuer })) => self.wallet(&proof.cert, None),
            Some(Err(error)) => bad(error),
        };
        Fields::new()
            .put("kind", "proof")
            .group("subject", describe::wallet(&proof.cert))
            .group("first", self.header(&proof.first))
            .group("second", self.header(&proof.second))
            .put("verifies", verdict)
    }

    fn gossip(&self, gossip: &Gossip) -> Fields {
        let nested = |bytes: &Option<counterfoil_wire::Bytes>| {
            bytes.as_ref().map(|bytes| match inspect(&bytes.0, self.anchors) {
                Ok(fields) => fields,
                Err(error) => Fields::new().put("error", bad(error)),
            })
        };
        // Proofs are judged as a device does that takes over the trust list first.
        let mut anchors = self.anchors.cloned();
        if let (Some(anchors), Some(trust)) = (&mut anchors, &gossip.trust) {
            let _ = anchors.adopt(&trust.0);
        }
        let newest = Checks { anchors: anchors.as_ref(), now_s: self.now_s };
        Fields::new()
            .put("kind", "gossip")
            .maybe_group("revocation_list", nested(&gossip.revocation))
            .maybe_group("trust_list", nested(&gossip.trust))
            .list("proofs", gossip.proofs.iter().map(|proof| newest.proof(proof)).collect())
            .list("headers", gossip.headers.iter().map(|header| self.header(header)).collect())
            .put("verifies", "each part by itself; as a whole it is not signed")
    }
}

/// Whether a verdict in here is bad. Verdicts stand under these names alone; text of strangers stands under others.
fn holds_bad(name: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => {
            let is_verdict = matches!(
                name,
                "verifies" | "issuer" | "certificate" | "signer" | "signature" | "list" | "error"
            );
            is_verdict && text.starts_with("BAD")
        }
        Value::Object(members) => members.iter().any(|(name, value)| holds_bad(name, value)),
        Value::Array(items) => items.iter().any(|value| holds_bad(name, value)),
        _ => false,
    }
}

fn bad(error: Error) -> String {
    format!("BAD: error {}: {}", error.code.number(), error.code.what())
}
