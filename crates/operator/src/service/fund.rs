//! Funding: value from the account behind a wallet.
//!
//! An order is written down as pending, the rail is asked under an id that names the order, and the answer is booked. A
//! crash between any two of these leaves a pending order, which the next start or the next try finishes: the rail makes
//! a transfer once for each id.

use counterfoil_rail::{Account as RailAccount, Rail, RailError};
use counterfoil_trust::{key_id, open, sha256};
use counterfoil_wire::sync::FundOrder;
use counterfoil_wire::{Amount, Code};
use serde::Serialize;

use super::{Desk, Service};
use crate::domain::ledger::{Account, Kind, Posting};
use crate::error::Refusal;
use crate::store::{Batch, Order, OrderState};

/// What became of a fund order.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct FundReply {
    /// Its number.
    pub order_no: u32,
    /// Whether the value is the wallet's; it arrives with the next settlement.
    pub granted: bool,
    /// Minor units.
    pub amount: u64,
    /// All funding ever granted to this wallet, minor units.
    pub funding_total: u64,
}

impl Service {
    /// Does the fund order in `bytes`, once. Asked again it answers what it answered.
    ///
    /// # Errors
    /// Those of [`open`]; [`Code::UnknownWallet`]; [`Code::WalletClosed`], [`Code::KeyRevoked`] for a wallet that may not go on;
    /// [`Code::RailRefused`], after which the order's number is used up; [`Code::IdempotencyReused`] for a number that
    /// another order had; [`Code::ValueOutOfRange`] for a number that is not the next, or an amount of zero;
    /// [`Code::RailUnavailable`].
    pub fn fund(&self, bytes: &[u8]) -> Result<FundReply, Refusal> {
        let opened = open::<FundOrder>(bytes)?;
        opened.check_signature(&self.scheme.anchors.scheme)?;
        let id = key_id(opened.envelope.signer.key());
        let digest = sha256(&opened.envelope.body.0);
        let FundOrder { number, amount, .. } = opened.body;
        self.exclusively(|desk| {
            let wallet = desk.store.wallet(&id)?.ok_or(Code::UnknownWallet)?;
            let order = match desk.store.order(&id, number)? {
                Some(order) if order.digest == digest => order,
                Some(_) => return Err(Code::IdempotencyReused.into()),
                None => {
                    if wallet.is_closed() {
                        return Err(Code::WalletClosed.into());
                    }
                    if !wallet.is_good() {
                        return Err(Code::KeyRevoked.into());
                    }
                    if wallet.order_no.checked_add(1) != Some(number) || amount.is_zero() {
                        return Err(Code::ValueOutOfRange.into());
                    }
                    let order = Order { wallet: id, number, digest, amount, state: OrderState::Pending };
                    desk.store.commit(&Batch { order: Some(order.clone()), ..Batch::default() })?;
                    order
                }
            };
            let order = self.finish_order(desk, order)?;
            if order.state == OrderState::Refused {
                return Err(Code::RailRefused.into());
            }
            let wallet = desk.store.wallet(&id)?.ok_or(Code::UnknownWallet)?;
            let funding_total = wallet.funding_total.minor();
            Ok(FundReply { order_no: number, granted: true, amount: amount.minor(), funding_total })
        })
    }

    /// Asks the rail about a pending order and books the answer.
    pub(super) fn finish_order(&self, desk: &mut Desk, mut order: Order) -> Result<Order, Refusal> {
        if order.state != OrderState::Pending {
            return Ok(order);
        }
        let mut wallet = desk.store.wallet(&order.wallet)?.ok_or(Code::UnknownWallet)?;
        let id = format!("fund:{}:{}", order.wallet, order.number);
        let from = RailAccount::new(&wallet.psp, &wallet.account);
        let asked = desk.rail.transfer(&id, &from, &RailAccount::float(), order.amount.minor());
        wallet.order_no = wallet.order_no.max(order.number);
        let mut postings = Vec::new();
        match asked {
            Ok(_) => {
                order.state = OrderState::Granted;
                let minor = i64::try_from(order.amount.minor()).unwrap_or(i64::MAX);
                wallet.shadow = wallet.shadow.saturating_add(minor);
                wallet.funding_total = wallet.funding_total.plus(order.amount).unwrap_or(Amount::MAX);
                postings.push(Posting {
                    wallet: wallet.id,
                    kind: Kind::Fund,
                    reference: sha256(id.as_bytes()),
                    debit: Account::Float,
                    credit: Account::Offline(wallet.id),
                    amount: order.amount,
                });
            }
            Err(RailError::InsufficientFunds) => order.state = OrderState::Refused,
            Err(error) => return Err(error.into()),
        }
        desk.store.commit(&Batch {
            wallets: vec![wallet],
            postings,
            order: Some(order.clone()),
            ..Batch::default()
        })?;
        Ok(order)
    }
}
