//! Where an operator is: its folder, and the database that the folder's configuration or somebody else names.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::OperatorError;
use crate::store::Location;

/// The configuration in an operator's folder.
pub(crate) const CONFIG_FILE: &str = "operator.toml";

/// An operator's folder and database.
#[derive(Debug, Clone)]
pub struct Place {
    /// The folder.
    pub dir: PathBuf,
    /// The database; absent for the one that the configuration names.
    pub database: Option<Location>,
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Place {
    fn from(dir: &P) -> Self {
        Self { dir: dir.as_ref().to_owned(), database: None }
    }
}

/// What `operator.toml` says. A member that is absent is left to whoever starts the operator.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The database, as [`Location`] names it.
    database: Option<String>,
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

    /// The database.
    ///
    /// # Errors
    /// As [`Place::config`].
    pub(crate) fn location(&self) -> Result<Location, OperatorError> {
        let location = match (&self.database, self.config()?.database) {
            (Some(location), _) => location.clone(),
            (None, None) => Location::embedded(),
            (None, Some(named)) => named.parse().map_err(|why: &str| OperatorError::Config {
                path: self.dir.join(CONFIG_FILE),
                why: why.to_owned(),
            })?,
        };
        Ok(location.within(&self.dir))
    }
}

/// A configuration that names `database`, with what else may be in it.
pub(crate) fn config_text(database: &Location) -> String {
    let database = toml::Value::String(database.address());
    format!(
        "# What is not said by an option or a variable of the environment (COUNTERFOIL_DATABASE, COUNTERFOIL_LISTEN).\n\
         database = {database}\n\
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
        assert_eq!(place.location().unwrap(), Location::Sqlite(dir.path().join("operator.db")));
        for named in ["sqlite:other.db", "sqlite:/other.db", "postgres://u@h/n?a=\"b\""] {
            let location: Location = named.parse().unwrap();
            std::fs::write(dir.path().join(CONFIG_FILE), config_text(&location)).unwrap();
            assert_eq!(place.location().unwrap(), location.within(dir.path()));
        }
        for wrong in ["database = 1", "database = \"x\"", "listen = \"x\"", "spelled = \"x\"", "{"] {
            std::fs::write(dir.path().join(CONFIG_FILE), wrong).unwrap();
            assert!(matches!(place.location(), Err(OperatorError::Config { .. })), "{wrong}");
        }
        std::fs::write(dir.path().join(CONFIG_FILE), "listen = \"127.0.0.1:8080\"").unwrap();
        assert_eq!(place.config().unwrap().listen.unwrap().port(), 8080);
        place.database = Some("postgres://h/n".parse().unwrap());
        assert_eq!(place.location().unwrap(), Location::Postgres("postgres://h/n".to_owned()));
    }
}
