//! What a person, or a program, gets to read: lines, one JSON object, errors with their number.

use std::io::{IsTerminal, Write};

use counterfoil_operator::OperatorError;
use counterfoil_operator::store::StoreError;
use counterfoil_wallet::WalletError;
use counterfoil_wire::{Code, Error};
use serde_json::{Value, json};

/// Exit codes. 0 is success.
pub(crate) const REFUSED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const DECLINED: u8 = 3;

/// How to write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
    colour: bool,
}

/// What a command has to say, in both forms.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) lines: Vec<String>,
    /// What went wrong, for people: where errors are looked for.
    pub(crate) errors: Vec<String>,
    pub(crate) json: serde_json::Map<String, Value>,
    pub(crate) exit: u8,
}

impl Answer {
    /// Adds a line for people.
    pub(crate) fn line(&mut self, line: impl Into<String>) -> &mut Self {
        self.lines.push(line.into());
        self
    }

    /// Adds a line that stands with the errors.
    pub(crate) fn complain(&mut self, line: impl Into<String>) -> &mut Self {
        self.errors.push(line.into());
        self
    }

    /// Adds a member for programs.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.json.insert(name.to_owned(), value.into());
        self
    }
}

/// A bar for long work, on a terminal alone and never among the answers.
pub(crate) struct Progress(indicatif::ProgressBar);

impl Progress {
    /// So much is done.
    pub(crate) fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    /// It is over, and the bar goes.
    pub(crate) fn done(self) {
        self.0.finish_and_clear();
    }
}

