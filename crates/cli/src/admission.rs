//! Which elements an operator lets wallets enrol in: its list of images, and what it trusts of Android.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Subcommand;
use counterfoil_operator::Service;
use counterfoil_operator::attestation::{AndroidApplication, AndroidPolicy};
use counterfoil_wallet::Image;
use counterfoil_wire::Digest;

use crate::output::{Answer, Output, Usage, table};
use crate::place::PlaceArgs;
use crate::time::utc;

#[derive(Debug, Subcommand)]
pub(crate) enum AdmissionCommand {
    /// List the images of the trusted application that wallets may enrol in, and those withdrawn
    Images {
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Let wallets enrol in an image
    AllowImage {
        #[command(flatten)]
        place: PlaceArgs,
        /// SHA-256 of the image, in hex; this program's own image without it
        #[arg(requires = "version")]
        image: Option<String>,
        /// Version that the image's signed header names
        #[arg(long, requires = "image")]
        version: Option<u32>,
    },
    /// Let no more wallets enrol in an image; those that did go on until their certificates end
    WithdrawImage {
        #[command(flatten)]
        place: PlaceArgs,
        /// SHA-256 of the image, in hex, as `operator images` gives it
        image: String,
    },
    /// Take Android Key Attestation as evidence for the bound grade; replaces what was trusted before
    TrustAndroid {
        #[command(flatten)]
        place: PlaceArgs,
        /// PEM file with the roots that Google publishes
        #[arg(long, value_name = "FILE")]
        roots: PathBuf,
        /// Google's list of revoked certificates, as JSON
        #[arg(long, value_name = "FILE")]
        status: Option<PathBuf>,
        /// An application that may host wallets: package name and SHA-256 of its signer; may be repeated
        #[arg(long, value_name = "PACKAGE=SHA256", required = true)]
        app: Vec<String>,
    },
}

/// What this program ships, for the list of a new operator.
pub(crate) fn shipped() -> Result<Vec<(Digest, u32)>> {
    let image = Image::shipped().context("this program's own image is damaged")?.id();
    Ok(vec![(Digest(image.hash), image.version)])
}

pub(crate) fn run(command: &AdmissionCommand, output: &Output) -> Result<u8> {
    match command {
        AdmissionCommand::Images { place } => list(place, output),
        AdmissionCommand::AllowImage { place, image, version } => {
            let (hash, version) = match (image, version) {
                (Some(image), Some(version)) => (digest(image)?, *version),
                _ => *shipped()?.first().context("this program ships no image")?,
            };
            place.with(|service| service.allow_image(hash, version))?;
            list(place, output)
        }
        AdmissionCommand::WithdrawImage { place, image } => {
            let hash = digest(image)?;
            if !place.with(|service| service.withdraw_image(hash))? {
                return Err(Usage("this image is not on the list: see `operator images`".to_owned()).into());
            }
            list(place, output)
        }
        AdmissionCommand::TrustAndroid { place, roots, status, app } => {
            trust_android(place, roots, status.as_deref(), app, output)
        }
    }
}

fn list(place: &PlaceArgs, output: &Output) -> Result<u8> {
    let images = place.with(Service::images)?;
    let mut answer = Answer::default();
    let mut rows = vec![["version", "image", "listed", "stands"].map(str::to_owned).to_vec()];
    for image in &images {
        let stands = image
            .withdrawn_at_s
            .map_or_else(|| "yes".to_owned(), |at_s| format!("no, withdrawn at {}", utc(at_s)));
        rows.push(vec![image.version.to_string(), image.image.clone(), utc(image.listed_at_s), stands]);
    }
    if images.is_empty() {
        answer.line("no image is on the list: no wallet can enrol but natively, in a sandbox");
    } else {
        answer.lines.extend(table(&rows, &[0]));
    }
    answer.set("images", serde_json::to_value(&images)?);
    Ok(output.answer(&answer))
}

fn trust_android(
    place: &PlaceArgs,
    roots: &Path,
    status: Option<&Path>,
    apps: &[String],
    output: &Output,
) -> Result<u8> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let application = |text: &String| {
        let (package, signer) = text.split_once('=')?;
        Some(AndroidApplication { package: package.to_owned(), signer: signer.to_ascii_lowercase() })
    };
    let applications = apps.iter().map(application).collect::<Option<Vec<_>>>();
    let applications =
        applications.ok_or_else(|| Usage("an --app is PACKAGE=SHA256 of its signer".to_owned()))?;
    let status = status.map(read).transpose()?.unwrap_or_default();
    let policy =
        AndroidPolicy::read(&read(roots)?, &status, applications).map_err(|why| Usage(why.to_owned()))?;
    place.with(|service| service.trust_android(&policy))?;
    let mut answer = Answer::default();
    answer.line(format!(
        "{} roots of Android Key Attestation are trusted, {} certificates are known as revoked",
        policy.roots.len(),
        policy.revoked.len()
    ));
    for application in &policy.applications {
        answer.line(format!("{} may host wallets", application.package));
    }
    answer.set("roots", policy.roots.len());
    answer.set("revoked", policy.revoked.len());
    answer.set("applications", serde_json::to_value(&policy.applications)?);
    Ok(output.answer(&answer))
}

fn digest(text: &str) -> Result<Digest> {
    let mut bytes = [0; 32];
    let read = hex::decode_to_slice(text, &mut bytes);
    read.map_err(|_| Usage("an image is named by 64 hexadecimal digits".to_owned()))?;
    Ok(Digest(bytes))
}
