//! Lists that the operator publishes, and what a wallet that holds an older one is sent.

use counterfoil_trust::{Revoked, seal, x509};
use counterfoil_wire::header::Signer;
use counterfoil_wire::lists::RevocationList;
use counterfoil_wire::{Algorithm, Code, Wire};

use super::{Desk, Service};
use crate::domain::wallet::Wallet;
use crate::error::{Refusal, random};
use crate::store::{Batch, ListKind, Published, Revocation, Store};

/// How long after a CRL its successor is due, seconds.
const CRL_PERIOD_S: u32 = 86_400;

/// A whole list up to this length in bytes is sent rather than its changes: a device can hand on a whole list, while
/// changes mean nothing to a device that holds another one.
const WHOLE_MAX: usize = 2048;

/// Indexes on the list of this number, ascending.
fn listed(rows: &[Revocation], number: u32) -> Vec<u32> {
    let on = |row: &&Revocation| row.since_no <= number && (row.until_no == 0 || row.until_no > number);
    let mut indexes: Vec<u32> = rows.iter().filter(on).map(|row| row.status_index).collect();
    indexes.sort_unstable();
    indexes
}

impl Service {
    fn sign_list(&self, list: &RevocationList) -> Result<Vec<u8>, Refusal> {
        let signer = Signer::Key(self.keys.signer.public());
        let scheme = &self.scheme.anchors.scheme;
        Ok(seal(scheme, &self.keys.signer, &random()?, list, signer, None).0.to_bytes())
    }

    /// The next revocation list, with `newly` on it and without those whose certificates have all ended. `None` if
    /// nothing changed.
    pub(super) fn next_list(
        &self,
        store: &dyn Store,
        newly: &[Wallet],
    ) -> Result<Option<(Published, Vec<Revocation>)>, Refusal> {
        let now_s = self.now_s();
        let newest = store.newest(ListKind::Revocation)?.ok_or(Code::Internal)?;
        let number = newest.number.checked_add(1).ok_or(Code::Internal)?;
        let mut rows = store.revocations()?;
        let mut changed = Vec::new();
        for row in rows.iter_mut().filter(|row| row.until_no == 0) {
            let ended = store.wallet(&row.wallet)?.is_none_or(|wallet| wallet.cert_until_s < now_s);
            if ended {
                row.until_no = number;
                changed.push(*row);
            }
        }
        for wallet in newly {
            let ended = wallet.cert_until_s < now_s;
            if ended || rows.iter().any(|row| row.wallet == wallet.id) {
                continue;
            }
            let row = Revocation {
                status_index: wallet.status_index,
                wallet: wallet.id,
                since_no: number,
                until_no: 0,
                at_s: now_s,
            };
            rows.push(row);
            changed.push(row);
        }
        if changed.is_empty() {
            return Ok(None);
        }
        let bytes = self.sign_list(&Revoked::build_full(number, now_s, &listed(&rows, number)))?;
        Ok(Some((Published { kind: ListKind::Revocation, number, issued_at_s: now_s, bytes }, changed)))
    }

    /// Publishes a new revocation list if one is due.
    pub(super) fn publish_revocations(&self, desk: &mut Desk) -> Result<(), Refusal> {
        let newly = desk.store.unlisted()?;
        if let Some((list, revocations)) = self.next_list(desk.store.as_ref(), &newly)? {
            desk.store.commit(&Batch { published: vec![list], revocations, ..Batch::default() })?;
        }
        Ok(())
    }

    /// What a wallet that holds list `held` (0 is none) is sent: nothing, the whole list, or the changes where that list
    /// is long and they are shorter.
    pub(super) fn revocation_for(&self, desk: &Desk, held: u32) -> Result<Option<Vec<u8>>, Refusal> {
        let newest = desk.store.newest(ListKind::Revocation)?.ok_or(Code::Internal)?;
        if held >= newest.number {
            return Ok(None);
        }
        if newest.bytes.len() <= WHOLE_MAX {
            return Ok(Some(newest.bytes));
        }
        let rows = desk.store.revocations()?;
        self.changes(desk.store.as_ref(), &newest, &rows, held)
            .map(|delta| delta.filter(|delta| delta.len() < newest.bytes.len()).or(Some(newest.bytes)))
    }

    fn changes(
        &self,
        store: &dyn Store,
        newest: &Published,
        rows: &[Revocation],
        since: u32,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(at_s) = store.issued_at(ListKind::Revocation, since)?.filter(|_| since > 0) else {
            return Ok(None);
        };
        let before = Revoked::restore(since, at_s, listed(rows, since)).ok_or(Code::Internal)?;
        let delta = before.build_delta(newest.number, newest.issued_at_s, &listed(rows, newest.number));
        self.sign_list(&delta).map(Some)
    }

    /// The newest revocation list, whole.
    ///
    /// # Errors
    /// [`Refusal::Store`].
    pub fn revocation_list(&self) -> Result<Vec<u8>, Refusal> {
        self.exclusively(|desk| Ok(desk.store.newest(ListKind::Revocation)?.ok_or(Code::Internal)?.bytes))
    }

    /// The changes since list `since`; the whole list for a number that never was.
    ///
    /// # Errors
    /// [`Refusal::Store`].
    pub fn revocation_changes(&self, since: u32) -> Result<Vec<u8>, Refusal> {
        self.exclusively(|desk| {
            let newest = desk.store.newest(ListKind::Revocation)?.ok_or(Code::Internal)?;
            let rows = desk.store.revocations()?;
            let older = since < newest.number;
            let delta = if older { self.changes(desk.store.as_ref(), &newest, &rows, since)? } else { None };
            Ok(delta.unwrap_or(newest.bytes))
        })
    }

    /// The X.509 CRL of one issuer, in DER: the same content as the revocation list, as far as it is this issuer's.
    ///
    /// # Errors
    /// [`Code::UnknownPsp`].
    pub fn crl(&self, psp: &str, algorithm: Algorithm) -> Result<Vec<u8>, Refusal> {
        let issuer = self.scheme.issuer(psp, algorithm).ok_or(Code::UnknownPsp)?;
        let key = self.keys.issuer(&counterfoil_trust::key_id(&issuer.key)).ok_or(Code::Internal)?;
        let now_s = self.now_s();
        self.exclusively(|desk| {
            let number = desk.store.newest(ListKind::Revocation)?.ok_or(Code::Internal)?.number;
            let own = issuer.index_first..=issuer.index_last;
            let certs = desk.store.revoked_certificates(now_s)?;
            let revoked: Vec<(u32, u32, u32)> = certs
                .iter()
                .filter(|(cert, _)| own.contains(&cert.status_index))
                .map(|(cert, at_s)| (cert.status_index, cert.from_s, *at_s))
                .collect();
            let next_s = now_s.saturating_add(CRL_PERIOD_S);
            Ok(x509::crl_der(issuer, key, number, now_s, next_s, &revoked, &random()?))
        })
    }
}
