//! The checker: reads the files, feeds this implementation, and names every difference.

mod certificates;
mod flow;
mod journal;
mod messages;
mod proofs;
mod types;

use std::collections::BTreeMap;
use std::path::Path;

use counterfoil_trust::Anchors;
use counterfoil_wire::cert::RootCert;
use counterfoil_wire::{Error, Wire};
use serde::Serialize;
use serde_json::Value;

use crate::VectorError;
use crate::fixed::wallet::{Opener, open_natively};
use crate::format::{self, Context, File};
use crate::json::{Mismatch, unhex};

/// What was found, file by file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Ascending by name.
    pub files: Vec<FileReport>,
}

/// What was found in one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Its name below the folder.
    pub file: String,
    /// Vectors that must hold.
    pub valid: usize,
    /// Vectors that must be refused.
    pub invalid: usize,
    /// Steps of flows.
    pub steps: usize,
    /// What came out otherwise.
    pub differences: Vec<Difference>,
}

/// Something came out otherwise than the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The vector's name; of a flow, the number of the step from 1, with its note.
    pub vector: String,
    /// Which part of it.
    pub field: String,
    /// What the file says.
    pub expected: String,
    /// What came out.
    pub got: String,
}

impl Report {
    /// Whether there is no difference.
    pub fn holds(&self) -> bool {
        self.files.iter().all(|file| file.differences.is_empty())
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (expected, got) = (self.expected.as_str(), self.got.as_str());
        let same = expected.bytes().zip(got.bytes()).take_while(|(a, b)| a == b).count();
        let (from, expected) = excerpt(expected, same);
        let (_, got) = excerpt(got, same);
        let place = if from == 0 { String::new() } else { format!(" from character {from}") };
        write!(f, "{}: {}{place}: expected {expected}, got {got}", self.vector, self.field)
    }
}

/// A long text from shortly before `same`, where it begins to differ, and where that is.
fn excerpt(text: &str, same: usize) -> (usize, String) {
    const LONG: usize = 160;
    const BEFORE: usize = 16;
    if text.len() <= LONG || !text.is_ascii() {
        return (0, text.to_owned());
    }
    let from = same.saturating_sub(BEFORE).min(text.len());
    let to = (from + LONG / 2).min(text.len());
    let dots = |there: bool| if there { "..." } else { "" };
    (from, format!("{}{}{}", dots(from > 0), &text[from..to], dots(to < text.len())))
}

/// Collects differences of one file.
struct Findings(Vec<Difference>);

impl Findings {
    fn differ(&mut self, vector: &str, field: &str, expected: impl ToString, got: impl ToString) {
        let (expected, got) = (expected.to_string(), got.to_string());
        self.0.push(Difference { vector: vector.to_owned(), field: field.to_owned(), expected, got });
    }

    fn compare<T: PartialEq + ToString>(&mut self, vector: &str, field: &str, expected: &T, got: &T) {
        if expected != got {
            self.differ(vector, field, expected.to_string(), got.to_string());
        }
    }

    fn compare_hex(&mut self, vector: &str, field: &str, expected: &str, got: &[u8]) {
        self.compare(vector, field, &expected.to_owned(), &hex::encode(got));
    }

    /// Objects and arrays are compared member by member, so that the one that differs is named.
    fn compare_json(&mut self, vector: &str, field: &str, expected: &Value, got: &Value) {
        match (expected, got) {
            (Value::Object(a), Value::Object(b)) => {
                let missing = b.keys().filter(|name| !a.contains_key(*name));
                for name in a.keys().chain(missing) {
                    let null = &Value::Null;
                    let (a, b) = (a.get(name).unwrap_or(null), b.get(name).unwrap_or(null));
                    self.compare_json(vector, &format!("{field}.{name}"), a, b);
                }
            }
            _ if expected != got => self.differ(vector, field, expected, got),
            _ => {}
        }
    }

    /// Whether this ended in the error that the file names.
    fn compare_error<T>(&mut self, vector: &str, expected: u16, got: Result<T, Error>) {
        match got {
            Err(error) if error.code.number() == expected => {}
            Err(error) => self.differ(vector, "error", expected, error.code.number()),
            Ok(_) => self.differ(vector, "error", expected, "no error"),
        }
    }

    /// What could be read of the file, or a difference.
    fn read<T>(&mut self, vector: &str, field: &str, read: Result<T, Mismatch>) -> Option<T> {
        read.map_err(|mismatch| self.differ(vector, field, "a value", mismatch)).ok()
    }

