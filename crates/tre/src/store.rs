//! The sealed store: a key-value log that survives a power cut at any byte, and shows when somebody changed it.
//!
//! # Specification
//! [`SealedStore`] keeps `counterfoil_ta::env::Store`'s contract on any [`Medium`] that keeps what it has synced:
//! 1. *Durable*: a batch whose `commit` returned `Ok` is there after any later power cut.
//! 2. *Whole*: after a power cut during `commit`, all of the batch is there or none of it.
//! 3. *Sealed*: what `open` returns is a state that this wallet once had, or an error with its reason. Nothing else.
//! 4. *Newest*: with a [`Counter`], an older state is reported as [`Freshness::Stale`]; and of several copies of one
//!    wallet at most one ever gets an answer out for any counter value.
//! 5. *Constant cost*: a commit appends its own frame and syncs, however much is stored (see Compaction).
//!
//! Keys name entries and are not treated as secret in memory (on the medium they are sealed); values are zeroed when
//! dropped.
//!
//! # How
//! The whole state is in memory. On the medium it is a log in one of two slots: a header, a first frame with the whole
//! state as it was when the slot was made, then one frame for each batch (the bytes are described in `frame.rs`). Each
//! frame's seal covers the frame's place and the tag before it. A slot is made under another name, synced, renamed,
//! and the name synced; then the other slot is removed. At `open` the slot of the highest generation counts.
//!
//! # Torn or tampered
//! A frame is appended only when every frame before it has been synced: `commit` syncs before it returns, after any
//! error the store refuses all calls until it is opened again, and `open` removes a bad tail and syncs before anything
//! is appended. So a power cut, or a killed process, can damage the *one* frame that was in flight, and that frame is
//! the last. What is left of it is any mixture of its own bytes, missing bytes and zeros (a file system may grow a
//! file before it fills it), in any order. Therefore, where the chain of seals ends:
//! - nothing follows: a clean end;
//! - something follows, and no other frame is to be seen in it: a torn tail, removed and reported ([`OpenReport`]);
//! - something follows, and another frame is to be seen in it: that frame was written after the bad one had been
//!   synced, so this was no power cut: [`TamperReason::BrokenFrame`]. "To be seen" means the generation's mark, which
//!   only the key holder can write, anywhere behind the start of the bad frame.
//!
//! Somebody who damages the last frame on purpose, or every frame from some place on, thus gets a log that ends
//! earlier. He gets the same by cutting whole frames off or by putting an older copy back, which no log can show by
//! itself: that is what the counter is for. So treating such a tail as torn gives him nothing new, and treating it as
//! tampering would cost an honest wallet its life at each power cut.
//!
//! A slot's *first* frame is never in flight under its own name. If it does not open, that is tampering; only
//! if the file is too short to hold it (a medium whose rename is not atomic) the other slot counts, if there is one.
//!
//! `open` syncs what it has read before it returns. A process may have died between write and sync, its frame
//! readable only from the system's cache: an answer given from that would outlive the frame in a power cut.
//!
//! # The counter and the crash
//! The counter is at `c`, the state at `c`. A commit writes its frame with `c + 1`, syncs, advances the counter, and
//! only then returns. So at `open` a state of `c` or `c + 1` is the newest; an older one is stale.
//!
//! That alone is not enough: somebody who cuts the power between sync and advance holds two states, `c` and `c + 1`,
//! both of which open. He lets `c` go on to another `c + 1`, then puts the first `c + 1` back and has both answers.
//! Therefore `open` *claims* the counter before it returns: empty commits until the counter is at least two past
//! where it was found. Every state that existed before has at most one past that, so all other copies are
//! stale from then on, before this one has said a word. Within one run frames follow each other in one line.
//!
//! A stale store can be read, and written. Its *first* commit brings state and counter in step again, so it would open
//! as the newest next time: the TA must write down in that batch what it has been told. Opening it changes nothing.
//!
//! If two processes run copies of one wallet at once on one counter, the loser of an advance sees a value that is not
//! its own and its commit fails.
//!
//! # Which image
//! A slot names the image that wrote it, under its seals. An image of a lower version does not open it, nor another one of
//! the same version; nothing is changed then. One of a higher version opens it and, before `open` returns, writes a new slot
//! for itself, as a compaction does: either slot is the truth until then, and from then on there is no way back. With a
//! counter the state from before the update is stale as any older copy is.
//!
//! # Compaction
//! Garbage is what the log holds beyond the state. Each byte of a frame turns into garbage at most once, so if a
//! compaction (which writes the state once) waits until there is at least as much garbage as state, all compactions
//! together write no more than all commits did: each byte is written at most twice. `commit` compacts when garbage
//! exceeds the state by [`GARBAGE_BYTES_MAX`]. To keep that out of a payment `open` compacts at half the state and
//! an eighth of the constant (at most two bytes per byte committed), and a host may call [`SealedStore::compact`]
//! when it is idle.

