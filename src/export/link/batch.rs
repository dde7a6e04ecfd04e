//! Values gathered into a batch, and the batch as it goes onto the wire.
//!
//! No I/O. A batch is encoded once, by its dialect, before it waits; what waits is sent as it is.

/// Values of an update, each as its dialect writes one, one after another.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    values: u32,
}

impl Batch {
    /// Appends a value.
    pub fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.values += 1;
    }

    /// The values' bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many values there are.
    pub fn values(&self) -> u32 {
        self.values
    }

    pub(super) fn has_room_for(&self, value: &[u8], limit_bytes: usize) -> bool {
        self.bytes.is_empty() || self.bytes.len() + value.len() <= limit_bytes
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.values = 0;
    }
}

/// A batch as it goes onto the wire.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// All that is sent.
    pub bytes: Vec<u8>,
    /// How many values are in it.
    pub values: u32,
}

impl Frame {
    /// Memory it takes.
    pub(super) fn weight(&self) -> usize {
        self.bytes.capacity() + size_of::<Frame>()
    }
}
