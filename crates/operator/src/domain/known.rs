//! What the operator knows of a batch of statements: the rows that they touch, read once, judged one statement after the other,
//! and written once.
//!
//! Each statement is judged on a [`WorkingSet`] of its own, cut out of what is known by what it [needs](Needs), and put back
//! when it holds. So the second statement of a batch sees what the first one did, a statement that is refused has done
//! nothing, and none sees more rows than it needs, however large the batch is.

use std::collections::{BTreeMap, BTreeSet};

use counterfoil_wire::cert::WalletCert;
use counterfoil_wire::proof::SignedHeader;
use counterfoil_wire::sync::Settlement;
use counterfoil_wire::{Amount, Digest, KeyId};

use super::reconcile::WorkingSet;
use super::record::{Changed, Record, bit};
use super::wallet::Wallet;

/// Where a payment stands, or could.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Who paid.
    pub payer: KeyId,
    /// Its number in the payer's journal.
    pub seq: u32,
    /// Start of its interval of the payer's gross total.
    pub from: Amount,
    /// End of the interval.
    pub to: Amount,
    /// The payment, where it is one. If it is known already, whatever it meets is in conflict with it and known to be.
    pub id: Option<Digest>,
}

/// Which rows a statement needs.
#[derive(Debug, Clone)]
pub struct Needs {
    /// The statement's wallet.
    pub own: KeyId,
    /// Other wallets.
    pub wallets: BTreeSet<KeyId>,
    /// Payments, by payer and identifier.
    pub records: BTreeSet<(KeyId, Digest)>,
    /// Places around which payments stand that could conflict.
    pub neighbours: Vec<Place>,
    /// Settlements that the statement names.
    pub settlements: Vec<Digest>,
    /// Heads and statements of the wallet from this journal number on.
    pub heads_from: u32,
    /// Wallets whose newest certificate is wanted.
    pub certs: BTreeSet<KeyId>,
}

impl Needs {
    /// What looking after a wallet without a statement needs: its payments that are open, and their payees.
    pub fn of_wallet(own: KeyId) -> Self {
        Self {
            own,
            wallets: BTreeSet::new(),
            records: BTreeSet::new(),
            neighbours: Vec::new(),
            settlements: Vec::new(),
            heads_from: u32::MAX,
            certs: BTreeSet::new(),
        }
    }
}

/// What is known of the journal of a wallet.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    /// Heads that the operator acknowledged.
    pub heads: BTreeSet<(u32, Digest)>,
    /// Signed headers of earlier statements.
    pub statements: Vec<SignedHeader>,
    /// Settlements that a statement names.
    pub settlements: BTreeMap<Digest, Settlement>,
}

/// Rows, as they were read and as they have become.
#[derive(Debug, Clone, Default)]
pub struct Known {
    wallets: BTreeMap<KeyId, Wallet>,
    records: BTreeMap<Digest, Record>,
    by_seq: BTreeSet<(KeyId, u32, Digest)>,
    by_end: BTreeSet<(KeyId, Amount, Digest)>,
    /// Payers of payments that are in conflict with each other.
    in_conflict: BTreeSet<KeyId>,
    journals: BTreeMap<KeyId, Journal>,
    certs: BTreeMap<KeyId, WalletCert>,
    changed_wallets: BTreeSet<KeyId>,
    /// Bits as they were read, of payments that have changed; none of a new one.
    changed_records: BTreeMap<Digest, Option<u16>>,
}

impl Known {
    /// Adds a wallet as it was read.
    pub fn add_wallet(&mut self, wallet: Wallet) {
        self.wallets.entry(wallet.id).or_insert(wallet);
    }

    /// Adds a payment as it was read.
    pub fn add_record(&mut self, record: Record) {
        if !self.records.contains_key(&record.id) {
            self.index(&record);
            self.records.insert(record.id, record);
        }
    }

    /// Payments by their identifiers.
    pub fn records<'a>(&'a self, ids: impl IntoIterator<Item = &'a Digest>) -> Vec<&'a Record> {
        ids.into_iter().filter_map(|id| self.records.get(id)).collect()
    }

    /// Adds the evidence of a payment that was read without it.
    pub fn add_payment(&mut self, id: &Digest, payment: Vec<u8>) {
        if let Some(record) = self.records.get_mut(id) {
            record.payment = payment;
        }
    }

    /// Whether the payment was read.
    pub fn has_record(&self, id: &Digest) -> bool {
        self.records.contains_key(id)
    }

