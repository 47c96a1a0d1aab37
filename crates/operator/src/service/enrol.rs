//! Enrolment: a new key gets its first certificate.

use counterfoil_rail::{Account, Rail, SANDBOX_CUSTOMER_OPENING};
use counterfoil_trust::{enrolment_binding, key_id, open, sha256};
use counterfoil_wire::cert::{Grade, Name};
use counterfoil_wire::element::Tamper;
use counterfoil_wire::header::Signer;
use counterfoil_wire::rules::TamperAnswer;
use counterfoil_wire::sync::{Enrolment, Settlement, Standing};
use counterfoil_wire::{Amount, Bytes, Code, Digest, Nonce};

use super::{Desk, Service};
use crate::challenge::CHALLENGE_S;
use crate::domain::element::{Element, Evidence, answer_tamper};
use crate::domain::wallet::Wallet;
use crate::error::{Refusal, random};
use crate::store::{Answer, Asked, Batch, Store};

/// Longest account name, in bytes.
const ACCOUNT_MAX: usize = 64;

/// Whether a PSP's customer account can have this name. The loss fund is no customer.
pub(super) fn check_account(psp: &str, account: &str, fund: &Name) -> Result<(), Refusal> {
    let printable = account.trim() == account && !account.chars().any(char::is_control);
    let fits = (1..=ACCOUNT_MAX).contains(&account.len());
    let reserved = Account::new(psp, account) == Account::loss_fund(psp, fund.as_str());
    if fits && printable && !reserved { Ok(()) } else { Err(Code::ValueOutOfRange.into()) }
}

/// What is sent in for a new key.
#[derive(Debug, Clone, Copy)]
pub struct NewKey<'a> {
    /// Name of the PSP.
    pub psp: &'a str,
    /// The account, as the PSP names it.
    pub account: &'a str,
    /// The PSP's activation code.
    pub activation: Option<&'a str>,
    /// The enrolment, signed by the new key.
    pub enrolment: &'a [u8],
    /// A chain of Android Key Attestation over the enrolment, the leaf first, as DER certificates.
    pub attestation: Option<&'a [Vec<u8>]>,
}

impl Service {
    /// Enrols the key that signed `bytes` (an enrolment) for an account of a PSP; the settlement. The same bytes again
    /// give the same settlement.
    ///
    /// # Errors
    /// In this order: those of [`open`]; [`Code::UnknownPsp`]; [`Code::ValueOutOfRange`] for an account name;
    /// [`Code::EnrolmentMismatch`] if the key signed for something else; [`Code::KeyEnrolled`];
    /// [`Code::ActivationRefused`]; [`Code::ChallengeStale`]; [`Code::ImageRefused`]; [`Code::EvidenceInvalid`];
    /// [`Code::GradeRefused`], also for a wallet in the place of one whose tampering the rules revoke for;
    /// [`Code::ValueOutOfRange`] for a display name.
    pub fn enrol(&self, asked: &NewKey<'_>) -> Result<Vec<u8>, Refusal> {
        let NewKey { psp, account, activation, enrolment: bytes, attestation } = *asked;
        let opened = open::<Enrolment>(bytes)?;
        let Signer::Key(key) = opened.envelope.signer else { return Err(Code::WrongKind.into()) };
        opened.check_signature(&self.scheme.anchors.scheme)?;
        if !self.scheme.psps.iter().any(|known| known == psp) {
            return Err(Code::UnknownPsp.into());
        }
        check_account(psp, account, &self.scheme.rules.loss_fund)?;
        // Before anything is answered again: the settlement is for whom the key signed it.
        if opened.body.binding != enrolment_binding(psp, account, activation) {
            return Err(Code::EnrolmentMismatch.into());
        }
        let id = key_id(&key);
        self.exclusively(|desk| {
            if let Some(Asked::Answered(settlement)) = desk.store.answered(&[(id, sha256(bytes))])?.pop() {
                return Ok(settlement);
            }
            if desk.store.wallet(&id)?.is_some() {
                return Err(Code::KeyEnrolled.into());
            }
            let name = &opened.body.name;
            let activation = self.activation(desk, psp, account, name.as_str(), activation)?;
            let element = self.check_element(desk.store.as_ref(), &opened.body, bytes, attestation)?;
            self.check_grade(&element, opened.body.grade, name)?;
            let algorithm = key.algorithm().name();
            let status_index = desk.store.next_index(psp, algorithm)?.ok_or(Code::UnknownPsp)?;
            let opening = if self.scheme.sandbox { SANDBOX_CUSTOMER_OPENING } else { 0 };
            desk.rail.open_or_balance(&Account::new(psp, account), opening)?;
            let mut wallet = Wallet {
                name: name.as_str().to_owned(),
                spent: spent_start()?,
                synced_at_s: self.now_s(),
                element,
                ..Wallet::new(key, psp, account, opened.body.grade, status_index)
            };
            self.inherit(&mut wallet, opened.body.element.tamper)?;
            let (cert, issued) = self.certify(&mut wallet, Amount::ZERO)?;
            let settlement = Settlement {
                wallet: key,
                nonce: opened.body.nonce,
                acked_seq: 0,
                acked: Digest::NONE,
                time_s: self.now_s(),
                funding_total: Amount::ZERO,
                order_no: 0,
                spent_start: Some(wallet.spent),
                resolutions: Vec::new(),
                returned: Vec::new(),
                paid_out: Amount::ZERO,
                standing: Standing::Good,
                balance: None,
                pin_unblocked: false,
                cert: Some(cert),
                root: Some(self.scheme.anchors.root.clone()),
                trust: Some(Bytes(self.scheme.trust.clone())),
                rules: Some(Bytes(self.scheme.rules_bytes.clone())),
                revocation: self.revocation_for(desk, 0)?.map(Bytes),
            };
            let (bytes_out, settlement_id) = self.sign_settlement(&settlement)?;
            let answer = Answer {
                wallet: id,
                seq: 0,
                id: Digest::NONE,
                message: sha256(bytes),
                signed: None,
                statement: bytes.into(),
                settlement_id,
                settlement: bytes_out.clone(),
                certified: true,
            };
            desk.store.commit(&Batch {
                wallets: vec![wallet],
                answers: vec![answer],
                issued: vec![issued],
                activation,
                next_index: Some((psp.to_owned(), algorithm.to_owned(), status_index.saturating_add(1))),
                ..Batch::default()
            })?;
            Ok(bytes_out)
        })
    }

