//! What the holder may see.

use alloc::vec::Vec;

use counterfoil_wire::cert::Name;
use counterfoil_wire::proof::Proof;
use counterfoil_wire::{Amount, Code, Digest, Error};

use crate::TrustedApp;
use crate::api::{Overview, PaymentRow, PaymentState, Reply, RequestRow};
use crate::env::Env;
use crate::limits::spendable;
use crate::state::{Incoming, OpenRequest, Outgoing, read_all};
use crate::statement::number_of;

impl<E: Env> TrustedApp<E> {
    pub(crate) fn show(&self) -> Result<Reply, Error> {
        let (state, store) = (self.state()?, self.env.store());
        let core = &state.core;
        let mut payments = Vec::new();
        for (key, outgoing) in read_all::<Outgoing, _>(store, b"o")? {
            payments.push(PaymentRow {
                id: outgoing.id,
                amount: outgoing.amount,
                state: outgoing.state,
                peer: outgoing.payee.key,
                peer_name: outgoing.payee.name,
                seq: number_of(&key).ok_or(Code::Damaged)?,
            });
        }
        for (key, incoming) in read_all::<Incoming, _>(store, b"i")? {
            let id = key.get(1..).and_then(|id| id.try_into().ok()).map(Digest).ok_or(Code::Damaged)?;
            let state = if incoming.accepted { PaymentState::Accepted } else { PaymentState::Declined };
            payments.push(PaymentRow {
                id,
                amount: incoming.amount,
                state,
                peer: incoming.payer,
                peer_name: Name::default(),
                seq: incoming.payer_seq,
            });
        }
        let mut requests = Vec::new();
        for (key, open) in read_all::<OpenRequest, _>(store, b"q")? {
            let number = number_of(&key).ok_or(Code::Damaged)?;
            requests.push(RequestRow { number, amount: open.amount, expiry_s: open.expiry_s });
        }
        let proofs = read_all::<Proof, _>(store, b"p")?;
        let spendable = match state.limits() {
            Ok(limits) if core.grade.has_element() => spendable(core, limits).ok_or(Code::Damaged)?,
            _ => Amount::ZERO,
        };
        let overview = Overview {
            key: state.public,
            root: core.root.clone(),
            cert: state.cert.clone(),
            grade: core.grade,
            funded: core.funded,
            received: core.received,
            spendable,
            spent: core.spent,
            funding_total: core.funding_total,
            order: state.order.as_ref().map(|order| order.amount),
            defunding: core.defunding,
            time_bound_s: core.time_bound_s,
            synced_at_s: core.synced_at_s,
            sync_total: core.counters.total,
            sync_count: core.counters.count,
            receipts_count: core.counters.receipts,
            pin_tries: core.pin.as_ref().map(|pin| pin.tries),
            rules_no: core.rules_no,
            trust_no: state.anchors.list_no,
            revocation_no: state.revoked.number,
            standing: core.standing,
            tamper: core.tamper,
            platform: core.platform,
            statement_pending: state.statement.is_some(),
            journal_len: core.head_seq.saturating_sub(core.acked_seq),
            payments,
            requests,
            cheats: proofs.into_iter().map(|(_, proof)| proof.cert.key).collect(),
        };
        Ok(Reply::Overview { overview })
    }
}
