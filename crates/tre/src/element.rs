//! What a wallet sees of a tamper resistant element: one door, and what may be said of its grade.

use crate::counter::CounterKind;
use crate::medium::Medium;
use crate::native::NativeHost;
use counterfoil_ta::env::{Env, Freshness};
use counterfoil_trust::image::ImageStatement;
use std::fmt;
use zeroize::Zeroize as _;

/// A trusted application in whatever it runs: natively, in the virtual secure element, on a card.
pub trait Element: Send {
    /// Answers one command. Both are messages of the TA's protocol; every command gets an answer, a refusal included.
    /// When this returns, what the answer commits the wallet to is durable.
    fn process(&mut self, command: &[u8]) -> Vec<u8>;

    /// What stops a rollback here, and so the grade that a certificate may claim at most.
    fn counter_kind(&self) -> CounterKind;

    /// What was known of the state's age when the element was started.
    fn freshness(&self) -> Freshness;

    /// What was measured of the image that the application runs from; `None` where it is code of this process.
    fn image(&self) -> Option<ImageStatement> {
        None
    }
}

/// A TA that runs in this process, with nothing but the process around it: for development, tests and simulation.
pub struct NativeElement<F> {
    process: F,
    counter_kind: CounterKind,
    freshness: Freshness,
}

impl<F: FnMut(&[u8]) -> Vec<u8> + Send> NativeElement<F> {
    /// An element whose TA is behind `process`, over a host of which this is known.
    pub fn new(process: F, counter_kind: CounterKind, freshness: Freshness) -> Self {
        Self { process, counter_kind, freshness }
    }

    /// Starts a TA on `host`. `start` takes the host and returns the TA's door:
    ///
    /// ```text
    /// NativeElement::start(host, |host| {
    ///     let mut ta = TrustedApp::open(host)?;
    ///     Ok(move |command: &[u8]| ta.process(command))
    /// })
    /// ```
    ///
    /// # Errors
    /// Whatever `start` returns.
    pub fn start<M: Medium, E>(
        host: NativeHost<M>,
        start: impl FnOnce(NativeHost<M>) -> Result<F, E>,
    ) -> Result<Self, E> {
        let (counter_kind, freshness) = (host.store().counter_kind(), host.freshness());
        Ok(Self { process: start(host)?, counter_kind, freshness })
    }
}

impl<F: FnMut(&[u8]) -> Vec<u8> + Send> Element for NativeElement<F> {
    fn process(&mut self, command: &[u8]) -> Vec<u8> {
        let answer = (self.process)(command);
        wipe_stack();
        answer
    }

    fn counter_kind(&self) -> CounterKind {
        self.counter_kind
    }

    fn freshness(&self) -> Freshness {
        self.freshness
    }
}

/// More than a command needs of the stack.
const STACK_BYTES: usize = 256 * 1024;

/// Overwrites what a command left on the stack below its caller: keys are moved, and a move leaves a copy behind.
#[inline(never)]
fn wipe_stack() {
    let mut below = [0; STACK_BYTES];
    below[..].zeroize();
    std::hint::black_box(&below);
}

impl<F> fmt::Debug for NativeElement<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeElement")
            .field("counter_kind", &self.counter_kind)
            .field("freshness", &self.freshness)
            .finish_non_exhaustive()
    }
}
