//! What an application in the machine cannot do, however it is written.

use crate::world::World;
use counterfoil_ta::abi::VERSION;
use counterfoil_tre::virtual_se::interpreter::Interpreter;
use counterfoil_tre::virtual_se::vm::{Limits, LoadError, Vm, VmFault};

const LIMITS: Limits = Limits { fuel: 2_000_000, memory_bytes: 1 << 20, message_bytes: 4096 };

/// A module that answers `body`: instructions that leave pointer and length of the response as an i64.
fn module(body: &str) -> Vec<u8> {
    with(r#"(memory (export "memory") 1)"#, body)
}

fn with(head: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (import "counterfoil" "random" (func $random (param i32 i32)))
            (import "counterfoil" "store_get" (func $get (param i32 i32) (result i64)))
            (import "counterfoil" "store_first" (func $first (param i32 i32 i32 i32) (result i64)))
            (import "counterfoil" "store_take" (func $take (param i32)))
            (import "counterfoil" "store_commit" (func $commit (param i32 i32) (result i32)))
            {head}
            (data (i32.const 64) "\01\01\00\00\00\01\00\00\00kv")
            (func (export "abi_version") (result i32) (i32.const {VERSION}))
            (func (export "reserve") (param i32) (result i32) (i32.const 1024))
            (func $recurse (call $recurse))
            (func (export "process") (result i64) {body}))"#
    );
    wat::parse_str(text).unwrap()
}

fn load(wasm: &[u8]) -> Result<Interpreter, LoadError> {
    Interpreter::load(wasm, LIMITS)
}

fn call(wasm: &[u8], command: &[u8]) -> (Result<Vec<u8>, VmFault>, World) {
    let mut machine = load(wasm).unwrap();
    let world = World::default();
    let records = world.records.clone();
    let (_, result) = machine.call(Box::new(world), command);
    (result, World { records, random: 0 })
}

const ECHO: &str = "(i64.const 0x0000040000000002)";

#[test]
fn an_answer_is_what_the_application_points_at() {
    assert_eq!(call(&module(ECHO), b"hi").0.unwrap(), b"hi");
    assert_eq!(call(&module("(i64.const 0)"), b"hi").0.unwrap(), b"");
}

#[test]
fn a_trap_an_endless_loop_and_growth_end_in_their_faults() {
    for (body, fault) in [
        ("unreachable", VmFault::Trap),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0))) (i64.const 0)", VmFault::Trap),
        ("(call $recurse) (i64.const 0)", VmFault::Trap),
        ("(drop (i32.load (i32.const -4))) (i64.const 0)", VmFault::Trap),
        ("(loop $l (br $l)) (i64.const 0)", VmFault::OutOfFuel),
        ("(drop (memory.grow (i32.const 4096))) (i64.const 0)", VmFault::OutOfMemory),
        // Bit by bit.
        ("(loop $l (drop (memory.grow (i32.const 1))) (br $l)) (i64.const 0)", VmFault::OutOfMemory),
        // An answer outside of its memory, or longer than any.
        ("(i64.const 0x0000ffff00000002)", VmFault::Trap),
        ("(i64.const 0xffffffff00000002)", VmFault::Trap),
        ("(i64.const 0x00000000ffffffff)", VmFault::Trap),
        ("(i64.const 0x0000000000002000)", VmFault::Trap),
    ] {
        assert_eq!(call(&module(body), b"x").0, Err(fault), "{body}");
    }
}

#[test]
fn imports_keep_within_the_applications_memory() {
    for body in [
        "(call $random (i32.const 65535) (i32.const 2))",
        "(call $random (i32.const -1) (i32.const -1))",
        "(drop (call $get (i32.const 65535) (i32.const 2)))",
        "(drop (call $get (i32.const 0) (i32.const -1)))",
        "(drop (call $first (i32.const 65535) (i32.const 2) (i32.const 0) (i32.const 1)))",
        "(drop (call $first (i32.const 0) (i32.const 1) (i32.const 65535) (i32.const 2)))",
        "(drop (call $commit (i32.const 65530) (i32.const 100)))",
        // What is no batch.
        "(drop (call $commit (i32.const 64) (i32.const 5)))",
        // A value that was found, to where there is no room.
        "(drop (call $commit (i32.const 64) (i32.const 11))) (drop (call $get (i32.const 73) (i32.const 1)))
         (call $take (i32.const 65536))",
    ] {
        assert_eq!(call(&module(&format!("{body} (i64.const 0)")), b"x").0, Err(VmFault::Trap), "{body}");
    }
}

