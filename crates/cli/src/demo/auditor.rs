//! The auditor: sums the wallets' own states and the rail's accounts, and never asks the operator's ledger.

use anyhow::{Context as _, Result, ensure};
use counterfoil_rail::{Account, SCHEME, Snapshot};
use serde::Serialize;

use super::scene::{Actor, Taken};

/// Where the money is, in minor units.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Supply {
    pub funded: u64,
    pub defunded: u64,
    pub offline: u64,
    pub in_flight: u64,
    pub loss: u64,
}

/// What the story itself saw go in and out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flows {
    pub funded: u64,
    pub defunded: u64,
}

/// Sums everything. The second value says whether it balances, in all three ways: story, rail and wallets.
///
/// # Errors
/// If a wallet or the rail cannot be read.
pub fn audit(actors: &[&Actor], taken: &Taken, rail: &Snapshot, flows: Flows) -> Result<(Supply, bool)> {
    let (mut offline, mut in_flight) = (0u64, 0u64);
    for actor in actors {
        let overview = actor.overview()?;
        let held = [overview.funded, overview.received, overview.defunding];
        offline += held.into_iter().map(counterfoil_wire::Amount::minor).sum::<u64>();
        let open = overview.payments.iter().filter(|row| row.state.in_flight() && !taken.contains(&row.id));
        in_flight += open.map(|row| row.amount.minor()).sum::<u64>();
    }
    let paid_in = |of: fn(&Account) -> bool| -> Result<u64> {
        let rows = rail.accounts.iter().filter(|row| of(&row.account));
        let (opened, left) = rows.fold((0, 0), |sums, row| (sums.0 + row.opened, sums.1 + row.balance));
        u64::checked_sub(opened, left).context("accounts hold more than they were opened with")
    };
    ensure!(rail.broken.is_empty(), "the rail's books are broken: {}", rail.broken.join("; "));
    let loss = paid_in(is_loss_fund)?;
    let net = paid_in(|account| account.psp != SCHEME && !is_loss_fund(account))?;
    let float = rail.balance(&Account::float()).unwrap_or(0);
    let Flows { funded, defunded } = flows;
    let conserved = funded.checked_sub(defunded) == Some(net)
        && net + loss == offline + in_flight
        && float == offline + in_flight;
    Ok((Supply { funded, defunded, offline, in_flight, loss }, conserved))
}

fn is_loss_fund(account: &Account) -> bool {
    *account == Account::loss_fund(&account.psp)
}
