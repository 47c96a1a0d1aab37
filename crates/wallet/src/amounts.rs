//! Amounts as people write them: major units and a decimal point, exactly.
//!
//! Nothing here is a floating point number. A text either is an amount of the currency to the last digit, or it is
//! refused: there is no rounding, no sign, no grouping, no exponent.

use counterfoil_wire::{Amount, Currency};

/// Decimals of a currency for which ISO 4217 names none (the code for testing, precious metals).
const DECIMALS_UNNAMED: u16 = 2;

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// Something else than digits and one decimal point.
    #[error(
        "an amount is digits, and a decimal point where it is needed, such as 12.30: no sign, no spaces, no commas"
    )]
    NotANumber,
    /// More decimals than the currency has.
    #[error("too many decimals: {currency} has {decimals}")]
    TooManyDecimals {
        /// The currency's letters.
        currency: &'static str,
        /// How many decimals it has.
        decimals: u16,
    },
    /// Beyond [`Amount::MAX`].
    #[error("the amount is larger than any that can be paid")]
    TooLarge,
}

/// The three letters of a currency, or `???` if ISO 4217 has none for its number.
pub fn currency_code(currency: Currency) -> &'static str {
    iso_currency::Currency::from_numeric(currency.number()).map_or("???", |known| known.code())
}

/// How many decimals amounts of this currency have.
pub fn decimals(currency: Currency) -> u16 {
    iso_currency::Currency::from_numeric(currency.number())
        .and_then(iso_currency::Currency::exponent)
        .unwrap_or(DECIMALS_UNNAMED)
}

/// Reads an amount in major units.
///
/// # Errors
/// [`AmountError`] if `text` is not exactly an amount of `currency`.
pub fn parse_amount(text: &str, currency: Currency) -> Result<Amount, AmountError> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(AmountError::NotANumber),
        None => (text, ""),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return Err(AmountError::NotANumber);
    }
    let decimals = decimals(currency);
    if fraction.len() > usize::from(decimals) {
        return Err(AmountError::TooManyDecimals { currency: currency_code(currency), decimals });
    }
    let padding = usize::from(decimals).saturating_sub(fraction.len());
    let mut minor = 0_u64;
    for digit in whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', padding)) {
        let next = minor.checked_mul(10).and_then(|tens| tens.checked_add(u64::from(digit - b'0')));
        minor = next.ok_or(AmountError::TooLarge)?;
    }
    Amount::new(minor).ok_or(AmountError::TooLarge)
}

/// Writes an amount in major units, without the currency: `12.30`.
pub fn format_number(amount: Amount, currency: Currency) -> String {
    let decimals = usize::from(decimals(currency));
    let digits = format!("{:0width$}", amount.minor(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// Writes an amount in major units with its currency: `12.30 EUR`.
pub fn format_amount(amount: Amount, currency: Currency) -> String {
    format!("{} {}", format_number(amount, currency), currency_code(currency))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const JPY: u16 = 392;
    const KWD: u16 = 414;

    fn currencies() -> impl Strategy<Value = Currency> {
        prop_oneof![Just(978), Just(356), Just(JPY), Just(KWD), Just(963)]
            .prop_map(|number| Currency::new(number).unwrap())
    }

    #[test]
    fn every_currency_keeps_its_own_decimals() {
        let of = |number| Currency::new(number).unwrap();
        assert_eq!(parse_amount("12.3", Currency::EUR).unwrap().minor(), 1230);
        assert_eq!(parse_amount("12", of(JPY)).unwrap().minor(), 12);
        assert_eq!(parse_amount("12.345", of(KWD)).unwrap().minor(), 12_345);
        assert_eq!(
            parse_amount("12.5", of(JPY)),
            Err(AmountError::TooManyDecimals { currency: "JPY", decimals: 0 })
        );
        assert_eq!(format_amount(Amount::new(5).unwrap(), Currency::EUR), "0.05 EUR");
        assert_eq!(format_amount(Amount::new(1_000).unwrap(), of(KWD)), "1.000 KWD");
        assert_eq!(format_amount(Amount::new(7).unwrap(), of(JPY)), "7 JPY");
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        let garbage = [
            "", ".", "1.", ".5", "-1", "+1", " 1", "1 ", "1,5", "1e3", "0x10", "1.2.3", "NaN", "inf", "١٢",
            "1_0", "1.-5",
        ];
        for text in garbage {
            assert_eq!(parse_amount(text, Currency::EUR), Err(AmountError::NotANumber), "{text:?}");
        }
        assert!(matches!(parse_amount("1.005", Currency::EUR), Err(AmountError::TooManyDecimals { .. })));
        assert!(matches!(parse_amount("1.500", Currency::EUR), Err(AmountError::TooManyDecimals { .. })));
        for text in ["90071992547409.92", "99999999999999999999999", "18446744073709551617"] {
            assert_eq!(parse_amount(text, Currency::EUR), Err(AmountError::TooLarge), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(minor in 0..=Amount::MAX.minor(), currency in currencies()) {
            let amount = Amount::new(minor).unwrap();
            prop_assert_eq!(parse_amount(&format_number(amount, currency), currency), Ok(amount));
        }

        #[test]
        fn whatever_is_read_is_exact(text in "[0-9.+-]{0,12}", currency in currencies()) {
            if let Ok(amount) = parse_amount(&text, currency) {
                let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
                let scale = 10_u128.pow(u32::from(decimals(currency)));
                let part = fraction.parse::<u128>().unwrap_or(0)
                    * 10_u128.pow(u32::from(decimals(currency)) - u32::try_from(fraction.len()).unwrap());
                prop_assert_eq!(u128::from(amount.minor()), whole.parse::<u128>().unwrap() * scale + part);
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>(), currency in currencies()) {
            let _ = parse_amount(&text, currency);
        }
    }
}
