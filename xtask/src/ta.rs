//! The image of the trusted application: built, measured, signed, and checked against what is in the repository.
//!
//! `crates/tre/image/` holds the image, its seal, an image of bare signatures for benchmarks, and a manifest: the digest of
//! what they are made from, the compiler, and their hashes. So `cargo build` needs no second target.
//!
//! Built by one version of the compiler from the same sources the image is the same to the last bit: nothing in it names
//! a place in a file or on a machine. Another compiler makes another image, which is as good and has another hash.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use counterfoil_trust::image::{ImageStatement, development_signer};
use counterfoil_trust::sha256;
use serde::{Deserialize, Serialize};

use crate::setup;
use crate::shell::{cargo, output, root, run};

const FOLDER: &str = "crates/tre/image";
const MANIFEST: &str = "crates/tre/image/manifest.toml";
const TARGET: &str = "wasm32-unknown-unknown";
/// The interface that the image is made for. `counterfoil_ta::abi::VERSION`; the conformance suite would not start with
/// another.
const INTERFACE: u32 = 2;

/// What the images are made from.
const SOURCES: [&str; 4] = ["crates/wire", "crates/trust", "crates/ta", "crates/ta-image"];

/// Wide arithmetic makes a signature three times as quick in the interpreter; the curve's arithmetic in 64 bits needs it.
/// Places in files would say where the build was, and descriptions for debugging are read by nobody in there.
const FLAGS: &str = "-Ctarget-feature=+wide-arithmetic --cfg curve25519_dalek_bits=\"64\" \
                     --cfg sha2_backend=\"soft\" --cfg sha2_backend_soft=\"compact\" \
                     -Zlocation-detail=none -Zfmt-debug=none";

/// What is known of the images in the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    /// Version of the image of the trusted application.
    version: u32,
    /// Version of its interface.
    interface: u32,
    /// Digest of everything that the images are made from.
    sources: String,
    /// What made them.
    compiler: String,
    /// How.
    flags: String,
    /// SHA-256 of each.
    images: BTreeMap<String, String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Build again and compare, and change nothing
    #[arg(long)]
    check: bool,
    /// The version of the image; without it one more than before if the image is another
    #[arg(long, conflicts_with = "check")]
    version: Option<u32>,
}

/// The images, by the names of their files.
struct Built {
    compiler: String,
    wasm: BTreeMap<String, Vec<u8>>,
}

pub(crate) fn ta(arguments: &Arguments) -> Result<()> {
    if arguments.check { check() } else { make(arguments.version) }
}

/// Builds the images and puts them into the repository.
fn make(version: Option<u32>) -> Result<()> {
    let before = read_manifest().ok();
    let built = build()?;
    let images = hashes(&built.wasm);
    let version = version.unwrap_or_else(|| match &before {
        Some(before) if before.images == images => before.version,
        Some(before) => before.version + 1,
        None => 1,
    });
    let (compiler, flags) = (built.compiler, FLAGS.to_owned());
    let manifest = Manifest { version, interface: INTERFACE, sources: sources()?, compiler, flags, images };
    let signer = development_signer().map_err(|error| anyhow::anyhow!("{error}"))?;
    let folder = root().join(FOLDER);
    fs::create_dir_all(&folder)?;
    for (name, wasm) in &built.wasm {
        fs::write(folder.join(name), wasm)?;
    }
    let application = built.wasm.get(IMAGE).context("no image was built")?;
    let statement =
        ImageStatement { version, interface: INTERFACE, hash: sha256(application), signer: signer.public() };
    fs::write(folder.join("counterfoil-ta.seal"), statement.sealed_by(&signer))?;
    fs::write(root().join(MANIFEST), toml::to_string(&manifest)?)?;
    println!("   version {version}, {} bytes, in {FOLDER}", application.len());
    Ok(())
}

/// Whether the images in the repository are those of its sources.
pub(crate) fn check() -> Result<()> {
    let manifest = read_manifest()?;
    let again = "to renew it: cargo xtask ta";
    if manifest.sources != sources()? || manifest.flags != FLAGS || manifest.interface != INTERFACE {
        bail!("the sources of the trusted application have changed and its image has not; {again}");
    }
    let held: BTreeMap<String, Vec<u8>> = manifest
        .images
        .keys()
        .map(|name| {
            Ok((name.clone(), fs::read(root().join(FOLDER).join(name)).with_context(|| name.clone())?))
        })
        .collect::<Result<_>>()?;
    if hashes(&held) != manifest.images {
        bail!("an image in {FOLDER} is not the one that its manifest names; {again}");
    }
    let built = build()?;
    if built.compiler == manifest.compiler {
        if hashes(&built.wasm) != manifest.images {
            bail!("the same compiler makes another image of the same sources; {again}");
        }
        println!("   built again by the same compiler, and the same to the last bit");
        return Ok(());
    }
    println!(
        "   the images were made by {}, and this is {}: the hashes are not compared, the suites run on the new image",
        manifest.compiler, built.compiler
    );
    let fresh = root().join("target/ta").join(IMAGE);
    fs::write(&fresh, built.wasm.get(IMAGE).context("no image was built")?)?;
    run(cargo()
        .args([
            "test",
            "--package",
            "counterfoil-tre",
            "--locked",
            "--test",
            "virtual_se",
            "--test",
            "conformance",
        ])
        .env("COUNTERFOIL_IMAGE", fresh))
}

