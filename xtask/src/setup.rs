//! What the tests need beside Rust: a few programs, and Python with independent readers of our QR images, messages and
//! signatures.
//!
//! On Debian as root what is missing is installed. Elsewhere nothing is touched: the command is named, and the step
//! fails. Where all is there this takes a second.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{describe, is_on_path, output, root, run};

/// A program, and the package that has it.
struct Tool {
    program: &'static str,
    debian: &'static str,
    fedora: &'static str,
    homebrew: &'static str,
    linux_only: bool,
}

impl Tool {
    /// Debian keeps PostgreSQL's programs off PATH, in a folder for each version.
    fn is_there(&self) -> bool {
        is_on_path(self.program)
            || (self.program == "initdb" && counterfoil_scratch_postgres::programs().is_some())
    }
}

/// What the tests call.
const TOOLS: [Tool; 8] = [
    Tool { program: "openssl", debian: "openssl", fedora: "openssl", homebrew: "openssl", linux_only: false },
    Tool { program: "zbarimg", debian: "zbar-tools", fedora: "zbar", homebrew: "zbar", linux_only: false },
    Tool { program: "python3", debian: "python3", fedora: "python3", homebrew: "python", linux_only: false },
    Tool { program: "c++", debian: "g++", fedora: "gcc-c++", homebrew: "gcc", linux_only: true },
    Tool { program: "ip", debian: "iproute2", fedora: "iproute", homebrew: "", linux_only: true },
    Tool { program: "swtpm", debian: "swtpm", fedora: "swtpm", homebrew: "swtpm", linux_only: false },
    Tool {
        program: "initdb",
        debian: "postgresql",
        fedora: "postgresql-server",
        homebrew: "postgresql",
        linux_only: false,
    },
    Tool { program: "unshare", debian: "util-linux", fedora: "util-linux", homebrew: "", linux_only: true },
];

const REQUIREMENTS: &str = "xtask/python-requirements.txt";
const VENV: &str = "target/venv";

/// The Python that has the packages of `python-requirements.txt`, once [`install_missing`] has run.
pub(crate) fn python() -> PathBuf {
    root().join(VENV).join("bin/python")
}

/// Installs what is missing, or says how.
pub(crate) fn install_missing() -> Result<()> {
    let missing: Vec<&Tool> = TOOLS
        .iter()
        .filter(|tool| cfg!(target_os = "linux") || !tool.linux_only)
        .filter(|tool| !tool.is_there())
        .collect();
    if !missing.is_empty() {
        let installer = Installer::here();
        installer.install(&missing.iter().map(|tool| installer.package(tool)).collect::<Vec<_>>())?;
        if let Some(tool) = missing.iter().find(|tool| !tool.is_there()) {
            bail!("package {} is installed, and {} is still not found", tool.debian, tool.program);
        }
    }
    ensure_venv()
}

/// Installs a compiler that can make WebAssembly, or says how to have one.
pub(crate) fn install_wasm_compiler() -> Result<()> {
    match Installer::here() {
        installer @ Installer::Apt { root: true } => installer.install(&["rustc-web", "rust-web-src"]),
        _ => bail!("the image needs a compiler for WebAssembly: rustup target add wasm32-unknown-unknown"),
    }
}

/// How programs come onto this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Installer {
    Apt { root: bool },
    Dnf,
    Homebrew,
    Unknown,
}

impl Installer {
    fn here() -> Self {
        if Path::new("/etc/debian_version").exists() && is_on_path("apt-get") {
            let root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
            Self::Apt { root }
        } else if is_on_path("dnf") {
            Self::Dnf
        } else if is_on_path("brew") {
            Self::Homebrew
        } else {
            Self::Unknown
        }
    }

    /// What to ask this installer for.
    fn package(self, tool: &Tool) -> &'static str {
        match self {
            Self::Apt { .. } => tool.debian,
            Self::Dnf => tool.fedora,
            Self::Homebrew => tool.homebrew,
            Self::Unknown => tool.program,
        }
    }

    /// Installs `packages` on Debian as root; elsewhere fails, with the command that would.
    fn install(self, packages: &[&str]) -> Result<()> {
        if self != (Self::Apt { root: true }) {
            bail!("{}", self.advice(packages));
        }
        let mut update = Command::new("apt-get");
        run(update.args(["update", "--quiet=2"]))?;
        let mut install = Command::new("apt-get");
        install.args(["install", "--yes", "--quiet=2", "--no-install-recommends"]).args(packages);
        run(install.env("DEBIAN_FRONTEND", "noninteractive"))
    }

    fn advice(self, packages: &[&str]) -> String {
        let packages = packages.join(" ");
        let command = match self {
            Self::Apt { .. } => "sudo apt-get install --no-install-recommends",
            Self::Dnf => "sudo dnf install",
            Self::Homebrew => "brew install",
            Self::Unknown => return format!("the tests need programs that are missing here: {packages}"),
        };
        format!(
            "the tests need programs that are missing here; install them with\n\n    {command} {packages}\n"
        )
    }
}

/// Makes the Python environment, unless one is there that has these very requirements and works.
fn ensure_venv() -> Result<()> {
    let requirements = fs::read_to_string(root().join(REQUIREMENTS)).context(REQUIREMENTS)?;
    // Written last, so that an installation that was cut off is done again.
    let stamp = root().join(VENV).join("requirements-installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == requirements) && imports_work() {
        println!("   all there");
        return Ok(());
    }
    create_venv()?;
    run(Command::new(python())
        .current_dir(root())
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
        .args(["--require-hashes", "--only-binary", ":all:", "--requirement", REQUIREMENTS]))?;
    if !imports_work() {
        bail!("the Python packages are installed in {VENV}, and cannot be imported");
    }
    fs::write(&stamp, requirements).with_context(|| format!("cannot write into {VENV}"))
}

/// Whether the environment's Python still finds its packages: it does not after the system's Python was replaced.
fn imports_work() -> bool {
    output(
        Command::new(python())
            .args(["-c", "import numpy, PIL.Image, zxingcpp, cbor2, cryptography, cwt, schemathesis, zcbor"]),
    )
    .is_ok()
}

fn create_venv() -> Result<()> {
    let with = |python: &str| -> Result<()> {
        let venv = root().join(VENV);
        if venv.exists() {
            fs::remove_dir_all(&venv).with_context(|| format!("cannot remove the old {VENV}"))?;
        }
        let mut command = Command::new(python);
        command.current_dir(root()).args(["-m", "venv", VENV]);
        println!("   $ {}", describe(&command));
        output(&mut command).map(drop)
    };
    let Err(error) = with("python3") else { return Ok(()) };
    // Debian ships Python without the part that makes environments; elsewhere it belongs to Python.
    match Installer::here() {
        installer @ Installer::Apt { .. } => {
            installer.install(&["python3-venv"])?;
            // The package serves the system's Python, which need not be the first on PATH.
            with("/usr/bin/python3")
        }
        _ => Err(error
            .context("Python cannot make an environment here; install its `venv` and `ensurepip` modules")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_named_where_we_do_not_install() {
        let zbar = TOOLS.iter().find(|tool| tool.program == "zbarimg").unwrap();
        for (installer, command) in [
            (Installer::Apt { root: false }, "sudo apt-get install --no-install-recommends zbar-tools\n"),
            (Installer::Dnf, "sudo dnf install zbar\n"),
            (Installer::Homebrew, "brew install zbar\n"),
            (Installer::Unknown, "missing here: zbarimg"),
        ] {
            let error = installer.install(&[installer.package(zbar)]).unwrap_err();
            assert!(error.to_string().ends_with(command), "{error}");
        }
    }
}
