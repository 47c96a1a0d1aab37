//! The auditor: sums the wallets' own states and the rail's accounts, and never asks the operator's ledger.

use anyhow::{Context as _, Result, ensure};
use counterfoil_rail::{Account, SCHEME, Snapshot};
use counterfoil_wire::rules::Preset;
use serde::Serialize;

use crate::scene::{Actor, Taken};

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

/// The account that losses are paid from, by the rules of the sandbox.
fn is_loss_fund(account: &Account) -> bool {
    *account == Account::loss_fund(&account.psp, Preset::Permissive.rules().loss_fund.as_str())
}

#[cfg(test)]
mod tests {
    use counterfoil_rail::AccountBalance;

    use super::*;

    /// A rail on which a customer paid `customer` in, a loss fund `fund`, and the float holds `float`.
    fn rail(customer: u64, fund: u64, float: u64) -> Snapshot {
        let fund_name = Preset::Permissive.rules().loss_fund;
        let row = |account, opened: u64, balance| AccountBalance { account, opened, balance };
        Snapshot {
            accounts: vec![
                row(Account::new("alpha", "ann"), 1_000, 1_000 - customer),
                row(Account::loss_fund("alpha", fund_name.as_str()), 1_000, 1_000 - fund),
                row(Account::float(), 0, float),
            ],
            total: 0,
            opened: 0,
            transfers: 0,
            broken: Vec::new(),
        }
    }

    #[test]
    fn what_does_not_add_up_is_said() {
        let nobody = |rail: Snapshot, flows| audit(&[], &Taken::new(), &rail, flows).unwrap().1;
        let still = Flows::default();
        assert!(nobody(rail(0, 0, 0), still));
        assert!(!nobody(rail(10, 0, 10), still), "money went in that the story does not know of");
        assert!(!nobody(rail(10, 0, 10), Flows { funded: 10, defunded: 0 }), "and no wallet holds it");
        assert!(!nobody(rail(0, 10, 10), still), "a loss that nobody caused");
        assert!(!nobody(rail(0, 0, 10), still), "a float that nobody paid in");
        assert!(!nobody(rail(0, 0, 0), Flows { funded: 10, defunded: 0 }), "funding that never came");
    }
}
