//! The operator's decisions over rows in memory: what its service does with a statement, without store and rail.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_rail::{Account as RailAccount, AccountBalance, Snapshot};
use counterfoil_trust::{Anchors, AtOnce, header_id, header_of, key_id, open, sha256};
use counterfoil_wire::cert::WalletCert;
use counterfoil_wire::header::Signer;
use counterfoil_wire::proof::SignedHeader;
use counterfoil_wire::rules::Rules;
use counterfoil_wire::sync::{Settlement, Statement};
use counterfoil_wire::{Amount, Digest, KeyId, PublicKey, Wire};

use crate::domain::audit::{InMemory, audit};
use crate::domain::closing::{close, close_out};
use crate::domain::journal::{Reading, own_cert, read};
use crate::domain::ledger::{Account, Kind, Posting};
use crate::domain::policy::Policy;
use crate::domain::reason::Reason;
use crate::domain::reconcile::{Judgement, Move, Terms, WorkingSet, reconcile, refuse, write_off};
use crate::domain::record::Record;
use crate::domain::settle::{resolve, true_balance};
use crate::domain::wallet::Wallet;

/// Rows, and what was answered.
pub struct Office {
    pub anchors: Anchors,
    pub rules: Rules,
    policy: Policy,
    pub now_s: u32,
    signer: PublicKey,
    wallets: BTreeMap<KeyId, Wallet>,
    records: BTreeMap<Digest, Record>,
    settlements: BTreeMap<Digest, Settlement>,
    answers: BTreeMap<(KeyId, Digest), (Digest, Settlement)>,
    heads: BTreeMap<KeyId, BTreeSet<(u32, Digest)>>,
    statements: BTreeMap<KeyId, Vec<(u32, SignedHeader)>>,
    certs: BTreeMap<KeyId, WalletCert>,
    postings: Vec<Posting>,
    posted: BTreeSet<(KeyId, Kind, Digest)>,
    moves: Vec<Move>,
    cases: Vec<(KeyId, Reason)>,
    granted: u64,
}

impl Office {
    pub fn new(anchors: Anchors, rules: Rules, signer: PublicKey, now_s: u32) -> Self {
        Self {
            anchors,
            rules,
            policy: Policy::default(),
            now_s,
            signer,
            wallets: BTreeMap::new(),
            records: BTreeMap::new(),
            settlements: BTreeMap::new(),
            answers: BTreeMap::new(),
            heads: BTreeMap::new(),
            statements: BTreeMap::new(),
            certs: BTreeMap::new(),
            postings: Vec::new(),
            posted: BTreeSet::new(),
            moves: Vec::new(),
            cases: Vec::new(),
            granted: 0,
        }
    }

    /// Opens a row for the key of `cert`, the one of its certificates that ends last.
    pub fn enrol(&mut self, cert: WalletCert, spent: Amount) {
        let (key, id, index) = (cert.key, key_id(&cert.key), cert.status_index);
        let row = Wallet {
            spent,
            cert_from_s: self.now_s,
            cert_until_s: cert.not_after_s(),
            synced_at_s: self.now_s,
            ..Wallet::new(key, "alpha", &format!("customer {index}"), cert.grade, index)
        };
        self.wallets.insert(id, row);
        self.certs.insert(id, cert);
        self.heads.entry(id).or_default().insert((0, Digest::NONE));
    }

    pub fn wallet(&self, key: &PublicKey) -> &Wallet {
        &self.wallets[&key_id(key)]
    }

    pub fn cases(&self) -> &[(KeyId, Reason)] {
        &self.cases
    }

    /// Grants a fund order, if the wallet may have one.
    pub fn fund(&mut self, key: &PublicKey, amount: Amount) {
        let Some(wallet) = self.wallets.get_mut(&key_id(key)) else { return };
        if !wallet.is_good() || amount.is_zero() {
            return;
        }
        wallet.order_no += 1;
        wallet.funding_total = wallet.funding_total.plus(amount).expect("small amounts");
        wallet.shadow += amount.minor() as i64;
        self.granted += amount.minor();
        let reference = sha256(format!("fund:{}:{}", wallet.id, wallet.order_no).as_bytes());
        let (debit, credit) = (Account::Float, Account::Offline(wallet.id));
        let row = Posting { wallet: wallet.id, kind: Kind::Fund, reference, debit, credit, amount };
        self.post(row);
    }

