//! The QR reader on pictures that strangers made.

use counterfoil_wallet::channel::qr::{PAYLOAD_BYTES_MAX, draw, read};

/// Reads the PNG; or, behind a zero, draws the bytes and reads them back.
pub fn image(data: &[u8]) {
    match data.split_first() {
        Some((0, bytes)) if bytes.len() <= PAYLOAD_BYTES_MAX => {
            let png = draw(bytes).and_then(|image| image.to_png()).expect("it fits");
            assert_eq!(read(&png).expect("what was drawn is read"), bytes);
        }
        _ => {
            if let Ok(bytes) = read(data) {
                assert!(bytes.len() <= PAYLOAD_BYTES_MAX);
            }
        }
    }
}
