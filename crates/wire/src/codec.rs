//! Deterministic CBOR (RFC 8949 section 4.2.1), strictly.
//!
//! Records are definite arrays of fixed length, so that there are no map keys to sort or repeat. Strictness has one
//! rule that covers all the others: what was decoded is encoded again and must give the same bytes. A longer integer
//! form, an indefinite length or a trailing byte all fail it. Decoding recurses only as deep as the types do.
//!
//! # Memory
//! What a decoder allocates is bounded by what it was given, whatever the lengths in it say:
//! - An input is at most [`OBJECT_MAX`] bytes, a message between two devices [`MESSAGE_MAX`].
//! - A list that promises more items than bytes are left is refused before anything is allocated; so is one of more
//!   than [`Wire::COUNT_MAX`] items. For others room is reserved for [`RESERVED_FACTOR`] bytes a byte that is left.
//! - Encoding again is compared as it is written and takes no memory.
//!
//! Together, for every type: at most [`MEMORY_FACTOR`] times the length of the input, and [`MEMORY_SLACK`] bytes, at the
//! peak, legal or not (`tests/memory.rs`).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{Code, Error};

/// Longest message that travels between two devices, in bytes, gossip excepted.
pub const MESSAGE_MAX: usize = 4096;

/// Longest object of any kind, in bytes: a statement, a settlement, a full revocation list.
pub const OBJECT_MAX: usize = 8 * 1024 * 1024;

/// Most memory that decoding takes, in bytes a byte of input, beside [`MEMORY_SLACK`].
pub const MEMORY_FACTOR: usize = 8;

/// Memory that decoding may take whatever the length of the input, in bytes: lists of [`Wire::COUNT_MAX`] items, each of
/// them far larger in memory than the shortest thing that decodes to it.
pub const MEMORY_SLACK: usize = 4 * 1024 * 1024;

/// Room that is reserved for a list, in bytes a byte that is left of the input. A list of integers takes all of it.
pub const RESERVED_FACTOR: usize = 4;

/// Most encoded objects in one list ([`Bytes`]): more than fit into [`OBJECT_MAX`], a signature, a key and a digest
/// being 128 bytes.
pub const ENCODED_MAX: usize = OBJECT_MAX / 128;

/// Writes CBOR. Writing to memory cannot fail, so no method returns a result.
pub struct Enc<'b>(minicbor::Encoder<Sink<'b>>);

/// Where what is written goes.
enum Sink<'b> {
    /// It is kept.
    Keep(Vec<u8>),
    /// It is compared with what is expected; `None` once it was something else.
    Compare(Option<&'b [u8]>),
}

impl minicbor::encode::Write for Sink<'_> {
    type Error = core::convert::Infallible;

    fn write_all(&mut self, written: &[u8]) -> Result<(), Self::Error> {
        match self {
            Self::Keep(bytes) => bytes.extend_from_slice(written),
            Self::Compare(rest) => *rest = rest.and_then(|rest| rest.strip_prefix(written)),
        }
        Ok(())
    }
}

impl Enc<'_> {
    /// An empty writer.
    pub fn new() -> Self {
        Self(minicbor::Encoder::new(Sink::Keep(Vec::new())))
    }

    /// The bytes written.
    pub fn finish(self) -> Vec<u8> {
        match self.0.into_writer() {
            Sink::Keep(bytes) => bytes,
            Sink::Compare(_) => Vec::new(),
        }
    }

    /// The head of an array of `len` items.
    pub fn array(&mut self, len: u64) -> &mut Self {
        let _ = self.0.array(len);
        self
    }

    /// The head of a map of `len` pairs.
    pub fn map(&mut self, len: u64) -> &mut Self {
        let _ = self.0.map(len);
        self
    }

    /// An unsigned integer.
    pub fn uint(&mut self, value: u64) -> &mut Self {
        let _ = self.0.u64(value);
        self
    }

    /// A signed integer.
    pub fn int(&mut self, value: i64) -> &mut Self {
        let _ = self.0.i64(value);
        self
    }

    /// A byte string.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        let _ = self.0.bytes(value);
        self
    }

    /// A text string.
    pub fn text(&mut self, value: &str) -> &mut Self {
        let _ = self.0.str(value);
        self
    }

    /// `true` or `false`.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        let _ = self.0.bool(value);
        self
    }

    /// `null`.
    pub fn null(&mut self) -> &mut Self {
        let _ = self.0.null();
        self
    }

    /// A value of a wire type.
    pub fn put<T: Wire>(&mut self, value: &T) -> &mut Self {
        value.encode(self);
        self
    }
}

impl Default for Enc<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether `value` is encoded as exactly `bytes`. Nothing is allocated, so that no copy of a secret is left behind.
fn is_encoding_of<T: Wire>(bytes: &[u8], value: &T) -> bool {
    let mut e = Enc(minicbor::Encoder::new(Sink::Compare(Some(bytes))));
    value.encode(&mut e);
    matches!(e.0.into_writer(), Sink::Compare(Some([])))
}