use crate::binding::{Binding, ImageId};
use crate::counter::{Counter, CounterError, CounterKind};
use crate::frame::{
    self, ENTRY_OVERHEAD_BYTES, FIRST_TAG, FRAME_OVERHEAD_BYTES, FRAMES_MAX, FrameError, HEADER_BYTES,
    Header, HeaderError, Place, Sealer,
};
use crate::medium::{FileName, Medium};
use crate::vault::SealingKey;
use counterfoil_ta::env::{Batch, Entry, Freshness, Store, StoreError};
use std::collections::BTreeMap;
use std::{fmt, io};
use zeroize::Zeroizing;

/// The largest state, in bytes of keys, values and 9 for each entry. A commit past it is `StoreError::Full`.
pub const STATE_BYTES_MAX: usize = 64 << 20;

/// A commit compacts first when the log's garbage exceeds the size of the state by this many bytes.
pub const GARBAGE_BYTES_MAX: u64 = 256 << 10;

/// What shows that a slot was changed by somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TamperReason {
    /// The header's digest does not hold, or the file is no slot at all.
    #[error("its header is damaged")]
    Header,
    /// The file carries the other slot's name.
    #[error("it is the other slot's file")]
    WrongSlot,
    /// The file is too short for its first frame, and there is no other slot to fall back on.
    #[error("it is cut short before the end of its first record")]
    Incomplete,
    /// The seal of the first frame, which a power cut cannot damage, does not hold.
    #[error("the seal of its first record is broken")]
    FirstFrame,
    /// The seal of frame `number` does not hold, though others were written after it; or a frame is missing there.
    #[error("the seal of record {number} is broken or the record is missing, though others follow")]
    BrokenFrame {
        /// Counted from 0 in the slot.
        number: u32,
    },
    /// A seal holds and its content makes no sense: a fault in the software that wrote it.
    #[error("record {number} was sealed with content that makes no sense")]
    Malformed {
        /// Counted from 0 in the slot.
        number: u32,
    },
}

/// Why the store stopped. What the TA is told of it is `StoreError::Io`; this is for the host.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// The medium failed.
    #[error("the wallet's files cannot be read or written: {0}. Check the disk, then open the wallet again")]
    Medium(#[from] io::Error),
    /// The counter failed.
    #[error(transparent)]
    Counter(#[from] CounterError),
    /// Somebody else advanced the counter: another copy of this wallet is running on this device.
    #[error(
        "the counter is at {found} where {expected} was due: another copy of this wallet runs on this device. \
         Only the copy that is opened next goes on"
    )]
    CounterMoved {
        /// The value that this commit was to have.
        expected: u64,
        /// The value that the counter gave.
        found: u64,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness: {0}")]
    Random(getrandom::Error),
}

