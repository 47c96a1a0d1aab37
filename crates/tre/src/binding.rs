//! What a wallet's state belongs to: the wallet, the application that hosts it, and the image that wrote it.

use crate::APPLICATION;

/// An image, by version and measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageId {
    /// Its version; 0 where the application runs natively.
    pub version: u32,
    /// SHA-256 of the module; zeros where the application runs natively.
    pub hash: [u8; 32],
}

impl ImageId {
    /// No image: the application is code of the hosting process.
    pub const NATIVE: Self = Self { version: 0, hash: [0; 32] };
}

/// What a state is sealed for. A state opens for the same wallet and application, and for the same image or one of a higher
/// version, which then seals it for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Names the wallet on its device.
    pub label: String,
    /// Identity of the hosting application, as the platform has it.
    pub application: [u8; 32],
    /// The image that runs.
    pub image: ImageId,
}

impl Binding {
    /// The wallet called `label`, natively in the application of the command line.
    pub fn native(label: &str) -> Self {
        Self { label: label.to_owned(), application: APPLICATION, image: ImageId::NATIVE }
    }
}

impl From<&str> for Binding {
    fn from(label: &str) -> Self {
        Self::native(label)
    }
}
