//! Certificates in every mixture of algorithms, and those that break one constraint each.

use counterfoil_trust::x509::{
    authority_der, crl_der, issue_authority, issue_root, issue_wallet, pem, root_der, wallet_der,
};
use counterfoil_trust::{SigningKey, key_id};
use counterfoil_wire::cert::{AuthorityCert, Grade, Name, Role, RootCert, WalletCert};
use counterfoil_wire::{Algorithm, Code, Currency, Signature, Wire};

use super::messages::CLOCK_S;
use super::{context, hex_of, texts};
use crate::VectorError;
use crate::fixed::authority::{AUTHORITIES_FROM_S, Keys, authority};
use crate::fixed::{HEDGE, START_S, Scheme, amount, key, name};
use crate::format::{Certificate, Certificates, Crl, InvalidCertificate, Revoked};
use crate::json::Json;

/// Whose certificates: a scheme whose root is EdDSA and whose signer is ES256, issuers of both, a newcomer, two wallets.
struct Cast {
    scheme: Scheme,
    other: Scheme,
    newcomer: AuthorityCert,
    newcomer_key: SigningKey,
    keys: [SigningKey; 2],
}

const BOTH: [Algorithm; 2] = [Algorithm::EdDsa, Algorithm::Es256];

impl Cast {
    fn new() -> Result<Self, VectorError> {
        let mixed = Keys { root: Algorithm::EdDsa, signer: Algorithm::Es256 };
        let scheme = Scheme::new("vectors mixed \u{20ac}", mixed)?;
        let other = Scheme::new("others mixed", Keys { root: Algorithm::Es256, signer: Algorithm::EdDsa })?;
        let newcomer_key = key(Algorithm::Es256, "mixed newcomer")?;
        let unsigned =
            AuthorityCert { since: 2, ..authority(Role::Issuer, "gamma", &newcomer_key, [2000, 2999]) };
        let newcomer = issue_authority(unsigned, &scheme.root_key, &scheme.root, &HEDGE);
        let keys = [key(BOTH[0], "mixed wallet")?, key(BOTH[1], "mixed wallet")?];
        Ok(Self { scheme, other, newcomer, newcomer_key, keys })
    }

    /// A wallet's certificate from this issuer, after `change`.
    fn wallet(
        &self,
        issuer: (&AuthorityCert, &SigningKey),
        key: &SigningKey,
        change: impl Fn(&mut WalletCert),
    ) -> WalletCert {
        let mut cert = WalletCert {
            issuer: key_id(&issuer.0.key),
            not_before_s: START_S,
            lifetime_h: 30 * 24,
            status_index: issuer.0.index_first + 7,
            grade: Grade::VirtualSe,
            currency: Currency::EUR,
            ceiling: amount(1_000_000),
            key: key.public(),
            name: Name::default(),
            signature: Signature([0; 64]),
        };
        change(&mut cert);
        issue_wallet(cert, issuer.1, issuer.0, &HEDGE)
    }
}

pub(super) fn certificates() -> Result<Certificates, VectorError> {
    let cast = Cast::new()?;
    Ok(Certificates {
        about: "Certificates: the compact form that travels, and the X.509 certificate that it stands for, bit for bit. \
                A valid wallet's certificate holds at the context's clock under its trust list, with `issuer` beside it \
                where `carried` is true. The root of the scheme is EdDSA, its signer ES256, and there is an issuer of each."
            .to_owned(),
        specification: texts(["spec/certificates.md", "RFC 5280"]),
        context: context(&cast.scheme, CLOCK_S),
        valid: valid(&cast)?,
        invalid: invalid(&cast)?,
        crls: crls(&cast)?,
    })
}

