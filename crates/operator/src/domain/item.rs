//! What is open in the reconciliation: each item with its reason, who has to act, since when and until when.
//!
//! An item that waits for a payer or a payee waits for a sync, and a wallet must sync before its certificate ends. Then it is the
//! business of the PSP behind it, which knows its customer, and when the grace period has passed too the operator's, which decides.

use counterfoil_wire::rules::Rules;
use serde::Serialize;

use super::reason::{Owner, Reason};
use super::record::Record;
use super::wallet::Wallet;

/// An open item: a payment about which somebody has to do something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Item {
    /// The payment, in hex.
    pub payment: String,
    /// Why it is open.
    pub reason: Reason,
    /// Who has to act now.
    pub owner: Owner,
    /// Minor units.
    pub amount: u64,
    /// Key of the payer, in hex.
    pub payer: String,
    /// The payer's PSP; none for a key that was never enrolled.
    pub payer_psp: Option<String>,
    /// Key of the payee, in hex.
    pub payee: String,
    /// The payee's PSP; none for a key that was never enrolled.
    pub payee_psp: Option<String>,
    /// When the operator first heard of it, seconds since 1970.
    pub since_s: u32,
    /// When it becomes the next one's business if nothing happens, seconds since 1970; none if it stays with its owner.
    pub due_s: Option<u32>,
    /// Whether who had to act first did not.
    pub escalated: bool,
}

/// The item of a payment, if somebody has to act.
pub fn item(
    record: &Record,
    payer: Option<&Wallet>,
    payee: Option<&Wallet>,
    rules: &Rules,
    now_s: u32,
) -> Option<Item> {
    let reason = record.reason();
    let first = reason.owner();
    let ends = |wallet: Option<&Wallet>| wallet.map_or(0, |wallet| wallet.cert_until_s);
    let (wallet, psp) = match first {
        Owner::Nobody => return None,
        Owner::Payer => (Some(payer), Owner::PayerPsp),
        Owner::Payee => (Some(payee), Owner::PayeePsp),
        Owner::PayerPsp | Owner::PayeePsp | Owner::Operator => (None, first),
    };
    let (owner, due_s) = match wallet {
        None => (first, None),
        Some(wallet) => {
            let until_s = ends(wallet).max(record.payer_until_s);
            let given_up_s = until_s.saturating_add(rules.grace_s);
            if now_s <= until_s {
                (first, Some(until_s))
            } else if now_s <= given_up_s && wallet.is_some() {
                (psp, Some(given_up_s))
            } else {
                (Owner::Operator, None)
            }
        }
    };
    Some(Item {
        payment: record.id.to_string(),
        reason,
        owner,
        amount: record.amount.minor(),
        payer: record.payer.to_string(),
        payer_psp: payer.map(|wallet| wallet.psp.clone()),
        payee: record.payee.to_string(),
        payee_psp: payee.map(|wallet| wallet.psp.clone()),
        since_s: record.first_seen_s,
        due_s,
        escalated: owner != first,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::record::bit;
    use counterfoil_trust::SigningKey;
    use counterfoil_wire::cert::Grade;
    use counterfoil_wire::rules::Preset;
    use counterfoil_wire::{Algorithm, Amount, Digest};

    fn wallet(secret: u8, psp: &str, cert_until_s: u32) -> Wallet {
        let key = SigningKey::from_secret(Algorithm::EdDsa, &[secret; 32]).unwrap().public();
        Wallet { cert_until_s, ..Wallet::new(key, psp, "x", Grade::VirtualSe, 1) }
    }

    #[test]
    fn who_has_to_act_is_first_the_wallet_then_its_psp_then_the_operator() {
        let rules = Preset::Permissive.rules();
        let (payer, payee) = (wallet(1, "alpha", 2_000), wallet(2, "beta", 3_000));
        let record = |bits| Record {
            id: Digest([7; 32]),
            payer: payer.id,
            payer_seq: 1,
            payee: payee.id,
            request_no: 1,
            amount: Amount::new(250).unwrap(),
            spent: Amount::new(250).unwrap(),
            payer_until_s: 1_000,
            bits,
            first_seen_s: 500,
            payment: Vec::new(),
        };
        let of = |bits, payee: Option<&Wallet>, now_s| {
            let item = item(&record(bits), Some(&payer), payee, &rules, now_s)?;
            Some((item.reason, item.owner, item.due_s, item.escalated))
        };
        let sent = bit::PAYER | bit::DEBITED;
        let taken = bit::PAYEE | bit::DEBITED | bit::CREDITED;
        let grace = |until_s: u32| until_s + rules.grace_s;
        for (bits, now_s, due) in [
            (sent, 3_000, (Reason::PayerOnly, Owner::Payee, Some(3_000), false)),
            (sent, 3_001, (Reason::PayerOnly, Owner::PayeePsp, Some(grace(3_000)), true)),
            (sent, grace(3_000) + 1, (Reason::PayerOnly, Owner::Operator, None, true)),
            (taken, 2_000, (Reason::PayeeOnly, Owner::Payer, Some(2_000), false)),
            (taken, 2_001, (Reason::PayeeOnly, Owner::PayerPsp, Some(grace(2_000)), true)),
            (sent | bit::DECLINED, 600, (Reason::Declined, Owner::Payer, Some(2_000), false)),
            (sent | taken | bit::FORKED, 600, (Reason::Forked, Owner::PayerPsp, None, false)),
            (sent | taken | bit::LATE, 600, (Reason::Late, Owner::Operator, None, false)),
        ] {
            assert_eq!(of(bits, Some(&payee), now_s), Some(due));
        }
        assert_eq!(of(sent | taken, Some(&payee), 600), None);
        assert_eq!(of(sent | bit::RETURNED | bit::REFUND_DECIDED, Some(&payee), 600), None);
        // A key that nobody enrolled has no PSP that could be asked.
        assert_eq!(of(sent, None, 1_001), Some((Reason::PayerOnly, Owner::Operator, None, true)));
    }
}
