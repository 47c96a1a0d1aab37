//! Numbered errors. A number is given once and never used again; what changes its meaning gets a new number.
//!
//! Every error says whose fault it is, what happened, and what to do next. None of them changes money: an operation that
//! ends in an error has left the balance and the journal as they were. Texts hold nothing personal.

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Whoever made or carried the bytes.
    Sender,
    /// The payer's wallet.
    Payer,
    /// The payee's wallet.
    Payee,
    /// The holder of this wallet: a limit, a PIN, a balance.
    Holder,
    /// The application or device that hosts this wallet.
    Host,
    /// The operator or the PSP.
    Operator,
    /// The caller of the operator's API.
    Caller,
}

impl Fault {
    /// The word for messages and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Payer => "payer",
            Self::Payee => "payee",
            Self::Holder => "holder",
            Self::Host => "host",
            Self::Operator => "operator",
            Self::Caller => "caller",
        }
    }
}

macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident = $num:literal, $fault:ident, $what:literal, $next:literal;)+) => {
        /// An error number. `spec/errors.md` is made from this table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $what] $name = $num,)+ }

        impl Code {
            /// Every code, in order of its number.
            pub const ALL: &'static [Code] = &[$(Code::$name,)+];
            /// The number.
            pub const fn number(self) -> u16 { self as u16 }
            /// The code with this number.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($num => Some(Self::$name),)+ _ => None }
            }
            /// The name, as in the specification.
            pub const fn name(self) -> &'static str { match self { $(Self::$name => stringify!($name),)+ } }
            /// Whose fault it is.
            pub const fn fault(self) -> Fault { match self { $(Self::$name => Fault::$fault,)+ } }
            /// What happened, as a sentence without its full stop.
            pub const fn what(self) -> &'static str { match self { $(Self::$name => $what,)+ } }
            /// What to do next, as a sentence without its full stop.
            pub const fn next(self) -> &'static str { match self { $(Self::$name => $next,)+ } }
        }
    };
}

