//! What may run: signed, unaltered, new enough.

use crate::world::{seal_of, shipped};
use counterfoil_tre::{Image, ImageError, ImagePolicy};
use counterfoil_trust::SigningKey;
use counterfoil_trust::image::ImageStatement;
use counterfoil_wire::Algorithm;

#[test]
fn the_shipped_image_is_signed_and_small() {
    let image = Image::shipped().unwrap();
    assert!(image.wasm().len() <= 350_000, "{}", image.wasm().len());
    assert_eq!(image.statement().interface, counterfoil_ta::abi::VERSION);
}

#[test]
fn no_byte_of_image_or_seal_can_be_another() {
    let (wasm, seal) = shipped();
    let policy = ImagePolicy::shipped();
    assert!(Image::load(&wasm, &seal, &policy).is_ok());
    for at in 0..seal.len() {
        for bit in [1, 0x80] {
            let mut bad = seal.clone();
            bad[at] ^= bit;
            assert!(Image::load(&wasm, &bad, &policy).is_err(), "{at} {bit}");
        }
    }
    for at in (0..wasm.len()).step_by(wasm.len() / 97) {
        let mut bad = wasm.clone();
        bad[at] ^= 1;
        assert_eq!(Image::load(&bad, &seal, &policy), Err(ImageError::Altered), "{at}");
    }
    for cut in [0, 1, wasm.len() - 1] {
        assert_eq!(Image::load(&wasm[..cut], &seal, &policy), Err(ImageError::Altered));
    }
    for cut in 0..seal.len() {
        assert_eq!(Image::load(&wasm, &seal[..cut], &policy), Err(ImageError::Unsigned), "{cut}");
    }
    let longer = [&seal[..], &[0]].concat();
    assert_eq!(Image::load(&wasm, &longer, &policy), Err(ImageError::Unsigned));
}

#[test]
fn only_the_word_of_the_hosts_signers_counts() {
    let (wasm, seal) = shipped();
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let own = SigningKey::from_secret(algorithm, &[9; 32]).unwrap();
        let statement = *Image::load(&wasm, &seal, &ImagePolicy::shipped()).unwrap().statement();
        let own_seal = ImageStatement { signer: own.public(), ..statement }.sealed_by(&own);
        assert_eq!(Image::load(&wasm, &own_seal, &ImagePolicy::shipped()), Err(ImageError::Unsigned));
        let policy = ImagePolicy { signers: vec![own.public()], version_min: 1 };
        assert!(Image::load(&wasm, &own_seal, &policy).is_ok(), "whoever builds a host names the signers");
        // Signed by another than it says.
        let forged = statement.sealed_by(&own);
        assert!(Image::load(&wasm, &forged, &ImagePolicy::shipped()).is_err());
    }
}

#[test]
fn an_older_image_and_another_interface_do_not_run() {
    let (wasm, _) = shipped();
    let policy = ImagePolicy { version_min: 3, ..ImagePolicy::shipped() };
    let load = |version| Image::load(&wasm, &seal_of(&wasm, version), &policy);
    assert_eq!(load(2), Err(ImageError::Older { found: 2, wanted: 3 }));
    assert!(load(3).is_ok() && load(u32::MAX).is_ok());
    let key = counterfoil_trust::image::development_signer().unwrap();
    let statement = *load(3).unwrap().statement();
    let other = ImageStatement { interface: statement.interface + 1, ..statement }.sealed_by(&key);
    assert_eq!(Image::load(&wasm, &other, &policy), Err(ImageError::OtherInterface(statement.interface + 1)));
}
