//! Messages as files: `.cbor` is the message itself, `.png` a QR code of it.
//!
//! Reading goes by content, because files arrive renamed. Writing goes by extension, because that is how a
//! person says which of the two is wanted.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::{ChannelError, MESSAGE_BYTES_MAX, qr};
use crate::home::{DRAFT_PREFIX, DRAFT_SUFFIX};

/// The largest picture file that is read. A photograph saved as PNG is larger than any message.
pub const PICTURE_FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

const PNG_MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Reads a message from a file: from the QR code if it is a PNG, the bytes as they are otherwise.
///
/// No more than the limit for the kind of file is ever read. The bytes are not checked further.
///
/// # Errors
/// [`ChannelError::Io`], [`ChannelError::FileTooLarge`], and for a picture those of [`qr::read`].
pub fn read_message(path: impl AsRef<Path>) -> Result<Vec<u8>, ChannelError> {
    let path = path.as_ref();
    let failed = |source| ChannelError::Io { action: "read", path: path.into(), source };
    // Asked before opening: to open a pipe waits for a writer, perhaps for ever.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(std::io::Error::other("it is not a regular file")));
    }
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let magic_len = PNG_MAGIC.len() as u64;
    (&file).take(magic_len).read_to_end(&mut bytes).map_err(failed)?;
    let is_png = bytes == PNG_MAGIC;
    let bytes_max = if is_png { PICTURE_FILE_BYTES_MAX } else { MESSAGE_BYTES_MAX as u64 };
    // One byte past the limit tells a file that ends there from one that goes on.
    file.take(bytes_max + 1 - bytes.len() as u64).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > bytes_max {
        return Err(ChannelError::FileTooLarge { path: path.into(), bytes_max });
    }
    if is_png { qr::read(&bytes) } else { Ok(bytes) }
}

/// Writes a message to a file in the form that the extension names, in place of what was there.
///
/// The file is complete or, after an error or a power cut, as it was. It is readable by its owner alone: a
/// message names amounts.
///
/// # Errors
/// [`ChannelError::UnknownExtension`], [`ChannelError::Io`], [`ChannelError::TooLong`], and for `.png` those
/// of [`qr::draw`].
pub fn write_message(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), ChannelError> {
    let path = path.as_ref();
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(ChannelError::TooLong { bytes: bytes.len() });
    }
    match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("cbor") => replace(path, bytes),
        Some("png") => replace(path, &qr::draw(bytes)?.to_png()?),
        _ => Err(ChannelError::UnknownExtension { path: path.into() }),
    }
}

/// What the system said, without the name of a draft that `tempfile` adds and nobody asked for.
pub(crate) fn undressed(error: std::io::Error) -> std::io::Error {
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.and_then(std::io::Error::raw_os_error).map_or(error, std::io::Error::from_raw_os_error)
}

/// How the draft of a file is called, without its suffix: always alike, so that one that a killed command left behind,
/// with a payment in it, goes when the file is written again.
fn draft_prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let digest = counterfoil_trust::sha256(name.as_bytes()).to_string();
    format!("{DRAFT_PREFIX}{}", digest.get(..16).unwrap_or_default())
}

/// Removes what a killed command left behind of writing this file.
pub(crate) fn remove_draft(path: &Path) {
    // A draft that stays does no harm.
    let _ = fs::remove_file(path.with_file_name(draft_prefix(path) + DRAFT_SUFFIX));
}

fn draft_for(path: &Path, folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    remove_draft(path);
    let prefix = draft_prefix(path);
    let draft = |rand_bytes| {
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(DRAFT_SUFFIX).rand_bytes(rand_bytes).tempfile_in(folder)
    };
    match draft(0) {
        // Somebody else's, in a folder that many may write to: no reason not to write.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => draft(6),
        other => other,
    }
}

