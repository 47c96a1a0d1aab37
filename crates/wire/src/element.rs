//! What a wallet tells of its trusted element: what was measured at enrolment, and what was found wrong since. All of it
//! is the host's word, signed by the key that it is about: the operator judges it against its rules and its list of
//! images.

use crate::ids::{Digest, Nonce};
use crate::{code_enum, record};

code_enum! {
    /// What keeps an older copy of the state from being put back.
    pub enum CounterKind {
        /// Nothing does.
        None = 1,
        /// A file beside the state: whoever can copy one can copy the other.
        File = 2,
        /// A non-volatile counter of a TPM 2.0.
        Tpm = 3,
        /// A counter that the platform keeps for the application, as a keystore does.
        Platform = 4,
        /// The chip that holds the state as well.
        Chip = 5,
        /// A counter of a test, or of a simulation.
        Simulated = 6,
    }
}

impl CounterKind {
    /// The word for command lines and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::File => "file",
            Self::Tpm => "tpm",
            Self::Platform => "platform",
            Self::Chip => "chip",
            Self::Simulated => "simulated",
        }
    }

    /// Whether the counter cannot be copied with the state. Outside a sandbox only a wallet with such a counter may
    /// claim the grade [`VirtualSeBound`](crate::cert::Grade::VirtualSeBound).
    pub const fn is_device_bound(self) -> bool {
        matches!(self, Self::Tpm | Self::Platform | Self::Chip)
    }
}

code_enum! {
    /// Why a wallet deactivated itself, or was given up. The host says so of what it runs; nothing here proves anything to
    /// the operator, and a host that is silent says nothing.
    pub enum Tamper {
        /// A seal of the store did not hold.
        Seal = 1,
        /// An altered, unsigned or older image was found.
        Image = 2,
        /// The counter was missing, replaced, or behind.
        Counter = 3,
        /// The application trapped, looped or grew, repeatedly.
        Runtime = 4,
        /// A debugger was attached; on the application's word.
        Debugger = 5,
        /// The process was hooked; on the application's word.
        Hooked = 6,
        /// The device is rooted; on the application's word.
        Rooted = 7,
    }
}

impl Tamper {
    /// The word for command lines and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seal => "seal",
            Self::Image => "image",
            Self::Counter => "counter",
            Self::Runtime => "runtime",
            Self::Debugger => "debugger",
            Self::Hooked => "hooked",
            Self::Rooted => "rooted",
        }
    }
}

record! {
    /// What a new key runs in, as an enrolment tells it.
    pub struct ElementStatement {
        /// SHA-256 of the image of the trusted application as it was measured; [`Digest::NONE`] where it runs natively.
        pub image: Digest,
        /// The version that the image's signed header names; 0 where it runs natively.
        pub image_version: u32,
        /// Which application hosts it: SHA-256 over package name and signer, as the platform defines it; [`Digest::NONE`]
        /// where the platform has no such thing.
        pub application: Digest,
        /// What keeps an older copy of the state from being put back.
        pub counter: CounterKind,
        /// Why the wallet that this key replaces was given up, if it was.
        pub tamper: Option<Tamper>,
        /// The operator's challenge, fresh.
        pub challenge: Nonce,
    }
}

impl ElementStatement {
    /// Of a wallet that runs natively, under no image, and replaces none.
    pub const fn native(counter: CounterKind, challenge: Nonce) -> Self {
        Self {
            image: Digest::NONE,
            image_version: 0,
            application: Digest::NONE,
            counter,
            tamper: None,
            challenge,
        }
    }
}
