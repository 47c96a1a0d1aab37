//! What an element answers when its application fails.

use crate::world::{World, sealed, shipped};
use counterfoil_ta::api::{Command, Response};
use counterfoil_tre::virtual_se::interpreter::Interpreter;
use counterfoil_tre::virtual_se::vm::{Called, Limits, LoadError, Vm, VmFault, World as AsWorld};
use counterfoil_tre::virtual_se::{FAULTS_MAX, StartError};
use counterfoil_tre::{CounterKind, Element, VirtualSe};
use counterfoil_wire::element::Tamper;
use counterfoil_wire::{Code, Wire};
use std::sync::Mutex;

/// A machine that does as it is told, and remembers what it was asked.
struct Scripted;

/// What it is to answer, and what it was asked.
type Script = (Vec<Result<Vec<u8>, VmFault>>, Vec<Vec<u8>>);

static SCRIPT: Mutex<Script> = Mutex::new((Vec::new(), Vec::new()));

impl Vm for Scripted {
    fn load(_: &[u8], _: Limits) -> Result<Self, LoadError> {
        Ok(Self)
    }

    fn call(&mut self, world: Box<dyn AsWorld>, command: &[u8]) -> Called {
        let mut script = SCRIPT.lock().unwrap();
        script.1.push(command.to_vec());
        (world, script.0.remove(0))
    }
}

fn code(response: &[u8]) -> Option<Code> {
    Response::from_bytes(response).unwrap().0.err().map(|error| error.code)
}

#[test]
fn faults_are_numbered_and_too_many_in_a_row_stop_the_element() {
    use VmFault::{OutOfFuel, OutOfMemory, Trap};
    let good = Response(Err(Code::NotEnrolled.into())).to_bytes();
    SCRIPT.lock().unwrap().0 = vec![
        Err(Trap),
        Err(OutOfFuel),
        Ok(good.clone()),
        Err(OutOfMemory),
        Err(Trap),
        Err(OutOfFuel),
        // The report.
        Err(Trap),
    ];
    let (wasm, _) = shipped();
    let image = sealed(&wasm, 1);
    let start = VirtualSe::<Scripted>::start(&image, World::default(), CounterKind::None, Limits::DEFAULT);
    let mut element = start.unwrap();
    let mut codes = Vec::new();
    for _ in 0..8 {
        codes.push(code(&element.process(b"x")).unwrap());
    }
    assert_eq!(FAULTS_MAX, 3);
    assert_eq!(
        codes,
        [
            Code::ElementTrapped,
            Code::ElementOutOfFuel,
            Code::NotEnrolled,
            Code::ElementOutOfMemory,
            Code::ElementTrapped,
            Code::ElementOutOfFuel,
            Code::ElementStopped,
            Code::ElementStopped,
        ]
    );
    let asked = &SCRIPT.lock().unwrap().1;
    let report = Command::ReportTamper { tamper: Tamper::Runtime }.to_bytes();
    assert_eq!(asked.len(), 7, "a stopped element asks its machine nothing");
    assert_eq!(asked.last(), Some(&report));
}

#[test]
fn an_image_that_cannot_run_has_a_number() {
    let wasm = wat::parse_str(r#"(module (import "counterfoil" "network" (func)))"#).unwrap();
    let image = sealed(&wasm, 1);
    let start = VirtualSe::<Interpreter>::start(&image, World::default(), CounterKind::None, Limits::DEFAULT);
    assert_eq!(start.as_ref().err().map(StartError::code), Some(Code::ImageImports));
}

#[test]
fn the_shipped_image_answers_anything_that_it_is_asked() {
    let (wasm, _) = shipped();
    let image = sealed(&wasm, 1);
    let mut element =
        VirtualSe::<Interpreter>::start(&image, World::default(), CounterKind::None, Limits::DEFAULT)
            .unwrap();
    assert_eq!(element.image(), Some(*image.statement()));
    assert_eq!(code(&element.process(&Command::Show {}.to_bytes())), Some(Code::NotEnrolled));
    for garbage in
        [&[][..], &[0xff; 100], &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], &[0x5a; 70_000]]
    {
        let answer = element.process(garbage);
        let number = code(&answer).unwrap().number();
        assert!((100..110).contains(&number) || number == 508, "{number}");
    }
}