    fn index(&mut self, record: &Record) {
        self.by_seq.insert((record.payer, record.payer_seq, record.id));
        self.by_end.insert((record.payer, record.spent, record.id));
        if record.has(bit::FORKED) {
            self.in_conflict.insert(record.payer);
        }
    }

    /// Adds what was read of a wallet's journal.
    pub fn add_journal(&mut self, wallet: KeyId, journal: Journal) {
        self.journals.insert(wallet, journal);
    }

    /// Adds a wallet's newest certificate.
    pub fn add_cert(&mut self, wallet: KeyId, cert: WalletCert) {
        self.certs.insert(wallet, cert);
    }

    /// Payers and payees of the payments that are known, whose wallets belong to the rows.
    pub fn parties(&self) -> BTreeSet<KeyId> {
        self.records.values().flat_map(|record| [record.payer, record.payee]).collect()
    }

    /// The rows that one statement needs, as they stand.
    pub fn working_set(&self, needs: &Needs) -> WorkingSet {
        let mut ids: BTreeSet<Digest> = BTreeSet::new();
        for (payer, id) in &needs.records {
            ids.extend(self.records.get(id).filter(|record| record.payer == *payer).map(|record| record.id));
        }
        for Place { payer, seq, from, to, .. } in &needs.neighbours {
            let numbered = (*payer, *seq, Digest([0; 32]))..=(*payer, *seq, Digest([0xff; 32]));
            ids.extend(self.by_seq.range(numbered).map(|(_, _, id)| *id));
            let ends_after = (*payer, *from, Digest([0xff; 32]))..=(*payer, Amount::MAX, Digest([0xff; 32]));
            let near = self.by_end.range(ends_after).filter_map(|(_, _, id)| self.records.get(id));
            let reaches = |near: &&Record| near.spent.minus_or_zero(near.amount) < *to;
            // Intervals of payments that are in no conflict are disjoint: the first that begins too late ends the search.
            if self.in_conflict.contains(payer) {
                ids.extend(near.filter(reaches).map(|near| near.id));
            } else {
                ids.extend(near.take_while(reaches).map(|near| near.id));
            }
        }
        let sent = (needs.own, 0, Digest([0; 32]))..=(needs.own, u32::MAX, Digest([0xff; 32]));
        let sent = self.by_seq.range(sent).filter_map(|(_, _, id)| self.records.get(id));
        ids.extend(sent.filter(|sent| !sent.has(bit::CLOSED)).map(|sent| sent.id));

        let mut set = WorkingSet::default();
        let mut parties = needs.wallets.clone();
        parties.insert(needs.own);
        for record in ids.iter().filter_map(|id| self.records.get(id)) {
            parties.extend([record.payer, record.payee]);
            set.records.insert(record.id, record.clone());
        }
        for wallet in parties.iter().filter_map(|key| self.wallets.get(key)) {
            set.wallets.insert(wallet.id, wallet.clone());
        }
        for key in &needs.certs {
            set.certs.extend(self.certs.get(key).map(|cert| (*key, cert.clone())));
        }
        if let Some(journal) = self.journals.get(&needs.own) {
            set.heads.clone_from(&journal.heads);
            set.statements.clone_from(&journal.statements);
            set.settlements.clone_from(&journal.settlements);
        }
        set
    }

    /// Takes a statement's rows back, changed.
    pub fn put_back(&mut self, set: WorkingSet) {
        for (key, wallet) in set.wallets {
            if self.wallets.get(&key) != Some(&wallet) {
                self.wallets.insert(key, wallet);
                self.changed_wallets.insert(key);
            }
        }
        for (id, record) in set.records {
            if self.records.get(&id) != Some(&record) {
                self.index(&record);
                let before = self.records.insert(id, record).map(|before| before.bits);
                // Of a payment that changes again, what was read stays.
                self.changed_records.entry(id).or_insert(before);
            }
        }
    }

    /// Wallets that have changed, ascending.
    pub fn changed_wallets(&self) -> impl Iterator<Item = &Wallet> {
        self.changed_wallets.iter().filter_map(|key| self.wallets.get(key))
    }

    /// Wallets and payments that are new or not as they were read, each ascending.
    pub fn into_changed(mut self) -> (Vec<Wallet>, Vec<Changed>) {
        let wallets = self.changed_wallets.iter().filter_map(|key| self.wallets.remove(key)).collect();
        let changed = |(id, before): (&Digest, &Option<u16>)| {
            let record = self.records.remove(id)?;
            Some(Changed { record, before: *before })
        };
        let records = self.changed_records.iter().filter_map(changed).collect();
        (wallets, records)
    }
}
