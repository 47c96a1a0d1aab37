//! `counterfoil operator policy`: what the operator does by itself about a key that misbehaved.

use anyhow::Result;
use clap::Args;
use counterfoil_operator::Service;
use counterfoil_operator::domain::policy::Policy;
use counterfoil_operator::domain::reason::Reason;
use serde_json::json;

use crate::output::{Answer, Output, table};
use crate::place::PlaceArgs;

#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// What follows from a case from now on: rolled-back or gap, and revoke or suspend; may be repeated
    #[arg(long, value_name = "REASON=ANSWER", value_parser = choice)]
    on: Vec<(Reason, bool)>,
}

fn choice(text: &str) -> Result<(Reason, bool), String> {
    let (reason, answer) = text.split_once('=').unwrap_or((text, ""));
    let named = |reasons: &[Reason]| reasons.iter().copied().find(|known| known.name() == reason);
    match (named(Policy::CHOSEN), answer) {
        (Some(reason), "revoke") => Ok((reason, true)),
        (Some(reason), "suspend") => Ok((reason, false)),
        (Some(_), _) => Err("the answer is revoke or suspend".to_owned()),
        (None, _) if named(Policy::ALWAYS).is_some() => Err(format!("{reason} always revokes the key")),
        (None, _) => Err("the reason is rolled-back or gap".to_owned()),
    }
}

pub(crate) fn run(args: &PolicyArgs, output: &Output) -> Result<u8> {
    let policy = args.place.with(|service| match args.on.as_slice() {
        [] => Service::policy(service),
        choices => service.choose(|policy| {
            for (reason, revokes) in choices {
                // The command line takes no other reasons.
                let _ = policy.choose(*reason, *revokes);
            }
        }),
    })?;
    let mut answer = Answer::default();
    let mut rows = vec![["case", "what follows at once", "because"].map(str::to_owned).to_vec()];
    let mut listed = Vec::new();
    for reason in Policy::ALWAYS.iter().chain(Policy::CHOSEN).copied() {
        let revokes = policy.revokes(reason);
        let follows = if revokes { "the key is revoked" } else { "the wallet is suspended at its next sync" };
        let because = match reason {
            Reason::Overspent => "somebody has to bear the loss",
            _ if Policy::ALWAYS.contains(&reason) => "the key's own signatures prove it",
            _ => "it is the operator's choice",
        };
        rows.push(vec![reason.name().to_owned(), follows.to_owned(), because.to_owned()]);
        let chosen = Policy::CHOSEN.contains(&reason);
        let word = if revokes { "revoke" } else { "suspend" };
        listed.push(json!({ "reason": reason.name(), "answer": word, "chosen": chosen }));
    }
    answer.lines.extend(table(&rows, &[]));
    answer.set("policy", listed);
    Ok(output.answer(&answer))
}
