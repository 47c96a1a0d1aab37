//! What devices hand on: the newest lists, proofs, and headers of payments lately taken.
//!
//! Every part is judged by itself. Lists must be the operator's and newer; a proof must prove; a header handed on is
//! only compared with headers that were shown here, never kept, so that nobody can fill this wallet with headers.

use alloc::vec::Vec;

use counterfoil_trust::{check_header, conflict, judge, open};
use counterfoil_wire::lists::{RevocationList, TrustList};
use counterfoil_wire::message::Payment;
use counterfoil_wire::proof::{Gossip, Proof, SignedHeader};
use counterfoil_wire::sync::Entry;
use counterfoil_wire::{Bytes, Error, PublicKey, Wire};

use crate::TrustedApp;
use crate::api::Reply;
use crate::env::{Env, Store};
use crate::pay::headers_of;
use crate::settle::Lists;
use crate::state::{count, keys, proof_key, read, read_all, store_error};

/// Proofs looked at in one session.
const PROOFS_A_SESSION: usize = 8;

/// Proofs kept, one a key.
const PROOFS_KEPT: usize = 64;

/// Headers looked at in one session.
const HEADERS_A_SESSION: usize = 128;

/// Bytes that the outer arrays and their lengths may take.
const FRAME: usize = 24;

impl<E: Env> TrustedApp<E> {
    pub(crate) fn gossip_out(&mut self, room: u32) -> Result<Reply, Error> {
        let start = u16::from_be_bytes(self.random());
        let state = self.state()?;
        let mut room = usize::try_from(room).unwrap_or(usize::MAX).saturating_sub(FRAME);
        let mut fits = |len: usize| match room.checked_sub(len.saturating_add(3)) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        };
        let store = self.env.store();
        let revocation = read::<Bytes, _>(store, keys::REVOCATION_ENVELOPE)?;
        let mut proofs: Vec<Proof> = Vec::new();
        // Proofs about payers of this wallet first, then the others from anywhere: whoever makes up keys can choose
        // where they sort, and must not keep a true proof from travelling.
        let (mut held, mut others) = (Vec::new(), Vec::new());
        for (_, proof) in read_all::<Proof, _>(store, b"p")? {
            if self.paid_here(&proof.first.header.key)? { held.push(proof) } else { others.push(proof) }
        }
        let start = usize::from(start).checked_rem(others.len()).unwrap_or(0);
        others.rotate_left(start);
        for proof in held.into_iter().chain(others) {
            if proofs.len() < PROOFS_A_SESSION && fits(proof.to_bytes().len()) {
                proofs.push(proof);
            }
        }
        let revocation = revocation.filter(|list| fits(list.0.len()));
        let mut headers: Vec<SignedHeader> = Vec::new();
        if state.rules.as_ref().is_some_and(|rules| rules.share_headers) {
            let mut seq = state.core.head_seq;
            while seq > state.core.acked_seq && headers.len() < HEADERS_A_SESSION {
                if let Some(Entry::Receipt { payment }) = read::<Entry, _>(store, &keys::by_seq(b'j', seq))? {
                    let header = open::<Payment>(&payment.0)?.signed_header();
                    if !fits(header.to_bytes().len()) {
                        break;
                    }
                    headers.push(header);
                }
                seq = seq.saturating_sub(1);
            }
        }
        let trust = state.trust_envelope.clone().filter(|list| fits(list.0.len()));
        let gossip = Gossip { revocation, trust, proofs, headers };
        Ok(Reply::Message { message: Bytes(gossip.to_message()), again: false })
    }

    pub(crate) fn gossip_in(&mut self, bytes: &[u8]) -> Result<Reply, Error> {
        let gossip = Gossip::from_message(bytes)?;
        self.state()?.cert()?;
        let now_s = self.now_s()?;
        let mut lists = Lists::of(self.state()?);
        let scheme = *self.state()?.scheme();
        // What is older than what is held is not adopted, but what is damaged is refused all the same.
        if let Some(trust) = &gossip.trust {
            open::<TrustList>(&trust.0)?.check_signature(&scheme)?;
            lists.adopt_trust(trust)?;
        }
        if let Some(revocation) = &gossip.revocation {
            open::<RevocationList>(&revocation.0)?.check_signature(&scheme)?;
            lists.adopt_revocation(revocation, now_s)?;
        }
        let mut change = self.begin()?;
        let revocation_new = lists.revocation_changed();
        lists.write(&mut change);
        let mut cheats: Vec<PublicKey> = Vec::new();
        let held = count(self.env.store(), b"p")?;
        let mut strangers = self.proven_strangers()?;
        for proof in gossip.proofs.iter().take(PROOFS_A_SESSION) {
            judge(&scheme, proof)?;
            let key = proof.first.header.key;
            if cheats.contains(&key) || self.holds_proof(&key)? {
                continue;
            }
            // A proof does not say that its key is a wallet's, so anybody can make up keys to fill this memory with. A
            // proof about a payer of this wallet is kept in any case; another takes the place of one, not in turn.
            if held.saturating_add(cheats.len()) >= PROOFS_KEPT && !self.paid_here(&key)? {
                let at = usize::from(u16::from_be_bytes(self.random())).checked_rem(strangers.len());
                let Some(at) = at else { continue };
                change.batch.delete(strangers.swap_remove(at));
            }
            change.put(proof_key(&key), proof);
            cheats.push(key);
        }
        for header in gossip.headers.iter().take(HEADERS_A_SESSION) {
            check_header(&scheme, header)?;
            let key = header.header.key;
            if cheats.contains(&key) || self.holds_proof(&key)? {
                continue;
            }
            let shown = read_all::<SignedHeader, _>(self.env.store(), &headers_of(&key))?;
            let other =
                shown.into_iter().map(|(_, shown)| shown).find(|shown| conflict(shown, header).is_some());
            if let Some(other) = other {
                change.put(proof_key(&key), &Proof { first: other, second: header.clone() });
                cheats.push(key);
            }
        }
        let revocation_no = lists.revocation_number();
        self.commit_with(change, |state| lists.install(state))?;
        Ok(Reply::Learnt { revocation_no, revocation_new, cheats })
    }

    /// Whether a payment of `key` was decided here and is still remembered: the key is a wallet's, by its certificate.
    fn paid_here(&self, key: &PublicKey) -> Result<bool, Error> {
        Ok(count(self.env.store(), &headers_of(key))? > 0)
    }

    /// Where proofs about keys that never paid here are kept.
    fn proven_strangers(&self) -> Result<Vec<Vec<u8>>, Error> {
        let mut places = Vec::new();
        for (place, proof) in read_all::<Proof, _>(self.env.store(), b"p")? {
            if !self.paid_here(&proof.first.header.key)? {
                places.push(place);
            }
        }
        Ok(places)
    }

    fn holds_proof(&self, key: &PublicKey) -> Result<bool, Error> {
        Ok(self.env.store().get(&proof_key(key)).map_err(store_error)?.is_some())
    }
}
