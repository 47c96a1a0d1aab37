//! A wallet between two devices: ask, pay, accept, decline, confirm, reclaim, hand on. Nothing here touches a network.
//!
//! # No kill loses or repeats anything
//! ```text
//!   order ──> pending.json ──> trusted application ──> message written ──> result shown ──> pending.json removed
//! ```
//! | killed | the next command finds | and |
//! |---|---|---|
//! | before `pending.json` is durable | nothing | nothing had happened |
//! | before the application's commit | the order, not carried out | carries it out, or reports that it was not made where that takes a PIN |
//! | before the message is written, or it cannot be | the order, carried out | asks again by the same reference, gets the same bytes, writes them |
//! | before the result was shown | all of it | the same, and says so |
//!
//! An order that is asked for again is the interrupted one, not a second one, wherever its message is to go.

use std::fs;
use std::path::{Path, PathBuf};

use counterfoil_ta::TrustedApp;
use counterfoil_ta::api::{Command, Overview, Pin, Reply, Response};
use counterfoil_ta::env::{Env, Freshness};
use counterfoil_tre::virtual_se::interpreter::Interpreter;
use counterfoil_tre::virtual_se::vm::Limits;
use counterfoil_tre::{
    Binding, CounterKind, Element, Image, ImageId, NativeElement, PlatformLock, StartError, VirtualSe,
    open_host,
};
use counterfoil_trust::open;
use counterfoil_wire::cert::Name;
use counterfoil_wire::element::Tamper;
use counterfoil_wire::header::{Envelope, Signer};
use counterfoil_wire::message::{Payment, Request};
use counterfoil_wire::proof::Gossip;
use counterfoil_wire::rules::Rules;
use counterfoil_wire::{Amount, Bytes, Code, Currency, Digest, KeyId, Wire};

use crate::channel::{ChannelError, file};
use crate::device::Device;
use crate::error::WalletError;
use crate::home::{Home, Host, Kind, Settings};
use crate::lock::Vouchers;
use crate::operation::{
    Accepted, Declined, Done, Finished, Learnt, Operation, Order, Outcome, Paid, Pending, Requested, Resolved,
};
use crate::outfile;

/// Where pending operations stand: one that needs no network must never wait for one that does.
pub(crate) const PENDING_OFFLINE: &str = "pending.json";
pub(crate) const PENDING_ONLINE: &str = "pending-online.json";
/// The last order whose result was shown: repeated in the same words, it writes the same file once more.
pub(crate) const LAST_OFFLINE: &str = "last.json";

/// One purse on this device.
pub struct Wallet {
    pub(crate) home: Home,
    pub(crate) settings: Settings,
    pub(crate) element: Box<dyn Element>,
    pub(crate) finished: Vec<Finished>,
    /// What came along with messages and was news.
    pub(crate) heard: Vec<Learnt>,
    /// The pending files whose operations this process has done, and whose results the caller may not have shown yet.
    pub(crate) shown_next: Vec<&'static str>,
}

