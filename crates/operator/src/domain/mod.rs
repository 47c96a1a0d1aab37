//! What the operator decides, without I/O and without a clock: rows go in, rows and messages come out.
//!
//! | module | noun |
//! |---|---|
//! | [`ledger`] | postings between named accounts, and the books that they add up to |
//! | [`record`] | one payment, its two halves, and what each half moves |
//! | [`wallet`] | what the operator knows of a wallet |
//! | [`element`] | what a wallet runs in, which grade that is good for, and the answer to tampering |
//! | [`journal`] | a statement read: its chain rebuilt, its signatures checked |
//! | [`known`] | the rows that a batch of statements touches |
//! | [`reconcile`] | a statement judged against what is known |
//! | [`closing`] | the end of a wallet that is lost or closed |
//! | [`holding`] | what one wallet holds, added up, and what is still awaited |
//! | [`settle`] | the answer: resolutions, ceilings, standing |
//! | [`item`] | what is open, with whom, since when and until when |
//! | [`policy`] | which misbehaviour revokes a key by itself |
//! | [`reason`] | one reason and one owner for every item |
//! | [`trace`] | where counterfeit value went |
//! | [`audit`] | whether all of it adds up |

pub mod audit;
pub mod closing;
pub mod element;
pub mod holding;
pub mod item;
pub mod journal;
pub mod known;
pub mod ledger;
pub mod policy;
pub mod reason;
pub mod reconcile;
pub mod record;
pub mod settle;
pub mod trace;
pub mod wallet;

use counterfoil_wire::KeyId;

/// Number of buckets. It is part of the stored data and never changes.
pub const BUCKETS: u16 = 64;

/// The bucket in which everything about the wallet with this key is kept. A bucket has one writer.
pub fn bucket(key: &KeyId) -> u16 {
    let [high, low, ..] = key.0;
    u16::from_be_bytes([high, low]) % BUCKETS
}
