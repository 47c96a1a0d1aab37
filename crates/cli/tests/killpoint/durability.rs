//! What a kill cannot show: a process that is killed leaves its writes to the system, which completes them; a power cut
//! does not. So the order of the numbered calls is checked by itself, for each scenario's whole run:
//!
//! - a file has been synced when it takes its name over, and all files of a folder when that does;
//! - when bytes leave for the network, and when the program ends, every file is synced, and every folder in which a
//!   name was made or changed.
//!
//! That a *state* which a power cut leaves is recovered from is the matter of `counterfoil-tre`'s `power_cut` tests, for
//! every subset of what was not synced.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::tracer::{Call, Kind};

/// What would be lost if the power went now.
#[derive(Debug, Default)]
struct Unsynced {
    files: BTreeSet<PathBuf>,
    /// Files that were made and are empty: nothing is lost with one.
    empty: BTreeSet<PathBuf>,
    /// Names that are new, or lead elsewhere, and whose folder has not been synced.
    names: BTreeSet<PathBuf>,
}

/// A file without a promise: SQLite's index of its log, which is made anew.
fn is_scratch(path: &Path) -> bool {
    path.to_string_lossy().ends_with("-shm")
}

/// What may be undone by a power cut after the result was told: that a result was told is then told once more.
fn is_acknowledgement(call: &Call) -> bool {
    call.name == "rename" && call.onto.ends_with("/last.json")
}

impl Unsynced {
    fn see(&mut self, call: &Call, cwd: &Path) {
        let target = cwd.join(&call.target);
        match call.name.as_str() {
            "fsync" | "fdatasync" => {
                self.files.remove(&target);
                self.names.retain(|name| name.parent() != Some(&target));
                self.empty.retain(|name| name.parent() != Some(&target));
            }
            "openat" | "open" | "creat" => {
                self.empty.insert(target);
            }
            "mkdir" | "mkdirat" => {
                self.names.insert(target);
            }
            "unlink" | "unlinkat" | "rmdir" => {
                for paths in [&mut self.files, &mut self.names, &mut self.empty] {
                    paths.remove(&target);
                }
            }
            name if name.starts_with("rename") => {
                let below = |paths: &BTreeSet<PathBuf>| {
                    let open = paths.iter().filter(|path| path.starts_with(&target) && **path != target);
                    open.cloned().collect::<Vec<_>>()
                };
                assert!(!self.files.contains(&target), "renamed before it was synced: {call:?}");
                let (files, names) = (below(&self.files), below(&self.names));
                assert!(files.is_empty(), "{call:?} before these were synced: {files:?}");
                assert!(names.is_empty(), "{call:?} before the folders of these were synced: {names:?}");
                self.names.remove(&target);
                if !is_acknowledgement(call) {
                    self.names.insert(cwd.join(&call.onto));
                }
            }
            _ if call.kind == Kind::Write || call.name == "ftruncate" => {
                if self.empty.remove(&target) {
                    self.names.insert(target.clone());
                }
                self.files.insert(target);
            }
            _ => {}
        }
        self.files.retain(|path| !is_scratch(path));
        self.names.retain(|path| !is_scratch(path));
    }

    #[track_caller]
    fn nothing_at(&self, moment: &str) {
        assert!(self.files.is_empty() && self.names.is_empty(), "not synced {moment}: {self:?}");
    }
}

/// Checks the calls of a whole run in the folder `cwd`.
#[track_caller]
pub fn check(calls: &[Call], cwd: &Path) {
    let mut unsynced = Unsynced::default();
    for (index, call) in calls.iter().enumerate() {
        if call.kind == Kind::Send {
            unsynced.nothing_at(&format!("at send {} ({})", index + 1, call.target));
        } else {
            unsynced.see(call, cwd);
        }
    }
    unsynced.nothing_at("at the end");
}