const IMAGE: &str = "counterfoil-ta.wasm";

fn read_manifest() -> Result<Manifest> {
    toml::from_str(&fs::read_to_string(root().join(MANIFEST)).context(MANIFEST)?).context(MANIFEST)
}

fn hashes(wasm: &BTreeMap<String, Vec<u8>>) -> BTreeMap<String, String> {
    wasm.iter().map(|(name, bytes)| (name.clone(), sha256(bytes).to_string())).collect()
}

/// A digest over the source files, the profile, and the versions of what they depend on.
fn sources() -> Result<String> {
    let mut listed = String::new();
    let mut files = Vec::new();
    for folder in SOURCES {
        for part in ["Cargo.toml", "src", "examples"] {
            collect(&root().join(folder).join(part), &mut files)?;
        }
    }
    files.sort();
    for file in &files {
        let name = file.strip_prefix(root())?.to_string_lossy().replace('\\', "/");
        listed += &format!("{} {name}\n", sha256(&fs::read(file)?));
    }
    let text = fs::read_to_string(root().join("Cargo.toml"))?;
    let workspace: toml::Table = toml::from_str(&text)?;
    let profiles = workspace.get("profile").and_then(toml::Value::as_table);
    for name in ["release", "image"] {
        let profile = profiles.and_then(|profiles| profiles.get(name));
        listed += &format!("{name} {}\n", profile.map(toml::Value::to_string).unwrap_or_default());
    }
    listed +=
        &output(
            cargo()
                .args(["tree", "--locked", "--package", "counterfoil-ta-image", "--target", TARGET])
                .args(["--edges", "normal", "--prefix", "none", "--no-dedupe", "--format", "{p} {f}"]),
        )?
        .lines()
        // Where a package of the workspace lies is not part of what it is.
        .map(|line| line.split(" (").next().unwrap_or_default())
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .fold(String::new(), |all, line| all + line + "\n");
    Ok(sha256(listed.as_bytes()).to_string())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else if path.is_file() {
        files.push(path.to_owned());
    }
    Ok(())
}

/// A compiler that can make the image.
struct Compiler {
    rustc: PathBuf,
    /// Whether it has the target's library ready; else that is built too.
    has_library: bool,
}

impl Compiler {
    /// The ordinary compiler, if it has the target; else Debian's, which builds the target's library from source.
    fn find() -> Result<Self> {
        let ordinary = PathBuf::from(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        let library = output(Command::new(&ordinary).args(["--print", "target-libdir", "--target", TARGET]))?;
        if Path::new(library.trim()).is_dir() {
            return Ok(Self { rustc: ordinary, has_library: true });
        }
        let debian = PathBuf::from("/usr/bin/rustc");
        let source = output(Command::new(&debian).args(["--print", "sysroot"]))
            .map(|sysroot| Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core"));
        if !source.as_ref().is_ok_and(|source| source.is_dir()) {
            setup::install_wasm_compiler()?;
        }
        Ok(Self { rustc: debian, has_library: false })
    }
}

fn build() -> Result<Built> {
    let compiler = Compiler::find()?;
    let version = output(Command::new(&compiler.rustc).arg("--version"))?.trim().to_owned();
    let mut command = cargo();
    command
        .args(["build", "--locked", "--profile", "image", "--package", "counterfoil-ta-image"])
        .args(["--lib", "--example", "bare", "--target", TARGET, "--target-dir", "target/ta"])
        .env("RUSTC", &compiler.rustc)
        // The flags are no part of a stable compiler's promise; the manifest says which compiler took them.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", FLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    if !compiler.has_library {
        command.args(["-Zbuild-std=core,alloc", "-Zbuild-std-features=optimize_for_size"]);
        // The linker is beside the ordinary compiler.
        let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
        let host = output(Command::new("rustc").args(["--print", "host-tuple"]))?;
        let linker = Path::new(sysroot.trim()).join("lib/rustlib").join(host.trim()).join("bin");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(linker).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(path)?);
    }
    run(&mut command)?;
    let folder = root().join("target/ta").join(TARGET).join("image");
    let mut wasm = BTreeMap::new();
    for (name, file) in [(IMAGE, "counterfoil_ta_image.wasm"), ("bare-crypto.wasm", "examples/bare.wasm")] {
        wasm.insert(name.to_owned(), fs::read(folder.join(file)).with_context(|| file.to_owned())?);
    }
    Ok(Built { compiler: version, wasm })
}
