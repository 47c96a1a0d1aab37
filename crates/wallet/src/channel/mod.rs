//! How a message leaves a wallet and reaches another one without a network.
//!
//! A message is bytes. A channel carries them unchanged and knows nothing of what they say: whatever comes
//! out of [`qr::read`] or [`file::read_message`] is a stranger's until its signature was checked.

use std::path::PathBuf;

pub mod file;
pub mod qr;

/// The most bytes that a message can have, on any channel. Messages of the protocol are below 3 kB.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Why a message could not be carried, and what can be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The message does not fit in one QR code.
    #[error(
        "the message has {bytes} bytes and a QR code holds {}; write it to a .cbor file instead",
        qr::PAYLOAD_BYTES_MAX
    )]
    TooLongForQr {
        /// Length of the message.
        bytes: usize,
    },
    /// The message is longer than any message may be.
    #[error(
        "the message has {bytes} bytes and the limit is {MESSAGE_BYTES_MAX}; it is not a message of this system"
    )]
    TooLong {
        /// Length of the message.
        bytes: usize,
    },
    /// The picture is not a PNG, or a broken one.
    #[error("the picture is not a readable PNG ({reason}); save or take it again as PNG")]
    NotPng {
        /// What the PNG decoder said.
        reason: String,
    },
    /// The picture would take more memory than a reader should give to a stranger's file.
    #[error(
        "the picture is larger than {side} x {side} pixels or {mib} MiB; crop it to the QR code or scale it down",
        side = qr::PICTURE_SIDE_MAX,
        mib = qr::PICTURE_MEMORY_BYTES_MAX / (1024 * 1024)
    )]
    PictureTooLarge,
    /// The picture has more marks that look like a QR code's corners than a photograph of one code has.
    #[error("the picture is too busy to look for a QR code in it; crop it to the QR code")]
    PictureTooBusy,
    /// No QR code was found.
    #[error(
        "there is no QR code in the picture; take it again with the whole code and its white border in view"
    )]
    NoCode,
    /// A QR code was found and could not be decoded.
    #[error(
        "there is a QR code in the picture, but it cannot be read ({reason}); take it again, nearer and sharper"
    )]
    Unreadable {
        /// What the QR decoder said.
        reason: String,
    },
    /// More than one message is in the picture.
    #[error("there are {count} different QR codes in the picture; crop it to the one that is meant")]
    SeveralCodes {
        /// How many were read.
        count: usize,
    },
    /// The picture could not be encoded.
    #[error("the picture could not be made ({reason}); write the message to a .cbor file instead")]
    NotDrawn {
        /// What the PNG encoder said.
        reason: String,
    },
    /// The file name does not say which form is wanted.
    #[error(
        "{} ends neither in .cbor (the message itself) nor in .png (a QR code); choose one of the two",
        path.display()
    )]
    UnknownExtension {
        /// The file that was to be written.
        path: PathBuf,
    },
    /// The file that was to be written is there already and is not this message.
    #[error("{} is there already and holds something else; nothing is written over it", path.display())]
    Occupied {
        /// The file that was to be written.
        path: PathBuf,
    },
    /// The file is longer than any message or picture that is read.
    #[error(
        "{} is larger than {bytes_max} bytes, too large for a message; check that it is the right file",
        path.display()
    )]
    FileTooLarge {
        /// The file that was to be read.
        path: PathBuf,
        /// The limit that it passed.
        bytes_max: u64,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file concerned.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