/// Why a store could not be opened. Nothing was changed on the medium except in the case of a [`StoreFault`].
#[derive(Debug, thiserror::Error)]
pub enum StoreOpenError {
    /// Somebody changed the wallet's files, or the disk did.
    #[error(
        "the wallet's file {} was changed or damaged: {reason}. The wallet cannot go on; \
         enrol again, and the operator settles what it held", slot.as_str()
    )]
    Tampered {
        /// The file.
        slot: FileName,
        /// What shows it.
        reason: TamperReason,
    },
    /// The device key is not the one that sealed this wallet.
    #[error(
        "this wallet was sealed on another device, or the device's key was replaced. \
         Use the device folder that it was made with; a wallet cannot be moved by copying it"
    )]
    OtherDevice,
    /// The files belong to another wallet of the same format.
    #[error("these are another wallet's files. Check which home was given")]
    OtherWallet,
    /// The wallet belongs to another application.
    #[error("this wallet was sealed by another application; open it with the one that it was enrolled in")]
    OtherApplication,
    /// A higher version of the image has run on this state.
    #[error(
        "this wallet has run under version {stored} of the trusted application, and this is version {running}. \
         Update the software; there is no way back"
    )]
    ImageOlder {
        /// The version that sealed the state.
        stored: u32,
        /// The version that runs.
        running: u32,
    },
    /// Another image of the same version has run on this state.
    #[error(
        "this wallet has run under another image of version {version} of the trusted application; \
         one of the two was altered. Install the software anew"
    )]
    ImageAltered {
        /// The version of both.
        version: u32,
    },
    /// The format version is not known.
    #[error(
        "the wallet's files have format {version}, which this software does not know. Update the software"
    )]
    UnknownFormat {
        /// The version found.
        version: u16,
    },
    /// Disk, counter or randomness failed.
    #[error(transparent)]
    Fault(#[from] StoreFault),
}

impl From<&StoreOpenError> for StoreError {
    fn from(error: &StoreOpenError) -> Self {
        match error {
            StoreOpenError::Fault(_) => Self::Io,
            _ => Self::Tampered,
        }
    }
}

/// Why a store that opened is [`Freshness::Stale`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StaleReason {
    /// The counter has moved on since this state: an older copy was put back.
    #[error("this is an older copy of the wallet: its state is {state}, the device has counted to {counter}")]
    OlderCopy {
        /// The counter value sealed in the state.
        state: u64,
        /// The counter's value.
        counter: u64,
    },
    /// The state is ahead of the counter: the counter itself was put back.
    #[error("the device's counter was put back: it is at {counter}, the wallet's state at {state}")]
    CounterBehind {
        /// The counter value sealed in the state.
        state: u64,
        /// The counter's value.
        counter: u64,
    },
    /// The state was counted by another counter, or by one where there is none now.
    #[error("the counter that this wallet was made with is missing or replaced")]
    OtherCounter,
    /// The counter has moved and there is no state at all: the files were removed.
    #[error("the wallet's files were removed: the device has counted to {counter} for it")]
    NoState {
        /// The counter's value.
        counter: u64,
    },
}

/// What was found when the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenReport {
    /// The generation that was opened; 0 if there was no state yet.
    pub generation: u64,
    /// Frames found good in it.
    pub frames: u32,
    /// Bytes of a torn tail that were removed: the remains of a commit that never returned. On a medium which lost
    /// synced bytes, or in the hands of somebody who cut them off, this is all that can be seen of it.
    pub torn_tail_bytes: u64,
    /// Whether a newer slot was left out because it was cut short before its first frame's end.
    pub skipped_incomplete_slot: bool,
    /// Why the state is stale, if it is.
    pub stale: Option<StaleReason>,
}

