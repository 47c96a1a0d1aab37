//! An operator without a ledger: it answers as the specification says for wallets that behave, and keeps what it needs
//! for that in memory. It judges nobody; `counterfoil-operator` does.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_trust::open;
use counterfoil_wire::cert::{Grade, Name, WalletCert};
use counterfoil_wire::header::Signer;
use counterfoil_wire::message::{Payment, STANDING_FIRST};
use counterfoil_wire::rules::{Preset, Rules};
use counterfoil_wire::sync::{
    Enrolment, Entry, FundOrder, Outcome, Resolution, Settlement, Standing, Statement,
};
use counterfoil_wire::{Algorithm, Amount, Bytes, Code, Digest, Error, Nonce, PublicKey, Wire};

use super::authority::{Keys, Scheme};
use super::{START_S, amount};

/// What the operator knows of one payment.
#[derive(Clone)]
struct Half {
    payer: PublicKey,
    payee: PublicKey,
    request_no: u32,
    not_after_s: u32,
    taken: bool,
    declined: bool,
}

/// What the operator knows of one wallet.
#[derive(Clone)]
struct Account {
    index: u32,
    cert: WalletCert,
    granted: Amount,
    order_no: u32,
    spent: Amount,
    closed_below: u32,
    closed_before_s: u32,
}

/// The operator.
pub struct Operator {
    /// Its scheme.
    pub scheme: Scheme,
    /// The rules in force.
    pub rules: Rules,
    /// Its clock, seconds since 1970.
    pub now_s: u32,
    /// How far above `spent` the next ceilings are, where not as far as the rules allow.
    pub ceiling_margin: Option<Amount>,
    /// Whether the next settlement returns the defundings that the statement names.
    pub return_defundings: bool,
    /// Keys whose next settlement unblocks the PIN.
    pub unblock: BTreeSet<PublicKey>,
    revocation_no: u32,
    revoked: BTreeSet<u32>,
    accounts: BTreeMap<PublicKey, Account>,
    payments: BTreeMap<Digest, Half>,
}

impl Operator {
    /// An operator with permissive rules and nobody enrolled.
    ///
    /// # Errors
    /// As [`Scheme::new`].
    pub fn new(label: &str, keys: Keys) -> Result<Self, Error> {
        Ok(Self {
            scheme: Scheme::new(label, keys)?,
            rules: Preset::Permissive.rules(),
            now_s: START_S,
            ceiling_margin: None,
            return_defundings: false,
            unblock: BTreeSet::new(),
            revocation_no: 1,
            revoked: BTreeSet::new(),
            accounts: BTreeMap::new(),
            payments: BTreeMap::new(),
        })
    }

    /// An operator who knows the same, for another course of events.
    ///
    /// # Errors
    /// As [`Scheme::new`].
    pub fn fork(&self, label: &str, keys: Keys) -> Result<Self, Error> {
        Ok(Self {
            scheme: Scheme::new(label, keys)?,
            rules: self.rules.clone(),
            now_s: self.now_s,
            ceiling_margin: self.ceiling_margin,
            return_defundings: self.return_defundings,
            unblock: self.unblock.clone(),
            revocation_no: self.revocation_no,
            revoked: self.revoked.clone(),
            accounts: self.accounts.clone(),
            payments: self.payments.clone(),
        })
    }

    /// Revokes a wallet: the next list names it, and its next settlement suspends it.
    ///
    /// # Errors
    /// [`Code::UnknownWallet`].
    pub fn revoke(&mut self, key: &PublicKey) -> Result<(), Error> {
        let index = self.account(key)?.index;
        self.revoked.insert(index);
        self.revocation_no = self.revocation_no.saturating_add(1);
        Ok(())
    }

    /// The whole revocation list, as it travels.
    pub fn revocation_list(&self) -> Bytes {
        let indexes: Vec<u32> = self.revoked.iter().copied().collect();
        self.scheme.revocation_list(self.revocation_no, self.now_s, &indexes)
    }

    fn account(&self, key: &PublicKey) -> Result<&Account, Error> {
        self.accounts.get(key).ok_or(Code::UnknownWallet.into())
    }

