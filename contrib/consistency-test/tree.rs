//! An answer's bytes into a tree of elements.
//!
//! No sockets and no comparing. Takes what a gmetad writes, an unescaped `&` included.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Deepest nesting taken; a gmetad's answer has five levels and one for each grid in a grid.
const MAX_DEPTH: usize = 64;

/// One element with all that is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Its tag.
    pub tag: String,
    /// Its attributes in the order written, references resolved.
    pub attributes: Vec<(String, String)>,
    /// The elements in it, in the order written.
    pub children: Vec<Element>,
    /// The text directly in it, without the white space around it.
    pub text: String,
}

/// Why an answer is no tree.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Not one byte came.
    #[error("the answer is empty")]
    Empty,
    /// Not well-formed.
    #[error("the answer is no well-formed XML at byte {at}: {why}")]
    Markup {
        /// Offset in the answer as text.
        at: u64,
        /// What the reader said.
        why: String,
    },
    /// The end came before the root element's end.
    #[error("the answer ends inside <{0}>")]
    Truncated(String),
    /// More levels than any gmetad writes.
    #[error("the answer nests deeper than {MAX_DEPTH} elements")]
    Depth,
    /// A second root, or text outside of the root.
    #[error("the answer goes on after its root element: {0}")]
    Trailing(String),
}

impl Element {
    /// Value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The attribute `NAME`, by which siblings are told apart.
    pub fn name(&self) -> Option<&str> {
        self.attribute("NAME")
    }
}

/// Decodes an answer.
///
/// Answers declare ISO-8859-1, but C gmetad hands on names as UTF-8; `strict` takes the
/// declaration at its word, otherwise bytes that are valid UTF-8 are read as that.
pub fn decode(bytes: &[u8], strict: bool) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !strict || text.is_ascii() => text.to_owned(),
        _ => bytes.iter().copied().map(char::from).collect(),
    }
}

/// Reads an answer as a tree.
pub fn parse(text: &str) -> Result<Element, TreeError> {
    if text.is_empty() {
        return Err(TreeError::Empty);
    }
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    reader.config_mut().allow_dangling_amp = true;
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    loop {
        let event = reader.read_event().map_err(|error| TreeError::Markup {
            at: reader.error_position(),
            why: error.to_string(),
        })?;
        match event {
            Event::Start(start) => {
                if open.len() >= MAX_DEPTH {
                    return Err(TreeError::Depth);
                }
                open.push(element(&start, reader.buffer_position())?);
            }
            Event::Empty(start) => {
                let element = element(&start, reader.buffer_position())?;
                close(element, &mut open, &mut root)?;
            }
            Event::End(_) => {
                // The reader has matched the names, so one is open.
                if let Some(element) = open.pop() {
                    close(element, &mut open, &mut root)?;
                }
            }
            Event::Text(text) => add_text(&mut open, &text.xml10_content())?,
            Event::CData(text) => add_text(&mut open, &text.xml10_content())?,
            Event::GeneralRef(reference) => {
                let written = format!("&{};", reference.xml10_content());
                add_text(&mut open, &unescape(&written))?;
            }
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::DocType(_) => {}
            Event::Eof => break,
        }
    }
    match (root, open.pop()) {
        (_, Some(unfinished)) => Err(TreeError::Truncated(unfinished.tag)),
        (Some(root), None) => Ok(root),
        (None, None) => Err(TreeError::Empty),
    }
}

fn element(start: &BytesStart<'_>, at: u64) -> Result<Element, TreeError> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| TreeError::Markup {
            at,
            why: error.to_string(),
        })?;
        attributes.push((attribute.key.0.to_owned(), unescape(&attribute.value)));
    }
    Ok(Element {
        tag: start.name().0.to_owned(),
        attributes,
        ..Element::default()
    })
}

fn close(
    element: Element,
    open: &mut [Element],
    root: &mut Option<Element>,
) -> Result<(), TreeError> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_some() => return Err(TreeError::Trailing(format!("<{}>", element.tag))),
        None => *root = Some(element),
    }
    Ok(())
}

fn add_text(open: &mut [Element], text: &str) -> Result<(), TreeError> {
    let text = text.trim();
    match open.last_mut() {
        _ if text.is_empty() => {}
        Some(element) => element.text.push_str(text),
        None => return Err(TreeError::Trailing(text.chars().take(40).collect())),
    }
    Ok(())
}

/// Resolves the references that are references and leaves any other `&` as it stands.
fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((character, length)) = reference(rest) {
            out.push(character);
            rest = &rest[length..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

/// The character that a text starting with `&` refers to, and the reference's length.
fn reference(text: &str) -> Option<(char, usize)> {
    let end = text.find(';')?;
    let body = &text[1..end];
    let character = match body {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let number = body.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((character, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_keeps_the_order_of_attributes_and_children() {
        let text = "<?xml version=\"1.0\"?>\n<!DOCTYPE A [\n <!ELEMENT A (B)*>\n]>\n\
                    <A Z=\"1\" B=\"2\">\n<B NAME=\"x\"/>\n<C NAME=\"y\">\n</C>\n</A>\n";
        let root = parse(text).unwrap();
        assert_eq!(
            root.attributes,
            [("Z".into(), "1".into()), ("B".into(), "2".into())]
        );
        let tags: Vec<_> = root.children.iter().map(|c| c.tag.as_str()).collect();
        assert_eq!(tags, ["B", "C"]);
        assert_eq!(root.children[1].name(), Some("y"));
    }

    #[test]
    fn references_are_resolved_and_a_bare_ampersand_is_kept() {
        let root = parse("<A V=\"&lt;&#233;&#x41;&quot; R&D & &bogus;\"/>").unwrap();
        assert_eq!(root.attribute("V"), Some("<éA\" R&D & &bogus;"));
    }

    #[test]
    fn what_is_no_document_is_told() {
        assert_eq!(parse(""), Err(TreeError::Empty));
        assert_eq!(
            parse("<A><B></B>"),
            Err(TreeError::Truncated("A".to_owned()))
        );
        assert!(matches!(parse("<A></B>"), Err(TreeError::Markup { .. })));
        assert!(matches!(parse("<A/><B/>"), Err(TreeError::Trailing(_))));
        assert!(matches!(
            parse("<A X=\"1\" X=\"2\"/>"),
            Err(TreeError::Markup { .. })
        ));
        let deep = "<A>".repeat(MAX_DEPTH + 1);
        assert_eq!(parse(&deep), Err(TreeError::Depth));
    }

    #[test]
    fn text_in_an_element_is_seen() {
        assert_eq!(parse("<A> a &amp; b </A>").unwrap().text, "a&b");
    }

    #[test]
    fn latin1_and_utf8_names_read_the_same_unless_strict() {
        assert_eq!(decode(b"caf\xe9", false), "café");
        assert_eq!(decode("café".as_bytes(), false), "café");
        assert_eq!(decode("é".as_bytes(), true), "Ã©");
    }
}