fn valid(cast: &Cast) -> Result<Vec<Certificate>, VectorError> {
    let mut certificates = Vec::new();
    for (name, scheme) in [("root, EdDSA", &cast.scheme), ("root, ES256", &cast.other)] {
        let (root, der) = (&scheme.root, root_der(&scheme.root));
        certificates.push(Certificate {
            name: name.to_owned(),
            kind: "root".to_owned(),
            fields: root.to_json(),
            hex: hex_of(root.to_bytes()),
            issuer: hex_of(root.to_bytes()),
            carried: false,
            pem: pem("CERTIFICATE", &der),
            der: hex_of(der),
            key_id: hex_of(key_id(&root.key)),
        });
    }
    let mut add_authority = |name: &str, cert: &AuthorityCert, root: &RootCert| {
        let der = authority_der(cert, root);
        certificates.push(Certificate {
            name: name.to_owned(),
            kind: "authority".to_owned(),
            fields: cert.to_json(),
            hex: hex_of(cert.to_bytes()),
            issuer: hex_of(root.to_bytes()),
            carried: false,
            pem: pem("CERTIFICATE", &der),
            der: hex_of(der),
            key_id: hex_of(key_id(&cert.key)),
        });
    };
    for (word, scheme) in [("EdDSA", &cast.scheme), ("ES256", &cast.other)] {
        add_authority(&format!("signer under a root with {word}"), &scheme.signer, &scheme.root);
        for algorithm in BOTH {
            let (issuer, _) = scheme.issuer(algorithm)?;
            add_authority(
                &format!("issuer, {}, under a root with {word}", algorithm.name()),
                issuer,
                &scheme.root,
            );
        }
    }
    add_authority("issuer that the list does not name yet", &cast.newcomer, &cast.scheme.root);
    let narrow = AuthorityCert {
        grades: Grade::Terminal.bit(),
        name: name("terminals only"),
        ..cast.newcomer.clone()
    };
    add_authority("issuer of terminals only", &cast.scheme.certify_authority(narrow), &cast.scheme.root);
    let mut add_wallet = |name: &str, cert: &WalletCert, issuer: &AuthorityCert| {
        let der = wallet_der(cert, issuer);
        certificates.push(Certificate {
            name: name.to_owned(),
            kind: "wallet".to_owned(),
            fields: cert.to_json(),
            hex: hex_of(cert.to_bytes()),
            issuer: hex_of(issuer.to_bytes()),
            carried: issuer.since > 1,
            pem: pem("CERTIFICATE", &der),
            der: hex_of(der),
            key_id: hex_of(key_id(&cert.key)),
        });
    };
    for issuing in BOTH {
        let issuer = cast.scheme.issuer(issuing)?;
        for key in &cast.keys {
            let pair = format!("{}, issued with {}", key.algorithm().name(), issuing.name());
            for grade in Grade::ALL {
                let shown = if *grade == Grade::Terminal { "Caf\u{e9} Blau \u{20b9}" } else { "" };
                let cert = cast.wallet(issuer, key, |cert| {
                    cert.grade = *grade;
                    cert.name = name(shown);
                });
                add_wallet(&format!("wallet, {}, {pair}", grade.name()), &cert, issuer.0);
            }
        }
    }
    let issuer = cast.scheme.issuer(Algorithm::EdDsa)?;
    let newcomer = (&cast.newcomer, &cast.newcomer_key);
    let by_newcomer = cast.wallet(newcomer, &cast.keys[0], |_| {});
    add_wallet("wallet whose issuer the list does not name yet", &by_newcomer, &cast.newcomer);
    let largest = cast.wallet(issuer, &cast.keys[1], |cert| {
        cert.ceiling = counterfoil_wire::Amount::MAX;
        cert.status_index = 999;
        cert.currency = Currency::XTS;
        cert.lifetime_h = u16::MAX;
    });
    add_wallet("wallet, largest numbers", &largest, issuer.0);
    let least = cast.wallet(issuer, &cast.keys[0], |cert| {
        cert.ceiling = amount(0);
        cert.status_index = 0;
        cert.not_before_s = AUTHORITIES_FROM_S;
        cert.name = name("24 bytes, all of them!!!");
    });
    add_wallet("wallet, smallest numbers, longest name", &least, issuer.0);
    let last_second = cast.wallet(issuer, &cast.keys[0], |cert| {
        cert.not_before_s = CLOCK_S - 3600;
        cert.lifetime_h = 1;
    });
    add_wallet("wallet in the last second of its validity", &last_second, issuer.0);
    let first_second = cast.wallet(issuer, &cast.keys[0], |cert| cert.not_before_s = CLOCK_S);
    add_wallet("wallet in the first second of its validity", &first_second, issuer.0);
    Ok(certificates)
}

