//! Where an operator is: its folder, and the database that the folder's configuration or somebody else names.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::OperatorError;
use crate::store::{Location, Transactions};

/// The configuration in an operator's folder.
pub(crate) const CONFIG_FILE: &str = "operator.toml";

/// An operator's folder and database.
#[derive(Debug, Clone)]
pub struct Place {
    /// The folder.
    pub dir: PathBuf,
    /// The database; absent for the one that the configuration names.
    pub database: Option<Location>,
    /// How batches are written; absent for the way that the configuration names.
    pub transactions: Option<Transactions>,
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Place {
    fn from(dir: &P) -> Self {
        Self { dir: dir.as_ref().to_owned(), database: None, transactions: None }
    }
}

/// What `operator.toml` says. A member that is absent is left to whoever starts the operator.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The database, as [`Location`] names it.
    database: Option<String>,
    /// How the rows of an operation that is about several buckets are written.
    transactions: Option<Transactions>,
    /// Where to listen.
    pub listen: Option<std::net::SocketAddr>,
}

impl Place {
    /// The configuration; an empty one where there is none.
    ///
    /// # Errors
    /// [`OperatorError::File`], [`OperatorError::Config`].
    pub fn config(&self) -> Result<Config, OperatorError> {
        let path = self.dir.join(CONFIG_FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text)
                .map_err(|error: toml::de::Error| OperatorError::Config { path, why: error.to_string() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Config::default()),
            Err(source) => Err(OperatorError::File { path, source }),
        }
    }

    /// The database, and how batches are written into it.
    ///
    /// # Errors
    /// As [`Place::config`].
    pub(crate) fn store(&self) -> Result<(Location, Transactions), OperatorError> {
        let config = self.config()?;
        let location = match (&self.database, config.database) {
            (Some(location), _) => location.clone(),
            (None, None) => Location::embedded(),
            (None, Some(named)) => named.parse().map_err(|why: &str| OperatorError::Config {
                path: self.dir.join(CONFIG_FILE),
                why: why.to_owned(),
            })?,
        };
        let transactions = self.transactions.or(config.transactions).unwrap_or_default();
        Ok((location.within(&self.dir), transactions))
    }
}

/// A configuration that names `database` and how batches are written, with what else may be in it.
pub(crate) fn config_text(database: &Location, transactions: Transactions) -> String {
    let database = toml::Value::String(database.address());
    let name = transactions.name();
    format!(
        "# What is not said by an option or a variable of the environment (COUNTERFOIL_DATABASE, COUNTERFOIL_TRANSACTIONS,\n\
         # COUNTERFOIL_LISTEN).\n\
         database = {database}\n\
         transactions = \"{name}\"\n\
         # listen = \"127.0.0.1:8080\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_says_where_the_rows_are_unless_somebody_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let mut place = Place::from(dir.path());
        assert_eq!(place.store().unwrap().0, Location::Sqlite(dir.path().join("operator.db")));
        for named in ["sqlite:other.db", "sqlite:/other.db", "postgres://u@h/n?a=\"b\""] {
            let location: Location = named.parse().unwrap();
            std::fs::write(dir.path().join(CONFIG_FILE), config_text(&location, Transactions::ByBucket))
                .unwrap();
            assert_eq!(place.store().unwrap(), (location.within(dir.path()), Transactions::ByBucket));
        }
        for wrong in [
            "database = 1",
            "transactions = \"x\"",
            "database = \"x\"",
            "listen = \"x\"",
            "spelled = \"x\"",
            "{",
        ] {
            std::fs::write(dir.path().join(CONFIG_FILE), wrong).unwrap();
            assert!(matches!(place.store(), Err(OperatorError::Config { .. })), "{wrong}");
        }
        std::fs::write(dir.path().join(CONFIG_FILE), "listen = \"127.0.0.1:8080\"").unwrap();
        assert_eq!(place.config().unwrap().listen.unwrap().port(), 8080);
        assert_eq!(place.store().unwrap().1, Transactions::Together);
        place.database = Some("postgres://h/n".parse().unwrap());
        assert_eq!(place.store().unwrap().0, Location::Postgres("postgres://h/n".to_owned()));
    }
}
