//! The scheme rules: one signed, numbered object from the operator that sets every limit, by grade.

use alloc::vec::Vec;

use crate::amount::{Amount, Currency};
use crate::cert::{Grade, Name};
use crate::element::Tamper;
use crate::header::Purpose;
use crate::message::{Body, HeaderParts};
use crate::{code_enum, record};

record! {
    /// Limits of one grade. A payment is judged by the rules that its payer held; what it is to be taken is judged by
    /// the payee's.
    pub struct Limits {
        /// The grade that these limits are for.
        pub grade: Grade,
        /// Largest balance.
        pub balance_max: Amount,
        /// Largest payment.
        pub payment_max: Amount,
        /// Largest payment without PIN.
        pub no_pin_max: Amount,
        /// Largest total of payments without PIN since the last payment with one or the last sync.
        pub no_pin_total_max: Amount,
        /// Largest payment for which an approval by the phone's own lock may stand for the PIN; zero for never.
        pub platform_auth_max: Amount,
        /// Largest total of payments since the last sync.
        pub sync_total_max: Amount,
        /// Largest count of payments since the last sync.
        pub sync_count_max: u32,
        /// Length of a window of time, seconds. Windows are counted by the operator's time alone, so a host's clock
        /// cannot open a new one; syncs within a window do not empty it.
        pub window_s: u32,
        /// Largest total of payments in a window.
        pub window_total_max: Amount,
        /// Largest count of payments in a window.
        pub window_count_max: u32,
        /// Largest count of receipts since the last sync.
        pub receipts_max: u32,
        /// Longest time since the last sync after which a wallet may still pay, seconds.
        pub offline_max_s: u32,
        /// Percent of received value that may be spent before a sync: 0 staged, 100 fully offline.
        pub respend_percent: u8,
        /// Grades from which a payee of this grade takes payments, as bits ([`Grade::bit`]).
        pub payer_grades: u8,
        /// Length of a certificate's validity, hours.
        pub cert_lifetime_h: u16,
    }
}

code_enum! {
    /// Who bears what fraud created.
    pub enum Liability {
        /// The PSP that issued the cheating wallet.
        PayerPsp = 1,
        /// A fund of the whole scheme.
        SchemeFund = 2,
        /// The payee who took the payment, by its own PSP.
        PayeePsp = 3,
    }
}

code_enum! {
    /// What the operator answers to a wallet that reports tampering.
    pub enum TamperAnswer {
        /// It goes on as before.
        Clear = 1,
        /// It goes on with [`Rules::lowered_percent`] of what a sync lets its grade spend.
        Lower = 2,
        /// Its key is revoked.
        Revoke = 3,
    }
}

impl TamperAnswer {
    /// The word for command lines and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Lower => "lower",
            Self::Revoke => "revoke",
        }
    }
}

record! {
    /// What a report of one kind is answered with.
    pub struct TamperRule {
        /// The kind.
        pub tamper: Tamper,
        /// The answer.
        pub answer: TamperAnswer,
    }
}

record! {
    /// The scheme rules. Signed by an operator's signer.
    pub struct Rules {
        /// Number, from 1; a higher one replaces a lower one.
        pub number: u32,
        /// Name of the rules.
        pub name: Name,
        /// The currency that the amounts are in.
        pub currency: Currency,
        /// Limits, one entry a grade.
        pub limits: Vec<Limits>,
        /// How long a one-time request can be paid, seconds.
        pub request_window_s: u32,
        /// How long after a payer's certificate ended a payment under it may still be made known to the operator without
        /// being marked late, seconds. Payments carry no time, so nobody can say when one was accepted.
        pub claim_window_s: u32,
        /// After a payee key's last certificate ended, how long the operator waits before it refunds, seconds.
        pub grace_s: u32,
        /// Whether devices hand on headers of payments that they took: finds cheats sooner, costs privacy.
        pub share_headers: bool,
        /// Answers to reports of tampering, one entry a kind. What is not listed is answered by [`TamperAnswer::Lower`].
        pub tamper: Vec<TamperRule>,
        /// Percent of the total since the last sync that a lowered wallet may spend, 0 to 100.
        pub lowered_percent: u8,
        /// Who bears what fraud created.
        pub liability: Liability,
        /// The fund or account that a loss is paid from.
        pub loss_fund: Name,
    }
}

