//! The signatures of a payment and nothing else, natively and in the same machine: what a payment is measured against.

use anyhow::{Context as _, Result, ensure};
use counterfoil_tre::virtual_se::interpreter;
use counterfoil_trust::{SigningKey, verify};
use counterfoil_wire::{Algorithm, PublicKey, Signature};
use cpu_time::ThreadTime;
use wasmi::{Linker, Module, Store, TypedFunc};

/// Signatures that both sides make for one payment: request, payment, receipt.
pub(crate) const SIGNATURES: u32 = 3;
/// Signatures that they check: the payee's certificate and request, the payer's certificate and payment, the receipt.
pub(crate) const VERIFICATIONS: u32 = 5;

const BARE_WASM: &[u8] = include_bytes!("../../../tre/image/bare-crypto.wasm");
/// Steps for one round: far more than it takes.
const FUEL: u64 = 10_000_000_000;

/// The signatures in the machine that a virtual secure element uses.
pub(crate) struct BareInMachine {
    store: Store<()>,
    sign: TypedFunc<u32, u32>,
    check: TypedFunc<u32, u32>,
}

impl BareInMachine {
    pub(crate) fn new(algorithm: Algorithm) -> Result<Self> {
        let engine = interpreter::engine();
        let module = Module::new(&engine, BARE_WASM).context("the image of bare signatures")?;
        let mut store = Store::new(&engine, ());
        store.set_fuel(FUEL)?;
        let instance = Linker::new(&engine).instantiate_and_start(&mut store, &module)?;
        let prepare = instance.get_typed_func::<u32, u32>(&store, "prepare")?;
        let number = u32::from(algorithm == Algorithm::Es256);
        ensure!(prepare.call(&mut store, number)? == 1, "no key for the bare signatures");
        let sign = instance.get_typed_func(&store, "sign")?;
        let check = instance.get_typed_func(&store, "check")?;
        Ok(Self { store, sign, check })
    }

    /// Processor time of one payment's signatures, milliseconds.
    pub(crate) fn round_ms(&mut self) -> Result<f64> {
        self.store.set_fuel(FUEL)?;
        let start = ThreadTime::now();
        let signed = self.sign.call(&mut self.store, SIGNATURES)?;
        let held = self.check.call(&mut self.store, VERIFICATIONS)?;
        let spent = start.elapsed();
        ensure!(signed == 1 && held == 1, "a bare signature does not hold");
        Ok(spent.as_secs_f64() * 1000.0)
    }
}

/// The signatures natively.
pub(crate) struct BareNative {
    key: SigningKey,
    public: PublicKey,
    signature: Signature,
}

/// As long as in the machine.
const MESSAGE: [u8; 160] = [0x5a; 160];

impl BareNative {
    pub(crate) fn new(algorithm: Algorithm) -> Result<Self> {
        let key = SigningKey::from_secret(algorithm, &[0x11; 32])?;
        let (public, signature) = (key.public(), key.sign(&MESSAGE, &[7; 32]));
        Ok(Self { key, public, signature })
    }

    /// Processor time of one payment's signatures, milliseconds.
    pub(crate) fn round_ms(&mut self) -> Result<f64> {
        let start = ThreadTime::now();
        for round in 0..SIGNATURES {
            self.signature = self.key.sign(&MESSAGE, &[u8::try_from(round).unwrap_or(0); 32]);
        }
        for _ in 0..VERIFICATIONS {
            verify(&self.public, std::hint::black_box(&MESSAGE), &self.signature)?;
        }
        Ok(start.elapsed().as_secs_f64() * 1000.0)
    }
}
