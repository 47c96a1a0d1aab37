//! Certificates in their compact form. Each stands for one X.509 certificate of the published profile: only what
//! varies is here, `counterfoil-trust` rebuilds the DER bit for bit, and the issuer's signature over that DER is the
//! check. Field order is wire order.

use alloc::string::String;

use crate::amount::{Amount, Currency};
use crate::codec::{Dec, Enc, Wire};
use crate::error::{Code, Error};
use crate::ids::{KeyId, PublicKey, Signature};
use crate::{code_enum, record};

/// Longest name in a certificate, in bytes of UTF-8.
pub const NAME_MAX: usize = 24;

code_enum! {
    /// How well a wallet's trusted application is protected. Limits and acceptance follow it.
    pub enum Grade {
        /// Smartcard, SIM or embedded secure element.
        Hardware = 1,
        /// The virtual secure element with a device-bound monotonic counter.
        VirtualSeBound = 2,
        /// The virtual secure element alone.
        VirtualSe = 3,
        /// A merchant's acceptor without a tamper resistant element. It verifies and claims, it cannot pay.
        Terminal = 4,
    }
}

impl Grade {
    /// The name used on command lines and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::VirtualSeBound => "virtual-se-bound",
            Self::VirtualSe => "virtual-se",
            Self::Terminal => "terminal",
        }
    }

    /// The bit that stands for this grade in [`AuthorityCert::grades`].
    pub const fn bit(self) -> u8 {
        match self {
            Self::Hardware => 1,
            Self::VirtualSeBound => 2,
            Self::VirtualSe => 4,
            Self::Terminal => 8,
        }
    }

    /// Whether a wallet of this grade may sign payments, and whether its decline lets a payer reclaim offline.
    pub const fn has_element(self) -> bool {
        !matches!(self, Self::Terminal)
    }
}

/// A printable name: at most [`NAME_MAX`] bytes, no control characters, no space at either end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Name(String);

impl Name {
    /// The name, if it is one.
    pub fn new(text: &str) -> Option<Self> {
        let fits = text.len() <= NAME_MAX && text.trim() == text && !text.chars().any(unprintable);
        fits.then(|| Self(String::from(text)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, and those that reorder or hide what a person reads (a name must show what it says).
fn unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl Wire for Name {
    fn encode(&self, e: &mut Enc) {
        e.text(&self.0);
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        Self::new(d.text()?).ok_or(Code::ValueOutOfRange.into())
    }
}

record! {
    /// A wallet's or terminal's certificate.
    pub struct WalletCert {
        /// The issuer's key.
        pub issuer: KeyId,
        /// Start of validity, seconds since 1970. With `status_index` it makes the X.509 serial number.
        pub not_before_s: u32,
        /// Length of validity, hours.
        pub lifetime_h: u16,
        /// Where revocation lists speak of this key.
        pub status_index: u32,
        /// Protection of the key.
        pub grade: Grade,
        /// The one currency of the purse.
        pub currency: Currency,
        /// `spent` may not go beyond this under this certificate.
        pub ceiling: Amount,
        /// The wallet's key.
        pub key: PublicKey,
        /// A merchant's display name; empty for a person.
        pub name: Name,
        /// The issuer's signature over the DER of the certificate's `tbsCertificate`.
        pub signature: Signature,
    }
}

impl WalletCert {
    /// End of validity, seconds since 1970; the last second is still valid.
    pub fn not_after_s(&self) -> u32 {
        self.not_before_s.saturating_add(u32::from(self.lifetime_h).saturating_mul(3600))
    }
}

code_enum! {
    /// What an authority's certificate lets it do.
    pub enum Role {
        /// A PSP's certificate authority: issues wallet certificates.
        Issuer = 1,
        /// The operator's online key: signs rules, lists and settlements.
        Signer = 2,
    }
}

record! {
    /// A certificate that the operator's root issued.
    pub struct AuthorityCert {
        /// What the key may do.
        pub role: Role,
        /// Name of the PSP, or of the operator's service.
        pub name: Name,
        /// Start of validity, seconds since 1970.
        pub not_before_s: u32,
        /// Length of validity, days.
        pub lifetime_d: u16,
        /// First number of the trust list that holds this certificate. It also makes the X.509 serial number.
        pub since: u32,
        /// Grades that an issuer may certify, as bits ([`Grade::bit`]).
        pub grades: u8,
        /// First status index that an issuer may use.
        pub index_first: u32,
        /// Last status index that an issuer may use.
        pub index_last: u32,
        /// The authority's key.
        pub key: PublicKey,
        /// The root's signature over the DER of the certificate's `tbsCertificate`.
        pub signature: Signature,
    }
}

impl AuthorityCert {
    /// End of validity, seconds since 1970; the last second is still valid.
    pub fn not_after_s(&self) -> u32 {
        self.not_before_s.saturating_add(u32::from(self.lifetime_d).saturating_mul(86_400))
    }
}

record! {
    /// The operator's root: the one thing that a wallet must be given over a path that it trusts.
    pub struct RootCert {
        /// Name of the scheme.
        pub name: Name,
        /// Start of validity, seconds since 1970.
        pub not_before_s: u32,
        /// Length of validity, days.
        pub lifetime_d: u16,
        /// The root key.
        pub key: PublicKey,
        /// The root's own signature over the DER of the certificate's `tbsCertificate`.
        pub signature: Signature,
    }
}

impl RootCert {
    /// End of validity, seconds since 1970; the last second is still valid.
    pub fn not_after_s(&self) -> u32 {
        self.not_before_s.saturating_add(u32::from(self.lifetime_d).saturating_mul(86_400))
    }
}
