//! The operator's own reading of a journal, which shares no code with the wallet's, finds the same headers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use std::path::Path;

use counterfoil_operator::domain::journal::{own_cert, read};
use counterfoil_trust::{Anchors, AtOnce, open};
use counterfoil_vectors::format::File;
use counterfoil_vectors::json::unhex;
use counterfoil_wire::cert::RootCert;
use counterfoil_wire::sync::Statement;
use counterfoil_wire::{Error, Wire};

fn read_hex(anchors: &Anchors, hex: &str) -> Result<counterfoil_operator::domain::journal::Reading, Error> {
    let bytes = unhex(hex).unwrap();
    let mut sealed = open::<Statement>(&bytes)?;
    sealed.check_signature(&anchors.scheme)?;
    let cert = own_cert(anchors, &mut AtOnce, &sealed);
    read(anchors, &mut AtOnce, &mut sealed, cert, bytes.into())
}

#[test]
fn the_operator_reads_the_same_journals() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/journal.json");
    let File::Journal(file) = File::read(&path).unwrap() else { panic!("not a journal") };
    let root = RootCert::from_bytes(&unhex(&file.context.root).unwrap()).unwrap();
    let mut anchors = Anchors::new(root).unwrap();
    anchors.adopt(&unhex(&file.context.trust_list).unwrap()).unwrap();
    let mut lines = 0;
    for chain in &file.valid {
        let reading = read_hex(&anchors, &chain.statement).unwrap();
        assert_eq!(hex::encode(reading.id), chain.head, "{}", chain.name);
        let ids: Vec<(u32, String)> = reading.lines.iter().map(|l| (l.seq, hex::encode(l.id))).collect();
        let expected: Vec<(u32, String)> = chain.entries.iter().map(|e| (e.seq, e.id.clone())).collect();
        assert_eq!(ids, expected, "{}", chain.name);
        lines += ids.len();
    }
    assert!(lines >= 12, "{lines}");
    for vector in &file.invalid {
        let code = read_hex(&anchors, &vector.hex).map(drop).unwrap_err().code;
        assert_eq!(code.number(), vector.error, "{}", vector.name);
    }
    assert!(file.invalid.len() >= 9);
}
