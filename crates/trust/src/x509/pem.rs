//! Textual encoding (RFC 7468).

use alloc::string::String;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `der` between `-----BEGIN label-----` and `-----END label-----`, 64 characters a line. Labels are `CERTIFICATE` and
/// `X509 CRL`.
pub fn pem(label: &str, der: &[u8]) -> String {
    let mut text = String::new();
    boundary(&mut text, "BEGIN", label);
    // 48 bytes make a line of 64 characters.
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            base64_group(&mut text, group);
        }
        text.push('\n');
    }
    boundary(&mut text, "END", label);
    text
}

fn boundary(text: &mut String, word: &str, label: &str) {
    for part in ["-----", word, " ", label, "-----\n"] {
        text.push_str(part);
    }
}

/// Four characters for up to three bytes (RFC 4648 section 4).
fn base64_group(text: &mut String, group: &[u8]) {
    let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
    let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
    for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
        // n bytes fill n + 1 characters.
        let filled = at <= group.len();
        let index = (bits >> shift) & 0x3f;
        let letter = ALPHABET.get(index as usize).copied().unwrap_or(b'=');
        text.push(if filled { char::from(letter) } else { '=' });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4648_vectors() {
        for (bytes, expected) in [
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let text = pem("X", bytes.as_bytes());
            assert_eq!(text.lines().nth(1), Some(expected));
        }
    }

    #[test]
    fn lines_are_64_characters() {
        let text = pem("CERTIFICATE", &[0xff; 49]);
        let lines: alloc::vec::Vec<&str> = text.lines().collect();
        assert_eq!(lines.first(), Some(&"-----BEGIN CERTIFICATE-----"));
        assert_eq!(lines.get(1).map(|l| l.len()), Some(64));
        assert_eq!(lines.get(2), Some(&"/w=="));
        assert_eq!(lines.get(3), Some(&"-----END CERTIFICATE-----"));
    }
}
