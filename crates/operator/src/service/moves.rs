//! Transfers that postings ordered and that the rail has yet to make.

use counterfoil_rail::{Rail, RailError};

use super::Desk;
use crate::error::Refusal;
use crate::store::Batch;

/// Makes the transfers that were ordered. One that the rail does not make now stays ordered.
pub(super) fn move_money(desk: &mut Desk) -> Result<(), Refusal> {
    let mut made = Vec::new();
    for order in desk.store.pending_moves()? {
        match desk.rail.transfer(&order.id, &order.from, &order.to, order.amount.minor()) {
            Ok(_) => made.push((order.bucket, order.id)),
            Err(RailError::Unavailable(error)) => {
                tracing::warn!(%error, "a transfer waits for the rail");
                break;
            }
            Err(error) => tracing::error!(%error, "the rail does not make a transfer that was ordered"),
        }
    }
    if made.is_empty() {
        return Ok(());
    }
    Ok(desk.store.commit(&Batch { moved: made, ..Batch::default() })?)
}
