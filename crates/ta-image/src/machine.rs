//! The door and the world of the application inside a machine.

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::panic::PanicInfo;

use counterfoil_ta::TrustedApp;
use counterfoil_ta::abi;
use counterfoil_ta::env::{Batch, Entry, Env, Freshness, Store, StoreError};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// What went wrong is told by nobody in here: the machine stops, and its host starts another from the durable state.
#[panic_handler]
fn stop(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

mod imports {
    // The name is `abi::MODULE`, which an attribute cannot read.
    #[link(wasm_import_module = "counterfoil")]
    unsafe extern "C" {
        pub(super) fn random(to: *mut u8, len: usize);
        pub(super) safe fn now_s() -> u32;
        pub(super) safe fn freshness() -> u32;
        pub(super) fn store_get(key: *const u8, len: usize) -> i64;
        pub(super) fn store_scan(prefix: *const u8, len: usize) -> i64;
        pub(super) fn store_first(prefix: *const u8, len: usize, from: *const u8, from_len: usize) -> i64;
        pub(super) fn store_take(to: *mut u8);
        pub(super) fn store_commit(batch: *const u8, len: usize) -> i32;
    }
}

/// The sealed store, which is the host's.
struct HostStore;

/// Fetches what a look-up found.
fn take(found: i64) -> Result<Option<Vec<u8>>, StoreError> {
    if found == abi::ABSENT {
        return Ok(None);
    }
    let len = usize::try_from(found).map_err(|_| abi::store_error(found))?;
    let mut bytes = vec![0; len];
    // SAFETY: the host copies exactly as many bytes as it said that it found.
    unsafe { imports::store_take(bytes.as_mut_ptr()) };
    Ok(Some(bytes))
}

impl Store for HostStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        // SAFETY: the host reads the bytes of `key` and no others.
        take(unsafe { imports::store_get(key.as_ptr(), key.len()) })
    }

    fn scan(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        // SAFETY: the host reads the bytes of `prefix` and no others.
        let rows = take(unsafe { imports::store_scan(prefix.as_ptr(), prefix.len()) })?.unwrap_or_default();
        abi::decode(&rows, |key, value| visit(key, value.unwrap_or_default())).ok_or(StoreError::Io)
    }

    fn first(&self, prefix: &[u8], from: &[u8]) -> Result<Option<Entry>, StoreError> {
        // SAFETY: the host reads the bytes of `prefix` and `from` and no others.
        let found =
            take(unsafe { imports::store_first(prefix.as_ptr(), prefix.len(), from.as_ptr(), from.len()) })?;
        let mut entry = None;
        abi::decode(&found.unwrap_or_default(), |key, value| {
            entry = Some((key.to_vec(), value.unwrap_or_default().to_vec()));
        })
        .ok_or(StoreError::Io)?;
        Ok(entry)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let bytes = abi::encode_batch(batch).ok_or(StoreError::Full)?;
        // SAFETY: the host reads the bytes of the batch and no others.
        match unsafe { imports::store_commit(bytes.as_ptr(), bytes.len()) } {
            0 => Ok(()),
            status => Err(abi::store_error(i64::from(status))),
        }
    }
}

/// The world, as the machine's imports give it.
struct Host {
    store: HostStore,
}

impl Env for Host {
    type Store = HostStore;

    fn store(&self) -> &HostStore {
        &self.store
    }

    fn store_mut(&mut self) -> &mut HostStore {
        &mut self.store
    }

    fn fill_random(&mut self, buf: &mut [u8]) {
        // SAFETY: the host writes the bytes of `buf` and no others.
        unsafe { imports::random(buf.as_mut_ptr(), buf.len()) };
    }

    fn now_s(&self) -> u32 {
        imports::now_s()
    }

    fn freshness(&self) -> Freshness {
        abi::freshness(imports::freshness())
    }
}

/// What lives from one command to the next.
struct Machine {
    app: Option<TrustedApp<Host>>,
    command: Vec<u8>,
    response: Vec<u8>,
}

/// A machine has one thread.
struct Single(RefCell<Machine>);

// SAFETY: the image is made without threads, and no import calls back.
unsafe impl Sync for Single {}

static MACHINE: Single =
    Single(RefCell::new(Machine { app: None, command: Vec::new(), response: Vec::new() }));

/// The version of the interface.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn abi_version() -> u32 {
    abi::VERSION
}

/// Room for a command of `len` bytes.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn reserve(len: usize) -> *mut u8 {
    let mut machine = MACHINE.0.borrow_mut();
    machine.command = vec![0; len];
    machine.command.as_mut_ptr()
}

/// Carries out the command that was written to the room.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn process() -> u64 {
    let machine = &mut *MACHINE.0.borrow_mut();
    let command = core::mem::take(&mut machine.command);
    let app = machine.app.get_or_insert_with(|| TrustedApp::open(Host { store: HostStore }));
    machine.response = app.process(&command);
    (machine.response.as_ptr() as u64) << 32 | machine.response.len() as u64
}