#[test]
fn what_was_found_is_taken_once() {
    let body =
        "(drop (call $commit (i32.const 64) (i32.const 11))) (drop (call $get (i32.const 73) (i32.const 1)))
                (call $take (i32.const 2048)) (call $take (i32.const 3000)) (i64.const 0x0000080000000001)";
    assert_eq!(call(&module(body), b"x").0.unwrap(), b"v");
}

#[test]
fn the_first_entry_from_a_key_on_comes_with_its_key() {
    let first = |prefix: &str, from: &str| {
        let body = format!(
            "(drop (call $commit (i32.const 64) (i32.const 11)))
             (if (i64.eq (call $first {prefix} {from}) (i64.const 11))
                (then (call $take (i32.const 2048))) (else (return (i64.const 0))))
             (i64.const 0x000008000000000b)"
        );
        call(&module(&body), b"x").0.unwrap()
    };
    let (key, nothing, later) =
        ("(i32.const 73) (i32.const 1)", "(i32.const 73) (i32.const 0)", "(i32.const 74) (i32.const 1)");
    let row = b"\x01\x01\0\0\0\x01\0\0\0kv";
    assert_eq!(first(key, key), row);
    assert_eq!(first(key, nothing), row);
    assert_eq!(first(nothing, nothing), row);
    // "v" is after "k", as a prefix and as a place to begin.
    assert_eq!(first(nothing, later), b"");
    assert_eq!(first(later, key), b"");
}

#[test]
fn what_was_committed_before_the_end_stays() {
    for end in ["unreachable", "(loop $l (br $l)) (i64.const 0)"] {
        let body = format!("(drop (call $commit (i32.const 64) (i32.const 11))) {end}");
        let (result, world) = call(&module(&body), b"x");
        assert!(result.is_err());
        assert_eq!(world.records.get(b"k"), Some(b"v".to_vec()));
    }
}

#[test]
fn after_a_fault_the_application_starts_anew() {
    // Counts its calls in memory, and traps at the second.
    let body = "(i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
                (if (i32.eq (i32.load (i32.const 8)) (i32.const 2)) (then unreachable))
                (i64.const 0x0000000800000004)";
    let mut machine = load(&module(body)).unwrap();
    let mut world: Box<dyn counterfoil_tre::virtual_se::vm::World> = Box::new(World::default());
    let mut results = Vec::new();
    for _ in 0..4 {
        let (back, result) = machine.call(world, b"x");
        world = back;
        results.push(result.map(|bytes| bytes[0]));
    }
    assert_eq!(results, [Ok(1), Err(VmFault::Trap), Ok(1), Err(VmFault::Trap)]);
}

#[test]
fn what_asks_for_more_is_not_loaded() {
    let import = |import: &str| with(&format!(r#"{import} (memory (export "memory") 1)"#), ECHO);
    for (what, wasm) in [
        ("an unknown import", import(r#"(import "counterfoil" "network" (func))"#)),
        ("another module", import(r#"(import "wasi_snapshot_preview1" "fd_write" (func))"#)),
        ("an import of another type", import(r#"(import "counterfoil" "now_s" (func (result i64)))"#)),
    ] {
        assert!(matches!(load(&wasm), Err(LoadError::Import(_))), "{what}: {:?}", load(&wasm));
    }
    for (what, wasm) in [
        ("a float", module("(drop (f32.add (f32.const 1) (f32.const 2))) (i64.const 0)")),
        ("a start function", with(r#"(memory (export "memory") 1) (func $s) (start $s)"#, ECHO)),
        ("an imported memory", import(r#"(import "counterfoil" "random" (memory 1))"#)),
        ("two memories", with(r#"(memory (export "memory") 1) (memory 1)"#, ECHO)),
        ("no module", b"\0asm\x01\0\0".to_vec()),
    ] {
        assert!(matches!(load(&wasm), Err(LoadError::Malformed(_))), "{what}: {:?}", load(&wasm));
    }
    for wasm in [
        with("(memory 1)", ECHO),
        wat::parse_str(r#"(module (memory (export "memory") 1))"#).unwrap(),
        wat::parse_str(
            r#"(module (memory (export "memory") 1) (func (export "abi_version") (result i32) (i32.const 99)))"#,
        )
        .unwrap(),
    ] {
        assert!(matches!(load(&wasm), Err(LoadError::Export(_))), "{:?}", load(&wasm));
    }
    // More memory at the start than there may be at any time.
    assert!(load(&with(r#"(memory (export "memory") 17)"#, ECHO)).is_err());
}

#[test]
fn a_command_longer_than_any_is_a_fault() {
    assert_eq!(call(&module(ECHO), &[0; 4097]).0, Err(VmFault::Trap));
}
