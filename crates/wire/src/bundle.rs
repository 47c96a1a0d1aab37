//! A message between two devices, and what the sender has to tell beside it.

use alloc::vec::Vec;

use crate::codec::{Bytes, Dec, Enc, Wire};
use crate::error::{Code, Error};
use crate::header::Purpose;

/// A message with gossip that rides along. Encoded as `[16, message, gossip]`, both encoded once more as byte strings, so
/// that the message's own bytes are untouched, and gossip that nobody can read spoils nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The request, payment, receipt or decline, an encoded envelope.
    pub message: Bytes,
    /// The gossip, as [`Gossip::to_message`](crate::proof::Gossip::to_message) gives it.
    pub gossip: Bytes,
}

impl Bundle {
    /// The most bytes that a bundle has beyond its two parts, where each part is shorter than 65,536 bytes.
    pub const FRAME: usize = 8;

    /// The message in `bytes`, and what rides along with it. What is no bundle is a message alone.
    pub fn split(bytes: Vec<u8>) -> (Vec<u8>, Option<Vec<u8>>) {
        match Self::from_bytes(&bytes) {
            Ok(bundle) => (bundle.message.0, Some(bundle.gossip.0)),
            Err(_) => (bytes, None),
        }
    }
}

impl Wire for Bundle {
    fn encode(&self, e: &mut Enc) {
        e.array(3).put(&Purpose::Bundle).put(&self.message).put(&self.gossip);
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        d.array(3)?;
        match d.get::<Purpose>()? {
            Purpose::Bundle => Ok(Self { message: d.get()?, gossip: d.get()? }),
            _ => Err(Code::WrongKind.into()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn both_parts_come_back_as_they_were() {
        for (message, gossip) in
            [(vec![1, 2, 3], vec![0xff]), (vec![], vec![]), (vec![7; 4096], vec![9; 65_535])]
        {
            let bundle = Bundle { message: Bytes(message.clone()), gossip: Bytes(gossip.clone()) };
            let bytes = bundle.to_bytes();
            assert!(bytes.len() <= message.len() + gossip.len() + Bundle::FRAME);
            assert_eq!(Bundle::split(bytes), (message, Some(gossip)));
        }
    }

    #[test]
    fn what_is_no_bundle_is_a_message_alone() {
        let bytes = Bundle { message: Bytes(vec![1, 2, 3]), gossip: Bytes(vec![4]) }.to_bytes();
        let mut other_purpose = bytes.clone();
        *other_purpose.get_mut(1).unwrap() = 15;
        let mut longer = bytes.clone();
        longer.push(0);
        let cut = bytes.get(..bytes.len() - 1).unwrap().to_vec();
        for bytes in [other_purpose, longer, cut, vec![], vec![0x83]] {
            assert_eq!(Bundle::split(bytes.clone()), (bytes, None));
        }
    }
}