/// The sealed store over a [`Medium`]. See the module for its contract.
pub struct SealedStore<M> {
    medium: M,
    counter: Box<dyn Counter>,
    key: SealingKey,
    binding: Binding,
    state: State,
    /// `None` until the first commit of all.
    log: Option<Log>,
    /// Whether the log goes on as it is, or the next commit starts a new one (none yet, or stale).
    in_step: bool,
    freshness: Freshness,
    report: OpenReport,
    fault: Option<StoreFault>,
}

/// The open log: where the next frame goes.
#[derive(Debug)]
struct Log {
    header: Header,
    sealer: Sealer,
    next: Place,
    len_bytes: u64,
    counter_value: u64,
}

impl Log {
    fn slot(&self) -> FileName {
        frame::slot_of(self.header.generation)
    }

    fn garbage_bytes(&self, state: &State) -> u64 {
        let fixed = HEADER_BYTES + FRAME_OVERHEAD_BYTES + state.len_bytes;
        self.len_bytes.saturating_sub(fixed as u64)
    }
}

/// Why a commit failed, before it is decided whether the store can go on.
enum Failure {
    /// Nothing was written; the store goes on.
    Full,
    Fault(StoreFault),
}

impl Failure {
    fn into_fault(self) -> StoreFault {
        match self {
            Self::Full => StoreFault::Medium(io::ErrorKind::StorageFull.into()),
            Self::Fault(fault) => fault,
        }
    }
}

impl<E: Into<StoreFault>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

impl<M: Medium> SealedStore<M> {
    /// Opens the store that is bound to `binding` (a label alone is a native wallet of the command line), sealed under
    /// `key`; an empty medium is an empty store, and stays empty until the first commit. A torn tail is removed.
    ///
    /// # Errors
    /// [`StoreOpenError`]. An older copy is no error but a [`Freshness::Stale`] store: see [`SealedStore::freshness`].
    pub fn open(
        mut medium: M,
        counter: Box<dyn Counter>,
        key: SealingKey,
        binding: impl Into<Binding>,
    ) -> Result<Self, StoreOpenError> {
        let binding = binding.into();
        let mut report = OpenReport::default();
        let found = find_log(&mut medium, &key, &binding, &mut report)?;
        let (log, state) = match found {
            Some((log, state)) => (Some(log), state),
            None => (None, State::default()),
        };
        if let Some(log) = &log {
            check_image(log.header.image, binding.image)?;
            settle_files(&mut medium, log, report.torn_tail_bytes > 0).map_err(StoreFault::from)?;
        }
        let (freshness, stale) = judge(log.as_ref(), counter.as_ref()).map_err(StoreFault::from)?;
        report.stale = stale;
        let in_step = log.is_some() && stale.is_none();
        let mut store =
            Self { medium, counter, key, binding, state, log, in_step, freshness, report, fault: None };
        if in_step {
            store.tidy_and_claim().map_err(Failure::into_fault)?;
        }
        Ok(store)
    }

    /// What the counter says about the state that was opened; it does not change until the store is opened again.
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// What was found at opening, for the host's log and the next statement.
    pub fn report(&self) -> &OpenReport {
        &self.report
    }

    /// What keeps this store's counter.
    pub fn counter_kind(&self) -> CounterKind {
        self.counter.kind()
    }

    /// Why every call fails, if it does: an earlier error left it open what is on the medium. Open the store again.
    pub fn fault(&self) -> Option<&StoreFault> {
        self.fault.as_ref()
    }

    /// Writes the state anew without the garbage. For an idle moment; a commit does it when it must.
    ///
    /// # Errors
    /// `StoreError::Io`, after which the store must be opened again; `StoreError::Full` if the medium has no room, and
    /// nothing has changed.
    pub fn compact(&mut self) -> Result<(), StoreError> {
        self.check_usable()?;
        if !self.in_step {
            return Ok(());
        }
        self.rewrite_log().map_err(|failure| self.fail(failure))
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        if self.fault.is_some() { Err(StoreError::Io) } else { Ok(()) }
    }

