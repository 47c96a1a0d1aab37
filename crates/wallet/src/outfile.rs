//! The file that an operation's message goes to: whether it can be written, and whether something is lost by that.

use std::path::Path;

use counterfoil_ta::api::Overview;
use counterfoil_trust::{key_id, open};
use counterfoil_wire::bundle::Bundle;
use counterfoil_wire::header::Signer;
use counterfoil_wire::message::{Body, Decline, Payment, Receipt, Request};
use counterfoil_wire::proof::Gossip;
use counterfoil_wire::{Bytes, KeyId, Wire};

use crate::channel::{ChannelError, file, qr};
use crate::error::WalletError;
use crate::operation::{Operation, Outcome};

/// Gossip that goes into a file, in bytes: what any device reads without a second thought.
const GOSSIP_FILE_BYTES_MAX: u32 = 256 * 1024;

/// The most gossip that fits into a file of this name, in bytes.
pub(crate) fn gossip_room(out: &Path) -> u32 {
    if is_png(out) { u32::try_from(qr::PAYLOAD_BYTES_MAX).unwrap_or(u32::MAX) } else { GOSSIP_FILE_BYTES_MAX }
}

/// Gossip that rides along with a message in a file, in bytes.
const RIDER_FILE_BYTES_MAX: usize = 64 * 1024;

/// A message with gossip in one QR code, in bytes: version 25 at level L (ISO/IEC 18004 table 7), which a poor camera still
/// reads. The message alone needs version 13 at most.
const BUNDLE_QR_BYTES_MAX: usize = 1273;

/// How a message leaves: what it has room for beside it.
pub(crate) struct Ride {
    /// Bytes that are left for gossip.
    pub(crate) room: u32,
    /// Whether that is little: then a list that the other side may hold already is left out.
    pub(crate) is_tight: bool,
}

/// What may ride along with a message of `len` bytes into a file of this name.
pub(crate) fn ride(out: &Path, len: usize) -> Ride {
    let is_tight = is_png(out);
    let room = if is_tight {
        BUNDLE_QR_BYTES_MAX.saturating_sub(len.saturating_add(Bundle::FRAME))
    } else {
        RIDER_FILE_BYTES_MAX
    };
    Ride { room: u32::try_from(room).unwrap_or(0), is_tight }
}

fn is_png(out: &Path) -> bool {
    out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"))
}

/// Finds out before money moves whether its message can be written.
pub(crate) fn check_writable(out: &Path) -> Result<(), WalletError> {
    let extension = out.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    if !matches!(extension.as_deref(), Some("cbor" | "png")) {
        return Err(ChannelError::UnknownExtension { path: out.into() }.into());
    }
    let failed =
        |source| ChannelError::Io { action: "write", path: out.into(), source: file::undressed(source) };
    if out.is_dir() {
        return Err(failed(std::io::Error::other("it is a folder")).into());
    }
    let folder = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Without a name where the system has such files: a command killed here leaves nothing.
    tempfile::tempfile_in(folder).map_err(failed)?;
    Ok(())
}

/// Whether the file holds what `operation` gives, done once more: an answer of this wallet's own to the same payment,
/// or its own payment of the same request where that can be paid but once. Nothing else is written over.
pub(crate) fn holds_result(out: &Path, operation: &Operation, overview: &Overview) -> bool {
    let Ok(held) = file::read_message(out) else { return false };
    let (held, _) = Bundle::split(held);
    let scheme = key_id(&overview.root.key);
    let own = |signer: &Signer| *signer.key() == overview.key;
    match operation {
        Operation::Accept { payment } | Operation::Decline { payment } => {
            let Ok(payment) = open::<Payment>(payment) else { return false };
            let id = payment.id(&scheme);
            answers::<Receipt>(&held, &scheme, own, |receipt| receipt.payment == id)
                || answers::<Decline>(&held, &scheme, own, |decline| decline.payment == id)
        }
        Operation::Pay { request, .. } => {
            let Ok(request) = open::<Request>(request) else { return false };
            !request.body.is_standing()
                && answers::<Payment>(&held, &scheme, own, |payment| {
                    payment.payee == *request.envelope.signer.key() && payment.request == request.id(&scheme)
                })
        }
        _ => false,
    }
}

fn answers<B: Body>(
    held: &[u8],
    scheme: &KeyId,
    own: impl Fn(&Signer) -> bool,
    fits: impl Fn(&B) -> bool,
) -> bool {
    open::<B>(held).is_ok_and(|held| {
        own(&held.envelope.signer) && fits(&held.body) && held.check_signature(scheme).is_ok()
    })
}

/// Writes the message, where there is one and a place for it, with the gossip that rides along. Only gossip takes the place
/// of other gossip, alone or beside the same message.
pub(crate) fn write(
    outcome: &Outcome,
    out: Option<&Path>,
    rider: Option<Vec<u8>>,
) -> Result<(), ChannelError> {
    let (Some(message), Some(out)) = (outcome.message(), out) else { return Ok(()) };
    if out.exists() {
        let (held, _) = Bundle::split(file::read_message(out).unwrap_or_default());
        let replaces = matches!(outcome, Outcome::Gossip(_)) && Gossip::from_message(&held).is_ok();
        if held != message && !replaces {
            return Err(ChannelError::Occupied { path: out.into() });
        }
    }
    match rider {
        Some(gossip) => {
            let bundle = Bundle { message: Bytes(message.to_vec()), gossip: Bytes(gossip) };
            file::write_message(out, &bundle.to_bytes())
        }
        None => file::write_message(out, message),
    }
}
