//! The operator: its real rules (`counterfoil_operator::domain`) over rows in memory.
//!
//! A message is answered by one transaction, so a crash of the operator is a message lost before it or an answer lost
//! after it, and the model has both. What the service adds to the rules (which rows it reads, what a transaction
//! writes, the rail) is tested where it is; here every row is at hand, and a transfer on the rail is as good as made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use counterfoil_operator::domain::audit::{InMemory, audit};
use counterfoil_operator::domain::closing::{close, close_out};
use counterfoil_operator::domain::journal::{Reading, own_cert, read};
use counterfoil_operator::domain::ledger::{Account, Books as Ledger, Kind, Posting};
use counterfoil_operator::domain::reason::Reason;
use counterfoil_operator::domain::reconcile::{Judgement, Move, Terms, WorkingSet, reconcile, refuse};
use counterfoil_operator::domain::record::Record;
use counterfoil_operator::domain::settle::{balance_after, ceiling, resolve, true_balance};
use counterfoil_operator::domain::wallet::Wallet;
use counterfoil_rail::{Account as RailAccount, AccountBalance, Snapshot};
use counterfoil_trust::{AtOnce, key_id, open, sha256};
use counterfoil_wire::cert::{Grade, Name, WalletCert};
use counterfoil_wire::header::Signer;
use counterfoil_wire::proof::SignedHeader;
use counterfoil_wire::sync::{Enrolment, FundOrder, Settlement, Standing, Statement};
use counterfoil_wire::{Amount, Bytes, Digest, KeyId, PublicKey, Wire};

use crate::intern::{Interner, Memo};
use crate::scheme::{PSP, Scheme};

/// A statement that was answered.
#[derive(Debug, Clone)]
struct Answer {
    seq: u32,
    signed: SignedHeader,
    settlement: Settlement,
    id: Digest,
    bytes: Bytes,
}

/// Every row that the operator has.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// Wallets and terminals.
    pub wallets: BTreeMap<KeyId, Wallet>,
    /// Payments.
    pub records: BTreeMap<Digest, Record>,
    /// The ledger.
    pub postings: BTreeSet<Posting>,
    /// Cases, with their evidence.
    pub cases: BTreeSet<(KeyId, Reason, Vec<u8>)>,
    /// Rows that were written twice although they must be new, in words.
    pub faults: BTreeSet<String>,
    certs: BTreeMap<KeyId, WalletCert>,
    moves: BTreeMap<String, Move>,
    answers: BTreeMap<(KeyId, Digest), Answer>,
    orders: BTreeMap<(KeyId, u32), Amount>,
}

impl Book {
    /// Whether every invariant of the books holds; what does not, in words.
    pub fn broken(&self) -> Vec<String> {
        let granted: u64 = self.orders.values().map(|amount| amount.minor()).sum();
        // Orders were paid by the rail at once; every other transfer is still on order, so that all are looked at.
        let float = AccountBalance { account: RailAccount::float(), opened: 0, balance: granted };
        let rail = Snapshot {
            accounts: vec![float],
            total: granted,
            opened: granted,
            transfers: 0,
            broken: Vec::new(),
        };
        let mut rows = InMemory {
            wallets: self.wallets.values().collect(),
            payments: self.records.values().collect(),
            postings: self.postings.iter().collect(),
            transfers: self.moves.values().collect(),
            cases: self.cases.iter().map(|(key, reason, _)| (*key, *reason)).collect(),
        };
        let Ok(report) = audit(&mut rows, &rail);
        report.broken.into_iter().chain(self.faults.iter().cloned()).collect()
    }

    /// Value that left its payer and has come to rest nowhere, minor units.
    pub fn in_flight(&self) -> i128 {
        self.ledger().in_flight()
    }

    /// What somebody paid for fraud, minor units.
    pub fn loss(&self) -> i128 {
        self.ledger().loss()
    }

    fn ledger(&self) -> Ledger {
        let mut ledger = Ledger::default();
        self.postings.iter().for_each(|posting| ledger.post(posting));
        ledger
    }

