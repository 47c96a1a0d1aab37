//! Attacks on the application's image, and by an application that was broken from within.

use anyhow::{Context as _, Result};
use counterfoil_ta::api::{Command, Response};
use counterfoil_ta::env::Env as _;
use counterfoil_tre::native::CounterChoice;
use counterfoil_tre::virtual_se::StartError;
use counterfoil_tre::virtual_se::image::{SHIPPED_SEAL, SHIPPED_WASM};
use counterfoil_tre::virtual_se::interpreter::Interpreter;
use counterfoil_tre::virtual_se::vm::Limits;
use counterfoil_tre::{
    APPLICATION, Binding, Element as _, Image, ImageError, ImagePolicy, VirtualSe, open_host,
};
use counterfoil_trust::image::{ImageStatement, development_signer};
use counterfoil_trust::{SigningKey, sha256};
use counterfoil_wallet::Counter;
use counterfoil_wire::{Algorithm, Code, Wire as _};

use super::rollback::{enrol, eur};
use super::{Attack, Stage, Verdict};

const WHEN_LOADED: &str = "when the image is loaded; nothing of it runs";
const WHEN_RUN: &str = "while it runs; the state stays as it was made durable";

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "an image that nobody trusted signed",
        expected: Verdict::Prevented,
        by: "the signature (516)",
        when: WHEN_LOADED,
        bound: "a host that leaves the check out: see \"the host runs an application of its own\"",
        mount: |_| {
            let own = SigningKey::from_secret(Algorithm::EdDsa, &[9; 32])?;
            let seal = seal(SHIPPED_WASM, 1, &own);
            Ok(Verdict::refused(load(SHIPPED_WASM, &seal) == Err(ImageError::Unsigned)))
        },
    },
    Attack {
        name: "an altered image",
        expected: Verdict::Prevented,
        by: "the measure under the signature (517)",
        when: WHEN_LOADED,
        bound: "",
        mount: |_| {
            let refused = (0..64).all(|place| {
                let mut wasm = SHIPPED_WASM.to_vec();
                let at = wasm.len().saturating_mul(place) / 64;
                wasm.get_mut(at).is_some_and(|byte| {
                    *byte ^= 1;
                    true
                }) && load(&wasm, SHIPPED_SEAL) == Err(ImageError::Altered)
            });
            Ok(Verdict::refused(refused))
        },
    },
    Attack {
        name: "an older image on a newer one's state",
        expected: Verdict::Prevented,
        by: "the version under the state's seals (518)",
        when: "when the wallet is opened",
        bound: "",
        mount: older,
    },
    Attack {
        name: "an image with an import of its own, or with floats",
        expected: Verdict::Prevented,
        by: "the machine, which has four kinds of import and no floats (519)",
        when: WHEN_LOADED,
        bound: "",
        mount: |stage| {
            let texts = [
                r#"(module (import "counterfoil" "network" (func)))"#,
                r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)))"#,
                "(module (func (drop (f64.add (f64.const 1) (f64.const 2)))))",
            ];
            let mut worst = Verdict::Prevented;
            for text in texts {
                let refused = matches!(start(stage, "imports", text)?.0, Err(error) if error.code() == Code::ImageImports);
                worst = worst.max(Verdict::refused(refused));
            }
            Ok(worst)
        },
    },
    Attack {
        name: "an application that traps",
        expected: Verdict::Prevented,
        by: "the machine (513)",
        when: WHEN_RUN,
        bound: "",
        mount: |stage| broken(stage, "traps", "unreachable", Code::ElementTrapped),
    },
    Attack {
        name: "an application in an endless loop",
        expected: Verdict::Prevented,
        by: "the budget of steps (514)",
        when: WHEN_RUN,
        bound: "",
        mount: |stage| broken(stage, "loops", "(loop $l (br $l)) (i64.const 0)", Code::ElementOutOfFuel),
    },
    Attack {
        name: "an application that takes all memory",
        expected: Verdict::Prevented,
        by: "the cap on memory (515)",
        when: WHEN_RUN,
        bound: "",
        mount: |stage| {
            let body = "(loop $l (drop (memory.grow (i32.const 1))) (br $l)) (i64.const 0)";
            broken(stage, "grows", body, Code::ElementOutOfMemory)
        },
    },
    Attack {
        name: "an application that reads and writes beyond its memory",
        expected: Verdict::Prevented,
        by: "the machine, and each import's bounds (513)",
        when: WHEN_RUN,
        bound: "",
        mount: |stage| {
            let reads = "(drop (i32.load (i32.const -4))) (i64.const 0)";
            let asks = "(call $random (i32.const -1) (i32.const -1)) (i64.const 0)";
            let first = broken(stage, "reads", reads, Code::ElementTrapped)?;
            Ok(first.max(broken(stage, "writes", asks, Code::ElementTrapped)?))
        },
    },
];

