//! What the loop counts, for whoever asks how it does.
//!
//! Numbers only; they are put into words where they are shown.

use std::time::Duration;

use crate::model::Mono;

/// Of one source, since the start.
#[derive(Clone, Debug, Default)]
pub struct SourceStatus {
    /// Polls that brought a document.
    pub polls_ok: u64,
    /// Polls that did not.
    pub polls_failed: u64,
    /// Starts that passed while a poll was under way.
    pub missed: u64,
    /// Bytes of documents.
    pub document_bytes: u64,
    /// Bytes that brought them.
    pub wire_bytes: u64,
    /// Places in documents that could not be read as sent.
    pub damage: u64,
    /// Time spent on reading and storing documents.
    pub busy: Duration,
    /// When the last good poll ended.
    pub last_good: Option<Mono>,
}

/// Of all clients, since the start.
#[derive(Clone, Debug, Default)]
pub struct ClientStatus {
    /// Let in.
    pub accepted: u64,
    /// Asked for the whole on the XML port.
    pub xml_requests: u64,
    /// Asked for something on the interactive port.
    pub interactive_requests: u64,
    /// Turned away: not trusted.
    pub untrusted: u64,
    /// Turned away: no room.
    pub crowded_out: u64,
    /// Let go before they had their answer.
    pub faults: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
}
