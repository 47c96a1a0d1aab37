//! The bytes of a slot: its header, and frames that each carry one sealed batch.
//!
//! ```text
//! header   magic 8 | version 2 | slot 1 | zero 1 | generation 8 | counter id 16 | salt 32
//!          | label check 16 | key check 16 | application check 16
//!          | image version 4 | image hash 32 | digest 8                                      = 160 bytes
//! frame    mark 8 | number 4 | plaintext length 4 | counter value 8 | nonce 12              =  36 bytes
//!          | ciphertext | tag 16
//! content  per change: 1 | key length 4 | value length 4 | key | value      (put)
//!                      0 | key length 4 | key                               (delete)
//! ```
//! Integers are big-endian. The seal is AES-256-GCM under a key of this generation only (HKDF-SHA256 of the sealing
//! key, salted by the header's salt). What it covers beside the content: the label and the whole header (as one
//! digest), number, length, counter value and nonce of the frame, and the tag of the frame before. So a frame holds in
//! one place only: this wallet, this application, this image, this slot, this generation, after this very frame.
//!
//! *Nonces are random, not counted.* A counted nonce repeats whenever a torn frame is written again, or an older copy
//! is put back and goes on differently; with GCM that gives the authentication key away, to exactly the attacker that
//! the seal is for. With 96 random bits and at most [`FRAMES_MAX`] frames per key, a repeat has chance below 2^-56,
//! and copies that are put back and go on draw from the same fresh randomness.
//!
//! *The mark* is 8 bytes known to the key holder only, fixed for a generation, at the start of each frame. It lets the
//! store find a later frame behind a damaged one without trusting the damaged one's length. Ciphertext contains it by
//! chance once in 2^64 positions.

use crate::binding::{Binding, ImageId};
use crate::counter::CounterId;
use crate::medium::FileName;
use crate::vault::SealingKey;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce, Tag};
use counterfoil_ta::env::Batch;
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// The only version of the format there is.
pub(crate) const FORMAT_VERSION: u16 = 2;
const MAGIC: [u8; 8] = *b"CFSTORE\n";
pub(crate) const HEADER_BYTES: usize = 160;
const PREAMBLE_BYTES: usize = 36;
const TAG_BYTES: usize = 16;
/// What a frame costs beside its content.
pub(crate) const FRAME_OVERHEAD_BYTES: usize = PREAMBLE_BYTES + TAG_BYTES;
/// Frames in one generation, and so nonces under one key.
pub(crate) const FRAMES_MAX: u32 = 1 << 20;
/// What an entry of the state costs in a frame beside key and value.
pub(crate) const ENTRY_OVERHEAD_BYTES: usize = 9;

/// The header of a slot. Read from disk it is only a claim until the first frame's seal, which covers it, holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) generation: u64,
    pub(crate) counter_id: CounterId,
    salt: [u8; 32],
    label_check: [u8; 16],
    key_check: [u8; 16],
    application_check: [u8; 16],
    /// The image that wrote the slot.
    pub(crate) image: ImageId,
}

/// What is wrong with a header, before any frame is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Fewer bytes than a header has.
    Short,
    /// Not a slot, or a damaged one.
    Damaged,
    /// A version that this code does not know.
    Version(u16),
    /// The other slot's file.
    WrongSlot,
    /// Sealed for another label.
    OtherWallet,
    /// Sealed for this label by another application.
    OtherApplication,
    /// Sealed for this label under another key.
    OtherDevice,
}

/// The slot of a generation: a compaction always writes the other one.
pub(crate) fn slot_of(generation: u64) -> FileName {
    if generation.is_multiple_of(2) { FileName::Slot0 } else { FileName::Slot1 }
}

