//! What an enrolment is for.
//!
//! An enrolment proves that somebody holds a new key, and a certificate makes that key speak for an account. Who
//! intercepts the enrolment must not be able to have the key certified for another account, so the key signs what it is
//! enrolled for: the digest that wallet and operator compute here, each from what it knows.

use counterfoil_wire::Digest;
use counterfoil_wire::codec::Enc;

use crate::crypto::sha256;

/// [`Enrolment::binding`](counterfoil_wire::sync::Enrolment::binding): the SHA-256 digest of the deterministic CBOR array
/// of the PSP's name, the account as the PSP names it, and the activation code, `null` where there is none.
pub fn enrolment_binding(psp: &str, account: &str, activation_code: Option<&str>) -> Digest {
    let mut e = Enc::new();
    e.array(3).text(psp).text(account);
    match activation_code {
        Some(code) => e.text(code),
        None => e.null(),
    };
    sha256(&e.finish())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn the_binding_is_of_these_bytes() {
        // 83 65 "alpha" 63 "ann" f6, and with 62 "c1" in the place of null.
        let bytes = [&[0x83, 0x65][..], b"alpha", &[0x63], b"ann", &[0xf6]].concat();
        assert_eq!(enrolment_binding("alpha", "ann", None), sha256(&bytes));
        let bytes = [&[0x83, 0x65][..], b"alpha", &[0x63], b"ann", &[0x62], b"c1"].concat();
        assert_eq!(enrolment_binding("alpha", "ann", Some("c1")), sha256(&bytes));
    }

    #[test]
    fn nothing_slides_from_one_text_into_the_next() {
        let bindings = [
            enrolment_binding("alpha", "ann", None),
            enrolment_binding("alpha", "ann", Some("")),
            enrolment_binding("alpha", "ann", Some("null")),
            enrolment_binding("alph", "aann", None),
            enrolment_binding("alpha", "an", Some("n")),
            enrolment_binding("ann", "alpha", None),
        ];
        let distinct: std::collections::BTreeSet<_> = bindings.iter().map(ToString::to_string).collect();
        assert_eq!(distinct.len(), bindings.len());
    }
}