/// Reads CBOR.
pub struct Dec<'b>(minicbor::Decoder<'b>);

impl<'b> Dec<'b> {
    /// A reader over `bytes`.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self(minicbor::Decoder::new(bytes))
    }

    fn fail<T>(&self, result: Result<T, minicbor::decode::Error>) -> Result<T, Error> {
        result
            .map_err(|e| if e.is_end_of_input() { Code::Truncated.into() } else { Code::NotAMessage.into() })
    }

    /// The head of an array; its length, which must be definite.
    pub fn array_head(&mut self) -> Result<u64, Error> {
        let head = self.0.array();
        self.fail(head)?.ok_or(Code::NonCanonical.into())
    }

    /// The head of an array of exactly `len` items.
    pub fn array(&mut self, len: u64) -> Result<(), Error> {
        if self.array_head()? == len { Ok(()) } else { Err(Code::NotAMessage.into()) }
    }

    /// The head of a map; its length, which must be definite.
    pub fn map_head(&mut self) -> Result<u64, Error> {
        let head = self.0.map();
        self.fail(head)?.ok_or(Code::NonCanonical.into())
    }

    /// An unsigned integer.
    pub fn uint(&mut self) -> Result<u64, Error> {
        let value = self.0.u64();
        self.fail(value)
    }

    /// A signed integer.
    pub fn int(&mut self) -> Result<i64, Error> {
        let value = self.0.i64();
        self.fail(value)
    }

    /// A byte string, borrowed from the input.
    pub fn bytes(&mut self) -> Result<&'b [u8], Error> {
        let value = self.0.bytes();
        self.fail(value)
    }

    /// A byte string of exactly `N` bytes.
    pub fn bytes_exact<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.bytes()?.try_into().map_err(|_| Code::ValueOutOfRange.into())
    }

    /// A text string, borrowed from the input.
    pub fn text(&mut self) -> Result<&'b str, Error> {
        let value = self.0.str();
        self.fail(value)
    }

    /// `true` or `false`.
    pub fn bool(&mut self) -> Result<bool, Error> {
        let value = self.0.bool();
        self.fail(value)
    }

    /// Whether the next item is `null`; if so it is consumed.
    pub fn null(&mut self) -> Result<bool, Error> {
        let kind = self.0.datatype();
        if self.fail(kind)? == minicbor::data::Type::Null {
            let skipped = self.0.null();
            self.fail(skipped)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Whether the next item is an array.
    pub fn is_array(&self) -> Result<bool, Error> {
        let kind = self.0.datatype();
        Ok(self.fail(kind)? == minicbor::data::Type::Array)
    }

    /// A value of a wire type.
    pub fn get<T: Wire>(&mut self) -> Result<T, Error> {
        T::decode(self)
    }

    /// How many bytes were not read yet.
    pub fn remaining(&self) -> usize {
        self.0.input().len().saturating_sub(self.0.position())
    }

    /// Whether all input was read.
    pub fn at_end(&self) -> bool {
        self.0.position() >= self.0.input().len()
    }
}

/// A value with exactly one encoding.
pub trait Wire: Sized {
    /// Most values of this type in one list. For types of which the shortest encoding is far smaller than the value.
    const COUNT_MAX: usize = usize::MAX;

    /// Appends the encoding.
    fn encode(&self, e: &mut Enc<'_>);

    /// Reads one value.
    ///
    /// # Errors
    /// [`Code::Truncated`], [`Code::NotAMessage`], [`Code::NonCanonical`], [`Code::ValueOutOfRange`].
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error>;

    /// The encoding of this value.
    fn to_bytes(&self) -> Vec<u8> {
        let mut e = Enc::new();
        self.encode(&mut e);
        e.finish()
    }

    /// Reads one value that fills `bytes`.
    ///
    /// # Errors
    /// As [`Wire::decode`]; [`Code::TrailingBytes`], [`Code::TooLong`], and [`Code::NonCanonical`] when encoding the
    /// value again gives other bytes.
    fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > OBJECT_MAX {
            return Err(Code::TooLong.into());
        }
        let mut d = Dec::new(bytes);
        let value = Self::decode(&mut d)?;
        if !d.at_end() {
            return Err(Code::TrailingBytes.into());
        }
        if !is_encoding_of(bytes, &value) {
            return Err(Code::NonCanonical.into());
        }
        Ok(value)
    }
}

macro_rules! wire_uint {
    ($($ty:ty),*) => {$(
        impl Wire for $ty {
            fn encode(&self, e: &mut Enc) {
                e.uint(u64::from(*self));
            }
            fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
                <$ty>::try_from(d.uint()?).map_err(|_| Code::ValueOutOfRange.into())
            }
        }
    )*};
}
wire_uint!(u8, u16, u32, u64);

