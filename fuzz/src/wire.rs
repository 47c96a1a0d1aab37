//! The decoders of `counterfoil-wire` and of the trusted application's door.

use counterfoil_ta::api::{Command, Overview, PaymentRow, Reply, RequestRow, Response};
use counterfoil_trust::{Opened, open, open_message};
use counterfoil_wire::bundle::Bundle;
use counterfoil_wire::cert::{AuthorityCert, Name, RootCert, WalletCert};
use counterfoil_wire::codec::{MEMORY_FACTOR, MEMORY_SLACK, MESSAGE_MAX};
use counterfoil_wire::header::{Envelope, Signer};
use counterfoil_wire::lists::{RevocationList, TrustList, from_gaps, to_gaps};
use counterfoil_wire::message::{Body, Decline, Payment, Receipt, Request};
use counterfoil_wire::proof::{Gossip, Proof, SignedHeader};
use counterfoil_wire::rules::Rules;
use counterfoil_wire::sync::{Enrolment, Entry, FundOrder, Settlement, Statement};
use counterfoil_wire::{Amount, Bytes, Currency, KeyId, Nonce, PublicKey, Reference, Wire};

/// Runs `decode`, and checks that it allocated no more than the codec states, `factor` times over.
fn bounded<T>(len: usize, factor: usize, decode: impl FnOnce() -> T) -> T {
    let mut decoded = None;
    let peak = allocation_counter::measure(|| decoded = Some(decode())).bytes_max as usize;
    let most = factor * (MEMORY_FACTOR * len + MEMORY_SLACK);
    assert!(peak <= most, "{len} bytes took {peak}, at most {most} are stated");
    decoded.expect("it was measured")
}

/// What decodes is encoded as the same bytes. Returns whether it decoded.
fn exact<T: Wire>(bytes: &[u8]) -> bool {
    let Ok(value) = bounded(bytes.len(), 1, || T::from_bytes(bytes)) else { return false };
    assert_eq!(value.to_bytes(), bytes, "decoded and encoded again it is something else");
    true
}

/// What opens is sealed as the same bytes, and its header does not depend on how it was read.
fn opens<B: Body>(bytes: &[u8]) {
    // Twice: envelope, and body in it.
    let Ok(opened) = bounded(bytes.len(), 2, || open_message::<B>(bytes)) else {
        // A message that is short enough is opened by both or by none.
        assert!(bytes.len() > MESSAGE_MAX || open::<B>(bytes).is_err());
        return;
    };
    let Opened { envelope, body, header } = &opened;
    assert!(bytes.len() <= MESSAGE_MAX);
    assert_eq!(envelope.to_bytes(), bytes);
    assert_eq!(body.to_bytes(), envelope.body.0);
    assert_eq!(header.purpose, B::PURPOSE);
    let scheme = KeyId([7; 32]);
    assert_eq!(opened.id(&scheme), counterfoil_trust::header_id(&scheme, header));
    // Whether a signature holds does not matter here; that it is looked at does.
    let _ = opened.check_signature(&scheme);
    assert!(
        exact::<SignedHeader>(&opened.signed_header().to_bytes()),
        "a header without its body reads back"
    );
}

/// A bundle comes apart into the two that are in it; anything else is a message alone.
fn bundle(bytes: &[u8]) {
    let bundled = exact::<Bundle>(bytes);
    let received = bytes.to_vec();
    let (message, gossip) = bounded(bytes.len(), 1, || Bundle::split(received));
    let Some(gossip) = gossip else {
        assert!(!bundled && message == bytes);
        return;
    };
    assert!(bundled && bytes.len() <= message.len() + gossip.len() + Bundle::FRAME);
    assert_eq!(Bundle { message: Bytes(message), gossip: Bytes(gossip) }.to_bytes(), bytes);
}

/// Messages between two devices, and whatever else is sealed, by `open_message`. The first byte chooses.
pub fn messages(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 13 {
        0 => opens::<Request>(bytes),
        1 => opens::<Payment>(bytes),
        2 => opens::<Receipt>(bytes),
        3 => opens::<Decline>(bytes),
        4 => opens::<Enrolment>(bytes),
        5 => opens::<FundOrder>(bytes),
        6 => opens::<Statement>(bytes),
        7 => opens::<Settlement>(bytes),
        8 => opens::<TrustList>(bytes),
        9 => opens::<RevocationList>(bytes),
        10 => opens::<Rules>(bytes),
        11 => {
            if let Ok(gossip) = bounded(bytes.len(), 1, || Gossip::from_message(bytes)) {
                assert_eq!(gossip.to_message(), bytes);
            }
        }
        _ => bundle(bytes),
    }
}

/// Every other type with an encoding. The first byte chooses.
pub fn objects(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match kind % 32 {
        0 => exact::<Statement>(bytes),
        1 => exact::<Settlement>(bytes),
        2 => exact::<TrustList>(bytes),
        3 => {
            if exact::<RevocationList>(bytes) {
                let list = RevocationList::from_bytes(bytes).expect("it decoded");
                if let Some(indexes) = from_gaps(&list.added) {
                    assert_eq!(to_gaps(&indexes), list.added);
                }
            }
            true
        }
        4 => exact::<Rules>(bytes),
        5 => exact::<Enrolment>(bytes),
        6 => exact::<FundOrder>(bytes),
        7 => exact::<Proof>(bytes),
        8 => exact::<SignedHeader>(bytes),
        9 => exact::<Command>(bytes),
        10 => exact::<Response>(bytes),
        11 => exact::<Reply>(bytes),
        12 => exact::<Overview>(bytes),
        13 => exact::<Entry>(bytes),
        14 => exact::<Envelope>(bytes),
        15 => exact::<WalletCert>(bytes),
        16 => exact::<AuthorityCert>(bytes),
        17 => exact::<RootCert>(bytes),
        18 => exact::<Request>(bytes),
        19 => exact::<Payment>(bytes),
        20 => exact::<Receipt>(bytes),
        21 => exact::<Decline>(bytes),
        22 => exact::<Signer>(bytes),
        23 => exact::<Vec<Bytes>>(bytes),
        24 => exact::<Vec<Entry>>(bytes),
        25 => exact::<Vec<u32>>(bytes),
        26 => exact::<Vec<PaymentRow>>(bytes),
        27 => exact::<Vec<RequestRow>>(bytes),
        28 => exact::<Option<Vec<PublicKey>>>(bytes),
        29 => exact::<Name>(bytes) | exact::<String>(bytes),
        30 => exact::<Amount>(bytes) | exact::<Currency>(bytes) | exact::<u64>(bytes) | exact::<bool>(bytes),
        _ => exact::<Nonce>(bytes) | exact::<Reference>(bytes) | exact::<PublicKey>(bytes),
    };
}
