//! What a server understands and says: how a batch goes onto the wire, and what its answer means.
//!
//! No sockets: an answer is read through an [`AnswerReader`].

use super::answer::{AnswerReader, BatchAnswer};
use super::batch::{Batch, Frame};
use super::error::LinkError;
use super::refusals::Target;

/// A protocol. By default the values are sent as they are, and nothing is answered.
pub trait Dialect: Send + Sync {
    /// Writes a batch as it goes onto the wire. Called once for each batch, on the plugin thread,
    /// before it waits: what is compressed waits compressed.
    ///
    /// Over UDP what is written is one datagram. `scratch` is for any use, and keeps what it had.
    fn encode(&self, batch: &Batch, out: &mut Vec<u8>, scratch: &mut Vec<u8>) {
        let _ = scratch;
        out.extend_from_slice(batch.bytes());
    }

    /// What frames are written in, for those that wait on disk: one of another kind is not sent.
    fn format(&self) -> u8 {
        0
    }

    /// Writes what goes in front of a frame each time it is sent, such as a password that may change
    /// while the frame waits. Called on the server's own thread, so it may read a file.
    fn head(&self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), LinkError> {
        let _ = (frame, out);
        Ok(())
    }

    /// Whether the server answers every frame.
    fn answers(&self) -> bool {
        false
    }

    /// Reads the answer to a frame. Called only if the server answers.
    fn answer(
        &self,
        reader: &mut AnswerReader<'_>,
        frame: &Frame,
    ) -> Result<BatchAnswer, LinkError> {
        let _ = (reader, frame);
        Ok(BatchAnswer::default())
    }

    /// What each of a frame's values is for, in order. Called only while something is refused, to
    /// learn when the server accepts it again.
    fn targets(&self, frame: &Frame) -> Vec<Target> {
        vec![0; frame.values as usize]
    }
}

/// Room in which batches are encoded, one after another. Kept, since the system takes long to give memory
/// anew for each.
#[derive(Debug, Default)]
pub struct Encoding {
    out: Vec<u8>,
    scratch: Vec<u8>,
}

impl Encoding {
    /// A batch as its dialect writes it. It may wait for hours, so it has no room to spare.
    pub fn frame(&mut self, batch: &Batch, dialect: &dyn Dialect) -> Frame {
        self.out.clear();
        dialect.encode(batch, &mut self.out, &mut self.scratch);
        Frame {
            bytes: self.out.as_slice().into(),
            values: batch.values(),
        }
    }
}

/// A batch as its dialect writes it, in room of its own.
pub fn encoded(batch: &Batch, dialect: &dyn Dialect) -> Frame {
    Encoding::default().frame(batch, dialect)
}
