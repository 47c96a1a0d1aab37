//! The payer's limits, in the order in which they are checked.

use counterfoil_wire::rules::Limits;
use counterfoil_wire::{Amount, Code, Error};

use crate::state::{Core, State, Window};

/// How a payment is taken out of the two balances.
pub struct Split {
    pub from_funded: Amount,
    pub from_received: Amount,
}

/// The window that the operator's time is in, empty if it has moved on since the last payment.
pub fn current_window(core: &Core, limits: &Limits) -> Window {
    let index = core.time_bound_s.checked_div(limits.window_s).unwrap_or(0);
    if core.window.index == index {
        core.window.clone()
    } else {
        Window { index, total: Amount::ZERO, count: 0 }
    }
}

/// What could be paid now out of both balances: all that was funded, and the share of received value that the rules
/// let a wallet spend before a sync.
pub fn spendable(core: &Core, limits: &Limits) -> Option<Amount> {
    let share = core.counters.received.share(limits.respend_percent);
    let respendable = share.minus_or_zero(core.counters.respent).min(core.received);
    core.funded.plus(respendable)
}

/// Whether the rules let this wallet pay `amount` now, PIN apart.
///
/// # Errors
/// The first limit that is passed, in the order of the specification.
pub fn check_payment(state: &State, amount: Amount, now_s: u32) -> Result<Split, Error> {
    let (core, limits, cert) = (&state.core, state.limits()?, state.cert()?);
    let over = |limit: Amount, used: Amount| used.plus(amount).is_none_or(|sum| sum > limit);
    if now_s > cert.not_after_s() {
        return Err(Code::OwnCertificateExpired.into());
    }
    if now_s.saturating_sub(core.synced_at_s) > limits.offline_max_s {
        return Err(Code::OfflineTooLong.into());
    }
    if amount > limits.payment_max {
        return Err(Code::PaymentTooLarge.into());
    }
    if amount > state.balance()? {
        return Err(Code::InsufficientFunds.into());
    }
    if amount > spendable(core, limits).ok_or(Code::Damaged)? {
        return Err(Code::RespendShare.into());
    }
    if over(limits.sync_total_max, core.counters.total) {
        return Err(Code::TotalSinceSync.into());
    }
    if core.counters.count >= limits.sync_count_max {
        return Err(Code::CountSinceSync.into());
    }
    let window = current_window(core, limits);
    if over(limits.window_total_max, window.total) {
        return Err(Code::WindowTotal.into());
    }
    if window.count >= limits.window_count_max {
        return Err(Code::WindowCount.into());
    }
    if over(cert.ceiling, core.spent) {
        return Err(Code::CeilingReached.into());
    }
    let from_funded = amount.min(core.funded);
    Ok(Split { from_funded, from_received: amount.minus_or_zero(from_funded) })
}

/// Whether the rules ask for the PIN.
pub fn needs_pin(core: &Core, limits: &Limits, amount: Amount) -> bool {
    let total = core.counters.no_pin_total.plus(amount);
    amount > limits.no_pin_max || total.is_none_or(|total| total > limits.no_pin_total_max)
}
