//! An answer on its way to the client: made in slices, and how well it is taken.

use std::time::Duration;

use super::limits::{LEAST_SLICE_BYTES, MIN_BYTES_PER_SEC, OUT_BYTES, PATIENCE, SLICE_TIME};
use crate::answer::walk::Body;
use crate::model::Mono;
use crate::room::Standing;

/// An answer while it is sent.
pub(super) struct Writing {
    body: Box<dyn Body>,
    /// Whether `body` has more.
    more: bool,
    out: Vec<u8>,
    /// How much of `out` is sent.
    at: usize,
    /// How many bytes are made at a time: fewer where they take long.
    slice_bytes: usize,
    /// Whether some were made since it was last told how long that took.
    is_made: bool,
    started: Mono,
    /// When the client last took something.
    taken: Mono,
}

impl Writing {
    pub(super) fn new(body: Box<dyn Body>, slice_bytes: usize, now: Mono) -> Writing {
        Writing {
            body,
            more: true,
            out: Vec::new(),
            at: 0,
            slice_bytes,
            is_made: false,
            started: now,
            taken: now,
        }
    }

    /// Whether it is made to its last byte.
    pub(super) fn is_last_output(&self) -> bool {
        !self.more
    }

    /// Whether it is made and sent to its last byte.
    pub(super) fn has_sent_all(&self) -> bool {
        !self.more && self.at == self.out.len()
    }

    /// The next bytes to send; empty once all are sent.
    pub(super) fn output(&mut self) -> &[u8] {
        while self.at == self.out.len() && self.more {
            self.out.clear();
            self.at = 0;
            self.more = self.body.fill(&mut self.out, self.slice_bytes);
            self.is_made = true;
        }
        &self.out[self.at..]
    }

    /// Notes how long it took to make the last slice, if one was made: the next is smaller where it
    /// took long, and grows again.
    pub(super) fn took(&mut self, took: Duration) {
        if !std::mem::take(&mut self.is_made) {
            return;
        }
        if took > SLICE_TIME {
            self.slice_bytes = (self.slice_bytes / 2).max(LEAST_SLICE_BYTES);
        } else if took * 2 <= SLICE_TIME {
            self.slice_bytes = (self.slice_bytes * 2).min(OUT_BYTES);
        }
    }

    /// Notes that so many bytes were sent.
    pub(super) fn written(&mut self, len: usize, now: Mono) {
        self.at += len;
        self.taken = now;
    }

    /// When the client last took something.
    pub(super) fn taken(&self) -> Mono {
        self.taken
    }

    /// When the client will count as too slow if no more than `written_bytes` are taken.
    pub(super) fn slow_at(&self, limit: Duration, written_bytes: u64) -> Mono {
        self.started + limit + Duration::from_secs(written_bytes / MIN_BYTES_PER_SEC)
    }

    /// Whether it takes too little, after a while in which it could take more.
    pub(super) fn standing(&self, written_bytes: u64, now: Mono) -> Option<Standing> {
        let (lasted, silent) = (now.since(self.started), now.since(self.taken));
        let bytes_per_sec = if silent >= PATIENCE {
            0
        } else {
            let lasted_ms = lasted.as_millis().max(1) as u64;
            written_bytes.saturating_mul(1000) / lasted_ms
        };
        let is_slow = lasted >= PATIENCE && bytes_per_sec < MIN_BYTES_PER_SEC;
        is_slow.then_some(Standing::Slow {
            bytes_per_sec,
            taken: self.taken,
        })
    }
}
