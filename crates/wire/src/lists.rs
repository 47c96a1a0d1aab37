//! Signed, numbered lists that the operator publishes: who is an authority, who is revoked.

use alloc::vec::Vec;

use crate::cert::AuthorityCert;
use crate::header::Purpose;
use crate::message::{Body, HeaderParts};
use crate::record;

record! {
    /// Every authority of the scheme. Signed by the root.
    pub struct TrustList {
        /// Number, from 1; a higher one replaces a lower one.
        pub number: u32,
        /// When it was signed, seconds since 1970.
        pub issued_at_s: u32,
        /// The authorities.
        pub authorities: Vec<AuthorityCert>,
    }
}

impl Body for TrustList {
    const PURPOSE: Purpose = Purpose::TrustList;
    fn header_parts(&self) -> HeaderParts {
        HeaderParts::outside(self.number)
    }
}

record! {
    /// Status indexes of revoked keys whose certificates have not expired: exact, never probabilistic, since an honest
    /// payer refused offline cannot appeal. Signed by an operator's signer.
    pub struct RevocationList {
        /// Number, from 1; a higher one replaces a lower one.
        pub number: u32,
        /// When it was signed, seconds since 1970.
        pub issued_at_s: u32,
        /// 0: this is the whole list. Otherwise it holds the changes since the list of that number.
        pub since: u32,
        /// Indexes that are revoked, ascending, each but the first as the difference to the one before.
        pub added: Vec<u32>,
        /// Indexes that are no longer listed, coded likewise.
        pub removed: Vec<u32>,
    }
}

impl Body for RevocationList {
    const PURPOSE: Purpose = Purpose::RevocationList;
    fn header_parts(&self) -> HeaderParts {
        HeaderParts::outside(self.number)
    }
}

/// Ascending, distinct `indexes` as differences.
pub fn to_gaps(indexes: &[u32]) -> Vec<u32> {
    let mut before = 0;
    let gap = |&index: &u32| {
        let gap = index.saturating_sub(before);
        before = index;
        gap
    };
    indexes.iter().map(gap).collect()
}

/// The ascending, distinct indexes that `gaps` stand for; `None` if they do not ascend or leave 32 bits.
pub fn from_gaps(gaps: &[u32]) -> Option<Vec<u32>> {
    let mut indexes: Vec<u32> = Vec::with_capacity(gaps.len());
    for &gap in gaps {
        let next = match indexes.last() {
            None => gap,
            Some(_) if gap == 0 => return None,
            Some(last) => last.checked_add(gap)?,
        };
        indexes.push(next);
    }
    Some(indexes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gaps_are_exact(set in proptest::collection::btree_set(any::<u32>(), 0..40)) {
            let indexes: Vec<u32> = set.into_iter().collect();
            prop_assert_eq!(from_gaps(&to_gaps(&indexes)), Some(indexes));
        }
    }
}