    fn terms(&self) -> Terms<'_> {
        Terms { anchors: &self.anchors, rules: &self.rules, policy: &self.policy, now_s: self.now_s }
    }

    /// Answers a statement as the service does; `None` for one that it would not look at.
    pub fn settle(&mut self, bytes: &[u8]) -> Option<(Digest, Settlement)> {
        let mut sealed = open::<Statement>(bytes).ok()?;
        let scheme = self.anchors.scheme;
        sealed.check_signature(&scheme).ok()?;
        let (own, message) = (key_id(sealed.envelope.signer.key()), sealed.id(&scheme));
        self.wallets.get(&own)?;
        if let Some(answered) = self.answers.get(&(own, message)) {
            return Some(answered.clone());
        }
        let cert = own_cert(&self.anchors, &mut AtOnce, &sealed);
        let read = read(&self.anchors, &mut AtOnce, &mut sealed, cert, bytes.into());
        let judge = if read.is_ok() { reconcile } else { refuse };
        let reading = read.unwrap_or_else(|_| Reading::without_entries(&scheme, &sealed, bytes.into()));
        let claims = &reading.claims;
        let heads = self.heads.get(&own).into_iter().flatten().copied();
        let statements = self.statements.get(&own).into_iter().flatten();
        let set = WorkingSet {
            wallets: self.wallets.clone(),
            records: self.records.clone(),
            settlements: self.settlements.clone(),
            heads: heads.filter(|(seq, _)| *seq == 0 || *seq >= claims.after_seq).collect(),
            statements: statements
                .filter(|(seq, _)| *seq >= claims.after_seq)
                .map(|(_, signed)| signed.clone())
                .collect(),
            certs: self.certs.clone(),
        };
        let judgement = judge(self.terms(), &reading, set);
        let mut set = self.append(judgement);
        let wallet = set.wallets.get(&own)?.clone();
        let resolutions = resolve(&wallet, &mut set, &self.rules, self.now_s);
        let settlement = Settlement {
            wallet: reading.key,
            nonce: claims.nonce,
            acked_seq: claims.seq,
            acked: reading.id,
            time_s: self.now_s,
            funding_total: wallet.funding_total,
            order_no: wallet.order_no,
            spent_start: None,
            resolutions,
            returned: wallet.returned.iter().map(|(seq, _)| *seq).collect(),
            paid_out: if wallet.is_good() { wallet.paid_out } else { Amount::ZERO },
            standing: wallet.standing,
            balance: true_balance(&wallet),
            pin_unblocked: wallet.pin_unblock,
            cert: None,
            root: None,
            trust: None,
            rules: None,
            revocation: None,
        };
        let header = header_of(&settlement, &settlement.to_bytes(), &Signer::Key(self.signer));
        let id = header_id(&scheme, &header);
        self.wallets = set.wallets;
        self.records = set.records;
        self.settlements.insert(id, settlement.clone());
        self.heads.entry(own).or_default().insert((claims.seq, reading.id));
        self.statements.entry(own).or_default().push((claims.seq, reading.signed.clone()));
        self.answers.insert((own, message), (id, settlement.clone()));
        Some((id, settlement))
    }

    /// Gives up on keys that ended long ago.
    pub fn write_off(&mut self) {
        let ended_s = self.now_s.saturating_sub(self.rules.grace_s);
        let overdue =
            self.wallets.values().filter(|row| row.shadow < 0 && !row.revoked && row.cert_until_s < ended_s);
        let overdue: Vec<Wallet> = overdue.cloned().collect();
        let judgement = write_off(self.terms(), overdue);
        let set = self.append(judgement);
        self.wallets.extend(set.wallets);
    }

    /// Closes a wallet at its PSP's wish.
    pub fn close(&mut self, key: &PublicKey) {
        let now_s = self.now_s;
        if let Some(wallet) = self.wallets.get_mut(&key_id(key)) {
            close(wallet, now_s);
        }
    }

    /// Does what is due for closed wallets; done again at once, it finds nothing to do.
    pub fn close_out(&mut self) {
        let closed = self.wallets.values().filter(|wallet| wallet.is_closed());
        let closed: Vec<KeyId> = closed.map(|wallet| wallet.id).collect();
        for own in closed {
            let due = self.due(own);
            let set = self.append(due);
            self.wallets.extend(set.wallets);
            self.records.extend(set.records);
            let again = self.due(own);
            assert!(again.postings.is_empty() && again.moves.is_empty(), "closed out twice: {again:?}");
        }
    }

    fn due(&self, own: KeyId) -> Judgement {
        let set = WorkingSet {
            wallets: self.wallets.clone(),
            records: self.records.clone(),
            ..WorkingSet::default()
        };
        close_out(self.terms(), own, set)
    }

    /// What the store checks when it writes: rows that must be new are.
    fn append(&mut self, judgement: Judgement) -> WorkingSet {
        for posting in judgement.postings {
            self.post(posting);
        }
        for order in judgement.moves {
            let again =
                self.moves.iter().any(|before| (before.bucket, &before.id) == (order.bucket, &order.id));
            assert!(!again, "ordered twice: {}", order.id);
            self.moves.push(order);
        }
        for case in judgement.cases {
            let case = (case.key, case.reason);
            if !self.cases.contains(&case) {
                self.cases.push(case);
            }
        }
        judgement.set
    }

    fn post(&mut self, posting: Posting) {
        assert!(!posting.amount.is_zero(), "nothing is posted: {posting:?}");
        let new = self.posted.insert((posting.wallet, posting.kind, posting.reference));
        assert!(new, "posted twice: {posting:?}");
        self.postings.push(posting);
    }

    /// The auditor's judgement, with a rail on which nothing but fund orders was done yet.
    pub fn audit(&self) {
        let mut rows = InMemory {
            wallets: self.wallets.values().collect(),
            payments: self.records.values().collect(),
            postings: self.postings.iter().collect(),
            transfers: self.moves.iter().collect(),
            cases: self.cases.clone(),
        };
        let float =
            AccountBalance { account: RailAccount::float(), opened: self.granted, balance: self.granted };
        let rail = Snapshot {
            accounts: vec![float],
            total: self.granted,
            opened: self.granted,
            transfers: 0,
            broken: Vec::new(),
        };
        let Ok(report) = audit(&mut rows, &rail);
        assert_eq!(report.broken, Vec::<String>::new());
    }
}
