//! Text that crosses the boundary: read from a plugin, or made for one.

use std::fmt::{Display, Write as _};
use std::slice;

use gmetad_plugin::abi::Text;

/// Text that a plugin gives; `None` if it is not UTF-8.
///
/// # Safety
/// It stays in place for as long as the result is used.
#[inline]
pub(super) unsafe fn text<'a>(text: Text) -> Option<&'a str> {
    if text.len == 0 {
        return Some("");
    }
    if text.ptr.is_null() || text.len > isize::MAX as usize {
        return None;
    }
    // SAFETY: the caller promises these bytes.
    let bytes = unsafe { slice::from_raw_parts(text.ptr, text.len) };
    std::str::from_utf8(bytes).ok()
}

/// Text for a person to read, whatever its encoding.
///
/// # Safety
/// As of [`text`].
pub(super) unsafe fn text_lossy<'a>(text: Text) -> std::borrow::Cow<'a, str> {
    if text.len == 0 || text.ptr.is_null() || text.len > isize::MAX as usize {
        return "".into();
    }
    // SAFETY: the caller promises these bytes.
    String::from_utf8_lossy(unsafe { slice::from_raw_parts(text.ptr, text.len) })
}

/// Text made for a plugin; it stays in place until the call ends.
#[derive(Default)]
pub(super) struct Scratch {
    /// None grows beyond its capacity, so that its text stays in place.
    chunks: Vec<String>,
}

/// Room for several hundred numbers.
const CHUNK_BYTES: usize = 4096;

impl Scratch {
    /// Writes a short text, and returns where it is.
    pub(super) fn keep(&mut self, text: impl Display) -> Text {
        /// A sum may have 309 digits before its point, and some after it.
        const LONGEST: usize = 400;
        let full = self
            .chunks
            .last()
            .is_none_or(|chunk| chunk.capacity() - chunk.len() < LONGEST);
        if full {
            self.chunks.push(String::with_capacity(CHUNK_BYTES));
        }
        let Some(chunk) = self.chunks.last_mut() else {
            return Text::NONE;
        };
        let start = chunk.len();
        // Writing to a string fails only if the text itself does.
        let _ = write!(chunk, "{text}");
        Text::of(&chunk[start..])
    }

    pub(super) fn clear(&mut self) {
        self.chunks.truncate(1);
        if let Some(chunk) = self.chunks.first_mut() {
            chunk.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_was_made_stays_in_place_until_the_call_ends() {
        let mut scratch = Scratch::default();
        let kept: Vec<Text> = (0..5000).map(|number| scratch.keep(number)).collect();
        for (number, text) in kept.into_iter().enumerate() {
            // SAFETY: nothing was cleared.
            assert_eq!(unsafe { super::text(text) }, Some(&*number.to_string()));
        }
        scratch.clear();
        assert_eq!(scratch.chunks.len(), 1);
    }

    #[test]
    fn the_longest_number_there_is_fits() {
        let mut scratch = Scratch::default();
        for _ in 0..100 {
            let chunks = scratch.chunks.len();
            let text = scratch.keep(gmetad_core::plugin::tree::Value::Sum(f64::MIN, 17));
            assert_eq!(text.len, 1 + 309 + 1 + 17);
            assert!(scratch.chunks.len() - chunks <= 1);
            assert_eq!(scratch.chunks.last().unwrap().capacity(), CHUNK_BYTES);
        }
    }
}
