//! The generator. Nothing in it is left to chance, so it writes the same files each time.

mod altered;
mod cbor;
mod certificates;
mod element;
mod flows;
mod journal;
mod messages;
mod misuse;
mod proofs;
mod samples;
mod scene;
mod strict;
mod types;

use std::path::Path;

use counterfoil_wire::{Algorithm, Wire};

use crate::VectorError;
use crate::fixed::Scheme;
use crate::format::{Context, File};

/// Every file, by its name below the folder.
///
/// # Errors
/// [`VectorError::Unexpected`] where the code under test does not do what the specification says.
pub fn files() -> Result<Vec<(String, File)>, VectorError> {
    let mut files = vec![
        ("types.json".to_owned(), File::Types(types::types())),
        ("certificates.json".to_owned(), File::Certificates(certificates::certificates()?)),
        ("journal.json".to_owned(), File::Journal(journal::journal()?)),
        ("proofs.json".to_owned(), File::Proofs(proofs::proofs()?)),
    ];
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let name = format!("messages-{}.json", algorithm.name());
        files.push((name, File::Messages(messages::messages(algorithm)?)));
    }
    for (name, flow) in flows::flows()? {
        files.push((format!("flows/{name}.json"), File::Flow(flow)));
    }
    Ok(files)
}

/// Writes every file below `dir`, and returns their names.
///
/// # Errors
/// As [`files`]; [`VectorError::Io`].
pub fn write(dir: &Path) -> Result<Vec<String>, VectorError> {
    let mut names = Vec::new();
    for (name, file) in files()? {
        let path = dir.join(&name);
        let error = |source| VectorError::Io { path: path.display().to_string(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(error)?;
        }
        std::fs::write(&path, file.to_text()?).map_err(error)?;
        names.push(name);
    }
    Ok(names)
}

/// Lower-case hexadecimal.
fn hex_of(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(bytes)
}

fn context(scheme: &Scheme, clock_s: u32) -> Context {
    Context {
        scheme: hex_of(scheme.id()),
        root: hex_of(scheme.root.to_bytes()),
        trust_list: hex_of(&scheme.trust_message.0),
        clock_s,
    }
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

fn unexpected<T>(what: impl Into<String>) -> Result<T, VectorError> {
    Err(VectorError::Unexpected(what.into()))
}
