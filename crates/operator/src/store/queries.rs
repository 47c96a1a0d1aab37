//! Every query, in one text for all databases. The numbers in some are those of `bit` and `OrderState`: 96 is `CREDITED |
//! RETURNED`, 97 that and `PAYER`, 1 `Pending`. `indexed by` is for SQLite, which without statistics takes another one.

use super::table::{self, Table};

macro_rules! record {
    ($rest:literal) => {
        concat!(
            "select record.bucket, record.payer, record.payer_seq, record.id, record.payee, request_no, amount, spent,
             payer_until_s, bits, first_seen_s from record ",
            $rest
        )
    };
}

/// Payments that stand in another table by their keys.
macro_rules! listed {
    ($table:literal, $rest:literal) => {
        concat!(
            "select record.bucket, record.payer, record.payer_seq, record.id, record.payee, request_no, amount, spent,
             payer_until_s, bits, first_seen_s from ",
            $table,
            " list join record on record.bucket = list.bucket and record.payer = list.payer
             and record.payer_seq = list.payer_seq and record.id = list.id ",
            $rest
        )
    };
}

macro_rules! wallet {
    ($rest:literal) => {
        concat!(
            "select bucket, id, public_key, psp, account, name, grade, status_index, spent, acked_seq, acked, claimed,
             funding_applied, funding_total, order_no, shadow, loss, loss_no, liable, suspended, revoked, pin_unblock,
             cert_from_s, cert_until_s, synced_at_s, closed_below, closed_before_s, returned, paid_out, closed_at_s,
             closed_out, closed_out_no, image, image_version, application, counter, evidence, tamper, tamper_at_s,
             lowered from wallet ",
            $rest
        )
    };
}

pub(super) const WALLET: &str = wallet!("where bucket = $1 and id = $2");
pub(super) const WALLET_IS_THERE: &str = "select bucket from wallet where bucket = $1 and id = $2";
pub(super) const WALLETS: &str = wallet!("where bucket >= $1 and bucket < $2");
pub(super) const OVERDUE: &str = wallet!("where shadow < 0 and revoked = 0 and cert_until_s < $1");
pub(super) const UNLISTED: &str = wallet!(
    "where revoked = 1 and not exists (select 1 from revocation
     where revocation.bucket = wallet.bucket and revocation.wallet = wallet.id)"
);
pub(super) const CLOSED_WITH_REST: &str =
    "select id from wallet where closed_at_s > 0 and (shadow <> 0 or exists
    (select 1 from open_payment join record on record.bucket = open_payment.bucket
     and record.payer = open_payment.payer and record.payer_seq = open_payment.payer_seq
     and record.id = open_payment.id
     where open_payment.bucket = wallet.bucket and open_payment.payer = wallet.id and bits & 97 = 1))";

pub(super) const BY_SEQ: &str =
    record!("where record.bucket = $1 and record.payer = $2 and record.payer_seq = $3");
/// Of a whole history: for what is not among the open ones.
pub(super) const NUMBERS: &str = "select payer_seq, id from record where bucket = $1 and payer = $2";
pub(super) const OPEN_RECORDS: &str = listed!("open_payment", "where list.bucket = $1 and list.payer = $2");
/// The first intervals of gross totals that end after one begins.
pub(super) const ENDING_AFTER: &str =
    "select payer_seq, amount, spent, bits from record indexed by record_by_spent
    where bucket = $1 and payer = $2 and spent > $3 and spent >= 0 order by spent limit 2";
pub(super) const ENDING_AFTER_LIMIT: usize = 2;
pub(super) const REACHING_INTO: &str = record!(
    "where record.bucket = $1 and record.payer = $2 and spent > $3 and spent - amount < $4 and spent >= 0"
);
pub(super) const ANY_FORKED: &str =
    "select bucket from forked_payment where bucket = $1 and payer = $2 limit 1";