fn invalid(cast: &Cast) -> Result<Vec<InvalidCertificate>, VectorError> {
    let mut refused = Vec::new();
    let scheme = &cast.scheme;
    let mut add = |kind: &str, name: &str, code: Code, hex: Vec<u8>, der: Option<Vec<u8>>| {
        refused.push(InvalidCertificate {
            name: format!("{kind}: {name}"),
            kind: kind.to_owned(),
            hex: hex_of(hex),
            carried: None,
            clock_s: None,
            der: der.map(hex_of),
            error: code.number(),
        });
    };
    let bad = Code::BadCertificate;
    let root = &scheme.root;
    let mut add_root = |text: &str, root: RootCert| {
        add("root", text, bad, root.to_bytes(), Some(root_der(&root)));
    };
    add_root("not signed by itself", RootCert { signature: cast.other.root.signature, ..root.clone() });
    add_root("another name", RootCert { name: name("Another"), ..root.clone() });
    add_root("another start", RootCert { not_before_s: root.not_before_s + 1, ..root.clone() });
    add_root("another end", RootCert { lifetime_d: root.lifetime_d + 1, ..root.clone() });
    let anew =
        |text: &str, from_s, lifetime_d| issue_root(name(text), from_s, lifetime_d, &scheme.root_key, &HEDGE);
    add_root("without a name", anew("", AUTHORITIES_FROM_S, 3650));
    add_root("ends beyond 32 bits of seconds", anew("vectors", u32::MAX - 86_400, 2));

    let issuer = scheme.issuer(Algorithm::EdDsa)?;
    let mut add_authority = |text: &str, cert: AuthorityCert| {
        let der = authority_der(&cert, root);
        add("authority", text, bad, cert.to_bytes(), Some(der));
    };
    let plain = issuer.0.clone();
    add_authority("role altered", AuthorityCert { role: Role::Signer, ..plain.clone() });
    add_authority("name altered", AuthorityCert { name: name("alphb"), ..plain.clone() });
    add_authority("start altered", AuthorityCert { not_before_s: plain.not_before_s + 1, ..plain.clone() });
    add_authority("lifetime altered", AuthorityCert { lifetime_d: plain.lifetime_d + 1, ..plain.clone() });
    add_authority("since altered", AuthorityCert { since: 2, ..plain.clone() });
    add_authority("grades altered", AuthorityCert { grades: 7, ..plain.clone() });
    add_authority("first index altered", AuthorityCert { index_first: 1, ..plain.clone() });
    add_authority("last index altered", AuthorityCert { index_last: 1000, ..plain.clone() });
    add_authority("key altered", AuthorityCert { key: cast.other.root.key, ..plain.clone() });
    let by_other = issue_authority(plain.clone(), &cast.other.root_key, root, &HEDGE);
    add_authority("signed by another root", by_other);
    let anew = |cert| scheme.certify_authority(cert);
    add_authority("outlives the root", anew(AuthorityCert { lifetime_d: 3651, ..plain.clone() }));
    add_authority(
        "older than the root",
        anew(AuthorityCert { not_before_s: AUTHORITIES_FROM_S - 1, ..plain.clone() }),
    );
    add_authority("without a name", anew(AuthorityCert { name: name(""), ..plain.clone() }));
    add_authority("a grade that does not exist", anew(AuthorityCert { grades: 31, ..plain.clone() }));
    add_authority(
        "last index before the first",
        anew(AuthorityCert { index_first: 9, index_last: 8, ..plain.clone() }),
    );
    let beyond = AuthorityCert { not_before_s: u32::MAX - 86_400, lifetime_d: 2, ..plain };
    add_authority("ends beyond 32 bits of seconds", anew(beyond));

    let key = &cast.keys[0];
    let good = cast.wallet(issuer, key, |_| {});
    let mut add_wallet = |text: &str, code: Code, cert: WalletCert| {
        let der = wallet_der(&cert, issuer.0);
        add("wallet", text, code, cert.to_bytes(), Some(der));
    };
    let altered = |change: &dyn Fn(&mut WalletCert)| {
        let mut cert = good.clone();
        change(&mut cert);
        cert
    };
    add_wallet("issuer altered", Code::UnknownIssuer, altered(&|c| c.issuer.0[0] ^= 1));
    add_wallet("start altered", bad, altered(&|c| c.not_before_s += 1));
    add_wallet("lifetime altered", bad, altered(&|c| c.lifetime_h += 1));
    add_wallet("status index altered", bad, altered(&|c| c.status_index += 1));
    add_wallet("grade altered", bad, altered(&|c| c.grade = Grade::Hardware));
    add_wallet("currency altered", bad, altered(&|c| c.currency = Currency::INR));
    add_wallet("ceiling altered", bad, altered(&|c| c.ceiling = amount(1_000_001)));
    add_wallet("key altered", bad, altered(&|c| c.key = cast.keys[1].public()));
    add_wallet("name altered", bad, altered(&|c| c.name = name("Bank")));
    add_wallet("signature altered", bad, altered(&|c| c.signature.0[0] ^= 1));
    let made = |change: &dyn Fn(&mut WalletCert)| cast.wallet(issuer, key, change);
    let not_permitted = Code::IssuerNotPermitted;
    add_wallet("status index above the issuer's range", not_permitted, made(&|c| c.status_index = 1000));
    add_wallet("older than its issuer", not_permitted, made(&|c| c.not_before_s = AUTHORITIES_FROM_S - 1));
    add_wallet(
        "outlives its issuer",
        not_permitted,
        made(&|c| {
            c.not_before_s = issuer.0.not_after_s() - 3600;
            c.lifetime_h = 2;
        }),
    );
    add_wallet(
        "ends beyond 32 bits of seconds",
        not_permitted,
        made(&|c| {
            c.not_before_s = u32::MAX - 3600;
            c.lifetime_h = 2;
        }),
    );
    add_wallet(
        "not yet valid, by a second",
        Code::CertificateNotYetValid,
        made(&|c| c.not_before_s = CLOCK_S + 1),
    );
    add_wallet(
        "expired, by a second",
        Code::CertificateExpired,
        made(&|c| {
            c.not_before_s = CLOCK_S - 3601;
            c.lifetime_h = 1;
        }),
    );
    let by_signer = cast.wallet((&scheme.signer, &scheme.signer_key), key, |c| c.status_index = 0);
    let der = wallet_der(&by_signer, &scheme.signer);
    add("wallet", "issued by a signer", not_permitted, by_signer.to_bytes(), Some(der));
    let beta = scheme.issuer(Algorithm::Es256)?;
    let below = cast.wallet(beta, key, |c| c.status_index = 999);
    add(
        "wallet",
        "status index below the issuer's range",
        not_permitted,
        below.to_bytes(),
        Some(wallet_der(&below, beta.0)),
    );
    let foreign = cast.other.issuer(Algorithm::EdDsa)?;
    let by_foreign = cast.wallet(foreign, key, |_| {});
    let der = wallet_der(&by_foreign, foreign.0);
    add("wallet", "issued in another scheme", Code::UnknownIssuer, by_foreign.to_bytes(), Some(der));
    let bytes = good.to_bytes();
    add("wallet", "last byte missing", Code::Truncated, bytes[..bytes.len() - 1].to_vec(), None);
    add("wallet", "a byte follows", Code::TrailingBytes, [&bytes[..], &[0]].concat(), None);
    carried(cast, &mut refused);
    Ok(refused)
}