    fn fail(&mut self, failure: Failure) -> StoreError {
        match failure {
            Failure::Full => StoreError::Full,
            Failure::Fault(fault) => {
                self.fault = Some(fault);
                StoreError::Io
            }
        }
    }

    fn counted(&self) -> bool {
        self.counter.kind() != CounterKind::None
    }

    fn tidy_and_claim(&mut self) -> Result<(), Failure> {
        if self.log.as_ref().is_some_and(|log| log.header.image != self.binding.image) {
            // From here on the image that wrote it before does not open it any more.
            self.rewrite_log()?;
        }
        self.rewrite_log_past(self.state.len_bytes as u64 / 2 + GARBAGE_BYTES_MAX / 8)?;
        if self.counted() { self.claim() } else { Ok(()) }
    }

    /// Makes every other copy of this wallet stale: see "The counter and the crash".
    fn claim(&mut self) -> Result<(), Failure> {
        let found = self.counter.read()?;
        let state_value = self.log.as_ref().map_or(0, |log| log.counter_value);
        if state_value > found {
            self.advance_to(state_value)?;
        }
        while self.log.as_ref().is_some_and(|log| log.counter_value < found.saturating_add(2)) {
            self.append(&[])?;
        }
        Ok(())
    }

    fn advance_to(&mut self, expected: u64) -> Result<(), StoreFault> {
        let found = self.counter.advance()?;
        if found == expected { Ok(()) } else { Err(StoreFault::CounterMoved { expected, found }) }
    }

    fn rewrite_log_past(&mut self, garbage_bytes: u64) -> Result<(), Failure> {
        let due = self.log.as_ref().is_some_and(|log| {
            log.garbage_bytes(&self.state) > garbage_bytes || log.next.number >= FRAMES_MAX
        });
        if !due {
            return Ok(());
        }
        match self.rewrite_log() {
            // The garbage can wait for room; the next frame may still fit.
            Err(Failure::Full) => Ok(()),
            done => done,
        }
    }

    fn write(&mut self, batch: &Batch, content: &[u8]) -> Result<(), Failure> {
        if !self.in_step {
            return self.start_log(batch);
        }
        self.rewrite_log_past(self.state.len_bytes as u64 + GARBAGE_BYTES_MAX)?;
        self.append(content)
    }

    /// The first commit of all, and the first on a stale store: a new generation, in step with the counter.
    fn start_log(&mut self, batch: &Batch) -> Result<(), Failure> {
        let content = self.state.encode_with(batch).ok_or(Failure::Full)?;
        if !self.counted() {
            self.write_generation(&content, 0)?;
            self.in_step = true;
            return Ok(());
        }
        let found = self.counter.read()?;
        let of_this_counter = |log: &&Log| log.header.counter_id == self.counter.id();
        let state_value = self.log.as_ref().filter(of_this_counter).map_or(0, |log| log.counter_value);
        let newest = found.max(state_value);
        let next_value = newest.checked_add(1).ok_or(StoreFault::Counter(CounterError::Exhausted))?;
        self.write_generation(&content, next_value)?;
        self.in_step = true;
        // A counter that was put back must pass every value it once gave, or it would meet old copies again. Only now:
        // the state that it meets on its way, after a crash, is one that holds `batch`.
        self.counter.raise_to(newest)?;
        self.advance_to(next_value)?;
        // As in `claim`: a copy from before may carry the value just given, none carries the next.
        self.append(&[])
    }

    /// The same state in a new generation, at the same counter value: either slot is the truth until the next commit.
    fn rewrite_log(&mut self) -> Result<(), Failure> {
        let content = self.state.encode().ok_or(Failure::Full)?;
        let counter_value = self.log.as_ref().map_or(0, |log| log.counter_value);
        self.write_generation(&content, counter_value)
    }

