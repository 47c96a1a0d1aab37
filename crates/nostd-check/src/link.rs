//! The program that is linked: the smallest world, and one call through the door of the trusted application.

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};
use core::hint::black_box;
use core::panic::PanicInfo;

use counterfoil_ta::TrustedApp;
use counterfoil_ta::env::{Batch, Env, Freshness, Store, StoreError};
use counterfoil_trust as _;
use counterfoil_wire as _;

/// Never has memory to give: linked, not run.
struct NoMemory;

// SAFETY: returning null is how an allocator reports that it has no memory, and what was never given is never freed.
unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: NoMemory = NoMemory;

#[panic_handler]
fn halt(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// A store that keeps nothing.
struct NoStore;

impl Store for NoStore {
    fn get(&self, _: &[u8]) -> Result<Option<alloc::vec::Vec<u8>>, StoreError> {
        Err(StoreError::Io)
    }

    fn scan(&self, _: &[u8], _: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        Err(StoreError::Io)
    }

    fn commit(&mut self, _: &Batch) -> Result<(), StoreError> {
        Err(StoreError::Full)
    }
}

/// A world in which nothing is known.
struct NoWorld {
    store: NoStore,
}

impl Env for NoWorld {
    type Store = NoStore;

    fn store(&self) -> &NoStore {
        &self.store
    }

    fn store_mut(&mut self) -> &mut NoStore {
        &mut self.store
    }

    fn fill_random(&mut self, buf: &mut [u8]) {
        buf.fill(0);
    }

    fn now_s(&self) -> u32 {
        0
    }

    fn freshness(&self) -> Freshness {
        Freshness::Unprovable
    }
}

/// Where the linker starts: what is not reachable from here is not judged. The door of the trusted application reaches
/// everything behind it, and with it most of `trust` and `wire`.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn counterfoil_nostd_entry() {
    let mut app = TrustedApp::open(black_box(NoWorld { store: NoStore }));
    let _ = black_box(app.process(black_box(&[])));
}