/// The new content is durable under another name before it takes the name over.
fn replace(path: &Path, content: &[u8]) -> Result<(), ChannelError> {
    let failed = |source| ChannelError::Io { action: "write", path: path.into(), source: undressed(source) };
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut draft = draft_for(path, &folder).map_err(failed)?;
    draft.write_all(content).map_err(failed)?;
    draft.as_file().sync_all().map_err(failed)?;
    draft.persist(path).map_err(|e| failed(e.error))?;
    // The rename itself is durable only with its folder. Elsewhere a folder cannot be opened as a file.
    #[cfg(unix)]
    File::open(&folder).and_then(|f| f.sync_all()).map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_come_back_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let message: Vec<u8> = (0..=255).collect();
        for name in ["a.cbor", "b.png", "C.PNG", "d.CBOR"] {
            let path = dir.path().join(name);
            write_message(&path, b"what was there").unwrap();
            write_message(&path, &message).unwrap();
            assert_eq!(read_message(&path).unwrap(), message, "{name}");
        }
        assert_eq!(fs::read(dir.path().join("a.cbor")).unwrap(), message);
        assert!(fs::read(dir.path().join("b.png")).unwrap().starts_with(PNG_MAGIC));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    }

    #[test]
    fn a_draft_left_behind_goes_and_one_that_cannot_go_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.cbor");
        let draft = dir.path().join(draft_prefix(&path) + DRAFT_SUFFIX);
        fs::write(&draft, b"half a mess").unwrap();
        write_message(&path, b"message").unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // A folder under the draft's name cannot be removed as a file, as another user's file could not.
        fs::create_dir(&draft).unwrap();
        write_message(&path, b"another").unwrap();
        assert_eq!(read_message(&path).unwrap(), b"another");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn content_decides_what_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let drawn = dir.path().join("m.png");
        let renamed = dir.path().join("m.cbor");
        write_message(&drawn, b"message").unwrap();
        fs::rename(&drawn, &renamed).unwrap();
        assert_eq!(read_message(&renamed).unwrap(), b"message");
        fs::write(&drawn, b"raw").unwrap();
        assert_eq!(read_message(&drawn).unwrap(), b"raw");
    }

    #[test]
    fn a_failed_write_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.png");
        write_message(&path, b"old").unwrap();
        let too_long = vec![7; qr::PAYLOAD_BYTES_MAX + 1];
        let error = write_message(&path, &too_long).unwrap_err();
        assert!(matches!(error, ChannelError::TooLongForQr { bytes } if bytes == too_long.len()));
        assert!(error.to_string().contains(".cbor file"));
        assert_eq!(read_message(&path).unwrap(), b"old");
        assert!(matches!(
            write_message(dir.path().join("none/m.cbor"), b"x"),
            Err(ChannelError::Io { action: "write", .. })
        ));
        // A folder in the way fails at the rename, the last step.
        fs::create_dir(dir.path().join("f.cbor")).unwrap();
        assert!(matches!(
            write_message(dir.path().join("f.cbor"), b"x"),
            Err(ChannelError::Io { action: "write", .. })
        ));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn other_extensions_are_refused_by_name() {
        for name in ["message", "message.jpg", ".png", "message.png.txt"] {
            let error = write_message(name, b"x").unwrap_err();
            assert!(matches!(error, ChannelError::UnknownExtension { .. }), "{name}");
            assert!(error.to_string().contains(".cbor") && error.to_string().contains(".png"));
            assert!(!Path::new(name).exists());
        }
    }

    #[test]
    fn sizes_are_capped_by_kind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m");
        fs::write(&path, vec![1; MESSAGE_BYTES_MAX]).unwrap();
        assert_eq!(read_message(&path).unwrap().len(), MESSAGE_BYTES_MAX);
        fs::write(&path, vec![1; MESSAGE_BYTES_MAX + 1]).unwrap();
        assert!(matches!(read_message(&path), Err(ChannelError::FileTooLarge { .. })));
        let picture = File::create(&path).unwrap();
        (&picture).write_all(PNG_MAGIC).unwrap();
        picture.set_len(PICTURE_FILE_BYTES_MAX).unwrap();
        assert!(matches!(read_message(&path), Err(ChannelError::NotPng { .. })));
        picture.set_len(PICTURE_FILE_BYTES_MAX + 1).unwrap();
        assert!(matches!(read_message(&path), Err(ChannelError::FileTooLarge { .. })));
        assert!(matches!(read_message(dir.path()), Err(ChannelError::Io { action: "read", .. })));
        assert!(matches!(read_message(dir.path().join("none")), Err(ChannelError::Io { .. })));
        fs::write(&path, b"").unwrap();
        assert_eq!(read_message(&path).unwrap(), b"");
    }
}
