//! Values by number: equal values have one number, so that a state of the world is a handful of numbers.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

/// Values numbered in the order in which they were first seen.
pub struct Interner<T> {
    inner: RwLock<Inner<T>>,
}

struct Inner<T> {
    numbers: HashMap<Arc<T>, u32>,
    values: Vec<Arc<T>>,
}

impl<T: Hash + Eq> Default for Interner<T> {
    fn default() -> Self {
        Self { inner: RwLock::new(Inner { numbers: HashMap::new(), values: Vec::new() }) }
    }
}

impl<T: Hash + Eq> Interner<T> {
    /// The number of `value`.
    pub fn number(&self, value: T) -> u32 {
        let known = self.inner.read().unwrap_or_else(PoisonError::into_inner).numbers.get(&value).copied();
        if let Some(number) = known {
            return number;
        }
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = inner.numbers.get(&value) {
            return *number;
        }
        let number = u32::try_from(inner.values.len()).expect("fewer than 2^32 values");
        let value = Arc::new(value);
        inner.numbers.insert(value.clone(), number);
        inner.values.push(value);
        number
    }

    /// The value with a number that [`Interner::number`] gave.
    pub fn value(&self, number: u32) -> Arc<T> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).values[number as usize].clone()
    }

    /// How many values there are.
    pub fn count(&self) -> usize {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).values.len()
    }
}

/// What a function gave for an argument before.
pub struct Memo<K, V> {
    known: RwLock<HashMap<K, V>>,
}

impl<K: Hash + Eq, V: Clone> Default for Memo<K, V> {
    fn default() -> Self {
        Self { known: RwLock::new(HashMap::new()) }
    }
}

impl<K: Hash + Eq, V: Clone> Memo<K, V> {
    /// What `function` gives for `key`; it is called outside the lock, and must give the same each time.
    pub fn get(&self, key: K, function: impl FnOnce() -> V) -> V {
        if let Some(value) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return value.clone();
        }
        let value = function();
        self.known.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(value).clone()
    }

    /// How many arguments there were.
    pub fn count(&self) -> usize {
        self.known.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}
