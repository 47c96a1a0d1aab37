//! The files. Byte strings are lower-case hexadecimal; `fields`, `value`, `command`, `reply` and `state` are wire values
//! in the form of [`crate::json`].

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::VectorError;

/// One file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "file", rename_all = "kebab-case")]
#[allow(clippy::large_enum_variant, reason = "a handful of them, each read once")]
pub enum File {
    /// Single values and their encodings.
    Types(Types),
    /// Signed messages of every kind, and gossip.
    Messages(Messages),
    /// Certificates and revocation lists in X.509.
    Certificates(Certificates),
    /// Journals as chains of headers.
    Journal(Journal),
    /// Portable proofs.
    Proofs(Proofs),
    /// Wallets at work.
    Flow(Flow),
}

/// What a receiver knows already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// The scheme: SHA-256 of the root's key.
    pub scheme: String,
    /// The root, in compact form.
    pub root: String,
    /// The newest trust list held, an envelope.
    pub trust_list: String,
    /// The clock, seconds since 1970.
    pub clock_s: u32,
}

/// `types.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Types {
    /// What the file is for.
    pub about: String,
    /// Where it is specified.
    pub specification: Vec<String>,
    /// Values.
    pub valid: Vec<TypeValue>,
    /// Byte strings that are no encoding of the type.
    pub invalid: Vec<InvalidType>,
}

/// A value and its one encoding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeValue {
    /// Unique within the file.
    pub name: String,
    /// The type.
    pub r#type: String,
    /// The value.
    pub value: Value,
    /// Its encoding.
    pub hex: String,
}

/// Bytes that must be refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvalidType {
    /// Unique within the file.
    pub name: String,
    /// The type.
    pub r#type: String,
    /// The bytes.
    pub hex: String,
    /// The error's number.
    pub error: u16,
}

/// `messages-*.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Messages {
    /// What the file is for.
    pub about: String,
    /// Where it is specified.
    pub specification: Vec<String>,
    /// What the receiver knows.
    pub context: Context,
    /// Messages that hold.
    pub valid: Vec<Message>,
    /// Messages that must be refused.
    pub invalid: Vec<InvalidMessage>,
}

/// A message that holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Unique within the file.
    pub name: String,
    /// Its purpose.
    pub kind: String,
    /// The fields of its body.
    pub fields: Value,
    /// The message.
    pub hex: String,
    /// What its signature is about; absent where nothing is signed as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
    /// Of a revocation list: the list held before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Of a revocation list: every index that is revoked after it was adopted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_after: Option<Vec<u32>>,
}

/// What a signature is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// `{"cert": ...}` or `{"key": ...}`.
    pub signer: Value,
    /// The certificate of the signer's issuer, where it is attached.
    pub issuer: Value,
    /// The header, rebuilt.
    pub header: String,
    /// The COSE `Sig_structure` over it: what is signed.
    pub sig_structure: String,
    /// SHA-256 of the header: the message's identifier.
    pub id: String,
    /// The signer's public key.
    pub key: String,
    /// The signature.
    pub signature: String,
    /// The signer's secret, for whoever wants to sign too.
    pub secret: String,
    /// The randomness that this signature was made with.
    pub hedge: String,
}

/// A revocation list that is held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Its number.
    pub number: u32,
    /// Every index that it revokes, ascending.
    pub indexes: Vec<u32>,
}

/// A message that must be refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvalidMessage {
    /// Unique within the file.
    pub name: String,
    /// The purpose that is expected.
    pub kind: String,
    /// The bytes.
    pub hex: String,
    /// The error's number.
    pub error: u16,
    /// The clock, where it is not the context's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_s: Option<u32>,
    /// Of a revocation list: the list held before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Whether a verifier that is not strict takes the signature.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
}