pub(super) const FORKED_NEAR: &str = listed!(
    "forked_payment",
    "where list.bucket = $1 and list.payer = $2 and spent > $3 and spent - amount < $4"
);
pub(super) const SENT_IN_FLIGHT: &str =
    listed!("open_payment", "where list.bucket = $1 and list.payer = $2 and bits & 96 = 0");
pub(super) const IN_FLIGHT: &str = listed!("open_payment", "where list.payee = $1 and bits & 96 = 0");
pub(super) const PAYMENT: &str = "select id, payment from record
    where bucket = $1 and payer = $2 and payer_seq = $3 and id = $4";
pub(super) const RECORDS: &str = "select bucket, payer, payer_seq, id, payee, request_no, amount, spent,
    payer_until_s, bits, first_seen_s from record
    where bucket >= $1 and bucket < $2";

/// 33 is `PAYER | CREDITED`; 31752 all that can be wrong with a payment that has both.
pub(super) const OPEN_PAYMENTS: &str = "select record.bucket, record.payer, record.payer_seq, record.id, record.payee,
    request_no, amount, spent, payer_until_s, bits, first_seen_s
    from open_payment list join record on record.bucket = list.bucket and record.payer = list.payer
    and record.payer_seq = list.payer_seq and record.id = list.id
    where list.bucket = $1 and (list.payer, list.payer_seq, list.id) > ($2, $3, $4) and (bits & 33 <> 33 or bits & 31752 <> 0)
    order by list.payer, list.payer_seq, list.id limit $5";
pub(super) const OPEN_BY_BITS: &str = "select bits, count(*), cast(sum(amount) as bigint), min(list.since_s)
    from open_payment list join record on record.bucket = list.bucket and record.payer = list.payer
    and record.payer_seq = list.payer_seq and record.id = list.id group by bits";
pub(super) const OPEN_IDS: &str = "select payer, id from open_payment where bucket >= $1 and bucket < $2";
pub(super) const FORKED_IDS: &str = "select payer, id from forked_payment where bucket >= $1 and bucket < $2";

pub(super) const POSTINGS: &str = "select bucket, wallet, kind, reference, debit, credit, amount from ledger
    where bucket >= $1 and bucket < $2";
pub(super) const POSTINGS_OF: &str =
    "select bucket, wallet, kind, reference, debit, credit, amount from ledger
    where bucket = $1 and wallet = $2";

pub(super) const ANSWERED: &str =
    "select settlement from statement where bucket = $1 and wallet = $2 and message = $3";
pub(super) const HEADS: &str = "select seq, id, signed from statement indexed by statement_by_seq
    where bucket = $1 and wallet = $2 and seq >= $3 and seq >= 0";
pub(super) const SETTLEMENT: &str = "select settlement from statement indexed by statement_by_settlement
    where bucket = $1 and wallet = $2 and settlement_id = $3 and certified >= 0";
/// Every certificate was issued in a settlement.
pub(super) const CERTIFIED: &str = "select settlement from statement indexed by statement_by_seq
    where bucket = $1 and wallet = $2 and certified = 1 and seq >= 0 order by seq desc limit 1";

pub(super) const ORDER: &str = "select bucket, wallet, number, digest, amount, state from fund_order
    where bucket = $1 and wallet = $2 and number = $3";
pub(super) const PENDING_ORDERS: &str =
    "select bucket, wallet, number, digest, amount, state from fund_order where state = 1";
pub(super) const PENDING_MOVES: &str =
    "select bucket, id, from_psp, from_account, to_psp, to_account, amount from rail_move where done = 0
    order by bucket, id";
/// One for each key and reason, however many proofs there are of it.
pub(super) const CASES: &str =
    "select wallet, reason from misconduct where bucket >= $1 and bucket < $2 group by wallet, reason";
pub(super) const CASE_LIST: &str =
    "select wallet, reason, count(*), min(opened_at_s) from misconduct
    where bucket = $1 and (wallet, reason) > ($2, $3) group by wallet, reason order by wallet, reason limit $4";
