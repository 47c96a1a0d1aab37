//! Where the application of these tests runs: in the machine, from the image that this build ships, or from the one that
//! `COUNTERFOIL_IMAGE` names.

use std::cell::RefCell;
use std::rc::Rc;

use counterfoil_ta::api::Response;
use counterfoil_ta::env::{Env, Freshness};
use counterfoil_tre::virtual_se::image::SHIPPED_WASM;
use counterfoil_tre::virtual_se::interpreter::Interpreter;
use counterfoil_tre::virtual_se::vm::{Limits, Vm, World};
use counterfoil_wire::{Code, Wire};
use send_wrapper::SendWrapper;

use super::support::{Device, Door, Host};

/// A host that stays on the thread of its test, which the machine does not know.
pub struct Here<E>(SendWrapper<E>);

impl<E: Env> Env for Here<E> {
    type Store = E::Store;

    fn store(&self) -> &Self::Store {
        self.0.store()
    }

    fn store_mut(&mut self) -> &mut Self::Store {
        self.0.store_mut()
    }

    fn fill_random(&mut self, buf: &mut [u8]) {
        self.0.fill_random(buf);
    }

    fn now_s(&self) -> u32 {
        self.0.now_s()
    }

    fn freshness(&self) -> Freshness {
        self.0.freshness()
    }
}

thread_local! {
    /// Validated once a thread: every wallet gets a machine of its own from it.
    static LOADED: RefCell<Option<Interpreter>> = const { RefCell::new(None) };
}

fn machine() -> Interpreter {
    LOADED.with_borrow_mut(|loaded| {
        let load = || match std::env::var_os("COUNTERFOIL_IMAGE") {
            Some(path) => Interpreter::load(&std::fs::read(path).unwrap(), Limits::DEFAULT).unwrap(),
            None => Interpreter::load(SHIPPED_WASM, Limits::DEFAULT).unwrap(),
        };
        loaded.get_or_insert_with(load).another()
    })
}

/// The application over a host, in a machine. A fault answers with a number that no suite expects.
pub fn open_over<E: Env + 'static>(host: E) -> Door {
    let mut machine = machine();
    let mut world: Option<Box<dyn World>> = Some(Box::new(Here(SendWrapper::new(host))));
    Box::new(move |command| {
        let (back, result) = machine.call(world.take().unwrap(), command);
        world = Some(back);
        result.unwrap_or_else(|_| Response(Err(Code::ElementTrapped.into())).to_bytes())
    })
}

/// The application over the device, as it is after a start: nothing is in memory.
pub fn open_door(device: &Rc<Device>) -> Door {
    open_over(Host::new(device))
}
