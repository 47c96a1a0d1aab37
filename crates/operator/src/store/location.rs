//! Where an operator's rows are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A database, as `sqlite:PATH` or `postgres://…` names it.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file. A relative path is one in the operator's folder.
    Sqlite(PathBuf),
    /// A PostgreSQL server and database, as an address of libpq's form.
    Postgres(String),
}

impl Location {
    /// The embedded database of an operator's folder.
    pub fn embedded() -> Self {
        Self::Sqlite(PathBuf::from("operator.db"))
    }

    /// The text that names it, password and all.
    pub fn address(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(address) => address.clone(),
        }
    }

    /// The same place, with a file's path as seen from elsewhere than `dir`.
    pub fn within(self, dir: &Path) -> Self {
        match self {
            Self::Sqlite(path) => Self::Sqlite(dir.join(path)),
            other => other,
        }
    }
}

impl FromStr for Location {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                Ok(Self::Postgres(text.to_owned()))
            }
            _ => Err("a database is named by sqlite:PATH or postgres://USER@HOST/NAME"),
        }
    }
}

/// Without what may be a password: what stands before the last `@`, and all parameters.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(address) => {
                let bare = address.split(['?', '#']).next().unwrap_or_default();
                let bare = bare.split_once("//").map_or(bare, |(_, rest)| rest);
                write!(f, "postgres://{}", bare.rsplit('@').next().unwrap_or_default())
            }
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_place_has_no_password_in_it() {
        for (given, shown) in [
            ("sqlite:operator.db", "sqlite:operator.db"),
            ("postgres://ann:s3cret@host:5432/books?password=s3cret", "postgres://host:5432/books"),
            ("postgresql://ann:s3c@/s3cret@host/books", "postgres://host/books"),
            ("postgres://host", "postgres://host"),
        ] {
            let location: Location = given.parse().unwrap();
            assert_eq!(location.to_string(), shown);
            assert!(!format!("{location:?}").contains("s3c"));
        }
        for garbage in ["", "sqlite:", "postgres:", "mysql://host/x", "operator.db"] {
            assert!(garbage.parse::<Location>().is_err(), "{garbage}");
        }
    }
}
