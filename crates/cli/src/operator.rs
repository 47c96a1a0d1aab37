//! `counterfoil operator`: makes, serves and audits an operator.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use counterfoil_operator::store::{Location, Transactions};
use counterfoil_operator::{AuditReport, InitOptions, OperatorError, Place, Refusal, Service};
use counterfoil_trust::key_id;
use counterfoil_wallet::amounts::{currency_code, decimals};
use counterfoil_wire::{Code, Currency, KeyId, PublicKey};
use serde_json::json;

use crate::admission::{self, AdmissionCommand};
use crate::cases::{self, CaseArgs, CasesArgs};
use crate::holding;
use crate::output::{Answer, Output, REFUSED, Usage, table};
use crate::place::PlaceArgs;
use crate::policy::{self, PolicyArgs};
use crate::report::{self, ReportArgs};
use crate::rules::preset_named;
use crate::time::{now_s, utc};

#[derive(Debug, Args)]
pub(crate) struct OperatorArgs {
    #[command(subcommand)]
    command: OperatorCommand,
}

#[derive(Debug, Subcommand)]
enum OperatorCommand {
    /// Make an operator: keys, root and PSP certificates, scheme rules, database
    Init {
        /// Folder of the operator; it must not exist
        #[arg(long, env = "COUNTERFOIL_DIR")]
        dir: PathBuf,
        /// Database of the operator, without tables of another: sqlite:PATH or postgres://USER@HOST/NAME [default:
        /// sqlite:operator.db, in the folder]
        #[arg(long, value_name = "URL", env = "COUNTERFOIL_DATABASE", hide_env_values = true)]
        database: Option<Location>,
        /// How rows of several buckets are written: together, or by-bucket for a database of several machines [default:
        /// together]
        #[arg(long, value_name = "HOW", env = "COUNTERFOIL_TRANSACTIONS")]
        transactions: Option<Transactions>,
        /// No sandbox: wallets enrol with activation codes only, and no account opens with play money
        #[arg(long)]
        production: bool,
        /// Rules to start from: permissive, upi-lite-x or digital-euro [default: permissive]
        #[arg(long, value_name = "NAME")]
        preset: Option<String>,
    },
    /// Serve wallets over HTTP until SIGTERM or ctrl-c
    Serve {
        #[command(flatten)]
        place: PlaceArgs,
        /// Address to listen on; port 0 takes a free one [default: as operator.toml in the folder says]
        #[arg(long, value_name = "127.0.0.1:PORT", env = "COUNTERFOIL_LISTEN")]
        listen: Option<SocketAddr>,
    },
    /// Check the conservation of money and every other invariant; exit 1 if one is broken
    Audit {
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Make a one-time activation code for an account
    Activate {
        #[command(flatten)]
        place: PlaceArgs,
        /// Name of the PSP
        #[arg(long, value_name = "NAME")]
        psp: String,
        /// Account behind the wallet
        #[arg(long)]
        account: String,
        /// Display name that the PSP vouches for; a terminal enrols under it and no other
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Have the next settlement of a wallet unblock its PIN, once its PSP has authenticated the customer
    Unblock {
        #[command(flatten)]
        place: PlaceArgs,
        /// The wallet's key, in hex, as `wallet show --json` gives it
        key: String,
    },
    /// Close a wallet that is lost or suspended, for good, once its PSP has authenticated the customer
    CloseWallet {
        #[command(flatten)]
        place: PlaceArgs,
        /// The wallet's key, in hex, as `wallet show --json` gives it
        key: String,
    },
    /// Give a wallet its whole limits again that reported tampering, once its PSP is content
    Lift {
        #[command(flatten)]
        place: PlaceArgs,
        /// The wallet's key, in hex, as `wallet show --json` gives it
        key: String,
    },
    /// Show what is open in the reconciliation: with whom, since when, and who acts until when
    Report(ReportArgs),
    /// List the keys that misbehaved, or seem to have
    Cases(CasesArgs),
    /// Show one of them: what proves it, since which revocation list it is known, and where the value went
    Case(CaseArgs),
    /// Show which misbehaviour revokes a key at once, or choose it where nobody can prove it
    Policy(PolicyArgs),
    #[command(flatten)]
    Admission(AdmissionCommand),
    /// Show what a wallet holds, how that adds up, and what is still awaited
    Wallet {
        #[command(flatten)]
        place: PlaceArgs,
        /// The wallet's key, in hex, as `wallet show --json` gives it
        key: String,
    },
}

pub(crate) fn run(args: &OperatorArgs, output: &Output) -> Result<u8> {
    match &args.command {
        OperatorCommand::Init { dir, database, transactions, production, preset } => {
            let mut options = InitOptions::sandbox(now_s());
            options.sandbox = !production;
            options.images = admission::shipped()?;
            if *production {
                options.name = "Counterfoil".to_owned();
            }
            if let Some(preset) = preset {
                options.rules = preset_named(preset)?.rules();
                options.currency = options.rules.currency;
            }
            let place = Place { dir: dir.clone(), database: database.clone(), transactions: *transactions };
            let report = counterfoil_operator::init(place, options).map_err(numbered)?;
            let mut answer = Answer::default();
            answer.line(report.notice.clone());
            answer.line(format!(
                "made the operator of the scheme {} in {}",
                report.name,
                report.dir.display()
            ));
            let psps: Vec<&str> = report.psps.iter().map(|psp| psp.name.as_str()).collect();
            answer.line(format!(
                "rules: {}, in {}; PSPs: {}",
                report.rules,
                report.currency,
                psps.join(", ")
            ));
            answer.line(format!("root: {}", report.root_fingerprint));
            answer
                .line(format!("give {} to wallets over a path that they trust", report.root_file.display()));
            if let serde_json::Value::Object(members) = serde_json::to_value(&report)? {
                answer.json = members;
            }
            Ok(output.answer(&answer))
        }
        OperatorCommand::Serve { place, listen } => {
            let ready = |address: SocketAddr| {
                let mut answer = Answer::default();
                answer.line(format!("listening on http://{address}"));
                answer.set("listening", format!("http://{address}"));
                output.answer(&answer);
            };
            counterfoil_operator::serve(place, *listen, ready).map_err(numbered)?;
            Ok(0)
        }
        OperatorCommand::Audit { place } => {
            let report = counterfoil_operator::audit(place).map_err(numbered)?;
            tell_audit(&report, currency_of(place), output)
        }
        OperatorCommand::Activate { place, psp, account, name } => {
            let activation = place.with(|service| service.create_activation(psp, account, name))?;
            let mut answer = Answer::default();
            answer.line(activation.activation_code.clone());
            answer.set("activation_code", activation.activation_code);
            answer.set("expires_at", utc(activation.expires_at_s));
            Ok(output.answer(&answer))
        }
        OperatorCommand::Unblock { place, key } => {
            of_wallet(place, key, |service, id| service.unblock(None, id))?;
            let mut answer = Answer::default();
            answer.line("the PIN is unblocked by the wallet's next sync").set("result", "unblocked");
            Ok(output.answer(&answer))
        }
        OperatorCommand::Lift { place, key } => {
            of_wallet(place, key, |service, id| service.lift(None, id))?;
            let mut answer = Answer::default();
            answer
                .line("the wallet has its whole limits again from its next sync on")
                .set("result", "lifted");
            Ok(output.answer(&answer))
        }
        OperatorCommand::Report(args) => report::run(args, output),
        OperatorCommand::Cases(args) => cases::list(args, output),
        OperatorCommand::Case(args) => cases::one(args, output),
        OperatorCommand::Policy(args) => policy::run(args, output),
        OperatorCommand::Admission(command) => admission::run(command, output),
        OperatorCommand::CloseWallet { place, key } => {
            let closed = of_wallet(place, key, |service, id| service.close_wallet(None, id))?;
            Ok(output.answer(&holding::tell(&closed, currency_of(place), output)?))
        }
        OperatorCommand::Wallet { place, key } => {
            let found = of_wallet(place, key, |service, id| service.holding(None, id))?;
            Ok(output.answer(&holding::tell(&found, currency_of(place), output)?))
        }
    }
}

/// Does something about the wallet with the key that was typed.
pub(crate) fn of_wallet<T>(
    place: &PlaceArgs,
    key: &str,
    run: impl Fn(&Service, &KeyId) -> Result<T, Refusal>,
) -> Result<T> {
    let bytes = hex::decode(key).ok().and_then(|bytes| PublicKey::from_slice(&bytes).map(|k| (bytes, k)));
    let (bytes, public) = bytes.ok_or_else(|| Usage("a key is 64 or 66 hexadecimal digits".to_owned()))?;
    place.with(|service| match (run(service, &key_id(&public)), <[u8; 32]>::try_from(bytes)) {
        // Logs and tables of the operator name a wallet by the digest of its key, which is as long as a key.
        (Err(refusal), Ok(id)) if refusal.code() == Code::UnknownWallet => run(service, &KeyId(id)),
        (done, _) => done,
    })
}

/// A refusal of the operator's own is told by its number, like everybody else's.
pub(crate) fn numbered(error: OperatorError) -> anyhow::Error {
    match error {
        OperatorError::Refused(refusal) => counterfoil_wire::Error::from(refusal.code()).into(),
        other => other.into(),
    }
}

/// The scheme's currency, from the rules that stand in the database.
pub(crate) fn currency_of(place: &PlaceArgs) -> Option<Currency> {
    Service::open(place, counterfoil_operator::system_clock())
        .ok()
        .map(|service| service.scheme().rules.currency)
}

fn tell_audit(report: &AuditReport, currency: Option<Currency>, output: &Output) -> Result<u8> {
    let amount = amount_of(currency);
    let row = |name: &str, minor: i128| vec![name.to_owned(), amount(minor)];
    let mut answer = Answer::default();
    answer.line(if report.sound {
        output.strong("the books balance and every invariant holds")
    } else {
        output.warn("BROKEN: an invariant does not hold")
    });
    let rows = [
        row("funded", report.funded),
        row("defunded", report.defunded),
        row("loss", report.loss),
        row("offline", report.offline),
        row("in flight", report.in_flight),
    ];
    answer.lines.extend(table(&rows, &[1]));
    if report.closed_out > 0 {
        answer.line(format!(
            "of what was defunded, {} was returned of closed wallets",
            amount(report.closed_out)
        ));
    }
    answer.line(format!(
        "funded - defunded + loss = {} and offline + in flight = {}",
        amount(report.funded - report.defunded + report.loss),
        amount(report.offline + report.in_flight)
    ));
    answer.line(format!("{} wallets and terminals, {} payments", report.wallets, report.payments));
    for broken in &report.broken {
        answer.line(output.warn(&format!("broken: {broken}")));
    }
    let value = serde_json::to_value(report).context("the audit cannot be written as JSON")?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut rows = vec![["reason", "count", "amount", "who acts"].map(str::to_owned).to_vec()];
    for (reason, shown) in report.reasons.iter().zip(value["reasons"].as_array().into_iter().flatten()) {
        let sum = amount(i128::from(reason.amount));
        rows.push(vec![text(&shown["reason"]), reason.count.to_string(), sum, text(&shown["owner"])]);
    }
    if rows.len() > 1 {
        answer.line("");
        answer.lines.extend(table(&rows, &[1, 2]));
    }
    for (case, shown) in report.cases.iter().zip(value["cases"].as_array().into_iter().flatten()) {
        let key = case.key_id.get(..16).unwrap_or(&case.key_id);
        let revoked = if case.revoked { "its key is revoked" } else { "its key is not revoked" };
        let loss = match (&case.borne_by, case.loss) {
            (_, 0) => "nobody lost anything".to_owned(),
            (Some(who), loss) => format!("{who} bears the loss of {}", amount(i128::from(loss))),
            (None, loss) => format!("a loss of {} that nobody bears yet", amount(i128::from(loss))),
        };
        let (psp, reason) = (&case.psp, text(&shown["reason"]));
        answer.line(format!("case: wallet {key} of {psp}: {reason}; {revoked}; {loss}"));
    }
    if let serde_json::Value::Object(members) = value {
        answer.json = members;
    }
    answer.set("currency", json!(currency.map(currency_code)));
    answer.exit = if report.sound { 0 } else { REFUSED };
    Ok(output.answer(&answer))
}

/// Tells a sum of the books in major units, as far as the currency is known.
pub(crate) fn amount_of(currency: Option<Currency>) -> impl Fn(i128) -> String {
    move |minor| match currency {
        Some(currency) => format!("{} {}", signed(minor, decimals(currency)), currency_code(currency)),
        None => format!("{minor} minor units"),
    }
}

/// A sum of the books in major units. Unlike a wallet's amounts it can be below zero.
pub(crate) fn signed(minor: i128, decimals: u16) -> String {
    let decimals = usize::from(decimals);
    let digits = format!("{:0width$}", minor.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let sign = if minor < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_their_sign() {
        assert_eq!(signed(-5, 2), "-0.05");
        assert_eq!(signed(1230, 2), "12.30");
        assert_eq!(signed(7, 0), "7");
    }
}
