//! The judge that is not ours: `openssl` must accept every certificate and CRL of the profile, strictly, and refuse
//! what is revoked, expired or issued beyond an issuer's path length.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail loudly")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{BOTH, HEDGE, NOW_S, Scheme, signing_key};
use counterfoil_trust::x509::{self, pem};
use counterfoil_wire::cert::{Grade, Name, Role, WalletCert};

struct Dir(tempfile::TempDir);

impl Dir {
    fn new(scheme: &Scheme) -> Self {
        let dir = Self(tempfile::tempdir().unwrap());
        dir.write("root.pem", "CERTIFICATE", &x509::root_der(&scheme.root));
        dir.write("issuer.pem", "CERTIFICATE", &x509::authority_der(&scheme.issuer, &scheme.root));
        dir.write("signer.pem", "CERTIFICATE", &x509::authority_der(&scheme.signer, &scheme.root));
        dir
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, label: &str, der: &[u8]) {
        std::fs::write(self.path(name), pem(label, der)).unwrap();
    }

    fn wallet(&self, cert: &WalletCert, scheme: &Scheme) {
        self.write("wallet.pem", "CERTIFICATE", &x509::wallet_der(cert, &scheme.issuer));
    }

    fn crl(&self, scheme: &Scheme, number: u32, revoked: &[(u32, u32, u32)]) {
        let (this, next) = (NOW_S - 3600, NOW_S + 86_400);
        let crl = x509::crl_der(&scheme.issuer, &scheme.issuer_key, number, this, next, revoked, &HEDGE);
        self.write("crl.pem", "X509 CRL", &crl);
    }

    fn run(&self, args: &[&str]) -> (bool, String) {
        openssl(self.0.path(), args)
    }

    fn verify(&self, more: &[&str], leaf: &str) -> (bool, String) {
        self.verify_at(NOW_S, more, leaf)
    }

    fn verify_at(&self, at_s: u32, more: &[&str], leaf: &str) -> (bool, String) {
        let at = at_s.to_string();
        let fixed = ["verify", "-x509_strict", "-check_ss_sig", "-attime", &at, "-CAfile", "root.pem"];
        let chain = ["-untrusted", "issuer.pem"];
        self.run(&[&fixed, &chain[..], more, &[leaf]].concat())
    }
}