fn load(wasm: &[u8], seal: &[u8]) -> Result<Image, ImageError> {
    Image::load(wasm, seal, &ImagePolicy::shipped())
}

fn seal(wasm: &[u8], version: u32, key: &SigningKey) -> Vec<u8> {
    let interface = counterfoil_ta::abi::VERSION;
    ImageStatement { version, interface, hash: sha256(wasm), signer: key.public() }.sealed_by(key)
}

/// Opens a wallet under the next version of its image, as an update does, and then under the one that it had.
fn older(stage: &Stage) -> Result<Verdict> {
    let actor = enrol(stage, "older", "Dora", Counter::None)?;
    let home = actor.home();
    let settings = home.settings()?.context("an enrolled home")?;
    let key = development_signer().context("the development key")?;
    let shipped = Image::shipped()?;
    let next = load(SHIPPED_WASM, &seal(SHIPPED_WASM, shipped.id().version.saturating_add(1), &key))?;
    let open = |image: &Image| {
        let binding = Binding { label: settings.label.clone(), application: APPLICATION, image: image.id() };
        open_host(home.dir(), actor.device().folder(), binding, &CounterChoice::None, None)
    };
    let before = actor.overview()?;
    drop(open(&next)?);
    let refused = actor.overview().err();
    let code = refused.and_then(|error| error.downcast_ref::<counterfoil_wallet::WalletError>()?.code());
    let kept = before.key.as_bytes().len() > 1 && open(&next).is_ok();
    Ok(Verdict::refused(code == Some(Code::ImageOlder) && kept))
}

type Started = (Result<VirtualSe, StartError>, crate::scene::Actor);

/// Starts a module under a good seal over a funded wallet's state: a fault of ours that somebody found.
fn start(stage: &Stage, attack: &str, text: &str) -> Result<Started> {
    let attack = format!("{attack}-{}", sha256(text.as_bytes()));
    let actor = enrol(stage, &attack, "Dora", Counter::None)?;
    actor.fund(eur(1_000), &stage.operator)?;
    let wasm = wat::parse_str(text)?;
    let key = development_signer().context("the development key")?;
    let image = load(&wasm, &seal(&wasm, 1, &key))?;
    let settings = actor.home().settings()?.context("an enrolled home")?;
    let shipped = Image::shipped()?.id();
    let binding = Binding { label: settings.label, application: APPLICATION, image: shipped };
    let host = open_host(actor.home().dir(), actor.device().folder(), binding, &CounterChoice::None, None)?;
    let kind = host.store().counter_kind();
    Ok((VirtualSe::<Interpreter>::start(&image, host, kind, Limits::DEFAULT), actor))
}

/// Runs an application that does `body` at each command, and then the wallet's own.
fn broken(stage: &Stage, attack: &str, body: &str, code: Code) -> Result<Verdict> {
    let text = format!(
        r#"(module
            (import "counterfoil" "random" (func $random (param i32 i32)))
            (memory (export "memory") 1)
            (func (export "abi_version") (result i32) (i32.const {version}))
            (func (export "reserve") (param i32) (result i32) (i32.const 1024))
            (func (export "process") (result i64) {body}))"#,
        version = counterfoil_ta::abi::VERSION
    );
    let (element, actor) = start(stage, attack, &text)?;
    let mut element = element?;
    let answer = Response::from_bytes(&element.process(&Command::Show {}.to_bytes()))?;
    drop(element);
    let ended = answer.0.err().map(|error| error.code) == Some(code);
    let overview = actor.overview()?;
    Ok(Verdict::refused(ended && overview.funded == eur(1_000)))
}
