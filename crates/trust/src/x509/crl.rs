//! Certificate revocation lists (RFC 5280 section 5), for verifiers that know nothing of Counterfoil's own lists.

use alloc::vec::Vec;

use counterfoil_wire::cert::AuthorityCert;

use super::der::Der;
use super::profile::wallet_serial;
use super::signed;
use crate::crypto::{SigningKey, key_id};

/// A v2 CRL of one issuer, whole, in DER.
///
/// `revoked` are `(status_index, not_before_s, revoked_at_s)`, the first two being what makes a wallet's serial number;
/// a status index that is revoked takes an entry for each of its certificates that has not expired. Times are seconds
/// since 1970. `issuer_key` must be the private half of `issuer.key`.
///
/// The authority key identifier is the issuer's *subject* key identifier. Copying the issuer's own authority key
/// identifier is a common mistake, which `openssl verify -crl_check` answers with "unable to get certificate CRL".
pub fn crl_der(
    issuer: &AuthorityCert,
    issuer_key: &SigningKey,
    number: u32,
    this_update_s: u32,
    next_update_s: u32,
    revoked: &[(u32, u32, u32)],
    hedge: &[u8; 32],
) -> Vec<u8> {
    let id = key_id(&issuer.key);
    let algorithm = issuer.key.algorithm();
    let mut tbs = Der::new();
    tbs.sequence(|der| {
        // Version 2, which is written as 1.
        der.integer(1).signature_algorithm(algorithm).authority_name(issuer, &id);
        der.time(this_update_s).time(next_update_s);
        // An empty list must be left out (section 5.1.2.6).
        if !revoked.is_empty() {
            der.sequence(|der| {
                for (status_index, not_before_s, revoked_at_s) in revoked {
                    der.sequence(|der| {
                        der.unsigned(&wallet_serial(*status_index, *not_before_s)).time(*revoked_at_s);
                    });
                }
            });
        }
        der.extensions(0, |der| {
            der.authority_key(&id).crl_number(number);
        });
    });
    let tbs = tbs.finish();
    let signature = issuer_key.sign(&tbs, hedge);
    signed(&tbs, algorithm, &signature)
}
