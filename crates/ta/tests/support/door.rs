//! Where the application of these tests runs: natively.

use std::rc::Rc;

use counterfoil_ta::TrustedApp;

use super::support::{Device, Door, Host};

/// The application over the device, as it is after a start: nothing is in memory.
pub fn open_door(device: &Rc<Device>) -> Door {
    let mut app = TrustedApp::open(Host::new(device));
    Box::new(move |command| app.process(command))
}