impl Header {
    /// The header of a new slot. `salt` is fresh randomness.
    pub(crate) fn new(
        generation: u64,
        counter_id: CounterId,
        salt: [u8; 32],
        binding: &Binding,
        key: &SealingKey,
    ) -> Self {
        let mut header = Self {
            generation,
            counter_id,
            salt,
            label_check: check(LABEL_CHECK, &salt, binding.label.as_bytes()),
            key_check: [0; 16],
            application_check: check(APPLICATION_CHECK, &salt, &binding.application),
            image: binding.image,
        };
        header.key_check = header.key_check_under(key);
        header
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&FORMAT_VERSION.to_be_bytes());
        out[10] = u8::from(slot_of(self.generation) == FileName::Slot1);
        out[12..20].copy_from_slice(&self.generation.to_be_bytes());
        out[20..36].copy_from_slice(&self.counter_id);
        out[36..68].copy_from_slice(&self.salt);
        out[68..84].copy_from_slice(&self.label_check);
        out[84..100].copy_from_slice(&self.key_check);
        out[100..116].copy_from_slice(&self.application_check);
        out[116..120].copy_from_slice(&self.image.version.to_be_bytes());
        out[120..152].copy_from_slice(&self.image.hash);
        let digest = Sha256::digest(&out[..152]);
        out[152..].copy_from_slice(&digest[..8]);
        out
    }

    /// Reads the header of the file `slot`, and whose it is.
    pub(crate) fn decode(
        file: &[u8],
        slot: FileName,
        binding: &Binding,
        key: &SealingKey,
    ) -> Result<Self, HeaderError> {
        // An older format is shorter, and says that it is one before it is short.
        if let Some(version) = file.strip_prefix(&MAGIC).and_then(|rest| rest.first_chunk::<2>()) {
            let version = u16::from_be_bytes(*version);
            if version != FORMAT_VERSION {
                return Err(HeaderError::Version(version));
            }
        }
        let bytes: &[u8; HEADER_BYTES] = file.first_chunk().ok_or(HeaderError::Short)?;
        if bytes[..8] != MAGIC {
            return Err(HeaderError::Damaged);
        }
        let header = Self {
            generation: u64::from_be_bytes(array(&bytes[12..20])),
            counter_id: array(&bytes[20..36]),
            salt: array(&bytes[36..68]),
            label_check: array(&bytes[68..84]),
            key_check: array(&bytes[84..100]),
            application_check: array(&bytes[100..116]),
            image: ImageId {
                version: u32::from_be_bytes(array(&bytes[116..120])),
                hash: array(&bytes[120..152]),
            },
        };
        if header.encode() != *bytes {
            return Err(HeaderError::Damaged);
        }
        if slot_of(header.generation) != slot {
            return Err(HeaderError::WrongSlot);
        }
        if header.label_check != check(LABEL_CHECK, &header.salt, binding.label.as_bytes()) {
            return Err(HeaderError::OtherWallet);
        }
        if header.application_check != check(APPLICATION_CHECK, &header.salt, &binding.application) {
            return Err(HeaderError::OtherApplication);
        }
        // Compared in plain time: it tells a mistake from an attack, and no secret hangs on it.
        if header.key_check != header.key_check_under(key) {
            return Err(HeaderError::OtherDevice);
        }
        Ok(header)
    }

    fn key_check_under(&self, key: &SealingKey) -> [u8; 16] {
        array(&key.derive(&self.salt, b"counterfoil slot key check v1")[..16])
    }
}

const LABEL_CHECK: &[u8] = b"counterfoil slot label v1\0";
const APPLICATION_CHECK: &[u8] = b"counterfoil slot application v1\0";

fn check(purpose: &[u8], salt: &[u8; 32], bound: &[u8]) -> [u8; 16] {
    let digest = Sha256::new().chain_update(purpose).chain_update(salt).chain_update(bound).finalize();
    array(&digest[..16])
}

/// Copies a slice whose length the caller has fixed; a shorter one leaves zeros.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

/// The tag of a frame, which the next one's seal covers.
pub(crate) type FrameTag = [u8; TAG_BYTES];
/// What stands for the tag before the first frame.
pub(crate) const FIRST_TAG: FrameTag = [0; TAG_BYTES];

/// Where a frame stands in its generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) number: u32,
    pub(crate) previous_tag: FrameTag,
}

/// A frame whose seal held.
pub(crate) struct Opened {
    pub(crate) counter_value: u64,
    pub(crate) content: Zeroizing<Vec<u8>>,
    pub(crate) tag: FrameTag,
    /// Bytes that the frame takes in the file.
    pub(crate) len_bytes: usize,
}

/// Why no frame could be opened at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// The file ends before the frame does.
    Incomplete,
    /// The bytes are there and the seal does not hold.
    Broken,
}

/// Seals and opens the frames of one generation.
pub(crate) struct Sealer {
    cipher: Aes256Gcm,
    mark: [u8; 8],
    context: [u8; 32],
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(..)")
    }
}

impl Sealer {
    pub(crate) fn new(key: &SealingKey, label: &str, header: &Header) -> Self {
        let frame_key = key.derive(&header.salt, b"counterfoil frame key v1");
        let mark = array(&key.derive(&header.salt, b"counterfoil frame mark v1")[..8]);
        // The header has a fixed length, so the label can follow it unframed.
        let context = Sha256::new()
            .chain_update(b"counterfoil slot context v1\0")
            .chain_update(header.encode())
            .chain_update(label.as_bytes())
            .finalize();
        Self { cipher: Aes256Gcm::new(&(*frame_key).into()), mark, context: context.into() }
    }

    /// One frame, and its tag. `None` if the content is too long for the format.
    pub(crate) fn seal(
        &self,
        place: Place,
        counter_value: u64,
        nonce: [u8; 12],
        content: &[u8],
    ) -> Option<(Vec<u8>, FrameTag)> {
        let mut frame = Vec::with_capacity(content.len() + FRAME_OVERHEAD_BYTES);
        frame.extend_from_slice(&self.mark);
        frame.extend_from_slice(&place.number.to_be_bytes());
        frame.extend_from_slice(&u32::try_from(content.len()).ok()?.to_be_bytes());
        frame.extend_from_slice(&counter_value.to_be_bytes());
        frame.extend_from_slice(&nonce);
        let aad = self.aad(&frame, place.previous_tag);
        frame.extend_from_slice(content);
        let body = frame.get_mut(PREAMBLE_BYTES..)?;
        let tag = self.cipher.encrypt_inout_detached(&Nonce::from(nonce), &aad, body.into()).ok()?;
        frame.extend_from_slice(&tag);
        Some((frame, tag.into()))
    }