pub(super) const EVIDENCE: &str = "select reason, opened_at_s, evidence from misconduct
    where bucket = $1 and wallet = $2 order by reason, digest limit $3";
pub(super) const DISPUTED: &str = listed!(
    "forked_payment",
    "where list.bucket = $1 and list.payer = $2 order by list.payer_seq, list.id limit $3"
);
/// 2080 is `CREDITED | REVERSED`, 32 `CREDITED`.
pub(super) const PASSED_ON: &str = "select payee, cast(sum(amount) as bigint), count(*) from record
    where bucket = $1 and payer = $2 and bits & 2080 = 32 group by payee order by payee limit $3";
pub(super) const DISPUTED_PASSED_ON: &str = "select record.payee, cast(sum(amount) as bigint), count(*)
    from forked_payment list join record on record.bucket = list.bucket and record.payer = list.payer
    and record.payer_seq = list.payer_seq and record.id = list.id
    where list.bucket = $1 and list.payer = $2 and bits & 2080 = 32 group by record.payee order by record.payee limit $3";
pub(super) const MOVED_BY_KIND: &str = "select kind, cast(sum(amount) as bigint) from ledger
    where bucket = $1 and wallet = $2 group by kind";
pub(super) const LISTED: &str = "select since_no, at_s from revocation where bucket = $1 and wallet = $2";
/// How many wallets there are, counted up to a number.
pub(super) const FEW_WALLETS: &str = "select count(*) from (select id from wallet limit $1) few";
pub(super) const TALLIES: &str =
    "select bucket, reason, payments, amount from tally where bucket >= $1 and bucket < $2";

pub(super) const NEWEST: &str =
    "select number, issued_at_s, bytes from published where bucket = $1 and kind = $2
    order by number desc limit 1";
pub(super) const ISSUED_AT: &str =
    "select issued_at_s from published where bucket = $1 and kind = $2 and number = $3";
pub(super) const REVOCATIONS: &str =
    "select bucket, wallet, status_index, since_no, until_no, at_s from revocation order by status_index";
pub(super) const REVOKED_CERTIFICATES: &str =
    "select certificate.wallet, certificate.status_index, from_s, until_s, at_s
    from revocation join certificate
    on certificate.bucket = revocation.bucket and certificate.wallet = revocation.wallet
    where revocation.until_no = 0 and until_s >= $1 order by certificate.status_index, from_s";

pub(super) const PSPS: &str = "select name, token from psp where bucket = $1 order by name";
pub(super) const NEXT_INDEX: &str =
    "select next_index from issuer where bucket = $1 and psp = $2 and alg = $3";
pub(super) const ACTIVATION_OPEN: &str = "select bucket from activation where bucket = $1 and code = $2
    and psp = $3 and account = $4 and until_s >= $5 and used = 0";
pub(super) const IMAGES: &str = "select bucket, hash, version, listed_at_s, withdrawn_at_s from image
    where bucket = $1 order by listed_at_s, version, hash";
pub(super) const KEPT: &str = "select request, status, body from idempotency where bucket = $1 and key = $2";
pub(super) const SETTINGS: &str = "select name, value from setting where bucket = $1";

/// A change of one row.
#[derive(Debug)]
pub(super) struct Change {
    /// Names it where it waits to be done: stored, and never used again for another one.
    pub(super) name: &'static str,
    pub(super) table: &'static Table,
    pub(super) sql: &'static str,
    /// Where among the parameters the columns of the key begin.
    pub(super) key_at: usize,
}

