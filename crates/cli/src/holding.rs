//! What one wallet holds, as the operator adds it up.

use counterfoil_operator::Holding;
use counterfoil_wallet::amounts::currency_code;
use counterfoil_wire::Currency;
use serde_json::json;

use crate::operator::amount_of;
use crate::output::{Answer, Output, table};
use crate::time::utc;

/// The sum of one wallet as a table, with what is still to come.
pub(crate) fn tell(holding: &Holding, currency: Option<Currency>, output: &Output) -> anyhow::Result<Answer> {
    let amount = amount_of(currency);
    let mut answer = Answer::default();
    let Holding { key_id, psp, account, grade, .. } = holding;
    answer.line(format!("wallet {key_id}"));
    answer.line(format!("account {account} at {psp}, {grade}"));
    let runs_in = match (&holding.image, holding.image_version) {
        (Some(image), Some(version)) => {
            format!("image {} of version {version}", image.get(..16).unwrap_or(image))
        }
        _ => "no image: it runs natively, on its host's word".to_owned(),
    };
    answer.line(format!(
        "enrolled in {runs_in}, counter {}, by {}",
        holding.counter,
        evidence(holding.evidence)
    ));
    if let (Some(tamper), Some(at_s)) = (holding.tamper, holding.tamper_at_s) {
        answer.line(output.warn(&format!("it reported tampering at {}: {tamper}", utc(at_s))));
    }
    if holding.lowered {
        answer.line("its limits are lowered, until `operator lift`");
    }
    match (holding.closed_at_s, holding.due_s) {
        (Some(closed_s), Some(due_s)) => {
            answer.line(output.warn(&format!("closed at {}, for good", utc(closed_s))));
            let when = utc(due_s);
            answer.line(if holding.due {
                format!(
                    "its window ended at {when}: what it has not spent goes to its account as it is known"
                )
            } else {
                format!("what it has not spent goes to its account when its window ends, at {when}")
            });
        }
        _ if holding.revoked => drop(answer.line(output.warn("its key is revoked"))),
        _ if holding.suspended => drop(answer.line(output.warn("it is suspended"))),
        _ => drop(answer.line("in good standing")),
    }
    let made_good = match &holding.borne_by {
        Some(who) => format!("borne by {who}, less what it gave back"),
        None => String::new(),
    };
    let rows = [
        ("funded", holding.funded, ""),
        ("defunded", -holding.defunded, ""),
        ("paid", -holding.paid, "payees have it"),
        ("received", holding.received, ""),
        ("in flight", -holding.in_flight, "it sent it, and nobody has shown that it arrived"),
        ("made good", holding.made_good, &made_good),
        ("returned", -holding.returned, "to its account, since it was closed"),
        ("unspent", holding.unspent, "what evidence says it holds"),
    ];
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, minor, note)| {
            let note = if minor == 0 && name != "unspent" { "" } else { note };
            vec![name.to_owned(), amount(minor), note.to_owned()]
        })
        .collect();
    answer.lines.extend(table(&rows, &[1]));
    if !holding.awaited.is_empty() {
        let mut rows = vec![["awaited", "amount", "until", "which"].map(str::to_owned).to_vec()];
        for awaited in &holding.awaited {
            let sum = awaited.amount.map_or_else(|| "unknown".to_owned(), |minor| amount(i128::from(minor)));
            let until = awaited.until_s.map_or_else(|| "it answers".to_owned(), utc);
            let name = awaited.name.as_deref().unwrap_or("-");
            // Identifiers of payments are long; a transfer's id is looked for as it is.
            let name = name.get(..16).filter(|_| name.len() == 64).unwrap_or(name);
            rows.push(vec![awaited.what.words().to_owned(), sum, until, name.to_owned()]);
        }
        answer.line("");
        answer.lines.extend(table(&rows, &[1]));
    }
    if let serde_json::Value::Object(members) = serde_json::to_value(holding)? {
        answer.json = members;
    }
    answer.set("currency", json!(currency.map(currency_code)));
    Ok(answer)
}

/// What spoke for the element, in words.
fn evidence(evidence: &str) -> &str {
    match evidence {
        "android-key-attestation" => "Android Key Attestation",
        _ => "its host's word",
    }
}