impl Rules {
    /// The limits of `grade`, if the rules admit it.
    pub fn limits(&self, grade: Grade) -> Option<&Limits> {
        self.limits.iter().find(|limits| limits.grade == grade)
    }

    /// What a report of `tamper` is answered with.
    pub fn tamper_answer(&self, tamper: Tamper) -> TamperAnswer {
        let rule = self.tamper.iter().find(|rule| rule.tamper == tamper);
        rule.map_or(TamperAnswer::Lower, |rule| rule.answer)
    }
}

impl Body for Rules {
    const PURPOSE: Purpose = Purpose::Rules;
    fn header_parts(&self) -> HeaderParts {
        HeaderParts::outside(self.number)
    }
}

/// Rules to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// High limits for trying things out.
    Permissive,
    /// As UPI Lite X: 500.00 a payment, 2,000.00 balance, four days, no respending.
    UpiLiteX,
    /// Like the digital euro's plans for offline: hardware, cash-like, respending without limit.
    DigitalEuro,
}

impl Preset {
    /// Every preset.
    pub const ALL: &'static [Preset] = &[Preset::Permissive, Preset::UpiLiteX, Preset::DigitalEuro];

    /// The name used on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Permissive => "permissive",
            Self::UpiLiteX => "upi-lite-x",
            Self::DigitalEuro => "digital-euro",
        }
    }

    /// The preset's rules, with number 1.
    pub fn rules(self) -> Rules {
        match self {
            Self::Permissive => permissive(),
            Self::UpiLiteX => upi_lite_x(),
            Self::DigitalEuro => digital_euro(),
        }
    }
}

const HOUR_S: u32 = 3600;
const DAY_S: u32 = 86_400;
const ELEMENTS: u8 = Grade::Hardware.bit() | Grade::VirtualSeBound.bit() | Grade::VirtualSe.bit();