    fn write_generation(&mut self, content: &[u8], counter_value: u64) -> Result<(), Failure> {
        let generation = self.log.as_ref().map_or(self.report.generation, |log| log.header.generation) + 1;
        let header = Header::new(generation, self.counter.id(), random()?, &self.binding, &self.key);
        let sealer = Sealer::new(&self.key, &self.binding.label, &header);
        let first = Place { number: 0, previous_tag: FIRST_TAG };
        let (frame, tag) = sealer.seal(first, counter_value, random()?, content).ok_or(Failure::Full)?;
        let file = [&header.encode()[..], &frame].concat();

        self.medium.remove(FileName::Draft)?;
        if let Err(e) = self.medium.append(FileName::Draft, &file) {
            self.medium.remove(FileName::Draft)?;
            return Err(full_or_fault(e));
        }
        self.medium.sync(FileName::Draft)?;
        let slot = frame::slot_of(generation);
        self.medium.rename(FileName::Draft, slot)?;
        self.medium.sync_dir()?;
        self.medium.remove(other(slot))?;

        let next = Place { number: 1, previous_tag: tag };
        self.log = Some(Log { header, sealer, next, len_bytes: file.len() as u64, counter_value });
        Ok(())
    }

    fn append(&mut self, content: &[u8]) -> Result<(), Failure> {
        let counted = self.counted();
        let Some(log) = &mut self.log else { return Err(io::Error::other("no log is open").into()) };
        let counter_value = log
            .counter_value
            .checked_add(u64::from(counted))
            .ok_or(StoreFault::Counter(CounterError::Exhausted))?;
        let (frame, tag) =
            log.sealer.seal(log.next, counter_value, random()?, content).ok_or(Failure::Full)?;
        let slot = log.slot();
        if let Err(e) = self.medium.append(slot, &frame) {
            let failure = full_or_fault(e);
            if matches!(failure, Failure::Full) {
                self.medium.truncate(slot, log.len_bytes)?;
                self.medium.sync(slot)?;
            }
            return Err(failure);
        }
        self.medium.sync(slot)?;
        log.next = Place { number: log.next.number + 1, previous_tag: tag };
        log.len_bytes += frame.len() as u64;
        log.counter_value = counter_value;
        if counted { Ok(self.advance_to(counter_value)?) } else { Ok(()) }
    }
}

impl<M: Medium> Store for SealedStore<M> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.check_usable()?;
        Ok(self.state.entries.get(key).map(|value| value.to_vec()))
    }

    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.check_usable()?;
        let from_prefix = self.state.entries.range(prefix.to_vec()..);
        for (key, value) in from_prefix.take_while(|(key, _)| key.starts_with(prefix)) {
            visit(key, value);
        }
        Ok(())
    }

    fn first(&self, prefix: &[u8], from: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.check_usable()?;
        let first = self.state.entries.range(prefix.max(from).to_vec()..).next();
        let found = first.filter(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(key, value)| (key.clone(), value.to_vec())))
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.check_usable()?;
        if batch.is_empty() {
            return Ok(());
        }
        let content = frame::encode_batch(batch).filter(|c| c.len() <= STATE_BYTES_MAX);
        let content = content.ok_or(StoreError::Full)?;
        if self.state.len_bytes_with(batch) > STATE_BYTES_MAX {
            return Err(StoreError::Full);
        }
        self.write(batch, &content).map_err(|failure| self.fail(failure))?;
        for (key, value) in batch.ops() {
            self.state.apply(key, value.as_deref());
        }
        Ok(())
    }
}

impl<M> fmt::Debug for SealedStore<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedStore")
            .field("binding", &self.binding)
            .field("entries", &self.state.entries.len())
            .field("freshness", &self.freshness)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

/// The whole state, and what it takes as the content of one frame.
#[derive(Default)]
struct State {
    entries: BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>,
    len_bytes: usize,
}

