//! Which operator a command is about.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use counterfoil_operator::store::{Location, Transactions};
use counterfoil_operator::{OperatorError, Place, Refusal, Service, system_clock};

use crate::operator::numbered;

#[derive(Debug, Clone, Args)]
pub(crate) struct PlaceArgs {
    /// Folder of the operator
    #[arg(long, env = "COUNTERFOIL_DIR")]
    pub(crate) dir: PathBuf,
    /// Database of the operator: sqlite:PATH or postgres://USER@HOST/NAME [default: as operator.toml in the folder says]
    #[arg(long, value_name = "URL", env = "COUNTERFOIL_DATABASE", hide_env_values = true)]
    database: Option<Location>,
    /// How rows of several buckets are written: together, or by-bucket for a database of several machines [default: as
    /// operator.toml in the folder says]
    #[arg(long, value_name = "HOW", env = "COUNTERFOIL_TRANSACTIONS")]
    transactions: Option<Transactions>,
}

impl From<&PlaceArgs> for Place {
    fn from(args: &PlaceArgs) -> Self {
        Self { dir: args.dir.clone(), database: args.database.clone(), transactions: args.transactions }
    }
}

impl PlaceArgs {
    /// Works on the operator, also while it serves.
    pub(crate) fn with<T>(&self, run: impl FnOnce(&Service) -> Result<T, Refusal>) -> Result<T> {
        let done = Service::open(self, system_clock()).and_then(|service| Ok(run(&service)?));
        done.map_err(|error: OperatorError| numbered(error))
    }
}
