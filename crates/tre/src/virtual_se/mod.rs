//! The virtual secure element: the trusted application as a measured image in a machine of its own.
//!
//! | module | noun |
//! |---|---|
//! | [`image`] | a module, its signature and its measure |
//! | [`vm`] | a machine, as a trait, and the world that it gives to the application |
//! | [`interpreter`] | the machine that is wasmi |
//! | this one | the element: an image in a machine over a host |
//!
//! # What happens when the application fails
//! Money moves only in a commit of the sealed store, whole or not at all, and an answer leaves only after it. So whatever
//! happens inside the machine, the state is that before the command or that after it, and asking again gives the bytes that
//! belong to it.
//!
//! | what | answer | then |
//! |---|---|---|
//! | an instruction traps, the application panics, or it answers with memory that it does not have | 513 | the machine is thrown away; the next command starts another from the durable state |
//! | an endless loop: the steps of one command are used up | 514 | the same |
//! | the application asks for more memory than it may have | 515 | the same |
//! | [`FAULTS_MAX`] such ends with no answer between them | 520 to every command, until the element is opened again | the wallet is deactivated, durably, if the application can still be told so: it does nothing new until a sync, and the next statement carries the reason (`Tamper::Runtime`) |
//! | an unsigned, altered or older image; an import that no application gets; a floating-point instruction | 516 to 519, when it is loaded | nothing of it runs |
//!
//! A command that always fails, made so by somebody who found a fault in the application, thus deactivates the wallet of
//! who is shown it three times in a row. It loses nothing, and a sync ends it.

pub mod image;
pub mod interpreter;
pub mod vm;

use crate::counter::CounterKind;
use crate::element::Element;
use counterfoil_ta::api::{Command, Response};
use counterfoil_ta::env::{Env, Freshness};
use counterfoil_trust::image::ImageStatement;
use counterfoil_wire::element::Tamper;
use counterfoil_wire::{Code, Wire};
use image::{Image, ImageError};
use interpreter::Interpreter;
use std::fmt;
use vm::{Limits, LoadError, Vm, VmFault, World};

/// Ends of the application, with no answer between them, after which the element stops.
pub const FAULTS_MAX: u8 = 3;

/// Why an element did not start. Nothing of the image ran on the wallet's state, which is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The image may not run.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The machine does not run it.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl StartError {
    /// The number of this error, which says what to do next.
    pub const fn code(&self) -> Code {
        match self {
            Self::Image(ImageError::Unsigned) => Code::ImageUnsigned,
            Self::Image(ImageError::Altered) => Code::ImageAltered,
            Self::Image(ImageError::Older { .. }) => Code::ImageOlder,
            Self::Image(ImageError::OtherInterface(_)) | Self::Load(_) => Code::ImageImports,
        }
    }
}

/// The number of an end of the application.
const fn code(fault: VmFault) -> Code {
    match fault {
        VmFault::Trap => Code::ElementTrapped,
        VmFault::OutOfFuel => Code::ElementOutOfFuel,
        VmFault::OutOfMemory => Code::ElementOutOfMemory,
    }
}

/// A trusted application in a machine of its own.
pub struct VirtualSe<V = Interpreter> {
    machine: V,
    /// Lent to the machine for the length of a command.
    world: Option<Box<dyn World>>,
    image: ImageStatement,
    counter_kind: CounterKind,
    freshness: Freshness,
    faults: u8,
}

impl<V: Vm> VirtualSe<V> {
    /// Starts `image` over `host`, whose state some counter of this kind protects.
    ///
    /// # Errors
    /// [`StartError::Load`].
    pub fn start<E: Env + Send + 'static>(
        image: &Image,
        host: E,
        counter_kind: CounterKind,
        limits: Limits,
    ) -> Result<Self, StartError> {
        let machine = V::load(image.wasm(), limits)?;
        let freshness = Env::freshness(&host);
        Ok(Self {
            machine,
            world: Some(Box::new(host)),
            image: *image.statement(),
            counter_kind,
            freshness,
            faults: 0,
        })
    }

    fn call(&mut self, command: &[u8]) -> Result<Vec<u8>, VmFault> {
        let Some(world) = self.world.take() else { return Err(VmFault::Trap) };
        let (world, result) = self.machine.call(world, command);
        self.world = Some(world);
        result
    }
}

impl<V: Vm> Element for VirtualSe<V> {
    fn process(&mut self, command: &[u8]) -> Vec<u8> {
        if self.faults >= FAULTS_MAX {
            return refusal(Code::ElementStopped);
        }
        match self.call(command) {
            Ok(response) => {
                self.faults = 0;
                response
            }
            Err(fault) => {
                self.faults += 1;
                if self.faults == FAULTS_MAX {
                    // Whether it can be told is not known: the answer to this command is the same either way.
                    let _ = self.call(&Command::ReportTamper { tamper: Tamper::Runtime }.to_bytes());
                }
                refusal(code(fault))
            }
        }
    }

    fn counter_kind(&self) -> CounterKind {
        self.counter_kind
    }

    fn freshness(&self) -> Freshness {
        self.freshness
    }

    fn image(&self) -> Option<ImageStatement> {
        Some(self.image)
    }
}

fn refusal(code: Code) -> Vec<u8> {
    Response(Err(code.into())).to_bytes()
}

impl<V> fmt::Debug for VirtualSe<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualSe")
            .field("image", &self.image)
            .field("counter_kind", &self.counter_kind)
            .field("freshness", &self.freshness)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}
