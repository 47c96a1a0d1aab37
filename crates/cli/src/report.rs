//! `counterfoil operator report`: what is open, with whom, since when.

use anyhow::Result;
use clap::{Args, ValueEnum};
use counterfoil_operator::Reason;
use counterfoil_operator::domain::item::Item;
use counterfoil_operator::service::report::{Asking, PAGE_MAX, Summary};
use counterfoil_wire::Currency;
use serde_json::json;

use crate::operator::{amount_of, currency_of};
use crate::output::{Answer, Output, Usage, table};
use crate::place::PlaceArgs;
use crate::time::utc;

const DAY_S: u32 = 86_400;

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Only payments in which this PSP has the payer or the payee
    #[arg(long, value_name = "NAME")]
    psp: Option<String>,
    /// Only payments that are open for this reason, such as payer-only
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Only payments that the operator has known for so many days
    #[arg(long, value_name = "DAYS", default_value_t = 0)]
    older_than: u32,
    /// At most so many payments
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    limit: usize,
    /// How the payments are written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns for a person
    Table,
    /// RFC 4180, one line a payment, amounts in minor units
    Csv,
}

pub(crate) fn run(args: &ReportArgs, output: &Output) -> Result<u8> {
    let reason = args.reason.as_deref().map(reason_named).transpose()?;
    let mut asking = Asking {
        psp: args.psp.clone(),
        reason,
        older_than_s: args.older_than.saturating_mul(DAY_S),
        ..Asking::default()
    };
    let (summary, items, more) = args.place.with(|service| {
        let mut items: Vec<Item> = Vec::new();
        loop {
            asking.limit = args.limit.saturating_sub(items.len()).clamp(1, PAGE_MAX);
            let page = service.items(&asking)?;
            items.extend(page.items);
            asking.after = page.next;
            if page.next.is_none() || items.len() >= args.limit {
                return Ok((service.summary()?, items, page.next.is_some()));
            }
        }
    })?;
    if args.format == Format::Csv && !output.json {
        print!("{}", csv(&items));
        return Ok(0);
    }
    let mut answer = Answer::default();
    tell(&mut answer, &summary, &items, more, currency_of(&args.place));
    answer.set("summary", serde_json::to_value(&summary)?);
    answer.set("items", serde_json::to_value(&items)?);
    answer.set("more", json!(more));
    Ok(output.answer(&answer))
}

/// The reason with this name.
pub(crate) fn reason_named(name: &str) -> Result<Reason, Usage> {
    Reason::ALL.iter().copied().find(|reason| reason.name() == name).ok_or_else(|| {
        let names: Vec<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        Usage(format!("no reason is called {name}; choose one of {}", names.join(", ")))
    })
}

/// The word that JSON has for a value.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn tell(answer: &mut Answer, summary: &Summary, items: &[Item], more: bool, currency: Option<Currency>) {
    let sum = amount_of(currency);
    let amount = |minor: u64| sum(minor.into());
    if summary.open.is_empty() {
        answer.line("nothing is open: every payment that is known has come to rest");
    } else {
        let mut rows =
            vec![["reason", "count", "amount", "who acts first", "oldest"].map(str::to_owned).to_vec()];
        rows.extend(summary.open.iter().map(|open| {
            vec![
                open.reason.name().to_owned(),
                open.count.to_string(),
                amount(open.amount),
                word(&open.owner),
                utc(open.oldest_s),
            ]
        }));
        answer.lines.extend(table(&rows, &[1, 2]));
    }
    let known: Vec<_> = summary.payments.iter().filter(|known| known.count > 0).collect();
    if !known.is_empty() {
        let mut rows = vec![["all payments", "count", "amount"].map(str::to_owned).to_vec()];
        rows.extend(known.iter().map(|known| {
            let reason = known.reason.name().to_owned();
            vec![reason, known.count.to_string(), amount(known.amount)]
        }));
        answer.line("");
        answer.lines.extend(table(&rows, &[1, 2]));
    }
    for cases in &summary.cases {
        let keys = if cases.keys == 1 { "1 key".to_owned() } else { format!("{} keys", cases.keys) };
        answer.line(format!("cases: {} of {keys}", cases.reason.name()));
    }
    if !items.is_empty() {
        let short = |id: &str| id.get(..16).unwrap_or(id).to_owned();
        let psp = |psp: &Option<String>| psp.clone().unwrap_or_else(|| "nobody's".to_owned());
        let head = ["payment", "reason", "amount", "payer at", "payee at", "since", "who acts", "until"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(items.iter().map(|item| {
            vec![
                short(&item.payment),
                item.reason.name().to_owned(),
                amount(item.amount),
                psp(&item.payer_psp),
                psp(&item.payee_psp),
                utc(item.since_s),
                word(&item.owner),
                item.due_s.map_or_else(|| "it is done".to_owned(), utc),
            ]
        }));
        answer.line("");
        answer.lines.extend(table(&rows, &[2]));
    }
    if more {
        answer.line("there are more: raise --limit, or name a --psp or --reason");
    }
}

/// RFC 4180. Only a PSP's name can hold what must be quoted.
fn csv(items: &[Item]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    let mut text =
        "payment,reason,owner,escalated,amount,payer,payer_psp,payee,payee_psp,since_s,due_s\r\n".to_owned();
    for item in items {
        let line = [
            item.payment.clone(),
            item.reason.name().to_owned(),
            word(&item.owner),
            item.escalated.to_string(),
            item.amount.to_string(),
            item.payer.clone(),
            quoted(item.payer_psp.as_deref().unwrap_or_default()),
            item.payee.clone(),
            quoted(item.payee_psp.as_deref().unwrap_or_default()),
            item.since_s.to_string(),
            number(item.due_s),
        ];
        text.push_str(&line.join(","));
        text.push_str("\r\n");
    }
    text
}
