//! Portable proofs: judged, and what they show named.

use counterfoil_trust::{Anchors, Misbehaviour, judge};
use counterfoil_wire::proof::Proof;
use counterfoil_wire::{Error, Wire};

use super::{Findings, anchors};
use crate::VectorError;
use crate::format::Proofs;
use crate::json::{Json, kebab, unhex};

pub(super) fn check(file: &Proofs, out: &mut Findings) -> Result<(), VectorError> {
    let (eddsa, es256) = (anchors(&file.context)?, anchors(&file.context_es256)?);
    let known = |algorithm: &str| if algorithm == "es256" { &es256 } else { &eddsa };
    for vector in &file.valid {
        let name = &vector.name;
        let anchors = known(&vector.algorithm);
        let Some(bytes) = out.read(name, "hex", unhex(&vector.hex)) else { continue };
        let Some((proof, shows)) = out.hold(name, "hex", judge_bytes(anchors, &bytes)) else { continue };
        out.compare(name, "shows", &vector.shows, &kebab(&format!("{shows:?}")));
        out.compare_json(name, "fields", &vector.fields, &proof.to_json());
        for (expected, half) in vector.headers.iter().zip([&proof.first, &proof.second]) {
            out.compare_hex(name, "headers", expected, &half.header.to_bytes(&anchors.scheme));
        }
        if let Some(proof) = out.read(name, "fields", Proof::from_json(&vector.fields)) {
            out.compare_hex(name, "hex, built from fields", &vector.hex, &proof.to_bytes());
        }
    }
    for vector in &file.invalid {
        if let Some(bytes) = out.read(&vector.name, "hex", unhex(&vector.hex)) {
            out.compare_error(&vector.name, vector.error, judge_bytes(known(&vector.algorithm), &bytes));
        }
    }
    Ok(())
}

fn judge_bytes(anchors: &Anchors, bytes: &[u8]) -> Result<(Proof, Misbehaviour), Error> {
    let proof = Proof::from_bytes(bytes)?;
    let shows = judge(anchors, &proof)?;
    Ok((proof, shows))
}
