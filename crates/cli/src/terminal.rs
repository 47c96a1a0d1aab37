//! `counterfoil terminal`: a merchant's acceptor without a tamper resistant element.

use anyhow::Result;
use clap::{Args, Subcommand};
use counterfoil_wallet::{Kind, Operation, Terminal};
use counterfoil_wire::cert::{NAME_MAX, Name};

use crate::output::{Output, Usage};
use crate::show;
use crate::wallet::{
    AnswerArgs, EnrolArgs, GossipArgs, Place, RequestArgs, finish, perform, refuse_if_enrolled, sync,
};

#[derive(Debug, Args)]
pub(crate) struct TerminalArgs {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: TerminalCommand,
}

#[derive(Debug, Subcommand)]
enum TerminalCommand {
    /// Make a key and have it certified under a display name (online)
    Enrol {
        #[command(flatten)]
        enrol: EnrolArgs,
        /// The name that payers see
        #[arg(long, value_name = "DISPLAY")]
        name: String,
    },
    /// Ask to be paid
    Request(RequestArgs),
    /// Take a payment; gives the receipt, or a decline where a rule refuses the payment (exit 3)
    Accept(AnswerArgs),
    /// Decline a payment for good; gives the decline
    Decline(AnswerArgs),
    /// Hand on revocation list and proofs (--out), or take what another device hands on
    Gossip(GossipArgs),
    /// Present what was taken to the operator, to be paid to the account (online)
    Claim,
    /// Show what was taken and what is open
    Show,
}

pub(crate) fn run(args: &TerminalArgs, output: &Output) -> Result<u8> {
    let (home, device) = (args.place.home(), args.place.device()?);
    if let TerminalCommand::Enrol { enrol, name } = &args.command {
        let named = Name::new(name).filter(|name| !name.as_str().is_empty());
        let named = named.ok_or_else(|| {
            Usage(format!(
                "a display name is 1 to {NAME_MAX} bytes of printable text, without spaces at its ends"
            ))
        })?;
        enrol.check()?;
        refuse_if_enrolled(&home, enrol.replace)?;
        let new = enrol.new_home(Kind::Terminal, named, None)?;
        let enrol_how = if enrol.replace { Terminal::enrol_anew } else { Terminal::enrol };
        let (mut terminal, done) = enrol_how(&home, &device, &new, &enrol.operator())?;
        return finish(terminal.as_wallet(), output, Ok(done));
    }
    let mut terminal = Terminal::open(&home, &device)?;
    let currency = match &args.command {
        TerminalCommand::Show => return show::run(terminal.as_wallet(), output),
        TerminalCommand::Claim => return sync(terminal.as_wallet(), output),
        _ => terminal.currency()?,
    };
    let order = match &args.command {
        TerminalCommand::Request(request) => request.order(currency)?,
        TerminalCommand::Accept(answer) => answer.order(|payment| Operation::Accept { payment })?,
        TerminalCommand::Decline(answer) => answer.order(|payment| Operation::Decline { payment })?,
        TerminalCommand::Gossip(gossip) => gossip.order()?,
        TerminalCommand::Enrol { .. } | TerminalCommand::Claim | TerminalCommand::Show => return Ok(0),
    };
    let done = perform(terminal.as_wallet(), order);
    finish(terminal.as_wallet(), output, done)
}