    /// What tells one book from another. Evidence is left out where an identifier stands for it.
    fn fingerprint(&self) -> Digest {
        let records = self.records.values().map(|record| (record.id, record.bits, record.first_seen_s));
        let answers = self.answers.iter().map(|(key, answer)| (key, answer.id));
        let text = format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            self.faults,
            self.wallets,
            records.collect::<Vec<_>>(),
            self.postings,
            self.cases,
            self.moves.keys(),
            answers.collect::<Vec<_>>(),
            self.orders,
        );
        sha256(text.as_bytes())
    }
}

/// Every book that was reached, and what every message did to it.
#[derive(Default)]
pub struct Operator {
    /// What does not change.
    pub scheme: Scheme,
    books: Interner<Digest>,
    contents: Memo<u32, Arc<Book>>,
    steps: Memo<(u32, Digest, u32), (u32, Option<Bytes>)>,
    readings: Memo<Digest, Arc<Option<Reading>>>,
    broken: Memo<u32, Arc<Vec<String>>>,
}

impl Operator {
    /// The number of a book.
    pub fn number(&self, book: Book) -> u32 {
        let number = self.books.number(book.fingerprint());
        self.contents.get(number, || Arc::new(book));
        number
    }

    /// The book with a number that this operator gave.
    pub fn book(&self, number: u32) -> Arc<Book> {
        self.contents.get(number, || panic!("a book that was never numbered"))
    }

    /// What does not hold in a book.
    pub fn broken(&self, number: u32) -> Arc<Vec<String>> {
        self.broken.get(number, || Arc::new(self.book(number).broken()))
    }

    /// Distinct books, and distinct messages answered.
    pub fn counts(&self) -> (usize, usize) {
        (self.books.count(), self.steps.count())
    }

    /// Answers a statement or a fund order at `now_s`; the book afterwards, and the answer if there is one.
    pub fn receive(&self, number: u32, message: &Bytes, now_s: u32) -> (u32, Option<Bytes>) {
        let name = sha256(&message.0);
        self.steps.get((number, name, now_s), || {
            let mut book = (*self.book(number)).clone();
            let answer = if let Ok(order) = open::<FundOrder>(&message.0) {
                fund(&mut book, key_id(order.envelope.signer.key()), &order.body);
                None
            } else {
                self.settle(&mut book, message, name, now_s)
            };
            (self.number(book), answer)
        })
    }

    /// Closes the wallet of a lost device.
    pub fn close(&self, number: u32, key: &KeyId, now_s: u32) -> u32 {
        let mut book = (*self.book(number)).clone();
        if let Some(wallet) = book.wallets.get_mut(key) {
            close(wallet, now_s);
        }
        self.number(book)
    }

    /// Does what is due for closed wallets.
    pub fn close_out(&self, number: u32, now_s: u32) -> u32 {
        let mut book = (*self.book(number)).clone();
        let closed: Vec<KeyId> =
            book.wallets.values().filter(|wallet| wallet.is_closed()).map(|wallet| wallet.id).collect();
        for key in &closed {
            let set = gather(&book, key);
            let done = close_out(self.terms(now_s), *key, set);
            let set = append(&mut book, done);
            (book.wallets, book.records) = (set.wallets, set.records);
        }
        if closed.is_empty() { number } else { self.number(book) }
    }

    /// Gives a new key its first certificate; the settlement.
    pub fn enrol(&self, book: &mut Book, enrolment: &Bytes, account: &str, now_s: u32) -> Bytes {
        let opened = open::<Enrolment>(&enrolment.0).expect("an enrolment");
        opened.check_signature(&self.scheme.anchors.scheme).expect("signed by its key");
        let Signer::Key(key) = opened.envelope.signer else { panic!("an enrolment shows its key") };
        let (cert, spent) =
            self.admit(book, key, opened.body.grade, opened.body.name.clone(), account, now_s);
        let settlement = Settlement {
            spent_start: Some(spent),
            cert: Some(cert),
            root: Some(self.scheme.root.clone()),
            trust: Some(self.scheme.trust.clone()),
            rules: Some(self.scheme.rules_signed.clone()),
            ..self.settlement(key, opened.body.nonce, now_s)
        };
        Bytes(self.scheme.sign(&settlement).to_bytes())
    }

