//! Single values: decoded, encoded again, and refused.

use counterfoil_ta::api::PaymentState;
use counterfoil_wire::cert::{Grade, Name, Role};
use counterfoil_wire::element::{CounterKind, Tamper};
use counterfoil_wire::header::Purpose;
use counterfoil_wire::rules::{Liability, TamperAnswer};
use counterfoil_wire::sync::{Entry, Outcome, Resolution, Standing};
use counterfoil_wire::{
    Amount, Bytes, Currency, Digest, Error, KeyId, Nonce, PublicKey, Reference, Signature, Wire,
};
use serde_json::Value;

use super::Findings;
use crate::format::Types;
use crate::json::{Json, Mismatch, unhex};

/// What a type can do, without naming it.
struct Codec {
    decode: fn(&[u8]) -> Result<Value, Error>,
    encode: fn(&Value) -> Result<Vec<u8>, Mismatch>,
}

fn of<T: Wire + Json>() -> Option<Codec> {
    Some(Codec {
        decode: |bytes| T::from_bytes(bytes).map(|value| value.to_json()),
        encode: |json| T::from_json(json).map(|value| value.to_bytes()),
    })
}

/// Text has no rules of its own beyond UTF-8.
#[derive(Clone)]
struct Text(String);

impl Wire for Text {
    fn encode(&self, e: &mut counterfoil_wire::codec::Enc) {
        self.0.encode(e);
    }
    fn decode(d: &mut counterfoil_wire::codec::Dec<'_>) -> Result<Self, Error> {
        d.get().map(Self)
    }
}

impl Json for Text {
    fn to_json(&self) -> Value {
        Value::from(self.0.as_str())
    }
    fn from_json(json: &Value) -> Result<Self, Mismatch> {
        let text = json.as_str().map(str::to_owned);
        text.map(Self).ok_or_else(|| Mismatch { at: String::new(), what: "is no text".to_owned() })
    }
}

fn codec(ty: &str) -> Option<Codec> {
    match ty {
        "u8" => of::<u8>(),
        "u16" => of::<u16>(),
        "u32" => of::<u32>(),
        "bool" => of::<bool>(),
        "text" => of::<Text>(),
        "bytes" => of::<Bytes>(),
        "amount" => of::<Amount>(),
        "optional-amount" => of::<Option<Amount>>(),
        "currency" => of::<Currency>(),
        "name" => of::<Name>(),
        "digest" => of::<Digest>(),
        "key-id" => of::<KeyId>(),
        "reference" => of::<Reference>(),
        "signature" => of::<Signature>(),
        "nonce" => of::<Nonce>(),
        "public-key" => of::<PublicKey>(),
        "list-of-u32" => of::<Vec<u32>>(),
        "grade" => of::<Grade>(),
        "role" => of::<Role>(),
        "purpose" => of::<Purpose>(),
        "outcome" => of::<Outcome>(),
        "standing" => of::<Standing>(),
        "liability" => of::<Liability>(),
        "counter-kind" => of::<CounterKind>(),
        "tamper" => of::<Tamper>(),
        "tamper-answer" => of::<TamperAnswer>(),
        "payment-state" => of::<PaymentState>(),
        "resolution" => of::<Resolution>(),
        "entry" => of::<Entry>(),
        _ => None,
    }
}

pub(super) fn check(file: &Types, out: &mut Findings) {
    for vector in &file.valid {
        let name = &vector.name;
        let Some(codec) = codec(&vector.r#type) else {
            out.differ(name, "type", "a known type", &vector.r#type);
            continue;
        };
        let Some(bytes) = out.read(name, "hex", unhex(&vector.hex)) else { continue };
        if let Some(value) = out.hold(name, "hex", (codec.decode)(&bytes)) {
            out.compare_json(name, "value", &vector.value, &value);
        }
        if let Some(bytes) = out.read(name, "value", (codec.encode)(&vector.value)) {
            out.compare_hex(name, "hex", &vector.hex, &bytes);
        }
    }
    for vector in &file.invalid {
        let name = &vector.name;
        let Some(codec) = codec(&vector.r#type) else {
            out.differ(name, "type", "a known type", &vector.r#type);
            continue;
        };
        if let Some(bytes) = out.read(name, "hex", unhex(&vector.hex)) {
            out.compare_error(name, vector.error, (codec.decode)(&bytes));
        }
    }
}