/// `units` whole units of a currency with two decimals.
const fn units(units: u32) -> Amount {
    match Amount::new((units as u64).saturating_mul(100)) {
        Some(amount) => amount,
        None => Amount::MAX,
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap_or_default()
}

/// A terminal pays nothing; it takes from `payer_grades` and its certificate lasts long enough for a printed code.
fn terminal(balance_max: Amount, payment_max: Amount, payer_grades: u8) -> Limits {
    Limits {
        grade: Grade::Terminal,
        balance_max,
        payment_max,
        no_pin_max: Amount::ZERO,
        no_pin_total_max: Amount::ZERO,
        platform_auth_max: Amount::ZERO,
        sync_total_max: Amount::ZERO,
        sync_count_max: 0,
        window_s: DAY_S,
        window_total_max: Amount::ZERO,
        window_count_max: 0,
        receipts_max: 5000,
        offline_max_s: 7 * DAY_S,
        respend_percent: 0,
        payer_grades,
        cert_lifetime_h: 365 * 24,
    }
}

/// A trap may be a fault, and a debugger a curious holder; a hook is somebody's work. What shows at rest (a seal, an image, a
/// counter) may be a broken disk or a restored backup as well as an attack, so it costs trust, not the wallet.
fn tamper_rules() -> Vec<TamperRule> {
    Vec::from(
        [
            (Tamper::Seal, TamperAnswer::Lower),
            (Tamper::Image, TamperAnswer::Lower),
            (Tamper::Counter, TamperAnswer::Lower),
            (Tamper::Runtime, TamperAnswer::Clear),
            (Tamper::Debugger, TamperAnswer::Lower),
            (Tamper::Hooked, TamperAnswer::Revoke),
            (Tamper::Rooted, TamperAnswer::Lower),
        ]
        .map(|(tamper, answer)| TamperRule { tamper, answer }),
    )
}

fn permissive() -> Rules {
    let of = |grade, scale: u32, cert_lifetime_h| Limits {
        grade,
        balance_max: units(scale.saturating_mul(1000)),
        payment_max: units(scale.saturating_mul(250)),
        no_pin_max: units(50),
        no_pin_total_max: units(150),
        platform_auth_max: units(250),
        sync_total_max: units(scale.saturating_mul(1000)),
        sync_count_max: 200,
        window_s: DAY_S,
        window_total_max: units(scale.saturating_mul(2000)),
        window_count_max: 400,
        receipts_max: 500,
        offline_max_s: 14 * DAY_S,
        respend_percent: 100,
        payer_grades: ELEMENTS,
        cert_lifetime_h,
    };
    Rules {
        number: 1,
        name: name("permissive test rules"),
        currency: Currency::EUR,
        limits: Vec::from([
            of(Grade::Hardware, 2, 30 * 24),
            of(Grade::VirtualSeBound, 2, 30 * 24),
            of(Grade::VirtualSe, 1, 14 * 24),
            terminal(units(100_000), units(500), ELEMENTS),
        ]),
        request_window_s: HOUR_S,
        claim_window_s: 7 * DAY_S,
        grace_s: 7 * DAY_S,
        share_headers: true,
        tamper: tamper_rules(),
        lowered_percent: 20,
        liability: Liability::PayerPsp,
        loss_fund: name("offline guarantee"),
    }
}

fn upi_lite_x() -> Rules {
    let of = |grade| Limits {
        grade,
        balance_max: units(2000),
        payment_max: units(500),
        no_pin_max: units(500),
        no_pin_total_max: units(2000),
        platform_auth_max: units(500),
        sync_total_max: units(2000),
        sync_count_max: 50,
        window_s: DAY_S,
        window_total_max: units(4000),
        window_count_max: 100,
        receipts_max: 200,
        offline_max_s: 4 * DAY_S,
        respend_percent: 0,
        payer_grades: ELEMENTS,
        cert_lifetime_h: 30 * 24,
    };
    Rules {
        number: 1,
        name: name("like UPI Lite X"),
        currency: Currency::INR,
        limits: Vec::from([
            of(Grade::Hardware),
            of(Grade::VirtualSeBound),
            of(Grade::VirtualSe),
            terminal(units(200_000), units(500), ELEMENTS),
        ]),
        request_window_s: HOUR_S,
        claim_window_s: 4 * DAY_S,
        grace_s: 30 * DAY_S,
        share_headers: false,
        tamper: tamper_rules(),
        lowered_percent: 20,
        liability: Liability::PayerPsp,
        loss_fund: name("remitter bank"),
    }
}

fn digital_euro() -> Rules {
    let trusted = Grade::Hardware.bit() | Grade::VirtualSeBound.bit();
    let of = |grade| Limits {
        grade,
        balance_max: units(3000),
        payment_max: units(3000),
        no_pin_max: units(50),
        no_pin_total_max: units(150),
        platform_auth_max: units(150),
        sync_total_max: units(3000),
        sync_count_max: 100,
        window_s: DAY_S,
        window_total_max: units(6000),
        window_count_max: 200,
        receipts_max: 200,
        offline_max_s: 30 * DAY_S,
        respend_percent: 100,
        payer_grades: trusted,
        cert_lifetime_h: 30 * 24,
    };
    Rules {
        number: 1,
        name: name("like a digital euro"),
        currency: Currency::EUR,
        limits: Vec::from([
            of(Grade::Hardware),
            of(Grade::VirtualSeBound),
            terminal(units(50_000), units(3000), trusted),
        ]),
        request_window_s: HOUR_S,
        claim_window_s: 30 * DAY_S,
        grace_s: 30 * DAY_S,
        share_headers: false,
        tamper: tamper_rules(),
        lowered_percent: 20,
        liability: Liability::SchemeFund,
        loss_fund: name("scheme guarantee fund"),
    }
}
