//! Where a PIN comes from: a file that the holder names, the prompt of a terminal, the first line of a pipe. Never an
//! argument, which every process on the computer can read.

use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use counterfoil_wallet::Pin;
use zeroize::Zeroizing;

use crate::output::{Trouble, Usage};

/// More than any PIN file has.
const LINE_BYTES_MAX: u64 = 256;

/// How long an enrolment waits for a PIN on a pipe that may never say anything.
const PIPE_TIME_MAX: Duration = Duration::from_secs(2);

/// Options of commands that may need the PIN.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct PinArgs {
    /// File whose first line is the PIN; without it the PIN is asked for at the prompt, or read from standard input
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
}

impl PinArgs {
    /// The PIN from the file, if one was named.
    pub(crate) fn given(&self) -> Result<Option<Pin>> {
        self.pin_file.as_deref().map(from_file).transpose()
    }

    /// The PIN, now that it is known to be needed. `prompt` says what for.
    pub(crate) fn needed(&self, prompt: &str) -> Result<Pin> {
        if let Some(pin) = self.given()? {
            return Ok(pin);
        }
        if std::io::stdin().is_terminal() {
            return ask(prompt);
        }
        match from_pipe()? {
            Some(pin) => Ok(pin),
            None => bail!(counterfoil_wire::Error::from(counterfoil_wire::Code::PinRequired)),
        }
    }

    /// The PIN that a new wallet is to have. A wallet without one stays so for ever, so that is never a default.
    pub(crate) fn chosen(&self) -> Result<Pin> {
        if let Some(pin) = self.given()? {
            return Ok(pin);
        }
        if std::io::stdin().is_terminal() {
            let pin = ask("choose a PIN of 4 to 12 digits: ")?;
            if pin.0.is_empty() {
                bail!(no_pin());
            }
            if ask("the same PIN again: ")? != pin {
                bail!("the two PINs differ; nothing was done");
            }
            return Ok(pin);
        }
        // Whoever started us may have left a pipe open that nobody writes to: do not wait for ever.
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(from_pipe()));
        match receiver.recv_timeout(PIPE_TIME_MAX) {
            Ok(line) => line?.ok_or_else(|| no_pin().into()),
            Err(_) => bail!(no_pin()),
        }
    }
}

fn no_pin() -> Usage {
    Usage(
        "no PIN was given; name a file that holds one with --pin-file, or say --no-pin: such a wallet pays small amounts \
         only, for ever"
            .to_owned(),
    )
}

fn ask(prompt: &str) -> Result<Pin> {
    let line = rpassword::prompt_password(prompt).context("cannot ask for the PIN")?;
    Ok(Pin(Zeroizing::new(line)))
}

fn from_file(path: &Path) -> Result<Pin> {
    let trouble = |why: String| Trouble {
        name: "PinFile",
        fault: "caller",
        what: format!("there is no PIN in the file {}: {why}", path.display()),
        next: "name a file whose first line is the PIN; no try was used up".to_owned(),
    };
    let file = std::fs::File::open(path).map_err(|error| trouble(error.to_string()))?;
    let line = first_line(std::io::BufReader::new(file)).map_err(|error| trouble(format!("{error:#}")))?;
    Ok(line.ok_or_else(|| trouble("its first line is empty".to_owned()))?)
}

/// Not through the standard library's reader, whose buffer would keep the PIN for the life of the process.
fn from_pipe() -> Result<Option<Pin>> {
    #[cfg(unix)]
    {
        let own = std::os::fd::AsFd::as_fd(&std::io::stdin()).try_clone_to_owned();
        let pipe = std::fs::File::from(own.context("cannot read the PIN")?);
        first_line(std::io::BufReader::new(pipe))
    }
    #[cfg(not(unix))]
    first_line(std::io::stdin().lock())
}

fn first_line(reader: impl BufRead) -> Result<Option<Pin>> {
    let mut line = Zeroizing::new(Vec::with_capacity(LINE_BYTES_MAX as usize));
    reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).context("cannot read the PIN")?;
    let text = std::str::from_utf8(&line).context("the PIN is not text")?;
    let text = text.trim_end_matches(['\r', '\n']);
    Ok((!text.is_empty()).then(|| Pin(Zeroizing::new(text.to_owned()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<String> {
        first_line(bytes).unwrap().map(|pin| pin.0.to_string())
    }

    #[test]
    fn the_first_line_is_the_pin() {
        assert_eq!(read(b"1234"), Some("1234".into()));
        assert_eq!(read(b"1234\r\n5678\n"), Some("1234".into()));
        assert_eq!(read(b""), None);
        assert_eq!(read(b"\n1234\n"), None);
        assert!(first_line(&b"\xff\n"[..]).is_err());
        assert!(read(&[b'1'; 1000]).is_some_and(|pin| pin.len() == 256));
    }
}
