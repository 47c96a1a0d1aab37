//! What devices hand on: the newest lists, proofs, and headers of payments lately taken.
//!
//! Every part is judged by itself, lists first, so that a proof is judged by the newest trust list at hand. Lists must be
//! the operator's and newer. A proof must prove, about a wallet of the scheme; one whose issuer the trust list does not
//! name cannot be judged here and is passed over. A header handed on is only compared with headers that were shown here,
//! never kept, so that nobody can fill this wallet with headers.

use alloc::vec::Vec;

use counterfoil_trust::{check_header, judge, key_id, open};
use counterfoil_wire::cert::WalletCert;
use counterfoil_wire::lists::{RevocationList, TrustList};
use counterfoil_wire::message::Payment;
use counterfoil_wire::proof::{Gossip, Proof, SignedHeader};
use counterfoil_wire::sync::Entry;
use counterfoil_wire::{Bytes, Code, Error, PublicKey, Wire};

use crate::TrustedApp;
use crate::api::Reply;
use crate::env::{Env, Store};
use crate::settle::Lists;
use crate::shown::contradiction;
use crate::state::{Change, keys, payer_cert_key, proof_key, read, read_all};

/// Proofs looked at in one session.
const PROOFS_A_SESSION: usize = 8;

/// Proofs kept, one a key. When a further one comes, the one whose certificate ends soonest makes room: its key is refused
/// soonest for other reasons.
const PROOFS_KEPT: usize = 64;

/// Headers looked at in one session.
const HEADERS_A_SESSION: usize = 128;

/// Bytes that the outer arrays and their lengths may take.
const FRAME: usize = 24;

impl<E: Env> TrustedApp<E> {
    pub(crate) fn gossip_out(&mut self, room: u32) -> Result<Reply, Error> {
        let start = u16::from_be_bytes(self.random());
        let state = self.state()?;
        let mut room = Room::of(room);
        let store = self.env.store();
        let proofs = read_all::<Proof, _>(store, b"p")?.into_iter().map(|(_, proof)| proof).collect();
        let proofs = room.some_of(proofs, start);
        let revocation = read::<Bytes, _>(store, keys::REVOCATION_ENVELOPE)?;
        let revocation = revocation.filter(|list| room.takes(list.0.len()));
        let mut headers: Vec<SignedHeader> = Vec::new();
        if state.rules.as_ref().is_some_and(|rules| rules.share_headers) {
            let mut seq = state.core.head_seq;
            while seq > state.core.acked_seq && headers.len() < HEADERS_A_SESSION {
                if let Some(Entry::Receipt { payment }) = read::<Entry, _>(store, &keys::by_seq(b'j', seq))? {
                    let header = open::<Payment>(&payment.0)?.signed_header();
                    if !room.takes(header.to_bytes().len()) {
                        break;
                    }
                    headers.push(header);
                }
                seq = seq.saturating_sub(1);
            }
        }
        let trust = state.trust_envelope.clone().filter(|list| room.takes(list.0.len()));
        let gossip = Gossip { revocation, trust, proofs, headers };
        Ok(Reply::Message { message: Bytes(gossip.to_message()), again: false })
    }

