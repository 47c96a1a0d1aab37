//! The answer to a statement: what became of the wallet's payments, how much it may spend, whether it may go on.

use counterfoil_wire::rules::{Limits, Rules};
use counterfoil_wire::sync::{Outcome, Resolution, Standing};
use counterfoil_wire::{Amount, message};

use super::reconcile::WorkingSet;
use super::record::{Record, bit};
use super::wallet::Wallet;

/// How far a new certificate lets the gross total go. Where received value may be spent before a sync, `percent` of the
/// limit since a sync is all that bounds it; where not, neither can more be spent than the balance after the settlement.
pub fn ceiling(limits: &Limits, percent: u8, spent: Amount, balance: Amount) -> Amount {
    let total = limits.sync_total_max.share(percent);
    let limit = if limits.respend_percent > 0 { total } else { total.min(balance) };
    spent.plus(limit).unwrap_or(Amount::MAX)
}

/// The balance that a wallet will have once it has applied the settlement with `resolutions`.
pub fn balance_after(wallet: &Wallet, resolutions: &[Resolution], set: &WorkingSet) -> Amount {
    let refunds = resolutions.iter().filter(|resolution| resolution.outcome == Outcome::Refunded);
    let refunds =
        refunds.filter_map(|resolution| set.records.get(&resolution.payment)).map(|record| record.amount);
    let returned = wallet.returned.iter().map(|(_, amount)| *amount);
    let funding = wallet.funding_total.minus_or_zero(wallet.funding_applied);
    let more = refunds.chain(returned).chain([funding]);
    let sum = more.fold(wallet.claimed, |sum, amount| sum.plus(amount).unwrap_or(Amount::MAX));
    sum.minus_or_zero(wallet.paid_out)
}

/// Decides every payment that `wallet` sent and does not know the end of. Decisions to refund are marked on the
/// records, so that they stand whatever comes later.
pub fn resolve(wallet: &Wallet, set: &mut WorkingSet, rules: &Rules, now_s: u32) -> Vec<Resolution> {
    let WorkingSet { wallets, records, .. } = set;
    let mut resolutions = Vec::new();
    let open = records.values_mut().filter(|record| {
        record.payer == wallet.id && record.has(bit::PAYER) && !record.has(bit::CLOSED | bit::RETURNED)
    });
    for record in open {
        let outcome = if record.is_taken() {
            Outcome::Confirmed
        } else if record.has(bit::REFUND_DECIDED)
            || will_never_take(wallets.get(&record.payee), record, rules, now_s)
        {
            record.bits |= bit::REFUND_DECIDED;
            Outcome::Refunded
        } else {
            continue;
        };
        resolutions.push(Resolution { payment: record.id, outcome });
    }
    resolutions
}

/// Whether the payee's trusted application has journaled something after which it cannot take the payment any more, or
/// its key is gone for so long that the operator takes the consequence. Everything that it took before its last
/// statement is in that statement.
fn will_never_take(payee: Option<&Wallet>, record: &Record, rules: &Rules, now_s: u32) -> bool {
    let until_s = payee.map_or(0, |payee| payee.cert_until_s).max(record.payer_until_s);
    let gone = until_s.saturating_add(rules.grace_s) < now_s;
    // A key that was never enrolled: only a broken element pays one.
    let Some(payee) = payee else { return gone };
    record.has(bit::DECLINED) || closed(payee, record) || gone
}

/// Whether `payee` stated that its trusted application will never take a payment like this.
pub fn closed(payee: &Wallet, record: &Record) -> bool {
    let one_time = record.request_no < message::STANDING_FIRST;
    (one_time && record.request_no < payee.closed_below) || record.payer_until_s < payee.closed_before_s
}

/// The balance to tell a wallet that may not go on.
pub fn true_balance(wallet: &Wallet) -> Option<Amount> {
    (wallet.standing == Standing::Suspended).then(|| wallet.shadow_or_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use counterfoil_wire::cert::Grade;
    use counterfoil_wire::rules::Preset;

    fn minor(minor: u64) -> Amount {
        Amount::new(minor).unwrap()
    }

    #[test]
    fn a_ceiling_follows_the_respending_share_and_stays_in_bounds() {
        let online = Preset::Permissive.rules();
        let staged = Preset::UpiLiteX.rules();
        let of = |rules: &Rules, spent, balance| {
            ceiling(rules.limits(Grade::VirtualSe).unwrap(), 100, spent, balance).minor()
        };
        assert_eq!(of(&online, minor(7), Amount::ZERO), 100_007);
        assert_eq!(of(&staged, minor(7), Amount::ZERO), 7);
        assert_eq!(of(&staged, minor(7), minor(500)), 507);
        assert_eq!(of(&staged, minor(7), Amount::MAX), 200_007);
        assert_eq!(of(&online, Amount::MAX, Amount::ZERO), Amount::MAX.minor());
        let lowered = |rules: &Rules, balance| {
            ceiling(rules.limits(Grade::VirtualSe).unwrap(), 20, minor(7), balance).minor()
        };
        assert_eq!(lowered(&online, Amount::ZERO), 20_007);
        assert_eq!(lowered(&staged, minor(500)), 507);
        assert_eq!(lowered(&staged, Amount::MAX), 40_007);
    }
}
