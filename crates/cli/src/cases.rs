//! `counterfoil operator cases` and `counterfoil operator case`: who misbehaved, what proves it, and where the value went.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use counterfoil_operator::domain::trace::HOPS_MAX;
use counterfoil_operator::service::cases::{AskingCases, CaseFile, CaseLine, EvidenceKind, PAGE_MAX};
use counterfoil_wire::Currency;
use serde_json::json;

use crate::operator::{amount_of, currency_of, of_wallet};
use crate::output::{Answer, Output, Usage, table};
use crate::place::PlaceArgs;
use crate::report::{reason_named, word};
use crate::time::utc;

#[derive(Debug, Args)]
pub(crate) struct CasesArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Only keys of this PSP
    #[arg(long, value_name = "NAME")]
    psp: Option<String>,
    /// Only cases of this reason, such as forked
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// At most so many cases
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct CaseArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// The accused key, in hex: itself, or its digest as `operator cases` shows it
    key: String,
    /// From how many wallets to the next the value is followed
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=i64::from(HOPS_MAX)))]
    hops: u8,
    /// Write the evidence into files in this folder, which anybody can judge with `counterfoil inspect`
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
}

pub(crate) fn list(args: &CasesArgs, output: &Output) -> Result<u8> {
    let reason = args.reason.as_deref().map(reason_named).transpose()?;
    let mut asking = AskingCases { psp: args.psp.clone(), reason, ..AskingCases::default() };
    let (cases, more) = args.place.with(|service| {
        let mut cases: Vec<CaseLine> = Vec::new();
        loop {
            asking.limit = args.limit.saturating_sub(cases.len()).clamp(1, PAGE_MAX);
            let page = service.cases(&asking)?;
            cases.extend(page.cases);
            asking.after = page.next;
            if page.next.is_none() || cases.len() >= args.limit {
                return Ok((cases, page.next.is_some()));
            }
        }
    })?;
    let mut answer = Answer::default();
    let amount = amount_of(currency_of(&args.place));
    if cases.is_empty() {
        answer.line("nobody is accused of anything");
    } else {
        let head = ["key", "reason", "PSP", "opened", "evidence", "its key", "loss", "borne by", "who acts"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(cases.iter().map(|case| {
            vec![
                case.key_id.clone(),
                case.reason.name().to_owned(),
                case.psp.clone(),
                utc(case.opened_at_s),
                case.evidence.to_string(),
                stands(case.revoked, case.suspended).to_owned(),
                amount(case.loss.into()),
                case.borne_by.clone().unwrap_or_else(|| "nobody".to_owned()),
                word(&case.owner),
            ]
        }));
        answer.lines.extend(table(&rows, &[4, 6]));
    }
    if more {
        answer.line("there are more: raise --limit, or name a --psp or --reason");
    }
    answer.set("cases", serde_json::to_value(&cases)?).set("more", json!(more));
    Ok(output.answer(&answer))
}

pub(crate) fn one(args: &CaseArgs, output: &Output) -> Result<u8> {
    let case = of_wallet(&args.place, &args.key, |service, id| service.case(id, args.hops))?;
    let written = match &args.evidence {
        Some(dir) => write_evidence(&case, dir)?,
        None => Vec::new(),
    };
    let mut answer = Answer::default();
    tell(&mut answer, &case, currency_of(&args.place));
    for path in &written {
        answer.line(format!("wrote {}", path.display()));
    }
    if let serde_json::Value::Object(members) = serde_json::to_value(&case)? {
        answer.json = members;
    }
    let written: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
    answer.set("written", json!(written));
    Ok(output.answer(&answer))
}

fn stands(revoked: bool, suspended: bool) -> &'static str {
    match (revoked, suspended) {
        (true, _) => "revoked",
        (false, true) => "suspended",
        (false, false) => "in good standing",
    }
}

