//! The machine that is an interpreter: wasmi. It makes no machine code, so it also runs where the platform forbids that.
//!
//! Floating-point instructions, start functions, several memories and whatever else the application has no use for are
//! switched off; steps are counted and memory is capped. The image is validated as a whole before anything of it runs, and
//! translated piece by piece when first used. All of the machine's memory (the application's own, the value stack, the
//! code) is the process's heap: with a zeroising allocator it is wiped as it is freed.

use super::vm::{Called, Limits, LoadError, Vm, VmFault, World};
use counterfoil_ta::abi;
use counterfoil_ta::env::{Batch, StoreError};
use std::fmt;
use wasmi::errors::LinkerError;
use wasmi::{
    Caller, CompilationMode, Config, Engine, Error, Extern, Linker, Memory, Module, Store, StoreLimits,
    StoreLimitsBuilder, TrapCode, TypedFunc,
};
use zeroize::Zeroizing;

/// How deep the application's functions may call each other, and how many bytes their values may take.
const CALL_DEPTH_MAX: usize = 256;
const STACK_BYTES_MAX: usize = 256 << 10;
const TABLE_MAX: usize = 4096;

/// The application in wasmi.
pub struct Interpreter {
    engine: Engine,
    module: Module,
    limits: Limits,
    running: Option<Running>,
}

impl fmt::Debug for Interpreter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interpreter").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// An instance, from its first command to its end.
struct Running {
    store: Store<Inside>,
    memory: Memory,
    reserve: TypedFunc<u32, u32>,
    process: TypedFunc<(), u64>,
}

/// What imports work on.
struct Inside {
    /// Lent for the length of a call.
    world: Option<Box<dyn World>>,
    memory: Option<Memory>,
    /// What the last look-up found.
    found: Zeroizing<Vec<u8>>,
    limits: StoreLimits,
}

/// The interpreter as every element uses it, for whoever measures it.
pub fn engine() -> Engine {
    let mut config = Config::default();
    config
        .consume_fuel(true)
        .floats(false)
        .allow_start_fn(false)
        .ignore_custom_sections(true)
        .compilation_mode(CompilationMode::LazyTranslation)
        .set_max_recursion_depth(CALL_DEPTH_MAX)
        .set_max_stack_height(STACK_BYTES_MAX)
        .set_max_cached_stacks(1)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_wide_arithmetic(true);
    Engine::new(&config)
}

impl Vm for Interpreter {
    fn load(wasm: &[u8], limits: Limits) -> Result<Self, LoadError> {
        let engine = engine();
        let module = Module::new(&engine, wasm).map_err(|error| LoadError::Malformed(error.to_string()))?;
        let mut machine = Self { engine, module, limits, running: None };
        // Now, to see that everything is there that it needs and that the machine needs of it.
        machine.running = Some(machine.start()?);
        Ok(machine)
    }

    fn call(&mut self, world: Box<dyn World>, command: &[u8]) -> Called {
        let mut running = match self.running.take().map_or_else(|| self.start(), Ok) {
            Ok(running) => running,
            Err(_) => return (world, Err(VmFault::Trap)),
        };
        running.store.data_mut().world = Some(world);
        let result = running.call(command, self.limits);
        let inside = running.store.data_mut();
        inside.found = Zeroizing::default();
        let Some(world) = inside.world.take() else { unreachable!("no import takes the world away") };
        match result {
            Ok(response) => {
                self.running = Some(running);
                (world, Ok(response))
            }
            Err(error) => (world, Err(fault(&error))),
        }
    }
}

fn fault(error: &Error) -> VmFault {
    match error.as_trap_code() {
        Some(TrapCode::OutOfFuel) => VmFault::OutOfFuel,
        Some(TrapCode::GrowthOperationLimited) => VmFault::OutOfMemory,
        _ => VmFault::Trap,
    }
}

impl Interpreter {
    /// Another machine for the same image, which need not be validated again.
    pub fn another(&self) -> Self {
        Self { engine: self.engine.clone(), module: self.module.clone(), limits: self.limits, running: None }
    }