impl State {
    fn apply(&mut self, key: &[u8], value: Option<&[u8]>) {
        let entry_bytes = |value: &[u8]| ENTRY_OVERHEAD_BYTES + key.len() + value.len();
        let old = match value {
            Some(value) => {
                self.len_bytes += entry_bytes(value);
                self.entries.insert(key.to_vec(), Zeroizing::new(value.to_vec()))
            }
            None => self.entries.remove(key),
        };
        self.len_bytes -= old.map_or(0, |old| entry_bytes(&old));
    }

    fn encode(&self) -> Option<Zeroizing<Vec<u8>>> {
        frame::encode_state(self.len_bytes, self.entries.iter().map(|(k, v)| (k.as_slice(), v.as_slice())))
    }

    /// The state as it will be after `batch`, without copying what is secret.
    fn merged<'a>(&'a self, batch: &'a Batch) -> BTreeMap<&'a [u8], &'a [u8]> {
        let mut merged: BTreeMap<_, _> =
            self.entries.iter().map(|(k, v)| (k.as_slice(), v.as_slice())).collect();
        for (key, value) in batch.ops() {
            match value {
                Some(value) => merged.insert(key, value),
                None => merged.remove(key.as_slice()),
            };
        }
        merged
    }

    fn encode_with(&self, batch: &Batch) -> Option<Zeroizing<Vec<u8>>> {
        frame::encode_state(self.len_bytes_with(batch), self.merged(batch).into_iter())
    }

    fn len_bytes_with(&self, batch: &Batch) -> usize {
        let mut last: BTreeMap<&[u8], Option<&[u8]>> = BTreeMap::new();
        for (key, value) in batch.ops() {
            last.insert(key, value.as_deref());
        }
        last.iter().fold(self.len_bytes, |len_bytes, (key, value)| {
            let entry_bytes = |value: &[u8]| ENTRY_OVERHEAD_BYTES + key.len() + value.len();
            let old = self.entries.get(*key).map_or(0, |old| entry_bytes(old));
            len_bytes - old + value.map_or(0, entry_bytes)
        })
    }
}

fn other(slot: FileName) -> FileName {
    if slot == FileName::Slot0 { FileName::Slot1 } else { FileName::Slot0 }
}

fn full_or_fault(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::Full,
        _ => error.into(),
    }
}

fn random<const N: usize>() -> Result<[u8; N], StoreFault> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(StoreFault::Random)?;
    Ok(bytes)
}

/// The newest log on the medium and its state; `None` if there never was one.
fn find_log<M: Medium>(
    medium: &mut M,
    key: &SealingKey,
    binding: &Binding,
    report: &mut OpenReport,
) -> Result<Option<(Log, State)>, StoreOpenError> {
    let mut incomplete = None;
    let mut headed = Vec::new();
    for slot in [FileName::Slot0, FileName::Slot1] {
        let Some(file) = medium.read(slot).map_err(StoreFault::from)? else { continue };
        let tampered = |reason| StoreOpenError::Tampered { slot, reason };
        match Header::decode(&file, slot, binding, key) {
            Ok(header) => headed.push((header, slot, file)),
            Err(HeaderError::Short) => incomplete = Some(slot),
            Err(HeaderError::Damaged) => return Err(tampered(TamperReason::Header)),
            Err(HeaderError::WrongSlot) => return Err(tampered(TamperReason::WrongSlot)),
            Err(HeaderError::Version(version)) => return Err(StoreOpenError::UnknownFormat { version }),
            Err(HeaderError::OtherWallet) => return Err(StoreOpenError::OtherWallet),
            Err(HeaderError::OtherApplication) => return Err(StoreOpenError::OtherApplication),
            Err(HeaderError::OtherDevice) => return Err(StoreOpenError::OtherDevice),
        }
    }
    headed.sort_by_key(|(header, ..)| std::cmp::Reverse(header.generation));
    for (header, slot, file) in headed {
        if let Some(found) = replay(key, &binding.label, header, slot, &file, report)? {
            report.skipped_incomplete_slot = incomplete.is_some();
            return Ok(Some(found));
        }
        incomplete = Some(slot);
    }
    match incomplete {
        Some(slot) => Err(StoreOpenError::Tampered { slot, reason: TamperReason::Incomplete }),
        None => Ok(None),
    }
}

