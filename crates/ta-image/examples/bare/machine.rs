//! Signing and verifying, called by number.

extern crate alloc;

use core::cell::RefCell;
use core::panic::PanicInfo;

use counterfoil_trust::{SigningKey, verify};
use counterfoil_wire::{Algorithm, PublicKey, Signature};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn stop(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// About as long as what is signed for a payment.
const MESSAGE: [u8; 160] = [0x5a; 160];

struct Signed {
    key: SigningKey,
    public: PublicKey,
    signature: Signature,
}

struct Single(RefCell<Option<Signed>>);

// SAFETY: the image is made without threads, and imports nothing.
unsafe impl Sync for Single {}

static SIGNED: Single = Single(RefCell::new(None));

/// Makes a key and a signature to verify: EdDSA for 0, ES256 for everything else. 1 on success.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn prepare(algorithm: u32) -> u32 {
    let algorithm = if algorithm == 0 { Algorithm::EdDsa } else { Algorithm::Es256 };
    let Ok(key) = SigningKey::from_secret(algorithm, &[0x11; 32]) else { return 0 };
    let (public, signature) = (key.public(), key.sign(&MESSAGE, &[7; 32]));
    *SIGNED.0.borrow_mut() = Some(Signed { key, public, signature });
    1
}

/// Signs so many times.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn sign(times: u32) -> u32 {
    let mut signed = SIGNED.0.borrow_mut();
    let Some(signed) = signed.as_mut() else { return 0 };
    for round in 0..times {
        signed.signature = signed.key.sign(&MESSAGE, &[round as u8; 32]);
    }
    1
}

/// Verifies so many times. 1 if the signature held each time.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn check(times: u32) -> u32 {
    let signed = SIGNED.0.borrow();
    let Some(signed) = signed.as_ref() else { return 0 };
    (0..times).all(|_| verify(&signed.public, &MESSAGE, &signed.signature).is_ok()) as u32
}