    fn account_mut(&mut self, key: &PublicKey) -> Result<&mut Account, Error> {
        self.accounts.get_mut(key).ok_or(Code::UnknownWallet.into())
    }

    fn issue(
        &self,
        index: u32,
        grade: Grade,
        key: PublicKey,
        ceiling: Amount,
        name: Name,
    ) -> Result<WalletCert, Error> {
        let limits = self.rules.limits(grade).ok_or(Code::GradeRefused)?;
        let unsigned = self.scheme.unsigned(key, index, grade)?;
        let lifetime_h = limits.cert_lifetime_h;
        self.scheme.certify(WalletCert { not_before_s: self.now_s, lifetime_h, ceiling, name, ..unsigned })
    }

    fn ceiling(&self, spent: Amount, grade: Grade) -> Result<Amount, Error> {
        let limits = self.rules.limits(grade).ok_or(Code::GradeRefused)?;
        let margin = self.ceiling_margin.unwrap_or(limits.sync_total_max);
        spent.plus(margin).ok_or(Code::ValueOutOfRange.into())
    }

    /// Answers an enrolment with a settlement.
    ///
    /// # Errors
    /// Those of [`open`]; [`Code::BadSignature`]; [`Code::GradeRefused`].
    pub fn enrol(&mut self, enrolment: &Bytes) -> Result<Bytes, Error> {
        let opened = open::<Enrolment>(&enrolment.0)?;
        opened.check_signature(&self.scheme.id())?;
        let (key, body) = (opened.header.key, &opened.body);
        let first = if key.algorithm() == Algorithm::EdDsa { 0 } else { 1000 };
        let index = first + u32::try_from(self.accounts.len()).unwrap_or(u32::MAX);
        let spent = amount(123_456 + 1000 * u64::from(index));
        let cert = self.issue(index, body.grade, key, self.ceiling(spent, body.grade)?, body.name.clone())?;
        let account = Account {
            index,
            cert: cert.clone(),
            granted: Amount::ZERO,
            order_no: 0,
            spent,
            closed_below: 0,
            closed_before_s: 0,
        };
        self.accounts.insert(key, account);
        let settlement = Settlement {
            spent_start: Some(spent),
            cert: Some(cert),
            root: Some(self.scheme.root.clone()),
            ..self.settlement(key, body.nonce)
        };
        Ok(Bytes(self.scheme.sign(&settlement).to_bytes()))
    }

    fn settlement(&self, wallet: PublicKey, nonce: Nonce) -> Settlement {
        Settlement {
            wallet,
            nonce,
            acked_seq: 0,
            acked: Digest::NONE,
            time_s: self.now_s,
            funding_total: Amount::ZERO,
            order_no: 0,
            spent_start: None,
            resolutions: vec![],
            returned: vec![],
            paid_out: Amount::ZERO,
            standing: Standing::Good,
            balance: None,
            pin_unblocked: false,
            cert: None,
            root: None,
            trust: Some(self.scheme.trust_message.clone()),
            rules: Some(Bytes(self.scheme.sign(&self.rules).to_bytes())),
            revocation: Some(self.revocation_list()),
        }
    }

    /// Grants a fund order.
    ///
    /// # Errors
    /// Those of [`open`]; [`Code::BadSignature`]; [`Code::UnknownWallet`].
    pub fn take_order(&mut self, order: &Bytes) -> Result<(), Error> {
        let opened = open::<FundOrder>(&order.0)?;
        opened.check_signature(&self.scheme.id())?;
        let account = self.account_mut(&opened.header.key)?;
        if opened.body.number > account.order_no {
            account.order_no = opened.body.number;
            account.granted = account.granted.plus(opened.body.amount).ok_or(Code::ValueOutOfRange)?;
        }
        Ok(())
    }