/// Opens the frames of one slot. `None` if the file ends before the first frame does.
fn replay(
    key: &SealingKey,
    label: &str,
    header: Header,
    slot: FileName,
    file: &[u8],
    report: &mut OpenReport,
) -> Result<Option<(Log, State)>, StoreOpenError> {
    let tampered = |reason| StoreOpenError::Tampered { slot, reason };
    let sealer = Sealer::new(key, label, &header);
    let mut state = State::default();
    let mut counter_value = 0;
    let mut next = Place { number: 0, previous_tag: FIRST_TAG };
    let mut rest = file.get(HEADER_BYTES..).unwrap_or_default();
    while !rest.is_empty() || next.number == 0 {
        match sealer.open(next, rest) {
            Ok(opened) => {
                frame::decode_changes(&opened.content, |key, value| state.apply(key, value))
                    .ok_or_else(|| tampered(TamperReason::Malformed { number: next.number }))?;
                counter_value = opened.counter_value;
                next = Place { number: next.number.saturating_add(1), previous_tag: opened.tag };
                rest = rest.get(opened.len_bytes..).unwrap_or_default();
            }
            Err(FrameError::Incomplete) if next.number == 0 => return Ok(None),
            Err(FrameError::Broken) if next.number == 0 => return Err(tampered(TamperReason::FirstFrame)),
            Err(_) if sealer.shows_another_frame(next.number, rest) => {
                return Err(tampered(TamperReason::BrokenFrame { number: next.number }));
            }
            Err(_) => break,
        }
    }
    report.generation = header.generation;
    report.frames = next.number;
    report.torn_tail_bytes = rest.len() as u64;
    let len_bytes = (file.len() - rest.len()) as u64;
    Ok(Some((Log { header, sealer, next, len_bytes, counter_value }, state)))
}

/// Whether the image that runs may open what another has sealed: the same, or a later one.
fn check_image(stored: ImageId, running: ImageId) -> Result<(), StoreOpenError> {
    if stored.version > running.version {
        return Err(StoreOpenError::ImageOlder { stored: stored.version, running: running.version });
    }
    if stored.version == running.version && stored.hash != running.hash {
        return Err(StoreOpenError::ImageAltered { version: running.version });
    }
    Ok(())
}

/// Makes durable what was read, and removes what does not count.
fn settle_files<M: Medium>(medium: &mut M, log: &Log, torn: bool) -> io::Result<()> {
    let slot = log.slot();
    if torn {
        medium.truncate(slot, log.len_bytes)?;
    }
    medium.sync(slot)?;
    medium.sync_dir()?;
    medium.remove(other(slot))?;
    medium.remove(FileName::Draft)
}

/// What the counter says about the log that was found.
fn judge(log: Option<&Log>, counter: &dyn Counter) -> Result<(Freshness, Option<StaleReason>), CounterError> {
    let counted = counter.kind() != CounterKind::None;
    let count = counter.read()?;
    let stale = match log {
        None if count == 0 => None,
        None => Some(StaleReason::NoState { counter: count }),
        Some(log) if log.header.counter_id != counter.id() => Some(StaleReason::OtherCounter),
        Some(log) => {
            let state = log.counter_value;
            match state.checked_sub(count) {
                Some(0 | 1) => None,
                Some(_) => Some(StaleReason::CounterBehind { state, counter: count }),
                None => Some(StaleReason::OlderCopy { state, counter: count }),
            }
        }
    };
    let freshness = match stale {
        Some(_) => Freshness::Stale,
        None if counted => Freshness::Proven,
        None => Freshness::Unprovable,
    };
    Ok((freshness, stale))
}