impl Wire for bool {
    fn encode(&self, e: &mut Enc) {
        e.bool(*self);
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        d.bool()
    }
}

impl Wire for String {
    fn encode(&self, e: &mut Enc) {
        e.text(self);
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        Ok(String::from(d.text()?))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn encode(&self, e: &mut Enc) {
        match self {
            Some(value) => value.encode(e),
            None => {
                e.null();
            }
        }
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        if d.null()? { Ok(None) } else { Ok(Some(T::decode(d)?)) }
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn encode(&self, e: &mut Enc) {
        e.array(self.len() as u64);
        for item in self {
            item.encode(e);
        }
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        // No item is shorter than a byte.
        let len = usize::try_from(d.array_head()?).map_err(|_| Code::Truncated)?;
        if len > d.remaining() {
            return Err(Code::Truncated.into());
        }
        if len > T::COUNT_MAX {
            return Err(Code::TooLong.into());
        }
        let room = d.remaining().saturating_mul(RESERVED_FACTOR).checked_div(size_of::<T>()).unwrap_or(len);
        let reserved = if T::COUNT_MAX < usize::MAX { len } else { len.min(room) };
        let mut items = Vec::with_capacity(reserved);
        for _ in 0..len {
            items.push(T::decode(d)?);
        }
        Ok(items)
    }
}

/// A byte string that holds something opaque at this level, usually an encoded object.
#[derive(Clone, PartialEq, Eq, Default, Hash)]
pub struct Bytes(pub Vec<u8>);

impl Wire for Bytes {
    const COUNT_MAX: usize = ENCODED_MAX;

    fn encode(&self, e: &mut Enc) {
        e.bytes(&self.0);
    }
    fn decode(d: &mut Dec<'_>) -> Result<Self, Error> {
        Ok(Self(d.bytes()?.to_vec()))
    }
}

impl core::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Bytes({})", self.0.len())
    }
}

/// Declares a struct whose encoding is the array of its fields in order.
#[macro_export]
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident: $ty:ty,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name { $($(#[$fmeta])* pub $field: $ty,)+ }
        impl $crate::codec::Wire for $name {
            fn encode(&self, e: &mut $crate::codec::Enc) {
                e.array([$(stringify!($field)),+].len() as u64);
                $($crate::codec::Wire::encode(&self.$field, e);)+
            }
            fn decode(d: &mut $crate::codec::Dec<'_>) -> Result<Self, $crate::error::Error> {
                d.array([$(stringify!($field)),+].len() as u64)?;
                Ok(Self { $($field: $crate::codec::Wire::decode(d)?,)+ })
            }
        }
    };
}

/// Declares an enum that is encoded as a small unsigned integer. Numbers are never used again.
#[macro_export]
macro_rules! code_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $num:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant = $num,)+ }
        impl $name {
            /// Every value, in order of its number.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];
            /// The number that stands for this value.
            pub const fn number(self) -> u16 { self as u16 }
            /// The value that `number` stands for.
            pub const fn from_number(number: u64) -> Option<Self> {
                match number { $($num => Some(Self::$variant),)+ _ => None }
            }
        }
        impl $crate::codec::Wire for $name {
            fn encode(&self, e: &mut $crate::codec::Enc) {
                e.uint(u64::from(self.number()));
            }
            fn decode(d: &mut $crate::codec::Dec<'_>) -> Result<Self, $crate::error::Error> {
                Self::from_number(d.uint()?).ok_or($crate::error::Code::ValueOutOfRange.into())
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn one_value_has_one_encoding() {
        assert_eq!(u32::from_bytes(&[0x18, 0x17]).unwrap_err().code, Code::NonCanonical);
        assert_eq!(u32::from_bytes(&[0x17, 0x00]).unwrap_err().code, Code::TrailingBytes);
        assert_eq!(u32::from_bytes(&[0x1a, 0x00]).unwrap_err().code, Code::Truncated);
        assert_eq!(u32::from_bytes(&[0x1b, 0, 0, 0, 1, 0, 0, 0, 0]).unwrap_err().code, Code::ValueOutOfRange);
        assert_eq!(Vec::<u8>::from_bytes(&[0x9f, 0x01, 0xff]).unwrap_err().code, Code::NonCanonical);
        assert_eq!(Bytes::from_bytes(&[0x5f, 0x41, 0x01, 0xff]).unwrap_err().code, Code::NotAMessage);
        assert_eq!(Vec::<u8>::from_bytes(&[0x82, 0x01, 0x02]).unwrap(), vec![1, 2]);
    }

    #[test]
    fn a_length_that_lies_allocates_nothing() {
        assert_eq!(Vec::<u8>::from_bytes(&[0x9b, 0, 0, 0, 1, 0, 0, 0, 0]).unwrap_err().code, Code::Truncated);
        assert_eq!(Bytes::from_bytes(&[0x5a, 0xff, 0xff, 0xff, 0xff]).unwrap_err().code, Code::Truncated);
    }
}
