//! Small files that are there whole, or not at all, after a power cut.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Creates `dir` and its missing parents, readable by this user only, durably.
pub(crate) fn create_private_dir(dir: &Path) -> io::Result<()> {
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if dir.is_dir() {
        // An earlier run may have died between creating and syncing. Not ours to insist on: many a parent of a folder
        // that was always there cannot be opened by us.
        let _ = sync_dir(parent);
        return Ok(());
    }
    if !parent.is_dir() {
        create_private_dir(parent)?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(dir) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists || !dir.is_dir() => Err(e),
        _ => sync_dir(parent),
    }
}

/// Options that create files readable by this user only.
pub(crate) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes the names in `dir` durable: a created or renamed file may vanish in a power cut until this returns.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    // Windows has no handle on a directory to flush; NTFS journals the names itself.
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// Replaces `dir/name` by `bytes`, durably. After a power cut the file is the old one or the new one, whole.
///
/// The caller excludes other writers of the same name (see [`lock_folder`]).
pub(crate) fn write_whole(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let draft = dir.join(format!("{name}.draft"));
    // A draft left by a power cut may carry other permissions; a new file carries ours.
    match fs::remove_file(&draft) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = private_options().write(true).create_new(true).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&draft, dir.join(name))?;
    sync_dir(dir)
}

/// Excludes every other holder of `dir`'s lock, waiting as long as it takes, until the returned file is dropped.
pub(crate) fn lock_folder(dir: &Path) -> io::Result<File> {
    let file = private_options().create(true).truncate(false).write(true).open(dir.join("lock"))?;
    file.lock()?;
    Ok(file)
}
