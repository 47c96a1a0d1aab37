//! The scheme's authorities, and who may sign what.
//!
//! A device is given one thing over a path that it trusts: the root. Everything else follows from signatures: the root
//! signs the *trust list*, numbered, with every authority; an issuer in it certifies wallets, a signer in it signs what
//! the operator says day by day.
//!
//! # What a payment costs
//! Authorities are verified once, when the list that holds them is adopted. After that a wallet's certificate costs one
//! signature check, and the payment itself a second one. Nesting does the rest: a certificate's validity lies inside its
//! issuer's, the issuer's inside the root's, so that looking at the wallet's own window judges the whole chain.
//!
//! # Issuers that the list does not name yet
//! A payer may carry its issuer's certificate for a payee whose list is older. It is taken only if it verifies under the
//! root and says that it first stood in a list *newer* than the one held (`since`): an issuer that the held list could
//! name and does not was withdrawn, and must not come back in somebody's baggage.

use alloc::vec::Vec;

use counterfoil_wire::cert::{AuthorityCert, Role, RootCert, WalletCert};
use counterfoil_wire::header::Signer;
use counterfoil_wire::lists::TrustList;
use counterfoil_wire::message::Body;
use counterfoil_wire::{Code, Error, KeyId, PublicKey};

use crate::crypto::key_id;
use crate::envelope::{Opened, open};
use crate::verifier::{AtOnce, Verifier};
use crate::x509::{verify_authority, verify_authority_by, verify_root, verify_wallet_of};

/// The root, and the authorities of the newest trust list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchors {
    /// The root.
    pub root: RootCert,
    /// Its key id, which names the scheme.
    pub scheme: KeyId,
    /// Number of the trust list; 0 before the first.
    pub list_no: u32,
    /// The authorities, ascending by key id, each verified.
    authorities: Vec<(KeyId, AuthorityCert)>,
}

impl Anchors {
    /// A scheme of which only the root is known yet. One signature check.
    ///
    /// # Errors
    /// [`Code::BadCertificate`].
    pub fn new(root: RootCert) -> Result<Self, Error> {
        verify_root(&root)?;
        let scheme = key_id(&root.key);
        Ok(Self { root, scheme, list_no: 0, authorities: Vec::new() })
    }

    /// Takes over a newer trust list. `Ok(false)` if its number is not above the one held; nothing else was checked
    /// then. One signature check for the list and one for each authority.
    ///
    /// # Errors
    /// The list held stays as it is. Those of [`open`]; [`Code::WrongScheme`] if another key than the root signed it;
    /// [`Code::BadSignature`]; [`Code::ListInvalid`] if it names a key twice, or an authority that belongs to a later
    /// list; [`Code::BadCertificate`] if one of the authorities does not hold.
    pub fn adopt(&mut self, trust_list_envelope_bytes: &[u8]) -> Result<bool, Error> {
        let list = open::<TrustList>(trust_list_envelope_bytes)?;
        if *signer_of_list(&list)? != self.root.key {
            return Err(Code::WrongScheme.into());
        }
        if list.body.number <= self.list_no {
            return Ok(false);
        }
        list.check_signature(&self.scheme)?;
        let TrustList { number, authorities, .. } = list.body;
        if authorities.iter().any(|authority| authority.since > number) {
            return Err(Code::ListInvalid.into());
        }
        let mut named: Vec<(KeyId, AuthorityCert)> =
            authorities.into_iter().map(|authority| (key_id(&authority.key), authority)).collect();
        named.sort_unstable_by_key(|(id, _)| *id);
        if named.iter().zip(named.iter().skip(1)).any(|((a, _), (b, _))| a == b) {
            return Err(Code::ListInvalid.into());
        }
        for (_, authority) in &named {
            verify_authority(authority, &self.root)?;
        }
        self.list_no = number;
        self.authorities = named;
        Ok(true)
    }

    /// The authorities of the list.
    pub fn authorities(&self) -> impl Iterator<Item = &AuthorityCert> {
        self.authorities.iter().map(|(_, authority)| authority)
    }

    /// The issuer with this key id, if the trust list names it.
    pub fn find_issuer(&self, id: &KeyId) -> Option<&AuthorityCert> {
        self.find(id).filter(|authority| authority.role == Role::Issuer)
    }

