//! The contract of a counter as a check that anybody who writes one can run against it.

use super::{Counter, CounterError, CounterKind};

/// Why a counter is none.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The counter failed.
    #[error(transparent)]
    Failed(#[from] CounterError),
    /// It does not do what a counter does.
    #[error("{0}")]
    Clause(&'static str),
}

/// Opens the counter of the wallet with this label.
pub type OpenCounter<'a> = dyn FnMut(&str) -> Result<Box<dyn Counter>, CounterError> + 'a;

/// Checks the counters that `open` gives for the labels `a` and `b`, neither of which was ever used. Advances them a few
/// times. What a counter must withstand and no program can make happen to it, such as a power cut, is in
/// `docs/ports/counter.md`.
///
/// # Errors
/// [`Broken`], with the clause that does not hold.
pub fn check_contract([a, b]: [&str; 2], open: &mut OpenCounter<'_>) -> Result<(), Broken> {
    let holds = |holds: bool, clause| if holds { Ok(()) } else { Err(Broken::Clause(clause)) };
    let mut first = open(a)?;
    let id = first.id();
    holds(first.kind() != CounterKind::None, "a counter says what keeps it")?;
    holds(id != [0; 16], "a counter's identity is not all zeros")?;
    holds(first.read()? == 0, "a counter that was never advanced is at zero")?;
    for expected in 1..=3 {
        holds(first.advance()? == expected, "a counter advances by one, and returns the new value")?;
        holds(first.read()? == expected, "what was advanced to can be read")?;
    }
    let mut second = open(a)?;
    holds(second.id() == id, "a counter opened again is the same counter")?;
    holds(second.read()? == 3, "a counter opened again stands where it stood")?;
    holds(second.advance()? == 4, "a counter opened again goes on")?;
    holds(first.advance()? == 5, "no value is given out twice, whoever holds the counter open")?;
    holds(first.raise_to(7)? == 7, "a counter can be raised")?;
    holds(second.raise_to(6)? == 7, "a counter is never lowered")?;
    let other = open(b)?;
    holds(other.id() != id, "each label has a counter of its own")?;
    holds(other.read()? == 0, "one counter does not advance another")?;
    Ok(())
}