    /// What this implementation made of a valid vector, or a difference.
    fn hold<T>(&mut self, vector: &str, field: &str, done: Result<T, Error>) -> Option<T> {
        done.map_err(|error| self.differ(vector, field, "no error", error.code.number())).ok()
    }
}

/// What a receiver knows who knows `context`.
fn anchors(context: &Context) -> Result<Anchors, VectorError> {
    let root = RootCert::from_bytes(&unhex(&context.root)?)?;
    let mut anchors = Anchors::new(root)?;
    if hex::encode(anchors.scheme) != context.scheme {
        return Err(VectorError::Unexpected("the context's scheme is not its root's".into()));
    }
    anchors.adopt(&unhex(&context.trust_list)?)?;
    Ok(anchors)
}

/// Checks every file below `dir`, the flows against the application in this process.
///
/// # Errors
/// As [`check_in`].
pub fn check(dir: &Path) -> Result<Report, VectorError> {
    check_in(dir, open_natively)
}

/// Checks every file below `dir`, the flows against the application where `opener` opens it.
///
/// # Errors
/// A folder without files, a file that cannot be read or is not of the format, or whose context does not hold. What came
/// out otherwise than a file says is no error but a [`Difference`].
pub fn check_in(dir: &Path, opener: Opener) -> Result<Report, VectorError> {
    let mut files = BTreeMap::new();
    for path in format::list(dir)? {
        let name = path.display().to_string();
        files.insert(name, File::read(&dir.join(&path))?);
    }
    if files.is_empty() {
        return Err(VectorError::Unexpected(format!("{}: no vectors here", dir.display())));
    }
    let flows: BTreeMap<&str, &format::Flow> = files
        .iter()
        .filter_map(|(name, file)| match file {
            File::Flow(flow) => Some((stem(name), flow)),
            _ => None,
        })
        .collect();
    let mut report = Report::default();
    for (name, file) in &files {
        report.files.push(FileReport { file: name.clone(), ..check_file(stem(name), file, &flows, opener)? });
    }
    Ok(report)
}

fn stem(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.strip_suffix(".json").unwrap_or(file)
}

fn check_file(
    name: &str,
    file: &File,
    flows: &BTreeMap<&str, &format::Flow>,
    opener: Opener,
) -> Result<FileReport, VectorError> {
    let mut findings = Findings(Vec::new());
    let out = &mut findings;
    let (mut valid, mut invalid, mut steps) = (0, 0, 0);
    let names: Vec<&str> = match file {
        File::Types(file) => {
            (valid, invalid) = (file.valid.len(), file.invalid.len());
            types::check(file, out);
            file.valid
                .iter()
                .map(|v| &v.name)
                .chain(file.invalid.iter().map(|v| &v.name))
                .map(String::as_str)
                .collect()
        }
        File::Messages(file) => {
            (valid, invalid) = (file.valid.len(), file.invalid.len());
            messages::check(file, out)?;
            file.valid
                .iter()
                .map(|v| &v.name)
                .chain(file.invalid.iter().map(|v| &v.name))
                .map(String::as_str)
                .collect()
        }
        File::Certificates(file) => {
            (valid, invalid) = (file.valid.len() + file.crls.len(), file.invalid.len());
            certificates::check(file, out)?;
            file.valid
                .iter()
                .map(|v| &v.name)
                .chain(file.invalid.iter().map(|v| &v.name))
                .map(String::as_str)
                .collect()
        }
        File::Journal(file) => {
            (valid, invalid) = (file.valid.len(), file.invalid.len());
            journal::check(file, out)?;
            file.valid
                .iter()
                .map(|v| &v.name)
                .chain(file.invalid.iter().map(|v| &v.name))
                .map(String::as_str)
                .collect()
        }
        File::Proofs(file) => {
            (valid, invalid) = (file.valid.len(), file.invalid.len());
            proofs::check(file, out)?;
            file.valid
                .iter()
                .map(|v| &v.name)
                .chain(file.invalid.iter().map(|v| &v.name))
                .map(String::as_str)
                .collect()
        }
        File::Flow(flow) => {
            steps = flow.steps.len();
            flow::check(name, flow, flows, opener, out)?;
            Vec::new()
        }
    };
    let mut seen = std::collections::BTreeSet::new();
    for name in names.into_iter().filter(|name| !seen.insert(*name)) {
        out.differ(name, "name", "a name of its own", "two vectors of one name");
    }
    Ok(FileReport { file: String::new(), valid, invalid, steps, differences: findings.0 })
}
