//! Money: a bounded integer of minor units, and the currency that it is in. Nothing is ever rounded.

use crate::codec::{Dec, Enc, Wire};
use crate::error::{Code, Error};

/// An amount in minor units, between 0 and [`Amount::MAX`]. Arithmetic returns `None` where the result would leave the
/// bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(u64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// 2^53 - 1: the largest integer that every JSON reader keeps exactly.
    pub const MAX: Self = Self(9_007_199_254_740_991);

    /// An amount of `minor` units, if within bounds.
    pub const fn new(minor: u64) -> Option<Self> {
        if minor <= Self::MAX.0 { Some(Self(minor)) } else { None }
    }

    /// The number of minor units.
    pub const fn minor(self) -> u64 {
        self.0
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, if within bounds.
    pub const fn plus(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Self::new(sum),
            None => None,
        }
    }

    /// The difference, if not below zero.
    pub const fn minus(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// The difference, or zero where `other` is larger.
    pub const fn minus_or_zero(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The whole minor units in `percent` hundredths of this amount: what is left of a fraction stays out.
    pub const fn share(self, percent: u8) -> Self {
        let hundredths = if percent > 100 { 100 } else { percent as u128 };
        // At most MAX * 100, far inside 128 bits, and at most MAX after the division.
        Self((self.0 as u128).saturating_mul(hundredths).wrapping_div(100) as u64)
    }
}

impl Wire for Amount {
    fn encode(&self, e: &mut Enc) {
        e.uint(self.0);
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        Self::new(d.uint()?).ok_or(Code::ValueOutOfRange.into())
    }
}

/// An ISO 4217 numeric currency code, 1 to 999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(u16);

impl Currency {
    /// The euro.
    pub const EUR: Self = Self(978);
    /// The Indian rupee.
    pub const INR: Self = Self(356);
    /// The code reserved for testing.
    pub const XTS: Self = Self(963);

    /// The currency with this ISO 4217 number.
    pub const fn new(number: u16) -> Option<Self> {
        if number >= 1 && number <= 999 { Some(Self(number)) } else { None }
    }

    /// The ISO 4217 number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl Wire for Currency {
    fn encode(&self, e: &mut Enc) {
        self.0.encode(e);
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        Self::new(u16::decode(d)?).ok_or(Code::ValueOutOfRange.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arithmetic_never_leaves_the_bounds(a in 0..=Amount::MAX.minor(), b in 0..=Amount::MAX.minor()) {
            let (x, y) = (Amount::new(a).unwrap(), Amount::new(b).unwrap());
            prop_assert_eq!(x.plus(y).map(Amount::minor), (a + b <= Amount::MAX.minor()).then_some(a + b));
            prop_assert_eq!(x.minus(y).map(Amount::minor), a.checked_sub(b));
            prop_assert_eq!(x.plus(y).and_then(|s| s.minus(y)), x.plus(y).map(|_| x));
        }

        #[test]
        fn a_share_is_never_more_than_its_part(a in 0..=Amount::MAX.minor(), percent in 0u8..=120) {
            let share = u128::from(Amount::new(a).unwrap().share(percent).minor());
            let exact = u128::from(a) * u128::from(percent.min(100));
            prop_assert!(share * 100 <= exact && exact < (share + 1) * 100);
        }
    }
}
