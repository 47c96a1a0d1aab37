//! Writes DER (X.690). Only what the profile needs, and only writing: a certificate arrives in its compact form, so
//! there is no DER to parse and nothing that a lenient parser could get wrong.

use alloc::vec::Vec;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const PRINTABLE_STRING: u8 = 0x13;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The context-specific tag `[number]`, primitive.
pub(super) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// The context-specific tag `[number]`, constructed.
pub(super) const fn context_constructed(number: u8) -> u8 {
    0xa0 | number
}

/// A growing DER encoding. Writing to memory cannot fail.
pub(super) struct Der(Vec<u8>);

impl Der {
    pub(super) fn new() -> Self {
        // A certificate is 700 bytes at most; a CRL grows.
        Self(Vec::with_capacity(768))
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// Bytes that are DER already.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// An element whose content `write` appends. The length is put in afterwards, when it is known.
    pub(super) fn nest(&mut self, tag: u8, write: impl FnOnce(&mut Self)) -> &mut Self {
        self.0.push(tag);
        let start = self.0.len();
        write(self);
        let len = self.0.len().saturating_sub(start);
        self.0.splice(start..start, length(len));
        self
    }

    pub(super) fn sequence(&mut self, write: impl FnOnce(&mut Self)) -> &mut Self {
        self.nest(SEQUENCE, write)
    }

    /// A primitive element.
    pub(super) fn put(&mut self, tag: u8, content: &[u8]) -> &mut Self {
        self.nest(tag, |der| {
            der.raw(content);
        })
    }

    pub(super) fn oid(&mut self, content: &[u8]) -> &mut Self {
        self.put(OID, content)
    }

    pub(super) fn boolean_true(&mut self) -> &mut Self {
        self.put(0x01, &[0xff])
    }

    /// A non-negative INTEGER from its big-endian bytes.
    pub(super) fn unsigned(&mut self, big_endian: &[u8]) -> &mut Self {
        self.nest(INTEGER, |der| {
            let leading = big_endian.iter().take_while(|byte| **byte == 0).count();
            let significant = big_endian.get(leading..).unwrap_or_default();
            // The first bit is the sign, and zero still takes one byte.
            if significant.first().is_none_or(|byte| byte & 0x80 != 0) {
                der.raw(&[0]);
            }
            der.raw(significant);
        })
    }

    pub(super) fn integer(&mut self, value: u64) -> &mut Self {
        self.unsigned(&value.to_be_bytes())
    }

    /// A BIT STRING whose last `unused` bits do not count.
    pub(super) fn bits(&mut self, unused: u8, content: &[u8]) -> &mut Self {
        self.nest(BIT_STRING, |der| {
            der.raw(&[unused]).raw(content);
        })
    }

    /// A point in time, seconds since 1970, as RFC 5280 section 4.1.2.5 asks: UTCTime through 2049, then
    /// GeneralizedTime.
    pub(super) fn time(&mut self, seconds: u32) -> &mut Self {
        let [year, month, day, hour, minute, second] = civil(seconds);
        let tag = if year < 2050 { UTC_TIME } else { GENERALIZED_TIME };
        self.nest(tag, |der| {
            if tag == GENERALIZED_TIME {
                der.two_digits(year.wrapping_div(100));
            }
            for part in [year.wrapping_rem(100), month, day, hour, minute, second] {
                der.two_digits(part);
            }
            der.raw(b"Z");
        })
    }

    fn two_digits(&mut self, number: u32) -> &mut Self {
        let digit = |number: u32| char::from_digit(number.wrapping_rem(10), 10).map_or(b'0', |c| c as u8);
        self.raw(&[digit(number.wrapping_div(10)), digit(number)])
    }
}

/// The length octets for `len` bytes of content (X.690 section 10.1).
fn length(len: usize) -> impl Iterator<Item = u8> {
    let bytes = (len as u64).to_be_bytes();
    let leading = bytes.iter().take_while(|byte| **byte == 0).count();
    let count = bytes.len().saturating_sub(leading) as u8;
    let long = (len >= 0x80).then_some(0x80 | count);
    // Zero is a byte too.
    let skip = if len == 0 { bytes.len().saturating_sub(1) } else { leading };
    long.into_iter().chain(bytes.into_iter().skip(skip))
}

/// Year, month, day, hour, minute, second of a point in time, after Hinnant's "chrono-Compatible Low-Level Date
/// Algorithms". Years are counted from March, so that the leap day comes last.
#[allow(
    clippy::arithmetic_side_effects,
    reason = "seconds below 2^32 are less than 49,711 days, so that every product below stays under 2^22, and each \
              subtraction takes from a larger number: see the ranges"
)]
fn civil(seconds: u32) -> [u32; 6] {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, and since the start of the 400-year era.
    let day_of_era = (days + 719_468) % 146_097;
    let era = (days + 719_468) / 146_097;
    // 0..=399, counted from March; then 0..=365; then 0..=11.
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u32::from(month <= 2);
    [year, month, day, of_day / 3600, of_day % 3600 / 60, of_day % 60]
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "a test may fail loudly")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;

    fn written(write: impl FnOnce(&mut Der) -> &mut Der) -> String {
        let mut der = Der::new();
        write(&mut der);
        hex::encode(der.finish())
    }

    #[test]
    fn integers_are_shortest_and_positive() {
        for (value, expected) in [
            (0, "020100"),
            (127, "02017f"),
            (128, "02020080"),
            (256, "02020100"),
            (u64::MAX, "020900ffffffffffffffff"),
        ] {
            assert_eq!(written(|d| d.integer(value)), expected);
        }
    }

    #[test]
    fn lengths_are_shortest() {
        for (len, expected) in
            [(0, "00"), (127, "7f"), (128, "8180"), (255, "81ff"), (256, "820100"), (65536, "83010000")]
        {
            assert_eq!(hex::encode(length(len).collect::<Vec<_>>()), expected);
        }
    }

    #[test]
    fn times_change_form_in_2050() {
        let text = |s| String::from_utf8(hex::decode(&written(|d| d.time(s))[4..]).unwrap()).unwrap();
        assert_eq!(text(0), "700101000000Z");
        assert_eq!(text(951_782_399), "000228235959Z");
        assert_eq!(text(951_782_400), "000229000000Z");
        assert_eq!(text(2_524_607_999), "491231235959Z");
        assert_eq!(text(2_524_608_000), "20500101000000Z");
        assert_eq!(text(u32::MAX), "21060207062815Z");
    }

    proptest! {
        #[test]
        fn the_calendar_runs_like_a_clock(seconds in 0..u32::MAX) {
            let (now, next) = (civil(seconds), civil(seconds + 1));
            prop_assert!(now < next);
            prop_assert!((1..=12).contains(&now[1]) && (1..=31).contains(&now[2]));
            let days = |c: [u32; 6]| {
                let leap = |y: u32| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
                let months = [31, 28 + u32::from(leap(c[0])), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
                (1970..c[0]).map(|y| 365 + u32::from(leap(y))).sum::<u32>()
                    + months.iter().take(c[1] as usize - 1).sum::<u32>() + c[2] - 1
            };
            prop_assert_eq!(u64::from(days(now)) * 86_400 + u64::from(now[3] * 3600 + now[4] * 60 + now[5]), u64::from(seconds));
        }
    }
}
