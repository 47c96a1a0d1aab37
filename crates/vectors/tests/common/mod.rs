//! Where the vectors are, and Python with the packages that judge them.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test uses its part, and may fail loudly"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

const SETUP: &str = "run `cargo xtask setup`: it installs cbor2, cryptography, cwt and zcbor in target/venv";

/// The folder of the vectors.
pub fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors")
}

/// A copy that may be spoilt.
pub fn copy_of_vectors() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("flows")).unwrap();
    for path in counterfoil_vectors::format::list(&vectors()).unwrap() {
        std::fs::copy(vectors().join(&path), dir.path().join(&path)).unwrap();
    }
    dir
}

/// Runs one of the scripts beside the tests: whether it ended well, and what it said.
pub fn python(script: &str, args: &[&Path]) -> (bool, String) {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let interpreter = std::env::var_os("COUNTERFOIL_PYTHON")
        .map_or_else(|| crate_folder.join("../../target/venv/bin/python"), PathBuf::from);
    let output = Command::new(&interpreter)
        .arg(crate_folder.join("tests").join(script))
        .args(args)
        .output()
        .unwrap_or_else(|e| panic!("{} cannot be run ({e}); {SETUP}", interpreter.display()));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!said.contains("ModuleNotFoundError"), "{said}; {SETUP}");
    (output.status.success(), said)
}