pub(super) static USE_ACTIVATION: Change = Change {
    name: "use-activation",
    table: &table::ACTIVATION,
    sql: "update activation set used = 1 where bucket = $1 and code = $2
    and psp = $3 and account = $4 and used = 0",
    key_at: 0,
};
pub(super) static USE_INDEX: Change = Change {
    name: "use-index",
    table: &table::ISSUER,
    sql: "update issuer set next_index = $1 where bucket = $2 and psp = $3 and alg = $4
    and next_index < $1",
    key_at: 1,
};
pub(super) static SET_BITS: Change = Change {
    name: "set-bits",
    table: &table::RECORD,
    sql: "update record set bits = $1 where bucket = $2 and payer = $3 and payer_seq = $4
    and id = $5",
    key_at: 1,
};
pub(super) static COME_TO_REST: Change = Change {
    name: "come-to-rest",
    table: &table::OPEN_PAYMENT,
    sql: "delete from open_payment where bucket = $1 and payer = $2 and payer_seq = $3 and id = $4",
    key_at: 0,
};
pub(super) static MOVED: Change = Change {
    name: "moved",
    table: &table::RAIL_MOVE,
    sql: "update rail_move set done = 1 where bucket = $1 and id = $2",
    key_at: 0,
};
pub(super) static FORGET: Change = Change {
    name: "forget",
    table: &table::OUTBOX,
    sql: "delete from outbox where bucket = $1 and number = $2 and place = $3",
    key_at: 0,
};

/// All of them.
pub(super) static CHANGES: [&Change; 6] =
    [&USE_ACTIVATION, &USE_INDEX, &SET_BITS, &COME_TO_REST, &MOVED, &FORGET];

pub(super) const WAITING: &str =
    "select number, place, writes from outbox where bucket = $1 order by number, place";
pub(super) const DONE_UP_TO: &str = "select number from delivery where bucket = $1 and home = $2";

/// All of them, with the index that each must use where its rows are among many.
#[cfg(test)]
pub(super) const ALL: &[(&str, Option<&str>)] = &[
    (WALLET, None),
    (WALLET_IS_THERE, None),
    (WALLETS, None),
    (OVERDUE, Some("wallet_below")),
    (UNLISTED, Some("wallet_revoked")),
    (CLOSED_WITH_REST, Some("wallet_closed")),
    (BY_SEQ, None),
    (PAYMENT, None),
    (NUMBERS, None),
    (OPEN_RECORDS, None),
    (ENDING_AFTER, Some("record_by_spent")),
    (REACHING_INTO, Some("record_by_spent")),
    (ANY_FORKED, None),
    (FORKED_NEAR, None),
    (SENT_IN_FLIGHT, None),
    (IN_FLIGHT, Some("open_payment_by_payee")),
    (RECORDS, None),
    (OPEN_PAYMENTS, None),
    (OPEN_BY_BITS, None),
    (OPEN_IDS, None),
    (FORKED_IDS, None),
    (POSTINGS, None),
    (POSTINGS_OF, None),
    (ANSWERED, None),
    (HEADS, Some("statement_by_seq")),
    (SETTLEMENT, Some("statement_by_settlement")),
    (CERTIFIED, Some("statement_by_seq")),
    (ORDER, None),
    (PENDING_ORDERS, Some("fund_order_open")),
    (PENDING_MOVES, Some("rail_move_open")),
    (NEWEST, None),
    (ISSUED_AT, None),
    (PSPS, None),
    (NEXT_INDEX, None),
    (ACTIVATION_OPEN, None),
    (KEPT, None),
    (SETTINGS, None),
    (USE_ACTIVATION.sql, None),
    (USE_INDEX.sql, None),
    (SET_BITS.sql, None),
    (COME_TO_REST.sql, None),
    (MOVED.sql, None),
    (FORGET.sql, None),
    (CASES, None),
    (TALLIES, None),
    (FEW_WALLETS, None),
    (WAITING, None),
    (DONE_UP_TO, None),
    (EVIDENCE, None),
    (DISPUTED, None),
    (LISTED, None),
    // These sort what they find, or group it.
    (CASE_LIST, None),
    (PASSED_ON, None),
    (DISPUTED_PASSED_ON, None),
    (MOVED_BY_KIND, None),
    (REVOCATIONS, None),
    (REVOKED_CERTIFICATES, None),
    (IMAGES, None),
];