/// Writes each piece of evidence into a file of its own, and over no other file.
fn write_evidence(case: &CaseFile, dir: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let mut written = Vec::new();
    let pieces = case.evidence.iter().filter(|piece| piece.kind != EvidenceKind::Books);
    for (number, piece) in pieces.enumerate() {
        let name = format!("{}-{}-{}.cbor", number + 1, piece.reason.name(), word(&piece.kind));
        let path = dir.join(name);
        let named = || path.display().to_string();
        let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(Usage(format!("{} is there already: name a folder of its own", named())).into());
            }
            opened => opened.with_context(named)?,
        };
        file.write_all(&hex::decode(&piece.bytes)?).with_context(named)?;
        written.push(path);
    }
    Ok(written)
}

fn tell(answer: &mut Answer, case: &CaseFile, currency: Option<Currency>) {
    let amount = amount_of(currency);
    let minor = |minor: u64| amount(minor.into());
    let short = |id: &str| id.get(..16).unwrap_or(id).to_owned();
    answer.line(format!("key {}", case.key_id));
    answer.line(format!("account {} at {}", case.account, case.psp));
    let listed = match (case.listed_in, case.listed_at_s) {
        (Some(number), Some(at_s)) => format!(", on the lists from number {number} of {} on", utc(at_s)),
        _ => String::new(),
    };
    answer.line(format!("the key is {}{listed}", stands(case.revoked, case.suspended)));
    answer.line(match &case.borne_by {
        Some(who) => format!("{who} bears the loss of {}", minor(case.loss)),
        None => "nobody lost anything yet".to_owned(),
    });
    if case.owed > 0 {
        answer.line(format!("it owes {} besides, which nobody has paid yet", minor(case.owed)));
    }
    let mut rows = vec![["evidence", "of", "since", "bytes"].map(str::to_owned).to_vec()];
    rows.extend(case.evidence.iter().map(|piece| {
        let bytes = (piece.bytes.len() / 2).to_string();
        vec![word(&piece.kind), piece.reason.name().to_owned(), utc(piece.opened_at_s), bytes]
    }));
    answer.line("");
    answer.lines.extend(table(&rows, &[3]));
    if !case.disputed.is_empty() {
        let mut rows = vec![
            ["payment in dispute", "number", "payee", "amount", "stands as"].map(str::to_owned).to_vec(),
        ];
        rows.extend(case.disputed.iter().map(|payment| {
            vec![
                short(&payment.payment),
                payment.payer_seq.to_string(),
                short(&payment.payee),
                minor(payment.amount),
                payment.reason.name().to_owned(),
            ]
        }));
        answer.line("");
        answer.lines.extend(table(&rows, &[1, 3]));
    }
    let trace = &case.trace;
    if trace.counterfeit == 0 {
        answer.line("it spent no more than it had: there is nothing to follow");
        return;
    }
    if !trace.legs.is_empty() {
        let head = ["step", "from", "to", "payments", "amount", "counterfeit part"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(trace.legs.iter().map(|leg| {
            let (hop, payments) = (leg.hop.to_string(), leg.payments.to_string());
            vec![hop, short(&leg.from), short(&leg.to), payments, minor(leg.amount), minor(leg.traced)]
        }));
        answer.line("");
        answer.lines.extend(table(&rows, &[0, 3, 4, 5]));
    }
    let head = ["where it is", "account", "held", "on the way", "paid out"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(trace.rests.iter().map(|rest| {
        let account = match (&rest.account, &rest.psp) {
            (Some(account), Some(psp)) => format!("{account} at {psp}"),
            _ => "nobody's".to_owned(),
        };
        vec![short(&rest.key_id), account, minor(rest.held), minor(rest.in_flight), minor(rest.cashed_out)]
    }));
    answer.line("");
    answer.lines.extend(table(&rows, &[2, 3, 4]));
    if !trace.whole {
        answer.line("not followed to the end: raise --hops");
    }
}