    /// Adds a wallet for `key`; its certificate and the start of its gross total.
    pub fn admit(
        &self,
        book: &mut Book,
        key: PublicKey,
        grade: Grade,
        name: Name,
        account: &str,
        now_s: u32,
    ) -> (WalletCert, Amount) {
        let status_index = u32::try_from(book.wallets.len()).expect("few wallets");
        let spent = Amount::new(1000 * u64::from(status_index + 1)).expect("a small amount");
        let mut wallet = Wallet {
            name: name.as_str().to_owned(),
            spent,
            synced_at_s: now_s,
            ..Wallet::new(key, PSP, account, grade, status_index)
        };
        let cert = self.certify(&mut wallet, Amount::ZERO, now_s);
        book.certs.insert(wallet.id, cert.clone());
        book.wallets.insert(wallet.id, wallet);
        (cert, spent)
    }

    fn certify(&self, wallet: &mut Wallet, balance: Amount, now_s: u32) -> WalletCert {
        let limits = self.scheme.rules.limits(wallet.grade).expect("the rules know every grade");
        let percent = if wallet.lowered { self.scheme.rules.lowered_percent } else { 100 };
        let cert = self.scheme.certify(wallet, ceiling(limits, percent, wallet.spent, balance), now_s);
        (wallet.cert_from_s, wallet.cert_until_s) = (cert.not_before_s, cert.not_after_s());
        cert
    }

    fn settlement(&self, wallet: PublicKey, nonce: counterfoil_wire::Nonce, now_s: u32) -> Settlement {
        Settlement {
            wallet,
            nonce,
            acked_seq: 0,
            acked: Digest::NONE,
            time_s: now_s,
            funding_total: Amount::ZERO,
            order_no: 0,
            spent_start: None,
            resolutions: Vec::new(),
            returned: Vec::new(),
            paid_out: Amount::ZERO,
            standing: Standing::Good,
            balance: None,
            pin_unblocked: false,
            cert: None,
            root: None,
            trust: None,
            rules: None,
            revocation: None,
        }
    }

    fn terms(&self, now_s: u32) -> Terms<'_> {
        Terms { anchors: &self.scheme.anchors, rules: &self.scheme.rules, policy: &self.scheme.policy, now_s }
    }

    /// As the service does it: asked again it answers what it answered.
    fn settle(&self, book: &mut Book, bytes: &Bytes, name: Digest, now_s: u32) -> Option<Bytes> {
        let anchors = &self.scheme.anchors;
        let scheme = &anchors.scheme;
        let mut sealed = open::<Statement>(&bytes.0).ok()?;
        sealed.check_signature(scheme).ok()?;
        let own = key_id(sealed.envelope.signer.key());
        let id = sealed.id(scheme);
        if let Some(answer) = book.answers.get(&(own, id)) {
            return Some(answer.bytes.clone());
        }
        let wallet = book.wallets.get(&own)?.key;
        let read = self.readings.get(name, || {
            let cert = own_cert(anchors, &mut AtOnce, &sealed);
            Arc::new(read(anchors, &mut AtOnce, &mut sealed, cert, bytes.0.as_slice().into()).ok())
        });
        let set = gather(book, &own);
        let rules = &self.scheme.rules;
        let judgement = match read.as_ref() {
            Some(reading) => reconcile(self.terms(now_s), reading, set),
            None => {
                let reading = Reading::without_entries(scheme, &sealed, bytes.0.as_slice().into());
                refuse(self.terms(now_s), &reading, set)
            }
        };
        let mut set = append(book, judgement);
        let mut own_row = set.wallets.get(&own)?.clone();
        let resolutions = resolve(&own_row, &mut set, rules, now_s);
        let cert = own_row.is_good().then(|| {
            let balance = balance_after(&own_row, &resolutions, &set);
            self.certify(&mut own_row, balance, now_s)
        });
        let revoked: Vec<u32> =
            set.wallets.values().filter(|wallet| wallet.revoked).map(|wallet| wallet.status_index).collect();
        let number = u32::try_from(revoked.len()).expect("few wallets");
        let claims = &sealed.body;
        let settlement = Settlement {
            acked_seq: claims.seq,
            acked: id,
            funding_total: own_row.funding_total,
            order_no: own_row.order_no,
            resolutions,
            returned: own_row.returned.iter().map(|(seq, _)| *seq).collect(),
            paid_out: if own_row.is_good() { own_row.paid_out } else { Amount::ZERO },
            standing: own_row.standing,
            balance: true_balance(&own_row),
            cert,
            revocation: (number > claims.revocation_no)
                .then(|| self.scheme.revocation_list(number, &sorted(revoked), now_s)),
            ..self.settlement(wallet, claims.nonce, now_s)
        };
        let envelope = self.scheme.sign(&settlement);
        let bytes = Bytes(envelope.to_bytes());
        let settlement_id = open::<Settlement>(&bytes.0).expect("just sealed").id(scheme);
        let answer = Answer {
            seq: claims.seq,
            signed: sealed.signed_header(),
            settlement,
            id: settlement_id,
            bytes: bytes.clone(),
        };
        if let Some(cert) = &answer.settlement.cert {
            book.certs.insert(own, cert.clone());
        }
        book.answers.insert((own, id), answer);
        set.wallets.insert(own, own_row);
        book.wallets = set.wallets;
        book.records = set.records;
        Some(bytes)
    }
}