    fn start(&self) -> Result<Running, LoadError> {
        let inside = Inside {
            world: None,
            memory: None,
            found: Zeroizing::default(),
            // Denied, a growth ends the application: it could do nothing without it but stop.
            limits: StoreLimitsBuilder::new()
                .memory_size(self.limits.memory_bytes)
                .table_elements(TABLE_MAX)
                .instances(1)
                .memories(1)
                .tables(1)
                .trap_on_grow_failure(true)
                .build(),
        };
        let mut store = Store::new(&self.engine, inside);
        store.limiter(|inside| &mut inside.limits);
        let linker = imports(&self.engine).map_err(|error| LoadError::Malformed(error.to_string()))?;
        for import in self.module.imports() {
            let (module, name) = (import.module(), import.name());
            if module != abi::MODULE || !abi::IMPORTS.contains(&name) {
                return Err(LoadError::Import(format!("{module}.{name}")));
            }
        }
        store.set_fuel(self.limits.fuel).map_err(|error| LoadError::Malformed(error.to_string()))?;
        let instance = linker
            .instantiate_and_start(&mut store, &self.module)
            .map_err(|error| LoadError::Import(error.to_string()))?;
        let lacks = |what: &str| LoadError::Export(what.to_owned());
        let memory = instance.get_memory(&store, "memory").ok_or_else(|| lacks("memory"))?;
        let version = instance.get_typed_func::<(), u32>(&store, "abi_version");
        let version = version.map_err(|_| lacks("abi_version"))?.call(&mut store, ());
        if version.map_err(|_| lacks("abi_version"))? != abi::VERSION {
            return Err(LoadError::Export(format!("version {} of the interface", abi::VERSION)));
        }
        let reserve = instance.get_typed_func(&store, "reserve").map_err(|_| lacks("reserve"))?;
        let process = instance.get_typed_func(&store, "process").map_err(|_| lacks("process"))?;
        store.data_mut().memory = Some(memory);
        Ok(Running { store, memory, reserve, process })
    }
}

impl Running {
    fn call(&mut self, command: &[u8], limits: Limits) -> Result<Vec<u8>, Error> {
        self.store.set_fuel(limits.fuel)?;
        let len = u32::try_from(command.len()).ok().filter(|_| command.len() <= limits.message_bytes);
        let len = len.ok_or_else(|| Error::new("a command of this length is not for this machine"))?;
        let room = self.reserve.call(&mut self.store, len)?;
        self.memory.write(&mut self.store, room as usize, command)?;
        let answer = self.process.call(&mut self.store, ())?;
        let (at, len) = ((answer >> 32) as usize, (answer & 0xffff_ffff) as usize);
        if len > limits.message_bytes {
            return Err(TrapCode::MemoryOutOfBounds.into());
        }
        let end = at.checked_add(len).ok_or(TrapCode::MemoryOutOfBounds)?;
        let response = self.memory.data(&self.store).get(at..end).ok_or(TrapCode::MemoryOutOfBounds)?;
        Ok(response.to_vec())
    }
}