impl std::fmt::Debug for Wallet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wallet")
            .field("home", &self.home)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Wallet {
    /// Opens the wallet in `home` on `device`.
    ///
    /// # Errors
    /// [`Code::NotEnrolled`] if no enrolment was begun there, [`WalletError::OtherKind`] for a terminal, and what the
    /// element says.
    pub fn open(home: &Home, device: &Device) -> Result<Self, WalletError> {
        Self::open_kind(home, device, Kind::Wallet)
    }

    pub(crate) fn open_kind(home: &Home, device: &Device, kind: Kind) -> Result<Self, WalletError> {
        home.check_complete()?;
        let settings = home.settings()?.ok_or(WalletError::Refused(Code::NotEnrolled.into()))?;
        if settings.kind != kind {
            return Err(WalletError::OtherKind { holds: settings.kind.name(), wanted: kind.name() });
        }
        if !device.has_key() {
            return Err(WalletError::NoDevice { device: device.folder().into() });
        }
        let element = open_element(home, device, &settings)?;
        home.sweep();
        Ok(Self::with_element(home.clone(), settings, element))
    }

    /// A wallet over an element that the caller opened.
    pub fn with_element(home: Home, settings: Settings, element: Box<dyn Element>) -> Self {
        Self { home, settings, element, finished: Vec::new(), heard: Vec::new(), shown_next: Vec::new() }
    }

    /// Where the wallet belongs.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What stops a rollback on this device.
    pub fn counter_kind(&self) -> CounterKind {
        self.element.counter_kind()
    }

    /// What was measured of the image that the trusted application runs from; `None` where it runs natively.
    pub fn image(&self) -> Option<counterfoil_trust::image::ImageStatement> {
        self.element.image()
    }

    /// What is known of the state's age.
    pub fn freshness(&self) -> Freshness {
        self.element.freshness()
    }

    /// What the holder may see.
    ///
    /// # Errors
    /// [`Code::NotEnrolled`], or a store that fails.
    pub fn overview(&mut self) -> Result<Overview, WalletError> {
        match self.ask(&Command::Show {})? {
            Reply::Overview { overview } => Ok(overview),
            _ => Err(WalletError::UnexpectedReply),
        }
    }

    /// Deactivates the wallet, since whoever hosts it found that it is being tampered with: it begins nothing new until a sync
    /// has told the operator. Gives the reason that stands, which is the first one.
    ///
    /// # Errors
    /// A store that fails; [`Code::NotEnrolled`].
    pub fn report_tamper(&mut self, tamper: Tamper) -> Result<Tamper, WalletError> {
        match self.ask(&Command::ReportTamper { tamper })? {
            Reply::Deactivated { tamper, .. } => Ok(tamper),
            _ => Err(WalletError::UnexpectedReply),
        }
    }

    /// The purse's currency.
    ///
    /// # Errors
    /// [`Code::NotEnrolled`] until the first certificate is there.
    pub fn currency(&mut self) -> Result<Currency, WalletError> {
        let cert = self.overview()?.cert.ok_or(WalletError::Refused(Code::NotEnrolled.into()))?;
        Ok(cert.currency)
    }

    /// The scheme rules that the wallet holds, for showing. `None` if they are not at hand.
    ///
    /// # Errors
    /// Those of [`Wallet::overview`].
    pub fn rules(&mut self) -> Result<Option<Rules>, WalletError> {
        let number = self.overview()?.rules_no;
        let bytes = fs::read(self.home.dir().join(rules_file(number))).ok();
        Ok(bytes.and_then(|bytes| open::<Rules>(&bytes).ok()).map(|opened| opened.body))
    }

    /// Operations that had been interrupted and were brought to their end since this was last asked.
    pub fn take_finished(&mut self) -> Vec<Finished> {
        std::mem::take(&mut self.finished)
    }

    /// What came along with the messages of others since this was last asked, where it was news.
    pub fn take_heard(&mut self) -> Vec<Learnt> {
        std::mem::take(&mut self.heard)
    }

    /// The caller has shown the last result. Until it says so, or orders something else, a kill leaves the operation
    /// to be reported once more.
    pub fn acknowledge(&mut self) {
        for name in std::mem::take(&mut self.shown_next) {
            // A pending operation that stays is reported again, and done no second time.
            let _ = match name {
                PENDING_OFFLINE => self.home.rename(PENDING_OFFLINE, LAST_OFFLINE),
                _ => self.home.remove(name),
            };
        }
    }

    /// Brings an interrupted operation to its end, as far as that needs no network. See [`Wallet::take_finished`]; once
    /// that was shown, [`Wallet::acknowledge`] it.
    ///
    /// # Errors
    /// Those of the operation, where they leave open whether it happened.
    pub fn finish_interrupted(&mut self) -> Result<(), WalletError> {
        self.acknowledge();
        match self.pending(PENDING_OFFLINE)? {
            Some(found) => {
                self.finish_offline(&found)?;
                self.shown_next.push(PENDING_OFFLINE);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Does what is ordered, once. An interrupted operation is finished first; if it is the very same, finishing it is
    /// the answer.
    ///
    /// # Errors
    /// [`WalletError::Refused`] if the trusted application refuses: nothing has changed then. With other errors it
    /// stays pending; ordering the same again goes on with it.
    pub fn perform(&mut self, order: Order) -> Result<Done, WalletError> {
        self.perform_vouched(order, None)
    }

    pub(crate) fn perform_vouched(
        &mut self,
        order: Order,
        lock: Option<&dyn PlatformLock>,
    ) -> Result<Done, WalletError> {
        if order.operation.is_online() {
            return Err(WalletError::UnexpectedReply);
        }
        let (operation, rider) = order.operation.unbundled();
        let order = Order { operation, ..order };
        self.acknowledge();
        let mut pending = Pending::of(&order)?;
        let mut resumed = false;
        match self.pending(PENDING_OFFLINE)? {
            Some(found) if found.is_asked_again_by(&pending) => {
                // The name under which it was begun, and the place that is wanted now.
                let moved = found.out != pending.out;
                if moved && let Some(out) = &found.out {
                    file::remove_draft(out);
                }
                pending = Pending { out: pending.out, ..found };
                resumed = true;
                if moved && let Some(out) = &pending.out {
                    outfile::check_writable(out)?;
                    self.check_free(&pending, out)?;
                }
            }
            Some(found) => {
                self.finish_offline(&found)?;
                self.home.remove(PENDING_OFFLINE)?;
            }
            None => {}
        }
        if !resumed {
            if let Some(out) = &pending.out {
                outfile::check_writable(out)?;
                self.check_free(&pending, out)?;
            }
            if pending.operation.is_remembered() {
                self.home.write_json(PENDING_OFFLINE, &pending)?;
            }
        }
        // Before the message is judged, for it may be about whoever sent it.
        if let Some(gossip) = rider {
            self.hear(gossip);
        }
        let done = self.apply(&pending, order.pin, lock).and_then(|outcome| {
            let rider = self.rider(&pending, &outcome);
            match outfile::write(&outcome, pending.out.as_deref(), rider) {
                Ok(()) => Ok(outcome),
                Err(source) if pending.operation.is_remembered() => {
                    Err(WalletError::NotWritten { outcome: Box::new(outcome), source })
                }
                Err(source) => Err(source.into()),
            }
        });
        match done {
            Ok(outcome) => {
                if pending.operation.is_remembered() {
                    self.shown_next.push(PENDING_OFFLINE);
                }
                Ok(Done { operation: pending.operation, outcome, out: pending.out, resumed })
            }
            Err(error) => {
                if error.is_final() && pending.operation.is_remembered() {
                    self.home.remove(PENDING_OFFLINE)?;
                }
                Err(error)
            }
        }
    }

    /// The most gossip that fits into a file of this name, in bytes.
    pub fn gossip_room(out: &Path) -> u32 {
        outfile::gossip_room(out)
    }

    /// Refuses a file that is there and would not be given the bytes that it holds: it may be a payment that nobody has
    /// taken yet.
    fn check_free(&mut self, pending: &Pending, out: &Path) -> Result<(), WalletError> {
        if !pending.operation.is_remembered() || !out.exists() {
            return Ok(());
        }
        let last = self.home.read_json::<Pending>(LAST_OFFLINE).unwrap_or_default();
        let repeated = last.is_some_and(|last| {
            last.reference_given && last.is_asked_again_by(pending) && last.out.as_deref() == Some(out)
        });
        if repeated || outfile::holds_result(out, &pending.operation, &self.overview()?) {
            return Ok(());
        }
        Err(ChannelError::Occupied { path: out.into() }.into())
    }

    pub(crate) fn pending(&self, name: &str) -> Result<Option<Pending>, WalletError> {
        self.home.read_json(name)
    }

    fn finish_offline(&mut self, found: &Pending) -> Result<(), WalletError> {
        let (result, out) = match self.apply(found, None, None) {
            Ok(outcome) => {
                let out = self.write_somewhere(&outcome, found.out.as_deref())?;
                (Ok(outcome), out)
            }
            Err(WalletError::Refused(error)) if WalletError::Refused(error).is_final() => (Err(error), None),
            Err(error) => return Err(error),
        };
        self.finished.push(Finished { operation: found.operation.clone(), out, result });
        Ok(())
    }

    /// Writes where it was asked for; if that can no longer be (a folder that is gone), into the home: a wallet must
    /// not be stuck behind a file name.
    fn write_somewhere(&self, outcome: &Outcome, out: Option<&Path>) -> Result<Option<PathBuf>, WalletError> {
        let Some(message) = outcome.message() else { return Ok(None) };
        match outfile::write(outcome, out, None) {
            Ok(()) => Ok(out.map(Path::to_path_buf)),
            Err(_) => {
                let digest = counterfoil_trust::sha256(message).to_string();
                let name = format!("recovered-{}.cbor", digest.get(..16).unwrap_or_default());
                let path = self.home.dir().join(name);
                file::write_message(&path, message)?;
                Ok(Some(path))
            }
        }
    }

    /// Takes what came along with a message. Whatever is wrong with it, the message is judged all the same.
    fn hear(&mut self, gossip: Vec<u8>) {
        if let Ok(Reply::Learnt { revocation_no, revocation_new, cheats }) =
            self.ask(&Command::GossipIn { gossip: Bytes(gossip) })
            && (revocation_new || !cheats.is_empty())
        {
            self.heard.push(Learnt { revocation_no, revocation_new, cheats });
        }
    }

    /// What rides along with the message that came of an operation: nothing, where there is no news, no room, or where the
    /// message will outlive the news, as a printed code does. A failure is no reason to keep the message back.
    fn rider(&mut self, pending: &Pending, outcome: &Outcome) -> Option<Vec<u8>> {
        let rides = match outcome {
            Outcome::Requested(requested) => !requested.standing,
            Outcome::Paid(_) | Outcome::Accepted(_) | Outcome::Declined(_) => true,
            _ => false,
        };
        let out = pending.out.as_deref().filter(|_| rides)?;
        let ride = outfile::ride(out, outcome.message()?.len());
        // A request says which lists its payee holds. Of others nothing is known.
        let (revocation_after, trust_after) = match &pending.operation {
            Operation::Pay { request, .. } => {
                let request = open::<Request>(request).ok()?.body;
                (request.revocation_no, request.trust_no)
            }
            _ => (if ride.is_tight { u32::MAX } else { 0 }, u32::MAX),
        };
        let command = Command::Rider { room: ride.room, revocation_after, trust_after };
        let (gossip, _) = self.message(&command).ok()?;
        let is_news = Gossip::from_message(&gossip).is_ok_and(|gossip| !gossip.is_empty());
        is_news.then_some(gossip)
    }

    /// Carries a pending operation out, or asks for what came of it.
    fn apply(
        &mut self,
        pending: &Pending,
        pin: Option<Pin>,
        lock: Option<&dyn PlatformLock>,
    ) -> Result<Outcome, WalletError> {
        let reference = pending.reference();
        match pending.operation.clone() {
            Operation::Request { amount, standing } => {
                let (request, again) = self.message(&Command::Request { amount, standing, reference })?;
                requested(request, again)
            }
            Operation::Pay { request, amount } => {
                let vouchers = Vouchers { pin, lock };
                let (payment, again) = self.pay(&request, amount, reference, vouchers)?;
                paid(self.scheme()?, &request, payment, again)
            }
            Operation::Accept { payment } => {
                let reply = self.ask(&Command::Accept { payment: Bytes(payment) })?;
                decided(reply)
            }
            Operation::Decline { payment } => {
                let reply = self.ask(&Command::Decline { payment: Bytes(payment) })?;
                decided(reply)
            }
            Operation::Confirm { receipt } => {
                let reply = self.ask(&Command::Confirm { receipt: Bytes(receipt) })?;
                Ok(Outcome::Confirmed(resolved(reply)?))
            }
            Operation::Reclaim { decline } => {
                let reply = self.ask(&Command::Reclaim { decline: Bytes(decline) })?;
                Ok(Outcome::Reclaimed(resolved(reply)?))
            }
            Operation::GossipOut { room } => {
                Ok(Outcome::Gossip(self.message(&Command::GossipOut { room })?.0))
            }
            // The trusted application says only that it is no gossip.
            Operation::GossipIn { gossip }
                if Gossip::from_message(&gossip).is_err() && Envelope::from_bytes(&gossip).is_ok() =>
            {
                Err(WalletError::Refused(Code::WrongKind.into()))
            }
            Operation::Resend { payment } => self.resend(Digest(payment)),
            Operation::GossipIn { gossip } => match self.ask(&Command::GossipIn { gossip: Bytes(gossip) })? {
                Reply::Learnt { revocation_no, revocation_new, cheats } => {
                    Ok(Outcome::Learnt(Learnt { revocation_no, revocation_new, cheats }))
                }
                _ => Err(WalletError::UnexpectedReply),
            },
            Operation::Fund { .. } | Operation::Defund { .. } | Operation::Enrol {} => {
                Err(WalletError::UnexpectedReply)
            }
        }
    }

    fn resend(&mut self, id: Digest) -> Result<Outcome, WalletError> {
        let (payment, again) = self.message(&Command::Resend { payment: id })?;
        let Payment { amount, payee, .. } =
            open::<Payment>(&payment).map_err(|_| WalletError::UnexpectedReply)?.body;
        let overview = self.overview()?;
        let row = overview.payments.iter().find(|row| row.id == id && row.peer == payee);
        let payee_name = row.map(|row| row.peer_name.clone()).unwrap_or_default();
        Ok(Outcome::Paid(Paid { amount, id, payee, payee_name, payment, again }))
    }

    /// What names the scheme.
    pub(crate) fn scheme(&mut self) -> Result<KeyId, WalletError> {
        Ok(counterfoil_trust::key_id(&self.overview()?.root.key))
    }

    /// Asks the trusted application.
    pub(crate) fn ask(&mut self, command: &Command) -> Result<Reply, WalletError> {
        // A command may hold a PIN.
        let command = zeroize::Zeroizing::new(command.to_bytes());
        let answer = self.element.process(&command);
        // What is no answer is no refusal either: the command may have been carried out.
        let Response(reply) = Response::from_bytes(&answer).map_err(|_| WalletError::UnexpectedReply)?;
        Ok(reply?)
    }

    pub(crate) fn message(&mut self, command: &Command) -> Result<(Vec<u8>, bool), WalletError> {
        match self.ask(command)? {
            Reply::Message { message, again } => Ok((message.0, again)),
            _ => Err(WalletError::UnexpectedReply),
        }
    }
}

/// The trusted application over the home's sealed store, where the home's settings say that it runs.
///
/// # Errors
/// [`WalletError::Element`], [`WalletError::Start`].
pub fn open_element(
    home: &Home,
    device: &Device,
    settings: &Settings,
) -> Result<Box<dyn Element>, WalletError> {
    // Before anything is opened: an image that may not run must not be a reason to touch the state.
    let image = match settings.host {
        Host::VirtualSe => Some(Image::shipped().map_err(StartError::from)?),
        Host::Native => None,
    };
    let image_id = image.as_ref().map_or(ImageId::NATIVE, Image::id);
    let binding =
        Binding { label: settings.label.clone(), application: device.application().0, image: image_id };
    let counter = device.counter(settings.counter)?;
    let host = open_host(home.dir(), device.folder(), binding, &counter, device.vault())?;
    let counter_kind = host.store().counter_kind();
    Ok(match image {
        Some(image) => {
            Box::new(VirtualSe::<Interpreter>::start(&image, host, counter_kind, Limits::DEFAULT)?)
        }
        None => {
            let freshness = host.freshness();
            let mut app = TrustedApp::open(host);
            let door = move |command: &[u8]| app.process(command);
            Box::new(NativeElement::new(door, counter_kind, freshness))
        }
    })
}

pub(crate) fn rules_file(number: u32) -> String {
    format!("rules-{number}.cbor")
}

fn requested(request: Vec<u8>, again: bool) -> Result<Outcome, WalletError> {
    let body = open::<Request>(&request).map_err(|_| WalletError::UnexpectedReply)?.body;
    let standing = body.is_standing();
    let Request { number, amount, expiry_s, .. } = body;
    Ok(Outcome::Requested(Requested { amount, standing, number, expiry_s, request, again }))
}

fn paid(scheme: KeyId, request: &[u8], payment: Vec<u8>, again: bool) -> Result<Outcome, WalletError> {
    let sent = open::<Payment>(&payment).map_err(|_| WalletError::UnexpectedReply)?;
    let payee_name = match open::<Request>(request).map(|opened| opened.envelope.signer) {
        Ok(Signer::Cert(cert)) => cert.name,
        _ => Name::default(),
    };
    let Payment { amount, payee, .. } = sent.body;
    let id = sent.id(&scheme);
    Ok(Outcome::Paid(Paid { amount, id, payee, payee_name, payment, again }))
}

fn decided(reply: Reply) -> Result<Outcome, WalletError> {
    match reply {
        Reply::Accepted { receipt, amount, again } => {
            Ok(Outcome::Accepted(Accepted { amount, receipt: receipt.0, again }))
        }
        Reply::Declined { decline, amount, reason, again } => {
            let reason = Code::from_number(reason).ok_or(WalletError::UnexpectedReply)?;
            Ok(Outcome::Declined(Declined { amount, reason, decline: decline.0, again }))
        }
        _ => Err(WalletError::UnexpectedReply),
    }
}

fn resolved(reply: Reply) -> Result<Resolved, WalletError> {
    match reply {
        Reply::Resolved { payment, amount, again } => Ok(Resolved { payment, amount, again }),
        _ => Err(WalletError::UnexpectedReply),
    }
}

/// What a wallet could pay at this moment, and what stops it from paying more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headroom {
    /// The largest payment possible now, PIN apart.
    pub amount: Amount,
    /// The refusal that a larger payment would meet.
    pub limit: Code,
}

/// The largest payment that `overview` and `rules` let a wallet make at `now_s`, and the first limit in its way. What
/// was paid in the current window of time does not stand in an overview, so that a window may bind earlier.
pub fn headroom(overview: &Overview, rules: &Rules, now_s: u32) -> Option<Headroom> {
    let limits = rules.limits(overview.grade)?;
    let cert = overview.cert.as_ref()?;
    let now_s = now_s.max(overview.time_bound_s);
    let blocked = |limit| Some(Headroom { amount: Amount::ZERO, limit });
    if overview.standing != counterfoil_wire::sync::Standing::Good {
        return blocked(Code::Suspended);
    }
    if overview.tamper.is_some() {
        return blocked(Code::Deactivated);
    }
    if !overview.grade.has_element() {
        return blocked(Code::TerminalCannotPay);
    }
    if now_s > cert.not_after_s() {
        return blocked(Code::OwnCertificateExpired);
    }
    if now_s.saturating_sub(overview.synced_at_s) > limits.offline_max_s {
        return blocked(Code::OfflineTooLong);
    }
    if overview.sync_count >= limits.sync_count_max {
        return blocked(Code::CountSinceSync);
    }
    // In the order in which the trusted application checks them: of two that bind alike, the first is named.
    let bounds = [
        (limits.payment_max, Code::PaymentTooLarge),
        (overview.funded.plus(overview.received)?, Code::InsufficientFunds),
        (overview.spendable, Code::RespendShare),
        (limits.sync_total_max.minus_or_zero(overview.sync_total), Code::TotalSinceSync),
        (cert.ceiling.minus_or_zero(overview.spent), Code::CeilingReached),
    ];
    let (amount, limit) = bounds.into_iter().min_by_key(|(amount, _)| *amount)?;
    Some(Headroom { amount, limit })
}
