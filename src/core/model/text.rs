//! A metric's value as text. Short values need no allocation.
//!
//! Does not interpret the text.

use std::fmt;

use super::word::Word;

/// Bytes that fit beside the tag and the length.
const INLINE_BYTES: usize = 14;

/// Immutable UTF-8 text in 16 bytes. Text over 14 bytes is on the heap.
#[derive(Clone)]
pub struct SmallText(Repr);

#[derive(Clone)]
enum Repr {
    /// The first `len` bytes are the text.
    Inline { len: u8, bytes: [u8; INLINE_BYTES] },
    /// A double box keeps the size at 16 bytes. Long values are rare.
    Heap(Box<Box<str>>),
}

impl SmallText {
    /// The text as bytes, for output and comparison.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Heap(text) => text.as_bytes(),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // The bytes were copied from a whole str, so the default is never taken.
            Repr::Inline { len, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*len)]).unwrap_or_default()
            }
            Repr::Heap(text) => text,
        }
    }

    /// From bytes that must be ASCII.
    pub fn from_ascii(bytes: &[u8]) -> SmallText {
        if bytes.len() <= INLINE_BYTES {
            let mut inline = [0; INLINE_BYTES];
            inline[..bytes.len()].copy_from_slice(bytes);
            SmallText(Repr::Inline {
                len: bytes.len() as u8,
                bytes: inline,
            })
        } else {
            SmallText::from(&*String::from_utf8_lossy(bytes))
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Inline { .. } => 0,
            Repr::Heap(text) => size_of::<Box<str>>() + text.len(),
        }
    }
}

/// Text of ASCII that needs no allocation, on its way to a `SmallText`: in registers, as long as it is this.
#[derive(Clone, Copy, Debug)]
pub struct ShortText {
    word: Word,
    len: u8,
}

impl ShortText {
    /// The first `len` bytes of a word, which must be ASCII, if they are few enough.
    #[inline]
    pub fn new(word: Word, len: usize) -> Option<ShortText> {
        (len <= INLINE_BYTES).then_some(ShortText {
            word: word.head(len),
            len: len as u8,
        })
    }
}

impl From<ShortText> for SmallText {
    #[inline]
    fn from(text: ShortText) -> SmallText {
        let mut bytes = [0; INLINE_BYTES];
        bytes.copy_from_slice(&text.word.bytes()[..INLINE_BYTES]);
        SmallText(Repr::Inline {
            len: text.len,
            bytes,
        })
    }
}

impl From<&str> for SmallText {
    #[inline]
    fn from(text: &str) -> SmallText {
        if text.len() <= INLINE_BYTES {
            let mut bytes = [0; INLINE_BYTES];
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            SmallText(Repr::Inline {
                len: text.len() as u8,
                bytes,
            })
        } else {
            SmallText(Repr::Heap(Box::new(text.into())))
        }
    }
}

impl PartialEq for SmallText {
    fn eq(&self, other: &SmallText) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for SmallText {}

impl fmt::Debug for SmallText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_takes_sixteen_bytes() {
        assert_eq!(size_of::<SmallText>(), 16);
    }

    #[test]
    fn short_text_comes_from_a_word() {
        let text = "0123456789abcdef";
        let word = Word::first_of(text.as_bytes()).unwrap();
        for len in 0..Word::BYTES {
            let short = ShortText::new(word, len).map(SmallText::from);
            let expected = (len <= INLINE_BYTES).then_some(&text[..len]);
            assert_eq!(short.as_ref().map(SmallText::as_str), expected);
        }
    }

    #[test]
    fn text_of_every_length_comes_back_as_it_went_in() {
        for len in 0..40 {
            let text = "é".repeat(len / 2) + if len % 2 == 1 { "x" } else { "" };
            let small = SmallText::from(text.as_str());
            assert_eq!(small.as_str(), text);
            assert_eq!(small.as_bytes(), text.as_bytes());
            assert_eq!(small.heap_bytes() == 0, text.len() <= INLINE_BYTES);
        }
    }
}