    fn find(&self, id: &KeyId) -> Option<&AuthorityCert> {
        let at = self.authorities.binary_search_by_key(id, |(id, _)| *id).ok()?;
        self.authorities.get(at).map(|(_, authority)| authority)
    }

    /// Checks a wallet's or terminal's certificate against the clock `now_s` (seconds since 1970) and returns its
    /// issuer. One signature check, or two where the issuer is `carried`. Revocation is another question:
    /// [`Revoked`](crate::revocation::Revoked).
    ///
    /// # Errors
    /// In this order:
    /// 1. [`Code::UnknownIssuer`] if neither the list nor an acceptable `carried` is its issuer;
    ///    [`Code::BadCertificate`] if `carried` should be, and does not hold;
    /// 2. [`Code::IssuerNotPermitted`] if the issuer was not given this grade, status index or time;
    /// 3. [`Code::BadCertificate`] if the issuer did not sign it;
    /// 4. [`Code::CertificateNotYetValid`];
    /// 5. [`Code::CertificateExpired`].
    ///
    /// Time comes last, so that whoever may take an expired wallet's word (its decline, its resent payment) knows from
    /// these two codes that all the rest holds.
    pub fn check_wallet<'a>(
        &'a self,
        cert: &WalletCert,
        carried: Option<&'a AuthorityCert>,
        now_s: u32,
    ) -> Result<&'a AuthorityCert, Error> {
        self.check_wallet_by(&mut AtOnce, cert, carried, now_s)
    }

    /// The same, by another verifier.
    ///
    /// # Errors
    /// Those of [`Anchors::check_wallet`]; [`Code::BadCertificate`] for every error of `verifier`.
    pub fn check_wallet_by<'a, V: Verifier>(
        &'a self,
        verifier: &mut V,
        cert: &WalletCert,
        carried: Option<&'a AuthorityCert>,
        now_s: u32,
    ) -> Result<&'a AuthorityCert, Error> {
        let issuer = self.issuer_of(verifier, cert, carried)?;
        verify_wallet_of(verifier, cert, issuer)?;
        if now_s < cert.not_before_s {
            return Err(Code::CertificateNotYetValid.into());
        }
        if now_s > cert.not_after_s() {
            return Err(Code::CertificateExpired.into());
        }
        Ok(issuer)
    }

    fn issuer_of<'a, V: Verifier>(
        &'a self,
        verifier: &mut V,
        cert: &WalletCert,
        carried: Option<&'a AuthorityCert>,
    ) -> Result<&'a AuthorityCert, Error> {
        if let Some(listed) = self.find(&cert.issuer) {
            return Ok(listed);
        }
        let newer =
            |carried: &&AuthorityCert| carried.since > self.list_no && key_id(&carried.key) == cert.issuer;
        let carried = carried.filter(newer).ok_or(Code::UnknownIssuer)?;
        verify_authority_by(verifier, carried, &self.root)?;
        Ok(carried)
    }

    /// Checks that `key` may sign what the operator says (rules, revocation lists, settlements), now.
    ///
    /// # Errors
    /// [`Code::WrongRole`] if the trust list does not name it as a signer; [`Code::CertificateNotYetValid`];
    /// [`Code::AuthorityExpired`].
    pub fn check_signer(&self, key: &PublicKey, now_s: u32) -> Result<(), Error> {
        let listed = self.authorities().find(|authority| authority.key == *key);
        let signer = listed.filter(|authority| authority.role == Role::Signer).ok_or(Code::WrongRole)?;
        if now_s < signer.not_before_s {
            return Err(Code::CertificateNotYetValid.into());
        }
        if now_s > signer.not_after_s() {
            return Err(Code::AuthorityExpired.into());
        }
        Ok(())
    }
}

/// The key that signed a list. Authorities sign under a bare key, never with a certificate: a list with baggage that
/// the signature does not cover would have many forms.
pub(crate) fn signer_of_list<B: Body>(list: &Opened<B>) -> Result<&PublicKey, Error> {
    match (&list.envelope.signer, &list.envelope.issuer) {
        (Signer::Key(key), None) => Ok(key),
        _ => Err(Code::WrongRole.into()),
    }
}
