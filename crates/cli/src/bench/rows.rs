//! Where the operator of a benchmark keeps its rows, and how many bytes they take.

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use counterfoil_operator::Place;
use counterfoil_operator::store::Location;
use counterfoil_scratch_postgres::{Durability, Server};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum StoreKind {
    Sqlite,
    Postgres,
}

pub(super) struct Rows {
    pub(super) place: Place,
    server: Option<Server>,
}

impl Rows {
    /// A store for the operator in `dir`.
    pub(super) fn new(kind: StoreKind, dir: &Path) -> Result<Self> {
        let server = match kind {
            StoreKind::Sqlite => None,
            StoreKind::Postgres => Some(Server::start(Durability::Durable)?),
        };
        let database = server.as_ref().map(|server| Location::Postgres(server.address()));
        Ok(Self { place: Place { database, ..Place::from(dir) }, server })
    }

    pub(super) fn name(&self) -> &'static str {
        if self.server.is_some() { "postgres" } else { "sqlite" }
    }

    /// Bytes of the rows and their indexes, without a log of what is in them.
    pub(super) fn bytes(&self) -> Result<u64> {
        match &self.server {
            Some(server) => Ok(server.database_bytes()?),
            None => {
                let path = self.place.dir.join("operator.db");
                Ok(std::fs::metadata(&path).with_context(|| path.display().to_string())?.len())
            }
        }
    }
}
