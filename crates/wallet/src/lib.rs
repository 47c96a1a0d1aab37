#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
//! The wallet SDK: what an app needs around a trusted application.
//!
//! The money is in the trusted application (`counterfoil-ta`), which runs in an element (`counterfoil-tre`) and has one
//! door of bytes. This crate is everything on this side of the door:
//!
//! | module | noun |
//! |---|---|
//! | [`home`] | the folder of one wallet |
//! | [`device`] | what of the device a home hangs on |
//! | [`operation`] | what can be ordered, how it is remembered while under way, what comes of it |
//! | [`lock`] | the device's own lock, in the place of the PIN |
//! | [`wallet`] | a wallet between two devices; no network |
//! | [`online`] | a wallet and its operator |
//! | [`sync`] | the way to the operator: a port, and HTTP |
//! | [`terminal`] | a merchant's acceptor |
//! | [`channel`] | how messages travel: QR codes and files |
//! | [`amounts`] | amounts as people write them |
//!
//! ```no_run
//! use counterfoil_wallet::{Device, Home, Operation, Order, Wallet};
//! # fn main() -> Result<(), counterfoil_wallet::WalletError> {
//! let mut wallet = Wallet::open(&Home::new("alice"), &Device::new("device"))?;
//! let request = counterfoil_wallet::channel::file::read_message("request.png")?;
//! let pay = Operation::Pay { request, amount: None };
//! let done = wallet.perform(Order { out: Some("payment.png".into()), ..Order::new(pay) })?;
//! println!("{:?}", done.outcome); // show it, then:
//! wallet.acknowledge();
//! # Ok(()) }
//! ```

pub mod amounts;
pub mod channel;
pub mod device;
pub mod error;
pub mod home;
pub mod lock;
pub mod online;
pub mod operation;
mod outfile;
pub mod sync;
pub mod terminal;
pub mod wallet;

pub use counterfoil_ta::api::{Overview, PaymentRow, PaymentState, Pin, RequestRow};
pub use counterfoil_ta::env::Freshness;
pub use counterfoil_tre::{CounterKind, Element, Image, LockError, PlatformLock};
pub use device::Device;
pub use error::{OperatorError, Problem, WalletError};
pub use home::{Counter, Home, Host, Kind, Settings};
pub use online::{NewHome, root_fingerprint};
pub use operation::{Done, Finished, Operation, Order, Outcome, SyncReport, reference_of};
pub use sync::{HttpOperator, Operator, Scheme};
pub use terminal::Terminal;
pub use wallet::{Headroom, Wallet, headroom, open_element};
