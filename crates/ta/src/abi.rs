//! How a machine and the trusted application inside it talk: the names of imports and exports, and the bytes that pass
//! between two memories.
//!
//! | the machine gives (module [`MODULE`]) | meaning |
//! |---|---|
//! | `random(to, len)` | fills `len` bytes at `to` |
//! | `now_s() -> u32` | the host's clock |
//! | `freshness() -> u32` | what the counter says: [`freshness_number`] |
//! | `store_get(key, len) -> i64` | looks a value up; its length, or a negative [`status`] |
//! | `store_scan(prefix, len) -> i64` | collects entries as [`encode`] writes them; their length, or a negative status |
//! | `store_first(prefix, len, from, len) -> i64` | finds the first entry with that prefix not before `from`, as [`encode`] writes it; its length, or a negative status |
//! | `store_take(to)` | copies what the last look-up found to `to`, once |
//! | `store_commit(batch, len) -> i32` | makes a batch durable; 0 or a negative status |
//!
//! | the application gives | meaning |
//! |---|---|
//! | `memory` | its memory |
//! | `abi_version() -> u32` | [`VERSION`] |
//! | `reserve(len) -> pointer` | room for a command |
//! | `process() -> u64` | carries out the command in that room; pointer and length of the response, `pointer << 32 \| length` |
//!
//! Pointers and lengths are unsigned 32-bit numbers. There is nothing else: no clock that is not the host's, no file, no
//! network.

use alloc::vec::Vec;

use crate::env::{Batch, Freshness, StoreError};

/// Version of everything on this page.
pub const VERSION: u32 = 2;

/// The module that all imports come from.
pub const MODULE: &str = "counterfoil";

/// All imports that there are.
pub const IMPORTS: [&str; 8] =
    ["random", "now_s", "freshness", "store_get", "store_scan", "store_first", "store_take", "store_commit"];

/// What a look-up gives where there is no such entry.
pub const ABSENT: i64 = -1;

/// The number of a store's error, below [`ABSENT`].
pub const fn status(error: StoreError) -> i64 {
    match error {
        StoreError::Io => -2,
        StoreError::Tampered => -3,
        StoreError::Full => -4,
    }
}

/// The error with this number. What no host should give is a medium that failed.
pub const fn store_error(status: i64) -> StoreError {
    match status {
        -3 => StoreError::Tampered,
        -4 => StoreError::Full,
        _ => StoreError::Io,
    }
}

/// The number of a freshness.
pub const fn freshness_number(freshness: Freshness) -> u32 {
    match freshness {
        Freshness::Proven => 1,
        Freshness::Unprovable => 2,
        Freshness::Stale => 3,
    }
}

/// The freshness with this number. What no host should give proves nothing, so it is stale.
pub const fn freshness(number: u32) -> Freshness {
    match number {
        1 => Freshness::Proven,
        2 => Freshness::Unprovable,
        _ => Freshness::Stale,
    }
}

const DELETE: u8 = 0;
const PUT: u8 = 1;

/// The bytes of some changes: `1 | key length 4 | value length 4 | key | value` sets, `0 | key length 4 | key` deletes;
/// lengths are little-endian. `None` for a key or value of 4 GiB.
pub fn encode<'a>(changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + Clone) -> Option<Vec<u8>> {
    let bytes = |(key, value): (&[u8], Option<&[u8]>)| key.len().saturating_add(value.map_or(0, <[u8]>::len));
    let len =
        changes.clone().fold(0, |len: usize, change| len.saturating_add(bytes(change)).saturating_add(9));
    // At full size from the start: growing would leave copies of what is secret in freed memory.
    let mut out = Vec::with_capacity(len);
    for (key, value) in changes {
        out.push(if value.is_some() { PUT } else { DELETE });
        out.extend_from_slice(&u32::try_from(key.len()).ok()?.to_le_bytes());
        if let Some(value) = value {
            out.extend_from_slice(&u32::try_from(value.len()).ok()?.to_le_bytes());
        }
        out.extend_from_slice(key);
        out.extend_from_slice(value.unwrap_or_default());
    }
    Some(out)
}

/// The bytes of a batch, as [`encode`] writes them.
pub fn encode_batch(batch: &Batch) -> Option<Vec<u8>> {
    encode(batch.ops().iter().map(|(key, value)| (key.as_slice(), value.as_deref())))
}

/// Calls `visit` with each change in `bytes`. `None` if they are not what [`encode`] writes.
pub fn decode(mut bytes: &[u8], mut visit: impl FnMut(&[u8], Option<&[u8]>)) -> Option<()> {
    fn len(bytes: &mut &[u8]) -> Option<usize> {
        let (head, tail) = bytes.split_first_chunk::<4>()?;
        *bytes = tail;
        usize::try_from(u32::from_le_bytes(*head)).ok()
    }
    while let Some((&kind, tail)) = bytes.split_first() {
        bytes = tail;
        let key_len = len(&mut bytes)?;
        let value_len = match kind {
            DELETE => None,
            PUT => Some(len(&mut bytes)?),
            _ => return None,
        };
        let (key, tail) = bytes.split_at_checked(key_len)?;
        let (value, tail) = tail.split_at_checked(value_len.unwrap_or(0))?;
        bytes = tail;
        visit(key, value_len.map(|_| value));
    }
    Some(())
}

/// The batch in `bytes`.
pub fn decode_batch(bytes: &[u8]) -> Option<Batch> {
    let mut batch = Batch::new();
    decode(bytes, |key, value| match value {
        Some(value) => batch.put(key, value),
        None => batch.delete(key),
    })?;
    Some(batch)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    #[test]
    fn a_batch_comes_back_and_no_part_of_it_does() {
        let mut batch = Batch::new();
        batch.put("a", "value");
        batch.delete("bc");
        batch.put("", "");
        let bytes = encode_batch(&batch).unwrap();
        assert_eq!(decode_batch(&bytes).unwrap(), batch);
        assert_eq!(decode_batch(&[]).unwrap(), Batch::new());
        let whole: Vec<usize> = Vec::from([0, 15, 22, bytes.len()]);
        for cut in 0..=bytes.len() {
            assert_eq!(decode_batch(&bytes[..cut]).is_some(), whole.contains(&cut), "{cut}");
        }
        assert!(decode_batch(&[2, 0, 0, 0, 0]).is_none());
    }

    #[test]
    fn numbers_come_back() {
        for error in [StoreError::Io, StoreError::Tampered, StoreError::Full] {
            assert!(status(error) < ABSENT);
            assert_eq!(store_error(status(error)), error);
        }
        for state in [Freshness::Proven, Freshness::Unprovable, Freshness::Stale] {
            assert_eq!(freshness(freshness_number(state)), state);
        }
        assert_eq!(freshness(0), Freshness::Stale);
    }
}