    /// Opens the frame at the start of `bytes`, which may go on after it.
    pub(crate) fn open(&self, place: Place, bytes: &[u8]) -> Result<Opened, FrameError> {
        let preamble: &[u8; PREAMBLE_BYTES] = bytes.first_chunk().ok_or(FrameError::Incomplete)?;
        if preamble[..8] != self.mark || preamble[8..12] != place.number.to_be_bytes() {
            return Err(FrameError::Broken);
        }
        let content_bytes = u32::from_be_bytes(array(&preamble[12..16])) as usize;
        let len_bytes = content_bytes.checked_add(FRAME_OVERHEAD_BYTES).ok_or(FrameError::Incomplete)?;
        let frame = bytes.get(..len_bytes).ok_or(FrameError::Incomplete)?;
        let tag: FrameTag = array(&frame[len_bytes - TAG_BYTES..]);
        let mut content = Zeroizing::new(frame[PREAMBLE_BYTES..len_bytes - TAG_BYTES].to_vec());
        let nonce: [u8; 12] = array(&preamble[24..36]);
        self.cipher
            .decrypt_inout_detached(
                &Nonce::from(nonce),
                &self.aad(preamble, place.previous_tag),
                content.as_mut_slice().into(),
                &Tag::from(tag),
            )
            .map_err(|_| FrameError::Broken)?;
        let counter_value = u64::from_be_bytes(array(&preamble[16..24]));
        Ok(Opened { counter_value, content, tag, len_bytes })
    }

    /// Whether `rest`, the bytes from where frame `number` ought to begin, shows that this frame was once followed by
    /// others, or that another stands in its place. No interrupted write of frame `number` looks like that.
    pub(crate) fn shows_another_frame(&self, number: u32, rest: &[u8]) -> bool {
        // A write that tore inside the number leaves zeros in the bytes that it did not reach.
        let another_here = rest.starts_with(&self.mark)
            && rest.iter().skip(8).zip(number.to_be_bytes()).any(|(&found, own)| found != own && found != 0);
        another_here || rest.windows(8).skip(1).any(|window| window == self.mark)
    }

    fn aad(&self, preamble: &[u8], previous_tag: FrameTag) -> Vec<u8> {
        [&self.context[..], preamble, &previous_tag[..]].concat()
    }
}

/// The content of a frame that applies `batch`.
pub(crate) fn encode_batch(batch: &Batch) -> Option<Zeroizing<Vec<u8>>> {
    let ops = || batch.ops().iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
    encode_changes(ops().map(|(k, v)| change_bytes(k, v)).sum(), ops())
}

/// The content of a frame that sets `entries` (of `len_bytes` in all) in an empty state.
pub(crate) fn encode_state<'a>(
    len_bytes: usize,
    entries: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Option<Zeroizing<Vec<u8>>> {
    encode_changes(len_bytes, entries.map(|(key, value)| (key, Some(value))))
}

fn change_bytes(key: &[u8], value: Option<&[u8]>) -> usize {
    match value {
        Some(value) => ENTRY_OVERHEAD_BYTES + key.len() + value.len(),
        None => 5 + key.len(),
    }
}

fn encode_changes<'a>(
    len_bytes: usize,
    changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
) -> Option<Zeroizing<Vec<u8>>> {
    // At full size from the start: growing would leave copies of what is secret in freed memory.
    let mut out = Zeroizing::new(Vec::with_capacity(len_bytes));
    for (key, value) in changes {
        out.push(u8::from(value.is_some()));
        out.extend_from_slice(&u32::try_from(key.len()).ok()?.to_be_bytes());
        if let Some(value) = value {
            out.extend_from_slice(&u32::try_from(value.len()).ok()?.to_be_bytes());
            out.extend_from_slice(key);
            out.extend_from_slice(value);
        } else {
            out.extend_from_slice(key);
        }
    }
    debug_assert_eq!(out.len(), len_bytes, "the length that was reserved is the length that was written");
    Some(out)
}

/// Calls `apply(key, value)` for each change in `content`. `None` if it is not the content of a frame.
pub(crate) fn decode_changes(mut content: &[u8], mut apply: impl FnMut(&[u8], Option<&[u8]>)) -> Option<()> {
    fn len(content: &mut &[u8]) -> Option<usize> {
        let (head, tail) = content.split_first_chunk::<4>()?;
        *content = tail;
        usize::try_from(u32::from_be_bytes(*head)).ok()
    }
    while let Some((&kind, tail)) = content.split_first() {
        content = tail;
        let key_bytes = len(&mut content)?;
        let value_bytes = match kind {
            0 => None,
            1 => Some(len(&mut content)?),
            _ => return None,
        };
        let (key, tail) = content.split_at_checked(key_bytes)?;
        let (value, tail) = tail.split_at_checked(value_bytes.unwrap_or(0))?;
        content = tail;
        apply(key, value_bytes.map(|_| value));
    }
    Some(())
}