/// `certificates.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificates {
    /// What the file is for.
    pub about: String,
    /// Where it is specified.
    pub specification: Vec<String>,
    /// What the receiver knows.
    pub context: Context,
    /// Certificates that hold.
    pub valid: Vec<Certificate>,
    /// Certificates that must be refused.
    pub invalid: Vec<InvalidCertificate>,
    /// Certificate revocation lists.
    pub crls: Vec<Crl>,
}

/// A certificate that holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// Unique within the file.
    pub name: String,
    /// `root`, `authority` or `wallet`.
    pub kind: String,
    /// Its fields.
    pub fields: Value,
    /// The compact form.
    pub hex: String,
    /// Its issuer's certificate in compact form; of a root, itself.
    pub issuer: String,
    /// Whether the issuer's certificate came with it, since the trust list does not name it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub carried: bool,
    /// The X.509 certificate.
    pub der: String,
    /// The same in PEM.
    pub pem: String,
    /// SHA-256 of its public key.
    pub key_id: String,
}

/// A certificate that must be refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvalidCertificate {
    /// Unique within the file.
    pub name: String,
    /// `root`, `authority` or `wallet`.
    pub kind: String,
    /// The compact form.
    pub hex: String,
    /// The issuer's certificate that came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<String>,
    /// The clock, where it is not the context's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_s: Option<u32>,
    /// The X.509 certificate that the compact form stands for, where it stands for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub der: Option<String>,
    /// The error's number.
    pub error: u16,
}

/// A certificate revocation list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crl {
    /// Unique within the file.
    pub name: String,
    /// Its issuer's certificate in compact form.
    pub issuer: String,
    /// The issuer's secret.
    pub secret: String,
    /// The randomness that the signature was made with.
    pub hedge: String,
    /// Its number.
    pub number: u32,
    /// When it was made, seconds since 1970.
    pub this_update_s: u32,
    /// When the next is due, seconds since 1970.
    pub next_update_s: u32,
    /// What it revokes.
    pub revoked: Vec<Revoked>,
    /// The X.509 CRL.
    pub der: String,
    /// The same in PEM.
    pub pem: String,
}

/// One entry of a CRL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// The wallet's status index, which with the next makes the serial number.
    pub status_index: u32,
    /// Start of the certificate's validity, seconds since 1970.
    pub not_before_s: u32,
    /// When it was revoked, seconds since 1970.
    pub revoked_at_s: u32,
}

/// `journal.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    /// What the file is for.
    pub about: String,
    /// Where it is specified.
    pub specification: Vec<String>,
    /// What the receiver knows.
    pub context: Context,
    /// Chains that hold.
    pub valid: Vec<Chain>,
    /// Statements whose entries make no chain.
    pub invalid: Vec<InvalidMessage>,
}

/// The entries of one statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// Unique within the file.
    pub name: String,
    /// The wallet's key.
    pub key: String,
    /// The statement, an envelope.
    pub statement: String,
    /// Number of the entry that the first one follows.
    pub after_seq: u32,
    /// Identifier of that entry.
    pub after_prev: String,
    /// The entries.
    pub entries: Vec<ChainEntry>,
    /// Identifier of the statement itself, which is the next entry.
    pub head: String,
}

/// One entry of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainEntry {
    /// Its number.
    pub seq: u32,
    /// Its fields.
    pub fields: Value,
    /// The entry as a statement carries it.
    pub hex: String,
    /// Its header.
    pub header: String,
    /// SHA-256 of the header: `prev` of the next.
    pub id: String,
}

/// `proofs.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proofs {
    /// What the file is for.
    pub about: String,
    /// Where it is specified.
    pub specification: Vec<String>,
    /// What the receiver knows, where the algorithm is EdDSA.
    pub context: Context,
    /// What it knows where the algorithm is ES256.
    pub context_es256: Context,
    /// Proofs that hold.
    pub valid: Vec<Proof>,
    /// What proves nothing.
    pub invalid: Vec<InvalidProof>,
}

