//! The attestation extension: `KeyDescription` of the Android schema. What is not needed is passed over, whatever it is, so
//! that a newer version's additions do no harm; what is needed must be there once and be well formed.

use x509_cert::der::asn1::{AnyRef, OctetStringRef};
use x509_cert::der::{Decode, Reader, SliceReader, Tag, Tagged};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SecurityLevel {
    Software,
    TrustedEnvironment,
    StrongBox,
}

/// What the boot loader found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BootState {
    Verified,
    SelfSigned,
    Unverified,
    Failed,
}

/// The device as its hardware saw it start.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Boot {
    /// Whether the boot loader is locked.
    pub(super) locked: bool,
    pub(super) state: BootState,
}

/// What the hardware enforces.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hardware {
    /// Whether the key was generated there, and not imported.
    pub(super) made_there: bool,
    /// How often the key can be used.
    pub(super) usage_count_limit: Option<u32>,
    pub(super) boot: Option<Boot>,
}

/// The applications of the user that the key belongs to, as the system names them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Application {
    pub(super) packages: Vec<String>,
    /// SHA-256 of each certificate that signed them.
    pub(super) signers: Vec<Vec<u8>>,
}

/// What the hardware says of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KeyDescription {
    pub(super) attestation_level: SecurityLevel,
    pub(super) keymint_level: SecurityLevel,
    pub(super) challenge: Vec<u8>,
    pub(super) hardware: Hardware,
    pub(super) application: Option<Application>,
}

/// Tags of the authorization lists.
const USAGE_COUNT_LIMIT: u32 = 405;
const ORIGIN: u32 = 702;
const ROOT_OF_TRUST: u32 = 704;
const APPLICATION_ID: u32 = 709;

/// `KeyOrigin::GENERATED`.
const GENERATED: u32 = 0;

impl KeyDescription {
    pub(super) fn read(extension: &[u8]) -> Option<Self> {
        let items = sequence(extension)?;
        let [_version, attestation, _keymint, keymint, challenge, _unique, software, hardware] =
            items.as_slice()
        else {
            return None;
        };
        let software = list(software)?;
        let hardware = list(hardware)?;
        Some(Self {
            attestation_level: level(attestation)?,
            keymint_level: level(keymint)?,
            challenge: octets(challenge)?.to_vec(),
            hardware: Hardware {
                made_there: one(&hardware, ORIGIN, number)? == Some(GENERATED),
                usage_count_limit: one(&hardware, USAGE_COUNT_LIMIT, number)?,
                boot: one(&hardware, ROOT_OF_TRUST, boot)?,
            },
            // The system tells this, not the hardware: a system that booted as its maker signed it.
            application: one(&software, APPLICATION_ID, application)?,
        })
    }
}

/// The elements of one constructed value.
fn elements(mut rest: SliceReader<'_>) -> Option<Vec<AnyRef<'_>>> {
    let mut all = Vec::new();
    while !rest.is_finished() {
        all.push(AnyRef::decode(&mut rest).ok()?);
    }
    Some(all)
}

fn constructed<'a>(value: &AnyRef<'a>, tag: Tag) -> Option<Vec<AnyRef<'a>>> {
    (value.tag() == tag).then_some(())?;
    elements(SliceReader::new(value.value()).ok()?)
}

fn sequence(der: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    constructed(&AnyRef::from_der(der).ok()?, Tag::Sequence)
}

/// An authorization list: tags in ascending order, each once, each around one value.
fn list<'a>(value: &AnyRef<'a>) -> Option<Vec<(u32, AnyRef<'a>)>> {
    let mut all: Vec<(u32, AnyRef<'a>)> = Vec::new();
    for tagged in constructed(value, Tag::Sequence)? {
        let Tag::ContextSpecific { constructed: true, number } = tagged.tag() else { return None };
        if all.last().is_some_and(|(before, _)| *before >= number.0) {
            return None;
        }
        all.push((number.0, AnyRef::from_der(tagged.value()).ok()?));
    }
    Some(all)
}

/// What `read` makes of the value under a tag; `Some(None)` if the tag is not there.
fn one<'a, T>(
    list: &[(u32, AnyRef<'a>)],
    tag: u32,
    read: impl Fn(&AnyRef<'a>) -> Option<T>,
) -> Option<Option<T>> {
    match list.iter().find(|(found, _)| *found == tag) {
        Some((_, value)) => read(value).map(Some),
        None => Some(None),
    }
}

fn number(value: &AnyRef<'_>) -> Option<u32> {
    value.decode_as::<u32>().ok()
}

fn octets<'a>(value: &AnyRef<'a>) -> Option<&'a [u8]> {
    value.decode_as::<&'a OctetStringRef>().ok().map(OctetStringRef::as_bytes)
}

/// An `ENUMERATED` of one byte.
fn enumerated(value: &AnyRef<'_>) -> Option<u8> {
    match (value.tag(), value.value()) {
        (Tag::Enumerated, [number]) => Some(*number),
        _ => None,
    }
}

fn level(value: &AnyRef<'_>) -> Option<SecurityLevel> {
    match enumerated(value)? {
        0 => Some(SecurityLevel::Software),
        1 => Some(SecurityLevel::TrustedEnvironment),
        2 => Some(SecurityLevel::StrongBox),
        _ => None,
    }
}

fn boot(value: &AnyRef<'_>) -> Option<Boot> {
    // The hash of what was booted is missing in version 1.
    let items = constructed(value, Tag::Sequence)?;
    let [_key, locked, state, ..] = items.as_slice() else { return None };
    let state = match enumerated(state)? {
        0 => BootState::Verified,
        1 => BootState::SelfSigned,
        2 => BootState::Unverified,
        3 => BootState::Failed,
        _ => return None,
    };
    Some(Boot { locked: locked.decode_as::<bool>().ok()?, state })
}

fn application(value: &AnyRef<'_>) -> Option<Application> {
    let items = sequence(octets(value)?)?;
    let [infos, digests] = items.as_slice() else { return None };
    let package = |info: AnyRef<'_>| {
        let items = constructed(&info, Tag::Sequence)?;
        let [name, _version] = items.as_slice() else { return None };
        String::from_utf8(octets(name)?.to_vec()).ok()
    };
    Some(Application {
        packages: constructed(infos, Tag::Set)?.into_iter().map(package).collect::<Option<_>>()?,
        signers: constructed(digests, Tag::Set)?
            .iter()
            .map(|digest| octets(digest).map(<[u8]>::to_vec))
            .collect::<Option<_>>()?,
    })
}
