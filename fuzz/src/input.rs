//! A fuzzer's bytes, read as small decisions. What is missing reads as zero, so that every input is one.

/// What is left of an input.
pub struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    /// All of `bytes`.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `end`, which is not zero.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// Two bytes.
    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// Four bytes.
    pub fn word(&mut self) -> u32 {
        (u32::from(self.short()) << 16) | u32::from(self.short())
    }

    /// Eight bytes.
    pub fn long(&mut self) -> u64 {
        (u64::from(self.word()) << 32) | u64::from(self.word())
    }

    /// Bytes behind a length of one byte.
    pub fn bytes(&mut self) -> &'b [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        bytes
    }

    /// The rest.
    pub fn rest(&mut self) -> &'b [u8] {
        std::mem::take(&mut self.0)
    }

    /// `message`, as it is or with up to seven bytes changed, cut or added.
    pub fn tampered(&mut self, message: &[u8]) -> Vec<u8> {
        let mut bytes = message.to_vec();
        for _ in 0..self.byte() & 7 {
            let at = usize::from(self.short()) % bytes.len().max(1);
            let value = self.byte();
            match (self.byte() % 8, bytes.get_mut(at)) {
                (0, Some(_)) => bytes.truncate(at),
                (1, _) => bytes.push(value),
                (2, Some(_)) => drop(bytes.remove(at)),
                (3, Some(_)) => bytes.insert(at, value),
                (4, Some(byte)) => *byte ^= 1 << (value % 8),
                (_, Some(byte)) => *byte = value,
                (_, None) => {}
            }
        }
        bytes
    }
}