    /// A challenge for an enrolment, and until when it is open, seconds since 1970.
    ///
    /// # Errors
    /// [`Refusal::Random`].
    pub fn challenge(&self) -> Result<(Nonce, u32), Refusal> {
        let now_s = self.now_s();
        Ok((self.challenges.give(now_s, random()?), now_s.saturating_add(CHALLENGE_S)))
    }

    /// Whether what the host states of the element is fresh and of an image on the list, and what else speaks for it.
    fn check_element(
        &self,
        store: &dyn Store,
        enrolment: &Enrolment,
        bytes: &[u8],
        attestation: Option<&[Vec<u8>]>,
    ) -> Result<Element, Refusal> {
        let stated = &enrolment.element;
        if !self.challenges.is_open(&stated.challenge, self.now_s()) {
            return Err(Code::ChallengeStale.into());
        }
        if !self.is_allowed(store, stated.image, stated.image_version)? {
            return Err(Code::ImageRefused.into());
        }
        let evidence = match attestation {
            Some(chain) => self.check_attestation(store, chain, stated, &sha256(bytes))?,
            None => Evidence::HostsWord,
        };
        Ok(Element::of(stated, evidence))
    }

    /// A wallet in the place of one that was given up for tampering begins where the rules would have left that one.
    fn inherit(&self, wallet: &mut Wallet, tamper: Option<Tamper>) -> Result<(), Refusal> {
        let Some(tamper) = tamper else { return Ok(()) };
        match answer_tamper(wallet, tamper, &self.scheme.rules, self.now_s()) {
            TamperAnswer::Revoke => Err(Code::GradeRefused.into()),
            TamperAnswer::Clear | TamperAnswer::Lower => Ok(()),
        }
    }

    /// Whether this grade is admitted, fits the element, and may show a name, which is a merchant's.
    fn check_grade(&self, element: &Element, grade: Grade, name: &Name) -> Result<(), Refusal> {
        self.scheme.rules.limits(grade).ok_or(Code::GradeRefused)?;
        if !element.may_claim(grade, self.scheme.sandbox) {
            return Err(Code::GradeRefused.into());
        }
        if grade.has_element() && !name.as_str().is_empty() {
            return Err(Code::ValueOutOfRange.into());
        }
        Ok(())
    }

    /// The activation that an enrolment uses up. A sandbox asks for none, but a code that is given must be good.
    fn activation(
        &self,
        desk: &Desk,
        psp: &str,
        account: &str,
        name: &str,
        code: Option<&str>,
    ) -> Result<Option<(Digest, String, String)>, Refusal> {
        let Some(code) = code else {
            return if self.scheme.sandbox { Ok(None) } else { Err(Code::ActivationRefused.into()) };
        };
        let hash = activation_hash(code, name);
        if !desk.store.activation_open(&hash, psp, account, self.now_s())? {
            return Err(Code::ActivationRefused.into());
        }
        Ok(Some((hash, psp.to_owned(), account.to_owned())))
    }
}

/// What is kept of an activation code: its hash, with the display name that the PSP vouches for.
pub(super) fn activation_hash(code: &str, name: &str) -> Digest {
    sha256(format!("{code}\0{name}").as_bytes())
}

/// A random start below 2^31, so that the gross total tells a payee nothing.
fn spent_start() -> Result<Amount, Refusal> {
    let start = u32::from_le_bytes(random()?) >> 1;
    Ok(Amount::new(u64::from(start)).unwrap_or(Amount::ZERO))
}