    /// Answers a statement.
    ///
    /// # Errors
    /// Those of [`open`]; [`Code::BadSignature`]; [`Code::UnknownWallet`].
    pub fn settle(&mut self, statement: &Bytes) -> Result<Bytes, Error> {
        let opened = open::<Statement>(&statement.0)?;
        opened.check_signature(&self.scheme.id())?;
        let (key, body) = (opened.header.key, &opened.body);
        let cert = self.account(&key)?.cert.clone();
        let (mut paid_out, mut returned) = (Amount::ZERO, vec![]);
        for (seq, entry) in (body.after_seq.saturating_add(1)..).zip(&body.entries) {
            match entry {
                Entry::Payment { payment } => {
                    let (spent, _) = self.note(payment)?;
                    let account = self.account_mut(&key)?;
                    account.spent = account.spent.max(spent);
                }
                Entry::Receipt { payment } => {
                    let (_, id) = self.note(payment)?;
                    if let Some(half) = self.payments.get_mut(&id) {
                        half.taken = true;
                    }
                    if !cert.grade.has_element() {
                        let paid = open::<Payment>(&payment.0)?.body.amount;
                        paid_out = paid_out.plus(paid).ok_or(Code::ValueOutOfRange)?;
                    }
                }
                Entry::Decline { payment, .. } => {
                    let (_, id) = self.note(payment)?;
                    if let Some(half) = self.payments.get_mut(&id) {
                        half.declined = true;
                    }
                }
                Entry::Defund { .. } if self.return_defundings => returned.push(seq),
                _ => {}
            }
        }
        let account = self.account_mut(&key)?;
        account.closed_below = body.closed_below;
        account.closed_before_s = body.closed_before_s;
        account.spent = account.spent.max(body.spent);
        let account = self.account(&key)?.clone();
        let ceiling = self.ceiling(account.spent, cert.grade)?;
        let renewed = self.issue(account.index, cert.grade, key, ceiling, cert.name)?;
        let suspended = self.revoked.contains(&account.index);
        let everything = self.settlement(key, body.nonce);
        let settlement = Settlement {
            // What the wallet holds already is not sent again.
            trust: everything.trust.filter(|_| body.trust_no < self.scheme.trust.number),
            rules: everything.rules.filter(|_| body.rules_no < self.rules.number),
            revocation: everything.revocation.filter(|_| body.revocation_no < self.revocation_no),
            acked_seq: body.seq,
            acked: opened.id(&self.scheme.id()),
            funding_total: account.granted,
            order_no: account.order_no,
            resolutions: self.resolutions(&key),
            returned,
            paid_out,
            standing: if suspended { Standing::Suspended } else { Standing::Good },
            pin_unblocked: self.unblock.remove(&key),
            cert: Some(renewed),
            ..everything
        };
        Ok(Bytes(self.scheme.sign(&settlement).to_bytes()))
    }

    /// Keeps what is to be known of a payment; its gross total and its identifier.
    fn note(&mut self, payment: &Bytes) -> Result<(Amount, Digest), Error> {
        let opened = open::<Payment>(&payment.0)?;
        opened.check_signature(&self.scheme.id())?;
        let Signer::Cert(cert) = &opened.envelope.signer else { return Err(Code::WrongRole.into()) };
        let id = opened.id(&self.scheme.id());
        let half = Half {
            payer: opened.header.key,
            payee: opened.body.payee,
            request_no: opened.body.request_no,
            not_after_s: cert.not_after_s(),
            taken: false,
            declined: false,
        };
        self.payments.entry(id).or_insert(half);
        Ok((opened.body.spent, id))
    }

    /// What is decided about the payments of `payer`.
    fn resolutions(&self, payer: &PublicKey) -> Vec<Resolution> {
        let mut resolutions = vec![];
        for (id, half) in self.payments.iter().filter(|(_, half)| half.payer == *payer) {
            let closed = half.declined
                || self.accounts.get(&half.payee).is_some_and(|payee| {
                    (half.request_no < STANDING_FIRST && half.request_no < payee.closed_below)
                        || half.not_after_s < payee.closed_before_s
                });
            let outcome = if half.taken {
                Outcome::Confirmed
            } else if closed {
                Outcome::Refunded
            } else {
                continue;
            };
            resolutions.push(Resolution { payment: *id, outcome });
        }
        resolutions
    }
}