/// The imports. Each reads and writes the application's memory within its bounds, or traps.
fn imports(engine: &Engine) -> Result<Linker<Inside>, LinkerError> {
    let mut linker = Linker::new(engine);
    let module = abi::MODULE;
    linker.func_wrap(module, "random", |mut caller: Caller<'_, Inside>, to: u32, len: u32| {
        let (bytes, inside) = memory(&mut caller)?;
        world(&mut inside.world)?.random(part_mut(bytes, to, len)?);
        Ok::<_, Error>(())
    })?;
    linker.func_wrap(module, "now_s", |mut caller: Caller<'_, Inside>| {
        Ok::<_, Error>(world(&mut caller.data_mut().world)?.now_s())
    })?;
    linker.func_wrap(module, "freshness", |mut caller: Caller<'_, Inside>| {
        Ok::<_, Error>(abi::freshness_number(world(&mut caller.data_mut().world)?.freshness()))
    })?;
    linker.func_wrap(module, "store_get", |mut caller: Caller<'_, Inside>, key: u32, len: u32| {
        let (bytes, inside) = memory(&mut caller)?;
        let found = world(&mut inside.world)?.get(part(bytes, key, len)?);
        Ok::<_, Error>(match found {
            Ok(Some(value)) => keep(inside, value),
            Ok(None) => abi::ABSENT,
            Err(error) => abi::status(error),
        })
    })?;
    linker.func_wrap(module, "store_scan", |mut caller: Caller<'_, Inside>, prefix: u32, len: u32| {
        let (bytes, inside) = memory(&mut caller)?;
        let mut rows = Batch::new();
        let mut visit = |key: &[u8], value: &[u8]| rows.put(key, value);
        let scanned = world(&mut inside.world)?.scan(part(bytes, prefix, len)?, &mut visit);
        let rows = scanned.and_then(|()| abi::encode_batch(&rows).ok_or(StoreError::Io));
        Ok::<_, Error>(match rows {
            Ok(rows) => keep(inside, rows),
            Err(error) => abi::status(error),
        })
    })?;
    linker.func_wrap(
        module,
        "store_first",
        |mut caller: Caller<'_, Inside>, prefix: u32, len: u32, from: u32, from_len: u32| {
            let (bytes, inside) = memory(&mut caller)?;
            let (prefix, from) = (part(bytes, prefix, len)?, part(bytes, from, from_len)?);
            let found = world(&mut inside.world)?.first(prefix, from);
            let row = found.and_then(|entry| match entry {
                Some((key, value)) => {
                    abi::encode(std::iter::once((&key[..], Some(&value[..])))).ok_or(StoreError::Io).map(Some)
                }
                None => Ok(None),
            });
            Ok::<_, Error>(match row {
                Ok(Some(row)) => keep(inside, row),
                Ok(None) => abi::ABSENT,
                Err(error) => abi::status(error),
            })
        },
    )?;
    linker.func_wrap(module, "store_take", |mut caller: Caller<'_, Inside>, to: u32| {
        let (bytes, inside) = memory(&mut caller)?;
        let found = std::mem::take(&mut inside.found);
        let len = u32::try_from(found.len()).map_err(|_| TrapCode::MemoryOutOfBounds)?;
        part_mut(bytes, to, len)?.copy_from_slice(&found);
        Ok::<_, Error>(())
    })?;
    linker.func_wrap(module, "store_commit", |mut caller: Caller<'_, Inside>, batch: u32, len: u32| {
        let (bytes, inside) = memory(&mut caller)?;
        let batch = abi::decode_batch(part(bytes, batch, len)?).ok_or(TrapCode::UnreachableCodeReached)?;
        let committed = world(&mut inside.world)?.commit(&batch);
        Ok::<_, Error>(committed.map_or_else(|error| abi::status(error) as i32, |()| 0))
    })?;
    Ok(linker)
}

fn keep(inside: &mut Inside, found: Vec<u8>) -> i64 {
    inside.found = Zeroizing::new(found);
    inside.found.len() as i64
}

fn world(world: &mut Option<Box<dyn World>>) -> Result<&mut Box<dyn World>, Error> {
    world.as_mut().ok_or_else(|| Error::new("called outside a command"))
}

fn memory<'a>(caller: &'a mut Caller<'_, Inside>) -> Result<(&'a mut [u8], &'a mut Inside), Error> {
    let memory = match caller.data().memory {
        Some(memory) => memory,
        None => caller
            .get_export("memory")
            .and_then(Extern::into_memory)
            .ok_or_else(|| Error::new("the image has no memory"))?,
    };
    Ok(memory.data_and_store_mut(caller))
}

fn part(bytes: &[u8], at: u32, len: u32) -> Result<&[u8], TrapCode> {
    let end = (at as usize).checked_add(len as usize).ok_or(TrapCode::MemoryOutOfBounds)?;
    bytes.get(at as usize..end).ok_or(TrapCode::MemoryOutOfBounds)
}

fn part_mut(bytes: &mut [u8], at: u32, len: u32) -> Result<&mut [u8], TrapCode> {
    let end = (at as usize).checked_add(len as usize).ok_or(TrapCode::MemoryOutOfBounds)?;
    bytes.get_mut(at as usize..end).ok_or(TrapCode::MemoryOutOfBounds)
}