codes! {
    // 100: the bytes.
    NotAMessage = 100, Sender, "these bytes are not a Counterfoil message", "ask for the message again";
    Truncated = 101, Sender, "the message is cut short", "ask for the message again";
    TrailingBytes = 102, Sender, "something follows the message", "ask for the message again";
    NonCanonical = 103, Sender, "the message is not in its one canonical encoding", "ask for the message again, from a wallet that follows the specification";
    TooLong = 104, Sender, "the message is longer than any legal one", "ask for the message again";
    WrongKind = 105, Sender, "this is a message of another kind than is expected here", "look at it with `counterfoil inspect` and use the command for that kind";
    ValueOutOfRange = 106, Sender, "a value in the message is outside its bounds", "ask for the message again";
    UnsupportedAlgorithm = 107, Sender, "the message uses an unknown signature algorithm or key form", "update this wallet, or ask for another form";

    // 200: trust.
    BadSignature = 200, Sender, "the signature does not hold: the message was altered, or the key is another", "take nothing; ask for the message again";
    UnknownIssuer = 201, Sender, "the certificate comes from an issuer that this scheme does not know", "sync to fetch the newest trust list, then try again";
    BadCertificate = 202, Sender, "the certificate's own signature does not hold", "take nothing; the other side must sync";
    CertificateExpired = 203, Sender, "the other side's certificate has expired", "the other side must sync to renew it";
    CertificateNotYetValid = 204, Sender, "the other side's certificate is not valid yet", "check the clock of this device";
    CertificateRevoked = 205, Sender, "the other side's key is revoked", "take nothing from this wallet; its holder must ask the PSP";
    IssuerNotPermitted = 206, Sender, "the issuer was not allowed to issue this certificate", "take nothing; report it to the operator";
    AuthorityExpired = 207, Operator, "an authority's certificate has expired", "sync to fetch the newest trust list";
    ProvenCheat = 208, Sender, "a proof is held that this key cheated", "take nothing from this wallet; the proof goes to the operator at the next sync";
    ListInvalid = 209, Operator, "a list is malformed or does not fit the one that is held", "sync to fetch the whole list";
    WrongRole = 210, Sender, "the key is not allowed to sign this", "take nothing; report it to the operator";
    NotAProof = 211, Sender, "the two headers prove nothing", "drop it";
    WrongScheme = 212, Sender, "this belongs to another scheme's root", "use the root of this scheme";

    // 300: the payment between two.
    NotAddressedHere = 300, Sender, "the payment is for another wallet", "give it to the wallet that it names";
    RequestUnknown = 301, Sender, "the payment answers a request that this wallet does not hold", "make a new request; this payment can be declined so that the payer may have it back";
    RequestClosed = 302, Payer, "the request was already paid or closed", "decline the payment so that the payer may have it back";
    RequestExpired = 303, Payee, "the request has expired", "ask the payee for a new request";
    AmountMismatch = 304, Payer, "the amount is not the one that the request names", "decline the payment so that the payer may have it back";
    AmountMissing = 305, Holder, "the request names no amount", "name one with --amount";
    WrongCurrency = 306, Payee, "the other side's purse is in another currency", "use a wallet of that currency";
    CeilingExceeded = 307, Payer, "the payer has spent beyond what its certificate allows", "take nothing; the payer must sync";
    PaymentUnknown = 309, Sender, "this wallet holds no payment of that name", "use the wallet that sent the payment";
    AlreadyResolved = 310, Holder, "the payment has already come to rest", "look at it with `counterfoil wallet show`";
    AlreadyAccepted = 311, Holder, "this wallet has accepted the payment; that is final", "give the payer the receipt: accept the same message again";
    SelfPayment = 312, Holder, "a wallet cannot pay itself", "use another wallet's request";
    DeclineNeedsOperator = 313, Payee, "this decline comes from a terminal, or from a key revoked or proven to cheat, so the operator decides", "sync; the refund comes once the payee has synced too";
    BadInterval = 314, Payer, "the payment's amount does not fit its gross total", "take nothing";
    PayerGradeTooLow = 315, Payer, "the payer's element is of a lower grade than this wallet accepts", "the payer uses a better protected wallet";
    AmountZero = 316, Holder, "an amount of zero moves nothing", "name an amount above zero";
    PayerCannotPay = 317, Payer, "a terminal's key cannot pay", "take nothing";
    AmountFixed = 318, Holder, "the request names another amount", "leave --amount out, or ask for a new request";
    HolderRefused = 319, Payee, "the payee's holder said no", "reclaim with the decline";

    // 400: limits of this wallet.
    InsufficientFunds = 400, Holder, "the balance is too low", "fund the wallet, or be paid";
    PaymentTooLarge = 401, Holder, "the amount is above the largest payment", "pay in parts, or online";
    BalanceTooLarge = 402, Holder, "the balance would pass the holding limit", "defund or spend first";
    PinRequired = 403, Holder, "this needs the PIN", "give the PIN with --pin-file or at the prompt; a wallet that was enrolled without one stays below the limit";
    PinWrong = 404, Holder, "the PIN is wrong; one try is used up", "try again with care: three wrong PINs block the wallet";
    PinBlocked = 405, Holder, "the PIN is blocked after three wrong tries", "ask the PSP to unblock it, then sync";
    TotalSinceSync = 406, Holder, "the total of payments since the last sync would pass its limit", "sync";
    CountSinceSync = 407, Holder, "the count of payments since the last sync is used up", "sync";
    WindowTotal = 408, Holder, "the total of payments in this window of time would pass its limit", "wait for the next window, then sync";
    WindowCount = 409, Holder, "the count of payments in this window of time is used up", "wait for the next window, then sync";
    ReceiptsSinceSync = 410, Holder, "the count of receipts since the last sync is used up", "sync";
    OfflineTooLong = 411, Holder, "the wallet has been offline longer than the rules allow", "sync";
    RespendShare = 412, Holder, "this much of received value cannot be spent before a sync", "sync, then pay";
    CeilingReached = 413, Holder, "the certificate's ceiling on spending is reached", "sync to renew it";
    JournalFull = 414, Holder, "the journal is full", "sync";
    OwnCertificateExpired = 415, Holder, "this wallet's certificate has expired", "sync to renew it";
    TooManyRequests = 416, Holder, "too many requests are open", "sync to close one-time requests that have expired; standing requests stay open: use one of those";
    PinMalformed = 417, Holder, "a PIN is 4 to 12 digits; no try was used up", "give 4 to 12 digits and nothing else";
    DefundTooLarge = 418, Holder, "more than the balance was to be defunded", "name a smaller amount";
    ApprovalWrong = 419, Holder, "the approval is not the bound key's for this very payment; no PIN try was used up", "ask for a new challenge and approve that, or give the PIN";
    NoPlatformKey = 420, Host, "no key of the phone's own lock is bound to this wallet", "bind one with the PIN, or pay with the PIN";

    // 500: the state of this wallet and its host.
    NotEnrolled = 500, Host, "this wallet is not enrolled", "enrol it";
    AlreadyEnrolled = 501, Host, "this wallet is already enrolled", "use it as it is, or another home";
    Suspended = 502, Holder, "the operator suspended this wallet", "ask the PSP";
    StaleState = 503, Host, "the wallet's state is older than its counter: a copy was put back", "the wallet signs nothing more; tell the PSP, which closes it and returns what it had not spent, and enrol anew with --replace or in another home";
    StoreFailed = 504, Host, "the store failed", "check the disk, then run the command again";
    ReferenceReused = 505, Host, "the reference was used for another operation", "choose another reference";
    NothingToSettle = 506, Operator, "no statement waits for this settlement", "sync again";
    SettlementMismatch = 507, Operator, "the settlement does not answer this wallet's statement", "sync again";
    UnknownCommand = 508, Host, "the command is not known", "update the application";
    TerminalCannotPay = 509, Holder, "a terminal has no element and cannot pay, fund or reclaim", "use a wallet";
    OrderPending = 510, Holder, "another fund order is still open", "sync to finish it";
    Damaged = 511, Host, "a record of the wallet's own is damaged", "restore nothing; enrol a new wallet in another home, and tell the PSP";
    Deactivated = 512, Host, "the wallet has deactivated itself because tampering was reported; it starts nothing new, and what is in flight still resolves", "sync: the statement tells the operator why, and the settlement says how the wallet goes on";
    ElementTrapped = 513, Host, "the trusted application trapped; it did nothing that it did not make durable first", "run the command again; if it traps again, update the application";
    ElementOutOfFuel = 514, Host, "the trusted application ran longer than it may and was stopped; it did nothing that it did not make durable first", "run the command again; if it is stopped again, update the application";
    ElementOutOfMemory = 515, Host, "the trusted application asked for more memory than it may have; it did nothing that it did not make durable first", "run the command again; if it happens again, sync, which makes the state smaller";
    ImageUnsigned = 516, Host, "the image of the trusted application is not signed by a key that this host trusts; it was not started, and the state is as it was", "install the application again from its publisher";
    ImageAltered = 517, Host, "the image of the trusted application is not the one that was signed; it was not started, and the state is as it was", "install the application again from its publisher";
    ImageOlder = 518, Host, "the image of the trusted application is older than the one that this wallet ran last; it was not started, and the state is as it was", "install the newest application";
    ImageImports = 519, Host, "the image of the trusted application asks for something that no image may have: an unknown import, or floating point; it was not started", "install an application that follows the specification";
    ElementStopped = 520, Host, "the element stopped after faults and does nothing more until it is started again; the state is as it was", "start the application again, then sync";
    SealBroken = 521, Host, "a seal of the stored state does not hold: it was altered, or belongs to another device, application or image; nothing was signed", "restore nothing; tell the PSP, and enrol anew with --replace or in another home";

    // 600: the operator's API.
    UnknownPsp = 600, Caller, "no PSP of that name", "name one of the scheme's PSPs";
    ActivationRefused = 601, Caller, "the activation code is unknown, used or expired", "ask the PSP for a new one";
    UnknownWallet = 602, Caller, "no wallet with that key", "enrol first";
    RailRefused = 603, Caller, "the account behind the wallet does not cover the order", "order less";
    IdempotencyReused = 605, Caller, "the idempotency key was used for another request", "choose a new key";
    IdempotencyMissing = 606, Caller, "the request moves money and has no Idempotency-Key", "send one";
    GradeRefused = 607, Caller, "this grade is not admitted", "enrol with another element";
    StatementInvalid = 608, Caller, "an entry of the statement does not hold", "the settlement suspends the wallet; ask the PSP";
    KeyRevoked = 609, Caller, "the key is revoked", "ask the PSP";
    Internal = 610, Operator, "the operator failed", "try again later";
    KeyEnrolled = 611, Caller, "the key is enrolled already", "send the same enrolment again, or use a new key";
    PspUnauthorised = 612, Caller, "the PSP's credentials do not hold", "use the PSP's token";
    RailUnavailable = 613, Operator, "the rail does not answer", "try again later";
    RouteUnknown = 614, Caller, "the operator has no such path or method", "look at docs/http-api.md";
    EnrolmentMismatch = 615, Caller, "the enrolment was signed for another PSP, account or activation code", "enrol under what the key signed, or make a new key";
    WalletClosed = 616, Caller, "the PSP closed this wallet, and that is final", "enrol a new wallet; what this one had not spent goes back to the account behind it after its window";
    ChallengeStale = 617, Caller, "the enrolment answers no challenge that is open: it is unknown, used or expired; nothing was enrolled", "ask for a new challenge and enrol with it";
    ImageRefused = 618, Caller, "the image of the trusted application, or the application that hosts it, is not on the operator's list; nothing was enrolled", "update the application, then enrol";
    EvidenceInvalid = 619, Caller, "the evidence about the element does not hold, or says something else than the enrolment; nothing was enrolled", "enrol from a genuine device, or under a lower grade";
    Busy = 620, Operator, "the operator has as much to do as it can take; nothing of this request was done", "ask again after the time that Retry-After names";
    OperatorUnauthorised = 621, Caller, "the operator's credentials do not hold", "use the operator's token";
    CaseUnknown = 622, Caller, "nothing is known against that key", "look the key up in the list of cases";
}

/// An error with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Error {
    /// The number.
    pub code: Code,
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self { code }
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "error {}: {}", self.code.number(), self.code.what())
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend_and_texts_are_there() {
        for pair in Code::ALL.windows(2) {
            assert!(pair[0].number() < pair[1].number());
        }
        for code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), Some(*code));
            assert!(!code.what().ends_with('.') && !code.next().ends_with('.') && !code.next().is_empty());
        }
    }
}
