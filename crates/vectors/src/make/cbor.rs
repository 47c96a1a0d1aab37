//! CBOR taken apart and put together without any rule, so that it can be wrong on purpose.

/// The shortest head of major type `major` (RFC 8949 section 3).
pub(super) fn head(major: u8, value: u64) -> Vec<u8> {
    let major = major << 5;
    let bytes = value.to_be_bytes();
    match value {
        0..=23 => vec![major | bytes[7]],
        24..=0xff => vec![major | 24, bytes[7]],
        0x100..=0xffff => [&[major | 25], &bytes[6..]].concat(),
        0x1_0000..=0xffff_ffff => [&[major | 26], &bytes[4..]].concat(),
        _ => [&[major | 27], &bytes[..]].concat(),
    }
}

/// A byte string.
pub(super) fn bytes(content: &[u8]) -> Vec<u8> {
    [&head(2, content.len() as u64), content].concat()
}

/// A definite array.
pub(super) fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len() as u64), items.concat()].concat()
}

/// An array of indefinite length.
pub(super) fn indefinite(items: &[Vec<u8>]) -> Vec<u8> {
    [vec![0x9f], items.concat(), vec![0xff]].concat()
}

/// The items of a definite array of definite items, each with its own bytes. Empty for anything else.
pub(super) fn items(array: &[u8]) -> Vec<Vec<u8>> {
    let Some((4, count, mut rest)) = split_head(array) else { return Vec::new() };
    let mut items = Vec::new();
    for _ in 0..count {
        let Some(after) = skip(rest) else { return Vec::new() };
        items.push(rest[..rest.len() - after.len()].to_vec());
        rest = after;
    }
    items
}

/// Major type, value and what follows the head.
fn split_head(bytes: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let more = match first & 31 {
        info @ 0..=23 => return Some((first >> 5, u64::from(info), rest)),
        info @ 24..=27 => 1_usize << (info - 24),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(more)?;
    let value = value.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    Some((first >> 5, value, rest))
}

/// What follows the first item.
fn skip(bytes: &[u8]) -> Option<&[u8]> {
    let (major, value, mut rest) = split_head(bytes)?;
    let inner = match major {
        2 | 3 => return rest.get(usize::try_from(value).ok()?..),
        4 => value,
        5 => value.checked_mul(2)?,
        6 => 1,
        _ => 0,
    };
    for _ in 0..inner {
        rest = skip(rest)?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_apart_can_be_put_together() {
        let long = bytes(&[7; 300]);
        let nested = [0x84, 0x01, 0x82, 0x02, 0xf6, 0xa1, 0x01, 0x26];
        let whole = [&nested[..], &long].concat();
        assert_eq!(items(&whole), [vec![1], vec![0x82, 2, 0xf6], vec![0xa1, 1, 0x26], long]);
        assert_eq!(array(&items(&whole)), whole);
        assert!(items(&[0x82, 0x01]).is_empty() && items(&[0x41, 0x01]).is_empty());
    }
}
