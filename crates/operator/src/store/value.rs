//! Values between rows and the domain: both databases keep whole numbers, texts and bytes, and nothing else.

use std::borrow::Cow;

use counterfoil_wire::{Amount, Digest, KeyId};

use super::StoreError;
use crate::domain::bucket;
use crate::domain::reason::Reason;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Text,
    Bytes,
}

/// What one column of one row holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value<'a> {
    Null,
    Int(i64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

/// A row as it was read.
pub(super) type Row = Vec<Value<'static>>;

impl<'a> Value<'a> {
    /// The bucket of a wallet.
    pub(super) fn bucket(key: &KeyId) -> Self {
        bucket(key).into()
    }

    pub(super) fn count(count: u64) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    pub(super) fn optional(value: Option<impl Into<Value<'a>>>) -> Self {
        value.map_or(Self::Null, Into::into)
    }

    /// The kind of a value that is there.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Null => None,
            Self::Int(_) => Some(Kind::Int),
            Self::Text(_) => Some(Kind::Text),
            Self::Bytes(_) => Some(Kind::Bytes),
        }
    }
}

macro_rules! from_int {
    ($($int:ty),*) => {$(
        impl From<$int> for Value<'_> {
            fn from(value: $int) -> Self {
                Self::Int(value.into())
            }
        }
    )*};
}
from_int!(bool, u8, u16, u32, i64);

impl From<Amount> for Value<'_> {
    fn from(value: Amount) -> Self {
        // An amount is below 2^53.
        Self::count(value.minor())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        value.as_str().into()
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Text(Cow::Owned(value))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(value))
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(value: &'a Vec<u8>) -> Self {
        value.as_slice().into()
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(Cow::Owned(value))
    }
}

impl<'a> From<&'a KeyId> for Value<'a> {
    fn from(value: &'a KeyId) -> Self {
        value.0.as_slice().into()
    }
}

impl<'a> From<&'a Digest> for Value<'a> {
    fn from(value: &'a Digest) -> Self {
        value.0.as_slice().into()
    }
}

/// The columns of a row, read one after the other. What is not what it must be is a damaged row of `table`.
pub(super) struct Fields {
    table: &'static str,
    values: std::vec::IntoIter<Value<'static>>,
}

impl Fields {
    pub(super) fn new(table: &'static str, row: Row) -> Self {
        Self { table, values: row.into_iter() }
    }

    pub(super) fn damaged(&self) -> StoreError {
        StoreError::Damaged(self.table)
    }

    fn next(&mut self) -> Result<Value<'static>, StoreError> {
        self.values.next().ok_or(StoreError::Damaged(self.table))
    }

    /// Leaves one column out.
    pub(super) fn skip(&mut self) -> Result<(), StoreError> {
        self.next().map(drop)
    }

    pub(super) fn int<T: TryFrom<i64>>(&mut self) -> Result<T, StoreError> {
        match self.next()? {
            Value::Int(value) => T::try_from(value).map_err(|_| self.damaged()),
            _ => Err(self.damaged()),
        }
    }

    pub(super) fn optional_int<T: TryFrom<i64>>(&mut self) -> Result<Option<T>, StoreError> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Int(value) => T::try_from(value).map(Some).map_err(|_| self.damaged()),
            _ => Err(self.damaged()),
        }
    }

    pub(super) fn flag(&mut self) -> Result<bool, StoreError> {
        Ok(self.int::<u8>()? != 0)
    }

    pub(super) fn amount(&mut self) -> Result<Amount, StoreError> {
        let minor = self.int()?;
        Amount::new(minor).ok_or_else(|| self.damaged())
    }

    pub(super) fn reason(&mut self) -> Result<Reason, StoreError> {
        Reason::from_number(self.int()?).ok_or_else(|| self.damaged())
    }

    pub(super) fn text(&mut self) -> Result<String, StoreError> {
        self.optional_text()?.ok_or_else(|| self.damaged())
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<String>, StoreError> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Text(value) => Ok(Some(value.into_owned())),
            _ => Err(self.damaged()),
        }
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        self.optional_bytes()?.ok_or_else(|| self.damaged())
    }

    pub(super) fn optional_bytes(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Bytes(value) => Ok(Some(value.into_owned())),
            _ => Err(self.damaged()),
        }
    }

    fn thirty_two(&mut self) -> Result<[u8; 32], StoreError> {
        match self.next()? {
            Value::Bytes(value) => <[u8; 32]>::try_from(value.as_ref()).map_err(|_| self.damaged()),
            _ => Err(self.damaged()),
        }
    }

    pub(super) fn digest(&mut self) -> Result<Digest, StoreError> {
        self.thirty_two().map(Digest)
    }

    pub(super) fn key_id(&mut self) -> Result<KeyId, StoreError> {
        self.thirty_two().map(KeyId)
    }
}