    pub(crate) fn rider(
        &mut self,
        room: u32,
        revocation_after: u32,
        trust_after: u32,
    ) -> Result<Reply, Error> {
        let start = u16::from_be_bytes(self.random());
        let now_s = self.now_s()?;
        let state = self.state()?;
        let mut room = Room::of(room);
        let store = self.env.store();
        // Who is revoked is told by the list, which everybody gets at a sync; who has ended is refused for that. Otherwise
        // every message would carry every proof for ever.
        let news = |proof: &Proof| {
            !state.revoked.contains(proof.cert.status_index) && now_s <= proof.cert.not_after_s()
        };
        let proofs = read_all::<Proof, _>(store, b"p")?.into_iter().map(|(_, proof)| proof);
        let proofs = room.some_of(proofs.filter(news).collect(), start);
        let mut revocation = read::<Bytes, _>(store, keys::REVOCATION_ENVELOPE)?;
        if let Some(envelope) = &revocation {
            let list = open::<RevocationList>(&envelope.0)?.body;
            if list.number <= revocation_after || list.added.is_empty() || !room.takes(envelope.0.len()) {
                revocation = None;
            }
        }
        let trust = state.trust_envelope.clone().filter(|_| state.anchors.list_no > trust_after);
        let trust = trust.filter(|list| room.takes(list.0.len()));
        let gossip = Gossip { revocation, trust, proofs, headers: Vec::new() };
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
        let mut proofs = Proofs::held(self.env.store())?;
        for proof in gossip.proofs.iter().take(PROOFS_A_SESSION) {
            match judge(lists.anchors(), proof) {
                Err(Error { code: Code::UnknownIssuer }) => continue,
                judged => judged?,
            };
            if proofs.keep(&mut change, proof) {
                cheats.push(proof.cert.key);
            }
        }
        for header in gossip.headers.iter().take(HEADERS_A_SESSION) {
            check_header(&scheme, header)?;
            let key = header.header.key;
            if proofs.has(&key) {
                continue;
            }
            if let Some(other) = contradiction(self.env.store(), &key_id(&key), header)? {
                let cert = read::<WalletCert, _>(self.env.store(), &payer_cert_key(&key_id(&key)))?;
                let cert = cert.ok_or(Code::Damaged)?;
                proofs.keep(&mut change, &Proof { cert, first: other, second: header.clone() });
                cheats.push(key);
            }
        }
        let revocation_no = lists.revocation_number();
        self.commit_with(change, |state| lists.install(state))?;
        Ok(Reply::Learnt { revocation_no, revocation_new, cheats })
    }
}

/// What is left of a channel's room.
struct Room(usize);

impl Room {
    fn of(bytes: u32) -> Self {
        Self(usize::try_from(bytes).unwrap_or(usize::MAX).saturating_sub(FRAME))
    }

    /// Whether a part of `len` bytes fits; if so its room is taken.
    fn takes(&mut self, len: usize) -> bool {
        match self.0.checked_sub(len.saturating_add(3)) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }

    /// As many proofs as a session has and as fit. From anywhere on: where there is room for a few, each has its turn.
    fn some_of(&mut self, mut held: Vec<Proof>, start: u16) -> Vec<Proof> {
        let start = usize::from(start).checked_rem(held.len()).unwrap_or(0);
        held.rotate_left(start);
        let mut kept: usize = 0;
        held.retain(|proof| {
            let takes = kept < PROOFS_A_SESSION && self.takes(proof.to_bytes().len());
            kept = kept.saturating_add(usize::from(takes));
            takes
        });
        held
    }
}

/// Where the proofs are that this wallet holds.
pub(crate) struct Proofs {
    /// Storage key, and end of the certificate in seconds since 1970.
    held: Vec<(Vec<u8>, u32)>,
}

impl Proofs {
    pub(crate) fn held<S: Store>(store: &S) -> Result<Self, Error> {
        let held = read_all::<Proof, _>(store, b"p")?;
        Ok(Self { held: held.into_iter().map(|(place, proof)| (place, proof.cert.not_after_s())).collect() })
    }

    fn has(&self, key: &PublicKey) -> bool {
        let place = proof_key(&key_id(key));
        self.held.iter().any(|(held, _)| *held == place)
    }

    /// Adds a proof that was judged. `false` if there was one about its key.
    pub(crate) fn keep(&mut self, change: &mut Change, proof: &Proof) -> bool {
        if self.has(&proof.cert.key) {
            return false;
        }
        let soonest = self.held.iter().enumerate().min_by_key(|(_, (_, end_s))| *end_s).map(|(at, _)| at);
        if let Some(at) = soonest.filter(|_| self.held.len() >= PROOFS_KEPT) {
            change.batch.delete(self.held.swap_remove(at).0);
        }
        let place = proof_key(&key_id(&proof.cert.key));
        self.held.push((place.clone(), proof.cert.not_after_s()));
        change.put(place, proof);
        true
    }
}
