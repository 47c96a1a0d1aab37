//! Single values and their encodings, and the encodings that must be refused.
//!
//! The bytes are written by hand from RFC 8949, so that they do not depend on the encoder that they judge.

use counterfoil_wire::Code;
use serde_json::{Value, json};

use super::texts;
use crate::format::{InvalidType, TypeValue, Types};

pub(super) fn types() -> Types {
    Types {
        about: "Single values and their one encoding. `invalid` are bytes that a decoder of that type must refuse, \
                with the error's number."
            .to_owned(),
        specification: texts(["spec/data-types.md", "spec/errors.md"]),
        valid: valid(),
        invalid: invalid(),
    }
}

fn valid() -> Vec<TypeValue> {
    let mut values = Vec::new();
    let mut add = |name: &str, ty: &str, value: Value, hex: &str| {
        let (name, hex) = (format!("{ty}: {name}"), hex.to_owned());
        values.push(TypeValue { name, r#type: ty.to_owned(), value, hex });
    };
    for (value, hex) in [
        (0_u64, "00"),
        (1, "01"),
        (23, "17"),
        (24, "1818"),
        (255, "18ff"),
        (256, "190100"),
        (65_535, "19ffff"),
        (65_536, "1a00010000"),
        (4_294_967_295, "1affffffff"),
        (4_294_967_296, "1b0000000100000000"),
        (9_007_199_254_740_991, "1b001fffffffffffff"),
    ] {
        add(&value.to_string(), "amount", json!(value), hex);
        if value <= 255 {
            add(&value.to_string(), "u8", json!(value), hex);
        }
        if value <= 65_535 {
            add(&value.to_string(), "u16", json!(value), hex);
        }
        if value <= 4_294_967_295 {
            add(&value.to_string(), "u32", json!(value), hex);
        }
    }
    add("absent", "optional-amount", Value::Null, "f6");
    add("zero is not absent", "optional-amount", json!(0), "00");
    add("true", "bool", json!(true), "f5");
    add("false", "bool", json!(false), "f4");
    for (number, hex) in [(1, "01"), (356, "190164"), (963, "1903c3"), (978, "1903d2"), (999, "1903e7")] {
        add(&number.to_string(), "currency", json!(number), hex);
    }
    for (text, hex) in [
        ("", "60"),
        ("a", "6161"),
        ("Caf\u{e9} Blau", "6a436166c3a920426c6175"),
        ("\u{20b9}", "63e282b9"),
        ("exactly twenty-four byte", "781865786163746c79207477656e74792d666f75722062797465"),
    ] {
        add(&format!("\"{text}\""), "name", json!(text), hex);
    }
    add("", "text", json!("four digits: 4711"), "71666f7572206469676974733a2034373131");
    for (ty, len) in [("digest", 32), ("key-id", 32), ("reference", 32), ("signature", 64), ("nonce", 16)] {
        let bytes = ascending(len);
        add("ascending bytes", ty, json!(bytes), &format!("{}{bytes}", head(2, len)));
    }
    let (zero, ed25519) = ("00".repeat(32), ascending(32));
    add("before the first entry", "digest", json!(zero), &format!("5820{zero}"));
    add("Ed25519, 32 bytes", "public-key", json!(ed25519), &format!("5820{ed25519}"));
    for sign in ["02", "03"] {
        let point = format!("{sign}{ed25519}");
        add(&format!("P-256, compressed, {sign}"), "public-key", json!(point), &format!("5821{point}"));
    }
    add("empty", "bytes", json!(""), "40");
    add("three", "bytes", json!("000102"), "43000102");
    add("empty", "list-of-u32", json!([]), "80");
    add("three", "list-of-u32", json!([1, 24, 65_536]), "830118181a00010000");
    for (ty, names) in [
        ("grade", &["hardware", "virtual-se-bound", "virtual-se", "terminal"][..]),
        ("role", &["issuer", "signer"]),
        ("outcome", &["confirmed", "refunded"]),
        ("standing", &["good", "suspended"]),
        ("liability", &["payer-psp", "scheme-fund", "payee-psp"]),
        ("counter-kind", &["none", "file", "tpm", "platform", "chip", "simulated"]),
        ("tamper", &["seal", "image", "counter", "runtime", "debugger", "hooked", "rooted"]),
        ("tamper-answer", &["clear", "lower", "revoke"]),
        (
            "purpose",
            &[
                "payment",
                "receipt",
                "decline",
                "statement",
                "reclaim",
                "settled",
                "defund",
                "request",
                "enrolment",
                "fund-order",
                "settlement",
                "trust-list",
                "rules",
                "revocation-list",
                "gossip",
                "bundle",
            ],
        ),
        (
            "payment-state",
            &["sent", "confirmed", "unresolved", "reclaimed", "refunded", "accepted", "declined"],
        ),
    ] {
        for (number, name) in (1..).zip(names) {
            add(name, ty, json!(name), &format!("{number:02x}"));
        }
    }
    let resolution = json!({ "payment": ascending(32), "outcome": "refunded" });
    add("refunded", "resolution", resolution, &format!("825820{}02", ascending(32)));
    let entry = json!({ "kind": "payment", "payment": "0102" });
    add("payment", "entry", entry, "8201420102");
    let entry = json!({ "kind": "decline", "payment": "0102", "reason": 319 });
    add("decline", "entry", entry, "830342010219013f");
    let entry = json!({ "kind": "defund", "amount": 500, "reference": ascending(32) });
    add("defund", "entry", entry, &format!("83071901f45820{}", ascending(32)));
    values
}

fn invalid() -> Vec<InvalidType> {
    let mut bytes = Vec::new();
    let mut add = |name: &str, ty: &str, hex: &str, code: Code| {
        let (name, hex) = (format!("{ty}: {name}"), hex.to_owned());
        bytes.push(InvalidType { name, r#type: ty.to_owned(), hex, error: code.number() });
    };
    use Code::{NonCanonical, NotAMessage, TrailingBytes, Truncated, UnsupportedAlgorithm, ValueOutOfRange};

    for ty in ["amount", "u32"] {
        add("nothing", ty, "", Truncated);
        add("head cut short", ty, "1a0001", Truncated);
        add("23 in two bytes", ty, "1817", NonCanonical);
        add("255 in three bytes", ty, "1900ff", NonCanonical);
        add("65535 in five bytes", ty, "1a0000ffff", NonCanonical);
        add("4294967295 in nine bytes", ty, "1b00000000ffffffff", NonCanonical);
        add("a byte follows", ty, "0100", TrailingBytes);
        add("another item follows", ty, "01f6", TrailingBytes);
        add("-1", ty, "20", NotAMessage);
        add("text", ty, "6131", NotAMessage);
        add("a byte string", ty, "4101", NotAMessage);
        add("true", ty, "f5", NotAMessage);
        add("null", ty, "f6", NotAMessage);
        add("undefined", ty, "f7", NotAMessage);
        add("NaN", ty, "f97e00", NotAMessage);
        add("1.0 in half precision", ty, "f93c00", NotAMessage);
        add("1.0 in double precision", ty, "fb3ff0000000000000", NotAMessage);
        add("infinity", ty, "f97c00", NotAMessage);
        add("a bignum", ty, "c24101", NotAMessage);
        add("tagged", ty, "c001", NotAMessage);
        add("reserved additional information", ty, "1c", NotAMessage);
        add("a break", ty, "ff", NotAMessage);
        add("an array of it", ty, "8101", NotAMessage);
        add("200 arrays deep", ty, &"81".repeat(200), NotAMessage);
    }
    add("2^53", "amount", "1b0020000000000000", ValueOutOfRange);
    add("2^64 - 1", "amount", "1bffffffffffffffff", ValueOutOfRange);
    add("2^32", "u32", "1b0000000100000000", ValueOutOfRange);
    add("65536", "u16", "1a00010000", ValueOutOfRange);
    add("256", "u8", "190100", ValueOutOfRange);
    add("undefined is not null", "optional-amount", "f7", NotAMessage);
    add("null in two bytes", "optional-amount", "f816", NotAMessage);
    add("out of range", "optional-amount", "1b0020000000000000", ValueOutOfRange);
    add("0", "bool", "00", NotAMessage);
    add("null", "bool", "f6", NotAMessage);
    add("0", "currency", "00", ValueOutOfRange);
    add("1000", "currency", "1903e8", ValueOutOfRange);
    add("65536", "currency", "1a00010000", ValueOutOfRange);
    add("letters", "currency", "63455552", NotAMessage);
    add("25 bytes", "name", &format!("7819{}", "61".repeat(25)), ValueOutOfRange);
    add("25 bytes of 9 characters", "name", &format!("7819{}61", "e282b9".repeat(8)), ValueOutOfRange);
    add("a space in front", "name", "622061", ValueOutOfRange);
    add("a space behind", "name", "626120", ValueOutOfRange);
    add("a line feed", "name", "63610a62", ValueOutOfRange);
    add("NUL", "name", "6100", ValueOutOfRange);
    add("right-to-left override", "name", "63e280ae", ValueOutOfRange);
    add("zero-width space", "name", "6561e2808b62", ValueOutOfRange);
    add("no UTF-8", "name", "61ff", NotAMessage);
    add("overlong UTF-8", "name", "62c080", NotAMessage);
    add("a surrogate", "name", "63eda080", NotAMessage);
    add("a byte string", "name", "4161", NotAMessage);
    add("in chunks", "name", "7f6161ff", NotAMessage);
    add("length cut short", "name", "6261", Truncated);
    for (ty, len) in [("digest", 32), ("nonce", 16), ("signature", 64)] {
        let (full, head) = (ascending(len), head(2, len));
        let bytes = |len| format!("{}{}", self::head(2, len), ascending(len));
        add("one byte less", ty, &bytes(len - 1), ValueOutOfRange);
        add("one byte more", ty, &bytes(len + 1), ValueOutOfRange);
        add("cut short", ty, &format!("{head}{}", ascending(len - 1)), Truncated);
        add("a byte follows", ty, &format!("{head}{full}00"), TrailingBytes);
        add("length in three bytes", ty, &format!("59{len:04x}{full}"), NonCanonical);
        add("in chunks", ty, &format!("5f{head}{full}ff"), NotAMessage);
        add("text", ty, &format!("{}{}", self::head(3, len), "61".repeat(len)), NotAMessage);
        add("an array of numbers", ty, &format!("{}{}", self::head(4, len), "00".repeat(len)), NotAMessage);
    }
    add("31 bytes", "public-key", &format!("581f{}", ascending(31)), UnsupportedAlgorithm);
    add("34 bytes", "public-key", &format!("5822{}", ascending(34)), UnsupportedAlgorithm);
    add("P-256, uncompressed", "public-key", &format!("584104{}", ascending(64)), UnsupportedAlgorithm);
    for sign in ["00", "04", "05"] {
        let hex = format!("5821{sign}{}", ascending(32));
        add(&format!("33 bytes that begin with {sign}"), "public-key", &hex, UnsupportedAlgorithm);
    }
    add("empty", "public-key", "40", UnsupportedAlgorithm);
    for ty in [
        "grade",
        "role",
        "outcome",
        "standing",
        "liability",
        "purpose",
        "payment-state",
        "counter-kind",
        "tamper",
        "tamper-answer",
    ] {
        add("0", ty, "00", ValueOutOfRange);
        add("99", ty, "1863", ValueOutOfRange);
        add("257", ty, "190101", ValueOutOfRange);
        add("1 in two bytes", ty, "1801", NonCanonical);
        add("its name", ty, "6161", NotAMessage);
    }
    add("indefinite", "list-of-u32", "9f0102ff", NonCanonical);
    add("one item less than announced", "list-of-u32", "830102", Truncated);
    add("one item more than announced", "list-of-u32", "81010203", TrailingBytes);
    add("length in two bytes", "list-of-u32", "98020102", NonCanonical);
    add("four thousand million items announced", "list-of-u32", "9affffffff00", Truncated);
    add("a map", "list-of-u32", "a10102", NotAMessage);
    add("null in it", "list-of-u32", "8201f6", NotAMessage);
    add("a list in it", "list-of-u32", "820181", NotAMessage);
    let resolution = ascending(32);
    add("a field less", "resolution", &format!("815820{resolution}"), NotAMessage);
    add("a field more", "resolution", &format!("835820{resolution}0200"), NotAMessage);
    add("fields swapped", "resolution", &format!("82025820{resolution}"), NotAMessage);
    add("indefinite", "resolution", &format!("9f5820{resolution}02ff"), NonCanonical);
    add("a map with numbers for keys", "resolution", &format!("a2005820{resolution}0102"), NotAMessage);
    add("a map, keys unsorted", "resolution", &format!("a20102005820{resolution}"), NotAMessage);
    add("a map, key twice", "resolution", "a201020102", NotAMessage);
    add("of a purpose that is no entry", "entry", "8208420102", NotAMessage);
    add("of the length of another kind", "entry", "830142010200", NotAMessage);
    bytes
}

/// `len` ascending bytes from 0, in hexadecimal.
fn ascending(len: usize) -> String {
    (0..len).map(|byte| format!("{byte:02x}")).collect()
}

/// The shortest head of major type `major` for a length below 256 (RFC 8949 section 3).
fn head(major: usize, len: usize) -> String {
    if len < 24 { format!("{:02x}", major * 32 + len) } else { format!("{:02x}{len:02x}", major * 32 + 24) }
}
