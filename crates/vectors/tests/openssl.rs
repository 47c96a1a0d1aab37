//! A judge that is not ours: `openssl` takes every certificate and CRL of the vectors, strictly, and refuses what is
//! forged, expired or not yet valid.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

use std::path::Path;
use std::process::Command;

use counterfoil_trust::x509::{authority_der, pem, root_der};
use counterfoil_vectors::format::{Certificate, Certificates, File};
use counterfoil_vectors::json::unhex;
use counterfoil_wire::cert::{AuthorityCert, RootCert};
use counterfoil_wire::{Code, Wire};

fn vectors() -> Certificates {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/certificates.json");
    match File::read(&path).unwrap() {
        File::Certificates(file) => file,
        other => panic!("no certificates but {other:?}"),
    }
}

/// A folder with files, in which `openssl` runs.
struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.path().join(name)).unwrap()
    }

    fn openssl(&self, args: &[&str]) -> (bool, String) {
        let output = Command::new("openssl").args(args).current_dir(self.0.path()).output();
        let output = output.expect("these tests need the `openssl` program");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// Puts root and issuers of a certificate there.
    fn chain(&self, file: &Certificates, vector: &Certificate) {
        let issuer = unhex(&vector.issuer).unwrap();
        if let Ok(root) = RootCert::from_bytes(&issuer) {
            self.write("root.pem", pem("CERTIFICATE", &root_der(&root)));
            self.write("issuer.pem", "");
            return;
        }
        let root = RootCert::from_bytes(&unhex(&file.context.root).unwrap()).unwrap();
        let issuer = AuthorityCert::from_bytes(&issuer).unwrap();
        self.write("root.pem", pem("CERTIFICATE", &root_der(&root)));
        self.write("issuer.pem", pem("CERTIFICATE", &authority_der(&issuer, &root)));
    }

    fn verify(&self, at_s: u32, more: &[&str]) -> (bool, String) {
        let at = at_s.to_string();
        let fixed = ["verify", "-x509_strict", "-check_ss_sig", "-attime", &at, "-CAfile", "root.pem"];
        let chain: &[&str] =
            if self.read("issuer.pem").is_empty() { &[] } else { &["-untrusted", "issuer.pem"] };
        self.openssl(&[&fixed[..], chain, more, &["leaf.pem"]].concat())
    }
}

#[test]
fn openssl_accepts_every_valid_certificate() {
    let file = vectors();
    for vector in &file.valid {
        let dir = Dir::new();
        dir.chain(&file, vector);
        dir.write("leaf.pem", &vector.pem);
        // RFC 5280 counts the last second in, and so do we; openssl does not.
        let at_s = file.context.clock_s - u32::from(vector.name.contains("last second"));
        let (ok, text) = dir.verify(at_s, &[]);
        assert!(ok, "{}: {text}", vector.name);
        let (ok, text) = dir.openssl(&["x509", "-in", "leaf.pem", "-outform", "DER", "-out", "again.der"]);
        assert!(ok, "{}: {text}", vector.name);
        assert_eq!(hex::encode(dir.read("again.der")), vector.der, "{}", vector.name);
    }
    assert!(file.valid.len() >= 30, "{}", file.valid.len());
}

#[test]
fn openssl_reads_every_crl_and_refuses_whom_it_names() {
    let file = vectors();
    let (mut taken, mut refused) = (0, 0);
    for crl in &file.crls {
        for vector in file.valid.iter().filter(|vector| vector.issuer == crl.issuer) {
            let dir = Dir::new();
            dir.chain(&file, vector);
            dir.write("leaf.pem", &vector.pem);
            dir.write("crl.pem", &crl.pem);
            let (parsed, text) = dir.openssl(&[
                "crl",
                "-in",
                "crl.pem",
                "-noout",
                "-text",
                "-verify",
                "-CAfile",
                "issuer.pem",
            ]);
            assert!(parsed && text.contains("verify OK"), "{}: {text}", crl.name);
            let named = crl.revoked.iter().any(|entry| {
                vector.fields["status_index"] == entry.status_index
                    && vector.fields["not_before_s"] == entry.not_before_s
            });
            let at_s = file.context.clock_s - u32::from(vector.name.contains("last second"));
            let (ok, text) = dir.verify(at_s, &["-crl_check", "-CRLfile", "crl.pem"]);
            assert_eq!(ok, !named, "{} under {}: {text}", vector.name, crl.name);
            assert!(ok || text.contains("certificate revoked"), "{}: {text}", vector.name);
            if ok { taken += 1 } else { refused += 1 }
        }
    }
    assert!(taken >= 10 && refused >= 10, "{taken} taken, {refused} refused");
}

/// What only a verifier of this profile knows (index, grade, trust list) openssl has no word on.
#[test]
fn openssl_refuses_what_is_forged_or_out_of_time() {
    let file = vectors();
    let context_root = RootCert::from_bytes(&unhex(&file.context.root).unwrap()).unwrap();
    let issuer_of = |text: &str| file.valid.iter().find(|vector| vector.name.starts_with(text)).unwrap();
    let mut asked = 0;
    for vector in &file.invalid {
        let Some(der) = &vector.der else { continue };
        let code = Code::from_number(vector.error).unwrap();
        let judged = match code {
            Code::CertificateNotYetValid | Code::CertificateExpired => true,
            // What is wrong with these is no matter of X.509.
            Code::BadCertificate => ![
                "root: without a name",
                "root: ends beyond 32 bits of seconds",
                "authority: without a name",
                "authority: a grade that does not exist",
                "authority: last index before the first",
                "authority: outlives the root",
                "authority: older than the root",
                "wallet: issuer carried, altered",
                "wallet: issuer carried, of another root",
            ]
            .contains(&vector.name.as_str()),
            _ => false,
        };
        if !judged {
            continue;
        }
        let dir = Dir::new();
        dir.write("root.pem", pem("CERTIFICATE", &root_der(&context_root)));
        dir.write("issuer.pem", &issuer_of("issuer, eddsa, under a root with EdDSA").pem);
        dir.write("leaf.pem", pem("CERTIFICATE", &unhex(der).unwrap()));
        if vector.kind == "root" {
            dir.write("root.pem", pem("CERTIFICATE", &unhex(der).unwrap()));
            dir.write("issuer.pem", "");
        }
        let at_s = vector.clock_s.unwrap_or(file.context.clock_s);
        let (ok, text) = dir.verify(at_s, &[]);
        assert!(!ok, "{}: {text}", vector.name);
        asked += 1;
    }
    assert!(asked >= 20, "{asked}");
}