/// A proof that holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// Unique within the file.
    pub name: String,
    /// `eddsa` or `es256`.
    pub algorithm: String,
    /// `fork`, `overlap` or `equivocation`.
    pub shows: String,
    /// Its fields.
    pub fields: Value,
    /// The proof.
    pub hex: String,
    /// The two headers.
    pub headers: [String; 2],
}

/// What proves nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvalidProof {
    /// Unique within the file.
    pub name: String,
    /// `eddsa` or `es256`.
    pub algorithm: String,
    /// The bytes.
    pub hex: String,
    /// The error's number.
    pub error: u16,
}

/// `flows/*.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// What happens.
    pub about: String,
    /// Where it is specified.
    pub specification: Vec<String>,
    /// The flow, without its ending, that happened before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One command to one wallet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it is about.
    pub note: String,
    /// Which wallet; one that was not named before is new and empty.
    pub wallet: String,
    /// The wallet begins here, as a copy of all that this other one has stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<String>,
    /// The host's clock, seconds since 1970.
    pub clock_s: u32,
    /// Whether the host's counter shows that the state is an older copy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    /// All randomness that the command draws, as one stream.
    pub random: String,
    /// The command; `null` where the bytes are none.
    pub command: Value,
    /// The command, encoded.
    pub command_hex: String,
    /// `{"ok": ...}` without the messages in it, or `{"error": number}`.
    pub reply: Value,
    /// The reply, encoded.
    pub reply_hex: String,
    /// What the wallet shows after it, in short; `null` before an enrolment is asked for.
    pub state: Value,
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// [`VectorError::Io`], [`VectorError::Format`].
    pub fn read(path: &Path) -> Result<Self, VectorError> {
        let shown = || path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| VectorError::Io { path: shown(), source })?;
        serde_json::from_str(&text).map_err(|source| VectorError::Format { path: shown(), source })
    }

    /// The text that is written: a line for each member of a vector, so that a change shows where it is.
    ///
    /// # Errors
    /// [`VectorError::Format`].
    pub fn to_text(&self) -> Result<String, VectorError> {
        let json = serde_json::to_value(self);
        let json = json.map_err(|source| VectorError::Format { path: String::from("(memory)"), source })?;
        let mut text = String::new();
        write(&mut text, &json, 0);
        Ok(text + "\n")
    }
}

/// Down to this depth each member stands on a line of its own: file, list of vectors, vector.
const LINES_TO_DEPTH: usize = 3;

fn write(text: &mut String, json: &Value, depth: usize) {
    let indent = |text: &mut String, depth| {
        text.push('\n');
        (0..depth).for_each(|_| text.push(' '));
    };
    match json {
        Value::Object(members) if depth < LINES_TO_DEPTH && !members.is_empty() => {
            text.push('{');
            for (at, (name, value)) in members.iter().enumerate() {
                text.push_str(if at > 0 { "," } else { "" });
                indent(text, depth + 1);
                text.push_str(&format!("{}: ", Value::from(name.as_str())));
                write(text, value, depth + 1);
            }
            indent(text, depth);
            text.push('}');
        }
        Value::Array(items) if depth < LINES_TO_DEPTH && items.iter().any(Value::is_object) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                text.push_str(if at > 0 { "," } else { "" });
                indent(text, depth + 1);
                write(text, item, depth + 1);
            }
            indent(text, depth);
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

/// Every vector file below `dir`, as paths relative to it, ascending.
///
/// # Errors
/// [`VectorError::Io`].
pub fn list(dir: &Path) -> Result<Vec<PathBuf>, VectorError> {
    let mut found = Vec::new();
    for folder in ["", "flows"] {
        let at = dir.join(folder);
        let error = |source| VectorError::Io { path: at.display().to_string(), source };
        if !folder.is_empty() && !at.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&at).map_err(error)? {
            let name = entry.map_err(error)?.file_name();
            let path = Path::new(folder).join(name);
            if path.extension().is_some_and(|extension| extension == "json") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