/// Certificates that come with their issuer's.
fn carried(cast: &Cast, refused: &mut Vec<InvalidCertificate>) {
    let newcomer = (&cast.newcomer, &cast.newcomer_key);
    let cert = cast.wallet(newcomer, &cast.keys[0], |_| {});
    let mut add = |text: &str, code: Code, cert: &WalletCert, issuer: Option<&AuthorityCert>| {
        let at = issuer.unwrap_or(&cast.newcomer);
        refused.push(InvalidCertificate {
            name: format!("wallet: {text}"),
            kind: "wallet".to_owned(),
            hex: hex_of(cert.to_bytes()),
            carried: issuer.map(|issuer| hex_of(issuer.to_bytes())),
            clock_s: None,
            der: Some(hex_of(wallet_der(cert, at))),
            error: code.number(),
        });
    };
    add("issuer not in the trust list", Code::UnknownIssuer, &cert, None);
    let withdrawn = cast.scheme.certify_authority(AuthorityCert { since: 1, ..cast.newcomer.clone() });
    add(
        "issuer carried, that the list could name and does not",
        Code::UnknownIssuer,
        &cert,
        Some(&withdrawn),
    );
    let altered = AuthorityCert { index_last: 3000, ..cast.newcomer.clone() };
    add("issuer carried, altered", Code::BadCertificate, &cert, Some(&altered));
    let other = cast.other.certify_authority(cast.newcomer.clone());
    add("issuer carried, of another root", Code::BadCertificate, &cert, Some(&other));
    let terminals = AuthorityCert { grades: Grade::Terminal.bit(), ..cast.newcomer.clone() };
    let terminals = cast.scheme.certify_authority(terminals);
    let wallet = cast.wallet((&terminals, &cast.newcomer_key), &cast.keys[0], |_| {});
    add("grade that its issuer may not certify", Code::IssuerNotPermitted, &wallet, Some(&terminals));
}

fn crls(cast: &Cast) -> Result<Vec<Crl>, VectorError> {
    let mut crls = Vec::new();
    for algorithm in BOTH {
        let (issuer, key) = cast.scheme.issuer(algorithm)?;
        let entry =
            |index, from_s| Revoked { status_index: index, not_before_s: from_s, revoked_at_s: CLOCK_S - 60 };
        let first = issuer.index_first;
        let some = vec![entry(first + 3, START_S), entry(first + 7, START_S), entry(first + 7, START_S + 60)];
        for (name, number, revoked) in [("nobody", 1, vec![]), ("three certificates", u32::MAX, some)] {
            let (this_update_s, next_update_s) = (CLOCK_S - 60, CLOCK_S + 86_400);
            let listed: Vec<_> =
                revoked.iter().map(|r| (r.status_index, r.not_before_s, r.revoked_at_s)).collect();
            let der = crl_der(issuer, key, number, this_update_s, next_update_s, &listed, &HEDGE);
            crls.push(Crl {
                name: format!("{}: {name}", algorithm.name()),
                issuer: hex_of(issuer.to_bytes()),
                secret: hex_of(*key.secret()),
                hedge: hex_of(HEDGE),
                number,
                this_update_s,
                next_update_s,
                revoked,
                pem: pem("X509 CRL", &der),
                der: hex_of(der),
            });
        }
    }
    Ok(crls)
}