fn sorted(mut indexes: Vec<u32>) -> Vec<u32> {
    indexes.sort_unstable();
    indexes
}

/// All rows: the service's store would pick those that matter.
fn gather(book: &Book, own: &KeyId) -> WorkingSet {
    let answers = || book.answers.iter().filter(|((wallet, _), _)| wallet == own);
    let mut heads: BTreeSet<(u32, Digest)> = answers().map(|((_, id), answer)| (answer.seq, *id)).collect();
    heads.insert((0, Digest::NONE));
    WorkingSet {
        wallets: book.wallets.clone(),
        records: book.records.clone(),
        settlements: answers().map(|(_, answer)| (answer.id, answer.settlement.clone())).collect(),
        heads,
        certs: book.certs.clone(),
        statements: answers().map(|(_, answer)| answer.signed.clone()).collect(),
    }
}

/// Appends what a judgement appends; a row that must be new is.
fn append(book: &mut Book, judgement: Judgement) -> WorkingSet {
    for posting in judgement.postings {
        let same = |row: &Posting| row.kind == posting.kind && row.reference == posting.reference;
        if book.postings.iter().any(same) {
            book.faults.insert(format!("posted twice: {posting:?}"));
        }
        book.postings.insert(posting);
    }
    for order in judgement.moves {
        if let Some(before) = book.moves.insert(order.id.clone(), order) {
            book.faults.insert(format!("ordered twice: {}", before.id));
        }
    }
    book.cases.extend(judgement.cases.into_iter().map(|case| (case.key, case.reason, case.evidence)));
    judgement.set
}

/// Grants a fund order once; the account behind it always covers it.
fn fund(book: &mut Book, key: KeyId, order: &FundOrder) {
    let Some(wallet) = book.wallets.get_mut(&key) else { return };
    if !wallet.is_good() || wallet.order_no + 1 != order.number {
        return;
    }
    wallet.order_no = order.number;
    wallet.funding_total = wallet.funding_total.plus(order.amount).expect("small amounts");
    wallet.shadow += i64::try_from(order.amount.minor()).expect("a small amount");
    book.orders.insert((key, order.number), order.amount);
    book.postings.insert(Posting {
        wallet: key,
        kind: Kind::Fund,
        reference: sha256(format!("fund:{key}:{}", order.number).as_bytes()),
        debit: Account::Float,
        credit: Account::Offline(key),
        amount: order.amount,
    });
}
