//! Where a trusted application (TA) runs.
//!
//! A TA sees the world through `counterfoil_ta::env`; this crate is that world on an ordinary computer or phone:
//!
//! | module | noun |
//! |---|---|
//! | [`vault`] | the device's key, and the sealing key of each wallet derived from it |
//! | [`counter`] | the monotonic counter that makes an older copy of a wallet unusable, or its honest absence |
//! | [`lock`] | the phone's own lock, in the place of the PIN |
//! | [`medium`] | the few file operations that the store needs, as a trait |
//! | [`store`] | the sealed log that survives a power cut at any byte |
//! | [`native`] | the TA's `Env` over all of these, and [`open_native`] which puts them together |
//! | [`element`] | what a wallet sees of all this: bytes in, bytes out |
//! | [`testing`] | a disk that loses power, a counter and a clock set by hand: for tests and simulation |
//!
//! Here a TA runs natively, in the process of its host. A virtual secure element (the TA as a measured wasm image)
//! is another [`Element`] over the same store; neither the TA nor the wallet can tell the difference.

/// Who the application is that hosts wallets on a command line: the digest of a name, since no platform vouches for it.
pub const APPLICATION: [u8; 32] = *b"counterfoil command line\0\0\0\0\0\0\0\0";

pub mod binding;
pub mod counter;
mod durable;
pub mod element;
mod frame;
pub mod lock;
pub mod medium;
pub mod native;
pub mod store;
pub mod testing;
pub mod vault;
pub mod virtual_se;

pub use binding::{Binding, ImageId};
pub use counter::{
    Counter, CounterKind, FileCounter, NoCounter, PlatformCounter, PlatformCounting, TpmCounter,
};
pub use element::{Element, NativeElement};
pub use lock::{FolderLock, LockError, PlatformLock};
pub use medium::{DiskMedium, Medium};
pub use native::{CounterChoice, NativeHost, OpenError, open_host, open_native};
pub use store::{SealedStore, StoreOpenError, TamperReason};
pub use vault::{DeviceFolder, KeyVault, SealingKey};
pub use virtual_se::image::{Image, ImageError, ImagePolicy};
pub use virtual_se::{StartError, VirtualSe};