impl Output {
    /// A bar for work of `total` steps. It hides itself where standard error is no terminal.
    pub(crate) fn progress(&self, what: &str, total: u64) -> Progress {
        let bar =
            if self.json { indicatif::ProgressBar::hidden() } else { indicatif::ProgressBar::new(total) };
        if let Ok(style) = indicatif::ProgressStyle::with_template("{prefix:24} {wide_bar} {pos}/{len} {eta}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_owned());
        Progress(bar)
    }
}

/// A command line that cannot be what was meant.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A failure outside of the protocol.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// A stable name for programs.
    pub(crate) name: &'static str,
    /// Whose fault it is.
    pub(crate) fault: &'static str,
    pub(crate) what: String,
    pub(crate) next: String,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Trouble {}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { json, colour: std::io::stdout().is_terminal() && !plain }
    }

    /// Writes an answer whole, and gives it to the reader before anything else happens.
    pub(crate) fn answer(&self, answer: &Answer) -> u8 {
        if self.json {
            self.text(&format!("{:#}\n", Value::Object(answer.json.clone())));
        } else {
            let text: String = answer.lines.iter().map(|line| format!("{line}\n")).collect();
            self.text(&text);
            let errors: String = answer.errors.iter().map(|line| format!("{line}\n")).collect();
            let _ = std::io::stderr().lock().write_all(errors.as_bytes());
        }
        answer.exit
    }

    /// Writes what there is to say before an error. Programs expect one object, and that is the error.
    pub(crate) fn aside(&self, answer: &Answer) {
        let text: String = answer.lines.iter().map(|line| format!("{line}\n")).collect();
        if self.json {
            let _ = std::io::stderr().lock().write_all(text.as_bytes());
        } else {
            self.text(&text);
        }
    }

    /// A reader that has gone away (`counterfoil … | head`) is no failure of the command.
    fn text(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    }

    /// A word that should be seen first.
    pub(crate) fn strong(&self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A word that asks for attention.
    pub(crate) fn warn(&self, text: &str) -> String {
        if self.colour { format!("\x1b[33m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Tells why a command failed; returns its exit code. For programs the object goes where its result would have
    /// gone.
    pub(crate) fn fail(&self, error: &anyhow::Error) -> u8 {
        let exit = if error.is::<Usage>() { USAGE } else { REFUSED };
        let told = Told::of(error);
        if self.json {
            self.text(&format!("{:#}\n", json!({ "error": told.json() })));
        } else {
            let mut stderr = std::io::stderr().lock();
            for line in told.lines() {
                let _ = writeln!(stderr, "{line}");
            }
        }
        exit
    }
}

/// A failure in words.
struct Told {
    /// What the caller knows beyond the number.
    note: Option<String>,
    code: Option<Code>,
    name: &'static str,
    what: String,
    fault: Option<&'static str>,
    next: Option<String>,
}

impl Told {
    fn of(error: &anyhow::Error) -> Self {
        let outermost = error.to_string();
        let numbered = |code: Code| Self {
            note: (!outermost.starts_with("error ")).then(|| outermost.clone()),
            code: Some(code),
            name: code.name(),
            what: code.what().to_owned(),
            fault: Some(code.fault().name()),
            next: Some(code.next().to_owned()),
        };
        if let Some(error) = error.downcast_ref::<Error>() {
            return numbered(error.code);
        }
        if let Some(error) = error.downcast_ref::<WalletError>() {
            let next = error.next().map(str::to_owned);
            return match error.code() {
                Some(code) => Self { next, ..numbered(code) },
                None => Self {
                    note: (outermost != error.to_string()).then_some(outermost),
                    code: None,
                    name: error.name(),
                    what: error.to_string(),
                    fault: Some(error.fault()),
                    next,
                },
            };
        }
        let plain = |name, fault, next: &str| Self {
            note: None,
            code: None,
            name,
            what: chain(error),
            fault: Some(fault),
            next: Some(next.to_owned()),
        };
        if let Some(Trouble { name, fault, next, .. }) = error.downcast_ref::<Trouble>() {
            return plain(name, fault, next);
        }
        if error.is::<Usage>() {
            return plain("Usage", "caller", "see `counterfoil help`");
        }
        if let Some(error) = error.downcast_ref::<OperatorError>() {
            return match error {
                OperatorError::Exists(_) => plain("OperatorExists", "caller", "choose another --dir"),
                OperatorError::NotAnOperator(_) => plain("NoOperator", "caller", "check --dir"),
                OperatorError::Options(_) => plain("Usage", "caller", "see `counterfoil operator help`"),
                OperatorError::NotLoopback(_) => plain("NotLoopback", "caller", "listen on 127.0.0.1"),
                OperatorError::Listen(..) => {
                    plain("CannotListen", "caller", "choose another --listen, or end what listens there")
                }
                OperatorError::AlreadyServed(_) => {
                    plain("AlreadyServed", "caller", "end the other process first")
                }
                OperatorError::File { .. } => {
                    plain("File", "host", "check that the folder is there and yours")
                }
                OperatorError::Store(StoreError::Unreachable(_)) => plain(
                    "DatabaseUnreachable",
                    "operator",
                    "check that PostgreSQL runs, and what --database, COUNTERFOIL_DATABASE or operator.toml names",
                ),
                OperatorError::Store(StoreError::TooNew) => {
                    plain("DatabaseNewer", "operator", "run the newer program")
                }
                OperatorError::Config { .. } => plain("Config", "caller", "mend the file"),
                OperatorError::Occupied(_) => plain(
                    "DatabaseOccupied",
                    "caller",
                    "name an empty database, or a schema in it: ?options=-csearch_path%3DSCHEMA",
                ),
                OperatorError::Rail(_) => plain("Rail", "operator", "check the rail, then try again"),
                OperatorError::Random => plain("NoRandomness", "host", "try again"),
                _ => plain("OperatorDamaged", "operator", "put a good copy of the operator's folder back"),
            };
        }
        if error.chain().any(|cause| cause.is::<std::io::Error>()) {
            return plain("File", "host", "check that the file is there, and yours");
        }
        plain("Failed", "host", "put right what is said above, then run the command again")
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![match self.code {
            Some(code) => format!("error {}: {}", code.number(), self.what),
            None => format!("error: {}", self.what),
        }];
        lines.extend(self.note.as_ref().map(|note| format!("note: {note}")));
        lines.extend(self.fault.map(|fault| format!("fault: {fault}")));
        lines.extend(self.next.as_ref().map(|next| format!("next: {next}")));
        lines
    }

    fn json(&self) -> Value {
        json!({
            "code": self.code.map(Code::number),
            "name": self.name,
            "what": self.what,
            "note": self.note,
            "fault": self.fault,
            "next": self.next,
        })
    }
}

/// An error and what led to it. Libraries often repeat in an error what it is caused by.
fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// Lines of columns, each as wide as its widest cell. The columns in `right` are set to the right.
pub(crate) fn table(rows: &[Vec<String>], right: &[usize]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell: &String| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let mut line = String::from(" ");
        for (column, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths.get(column).unwrap_or(&0).saturating_sub(cell.chars().count()));
            line.push(' ');
            if right.contains(&column) {
                line.push_str(&padding);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&padding);
            }
            line.push(' ');
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        let lines = table(&[row("sent", "1.00 EUR"), row("confirmed", "12.30 EUR")], &[1]);
        assert_eq!(lines, ["  sent        1.00 EUR", "  confirmed  12.30 EUR"]);
    }

    #[test]
    fn a_numbered_error_says_all_three_things() {
        let told = Told::of(&anyhow::Error::from(WalletError::Refused(Code::BalanceTooLarge.into())));
        assert_eq!(told.lines()[0], "error 402: the balance would pass the holding limit");
        assert_eq!(told.lines()[1], "fault: holder");
        assert!(told.lines()[2].starts_with("next: "));
        assert_eq!(told.json()["code"], 402);
    }
}
