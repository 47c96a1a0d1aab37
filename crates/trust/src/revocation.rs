//! Who is revoked: an exact, numbered set of status indexes.
//!
//! A status index is a wallet's place in the scheme, whatever its certificate's serial number, so that one entry speaks
//! of every certificate of the key. The operator publishes the whole set and the change since earlier numbers. Each is
//! signed, ascending, and fits exactly one state: a change that adds what is there or removes what is not is refused,
//! since two devices with one number must hold one set.

use alloc::vec::Vec;

use counterfoil_wire::lists::{RevocationList, from_gaps, to_gaps};
use counterfoil_wire::{Code, Error};

use crate::chain::{Anchors, signer_of_list};
use crate::envelope::open;

/// The revocation list that is held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Revoked {
    /// Number of the list; 0 before the first.
    pub number: u32,
    /// When it was signed, seconds since 1970.
    pub issued_at_s: u32,
    /// Strictly ascending.
    indexes: Vec<u32>,
}

impl Revoked {
    /// Nobody, before any list.
    pub fn empty() -> Self {
        Self::default()
    }

    /// A list from its holder's own storage, believed as it is; `None` if `indexes` do not strictly ascend.
    pub fn restore(number: u32, issued_at_s: u32, indexes: Vec<u32>) -> Option<Self> {
        ascends(&indexes).then_some(Self { number, issued_at_s, indexes })
    }

    /// Whether the wallet with this status index is revoked.
    pub fn contains(&self, index: u32) -> bool {
        self.indexes.binary_search(&index).is_ok()
    }

    /// Every revoked status index, ascending.
    pub fn indexes(&self) -> &[u32] {
        &self.indexes
    }

    /// Takes over a newer list, whole or as a change. `Ok(false)` if its number is not above the one held; nothing else
    /// was checked then. One signature check.
    ///
    /// # Errors
    /// The list held stays as it is. Those of [`open`]; those of [`Anchors::check_signer`] at `now_s` (seconds since
    /// 1970), among them [`Code::AuthorityExpired`]; [`Code::BadSignature`]; [`Code::ListInvalid`] if the indexes do not
    /// ascend, or the change does not fit the list held: fetch the whole list then.
    pub fn adopt(&mut self, anchors: &Anchors, envelope_bytes: &[u8], now_s: u32) -> Result<bool, Error> {
        let list = open::<RevocationList>(envelope_bytes)?;
        let signer = signer_of_list(&list)?;
        if list.body.number <= self.number {
            return Ok(false);
        }
        anchors.check_signer(signer, now_s)?;
        list.check_signature(&anchors.scheme)?;
        let indexes = self.after(&list.body).ok_or(Code::ListInvalid)?;
        *self = Self { number: list.body.number, issued_at_s: list.body.issued_at_s, indexes };
        Ok(true)
    }

    /// The set after `list`, if it fits.
    fn after(&self, list: &RevocationList) -> Option<Vec<u32>> {
        let (added, removed) = (from_gaps(&list.added)?, from_gaps(&list.removed)?);
        if list.since == 0 {
            return removed.is_empty().then_some(added);
        }
        let fits = list.since == self.number
            && removed.iter().all(|index| self.contains(*index))
            && !added.iter().any(|index| self.contains(*index));
        if !fits {
            return None;
        }
        let stays = |index: &u32| removed.binary_search(index).is_err();
        let mut indexes: Vec<u32> = self.indexes.iter().copied().filter(stays).chain(added).collect();
        // Two ascending runs: sorting them is one merge.
        indexes.sort();
        Some(indexes)
    }

    /// The body of the whole list with this number, for the operator to sign. `indexes` must strictly ascend, or every
    /// device refuses it.
    pub fn build_full(number: u32, issued_at_s: u32, indexes: &[u32]) -> RevocationList {
        RevocationList { number, issued_at_s, since: 0, added: to_gaps(indexes), removed: Vec::new() }
    }

    /// The body of the change from this list to `indexes`, for the operator to sign. `indexes` must strictly ascend and
    /// this must not be [`Revoked::empty`]: number 0 is nobody's, so the first list is sent whole.
    pub fn build_delta(&self, number: u32, issued_at_s: u32, indexes: &[u32]) -> RevocationList {
        let new = |index: &&u32| !self.contains(**index);
        let gone = |index: &&u32| indexes.binary_search(index).is_err();
        let added: Vec<u32> = indexes.iter().filter(new).copied().collect();
        let removed: Vec<u32> = self.indexes.iter().filter(gone).copied().collect();
        RevocationList {
            number,
            issued_at_s,
            since: self.number,
            added: to_gaps(&added),
            removed: to_gaps(&removed),
        }
    }
}

fn ascends(indexes: &[u32]) -> bool {
    indexes.iter().zip(indexes.iter().skip(1)).all(|(a, b)| a < b)
}