fn openssl(dir: &Path, args: &[&str]) -> (bool, String) {
    let output = Command::new("openssl").args(args).current_dir(dir).output();
    let output = output.expect("these tests need the `openssl` program");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// Every mixture of root, authority and wallet algorithms.
fn mixtures() -> impl Iterator<Item = (Scheme, counterfoil_trust::SigningKey)> {
    BOTH.into_iter().flat_map(|root| {
        BOTH.into_iter().flat_map(move |authority| {
            BOTH.into_iter().map(move |wallet| (Scheme::new(root, authority), signing_key(wallet, 9)))
        })
    })
}

#[test]
fn strict_verification_accepts_every_mixture_and_grade() {
    for (scheme, key) in mixtures() {
        let dir = Dir::new(&scheme);
        for leaf in ["root.pem", "issuer.pem", "signer.pem"] {
            let (ok, text) = dir.verify(&[], leaf);
            assert!(ok, "{leaf}: {text}");
        }
        for grade in Grade::ALL {
            let name = if *grade == Grade::Terminal { "Caf\u{e9} \u{20b9}" } else { "" };
            let unsigned = scheme.unsigned_wallet(key.public(), *grade);
            dir.wallet(&scheme.sign(WalletCert { name: Name::new(name).unwrap(), ..unsigned }), &scheme);
            let (ok, text) = dir.verify(&[], "wallet.pem");
            assert!(ok, "{grade:?}: {text}");
            dir.crl(&scheme, 5, &[]);
            let (ok, text) = dir.verify(&["-crl_check", "-CRLfile", "crl.pem"], "wallet.pem");
            assert!(ok, "{grade:?}: {text}");
        }
    }
}

#[test]
fn a_grade_is_a_policy_that_openssl_can_require() {
    let (scheme, key) = mixtures().last().unwrap();
    let dir = Dir::new(&scheme);
    dir.wallet(&scheme.sign(scheme.unsigned_wallet(key.public(), Grade::Hardware)), &scheme);
    let arc = "1.2.840.113556.1.8000.2554.58422.2065.17960.20230.36162.15446492.11144818";
    let (hardware, virtual_se) = (format!("{arc}.1.1"), format!("{arc}.1.3"));
    let (ok, text) = dir.verify(&["-policy", &hardware, "-explicit_policy"], "wallet.pem");
    assert!(ok, "{text}");
    let (ok, text) = dir.verify(&["-policy", &virtual_se, "-explicit_policy"], "wallet.pem");
    assert!(!ok && text.contains("no explicit policy"), "{text}");
}

#[test]
fn a_revoked_wallet_is_refused_and_its_neighbours_are_not() {
    for (scheme, key) in mixtures() {
        let dir = Dir::new(&scheme);
        let cert = scheme.wallet(&key);
        dir.wallet(&cert, &scheme);
        let check = ["-crl_check", "-CRLfile", "crl.pem"];
        let (index, start) = (cert.status_index, cert.not_before_s);
        dir.crl(
            &scheme,
            6,
            &[(index - 1, start, NOW_S - 9), (index, start, NOW_S - 9), (index, start + 1, NOW_S - 9)],
        );
        let (ok, text) = dir.verify(&check, "wallet.pem");
        assert!(!ok && text.contains("certificate revoked"), "{text}");
        dir.crl(&scheme, 7, &[(index - 1, start, NOW_S - 9), (index, start + 1, NOW_S - 9)]);
        let (ok, text) = dir.verify(&check, "wallet.pem");
        assert!(ok, "{text}");
    }
}

#[test]
fn large_crls_and_late_years_parse() {
    let (scheme, key) = mixtures().next().unwrap();
    let dir = Dir::new(&scheme);
    dir.wallet(&scheme.wallet(&key), &scheme);
    let revoked: Vec<(u32, u32, u32)> =
        (0..3000).map(|i| (1_000_000 + i * 700_001, u32::MAX - i, NOW_S)).collect();
    dir.crl(&scheme, u32::MAX, &revoked);
    let (ok, text) = dir.verify(&["-crl_check", "-CRLfile", "crl.pem"], "wallet.pem");
    assert!(ok, "{text}");
    let (_, text) = dir.run(&["crl", "-in", "crl.pem", "-noout", "-text"]);
    assert_eq!(text.matches("Serial Number:").count(), 3000);

    let mut unsigned = scheme.unsigned_wallet(key.public(), Grade::Hardware);
    unsigned.not_before_s = 2_524_607_999;
    dir.wallet(&scheme.sign(unsigned), &scheme);
    let (_, text) = dir.run(&["x509", "-in", "wallet.pem", "-noout", "-dates"]);
    assert!(text.contains("Dec 31 23:59:59 2049 GMT") && text.contains("Jan 30 23:59:59 2050 GMT"), "{text}");
}

#[test]
fn what_should_not_pass_does_not() {
    for (scheme, key) in mixtures() {
        let dir = Dir::new(&scheme);
        let cert = scheme.wallet(&key);
        dir.wallet(&cert, &scheme);
        let (ok, text) = dir.verify_at(cert.not_after_s() + 1, &[], "wallet.pem");
        assert!(!ok && text.contains("certificate has expired"), "{text}");
        // RFC 5280 counts the last second in, and so do we; openssl does not.
        assert!(dir.verify_at(cert.not_after_s() - 1, &[], "wallet.pem").0);
        let (ok, text) = dir.verify_at(cert.not_before_s - 1, &[], "wallet.pem");
        assert!(!ok && text.contains("not yet valid"), "{text}");

        // A signer is no certificate authority, whatever it signs.
        let mut unsigned = scheme.unsigned_wallet(key.public(), Grade::Hardware);
        unsigned.issuer = counterfoil_trust::key_id(&scheme.signer.key);
        let forged = x509::issue_wallet(unsigned, &scheme.signer_key, &scheme.signer, &HEDGE);
        dir.write("forged.pem", "CERTIFICATE", &x509::wallet_der(&forged, &scheme.signer));
        assert!(!dir.verify(&["-untrusted", "signer.pem"], "forged.pem").0);

        // Any other ceiling is another certificate.
        let mut raised = cert.clone();
        raised.ceiling = common::amount(raised.ceiling.minor() + 1);
        dir.wallet(&raised, &scheme);
        let (ok, text) = dir.verify(&[], "wallet.pem");
        assert!(!ok && text.contains("signature failure"), "{text}");
    }
}

#[test]
fn the_text_says_what_the_profile_says() {
    let scheme = Scheme::new(counterfoil_wire::Algorithm::EdDsa, counterfoil_wire::Algorithm::Es256);
    let dir = Dir::new(&scheme);
    let key = signing_key(counterfoil_wire::Algorithm::Es256, 9);
    let unsigned = scheme.unsigned_wallet(key.public(), Grade::Terminal);
    let cert = scheme.sign(WalletCert { name: Name::new("Corner Shop").unwrap(), ..unsigned });
    dir.wallet(&cert, &scheme);
    let expect = |file: &str, parts: &[&str]| {
        let (_, text) = dir.run(&["x509", "-in", file, "-noout", "-text", "-nameopt", "RFC2253"]);
        for part in parts {
            assert!(text.contains(part), "{file}: no {part:?} in\n{text}");
        }
    };
    let id = |key| counterfoil_trust::key_id(key).to_string();
    expect(
        "wallet.pem",
        &[
            "Version: 3 (0x2)",
            &format!("01:00:00:04:d2:{}", colons(&hex::encode(cert.not_before_s.to_be_bytes()))),
            &format!("Subject: CN={},O=Corner Shop", id(&cert.key)),
            &format!("Issuer: serialNumber={},CN=Bank of Tests,OU=issuer", id(&scheme.issuer.key)),
            "Not Before: Jan 31 00:00:00 2026 GMT",
            "Not After : Mar  2 00:00:00 2026 GMT",
            "Signature Algorithm: ecdsa-with-SHA256",
            "ASN1 OID: prime256v1",
            "pub:\n                    04:",
            "X509v3 Key Usage: critical\n                Digital Signature",
            "X509v3 Certificate Policies",
            ".1.4\n",
            ".2.1: \n",
            &colons(&id(&cert.key)).to_uppercase(),
            &colons(&id(&scheme.issuer.key)).to_uppercase(),
        ],
    );
    let policies: Vec<String> = (1..=4).map(|n| format!(".1.{n}\n")).collect();
    let policies: Vec<&str> = policies.iter().map(String::as_str).collect();
    expect("issuer.pem", &policies);
    expect(
        "issuer.pem",
        &["CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "Signature Algorithm: ED25519", ".2.2: \n"],
    );
    expect("root.pem", &["CA:TRUE, pathlen:1", "Digital Signature, Certificate Sign, CRL Sign"]);
    expect("signer.pem", &["OU=signer", "X509v3 Key Usage: critical\n                Digital Signature\n"]);
    assert_eq!(scheme.signer.role, Role::Signer);
}

/// `hex` with a colon between bytes.
fn colons(hex: &str) -> String {
    hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap()).collect::<Vec<_>>().join(":")
}

#[test]
fn openssl_makes_the_same_bytes_of_the_der() {
    for (scheme, key) in mixtures() {
        let dir = Dir::new(&scheme);
        let der = x509::wallet_der(&scheme.wallet(&key), &scheme.issuer);
        dir.write("wallet.pem", "CERTIFICATE", &der);
        let (ok, _) = dir.run(&["x509", "-in", "wallet.pem", "-outform", "DER", "-out", "again.der"]);
        assert!(ok);
        assert_eq!(std::fs::read(dir.path("again.der")).unwrap(), der);
    }
}
