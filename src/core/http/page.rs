//! A request for a page or for Graphite's API, and the data that it is answered from.
//!
//! No routes below a room's own path: each room (`gmetad-web`, `gmetad-graphite`) has its own.

use std::sync::Arc;

use percent_encoding::percent_decode;

use super::Method;
use crate::model::latin1::from_latin1;
use crate::model::{Now, Snapshot};
use crate::status::Report;

/// A part of the paths that is answered by a crate of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// The pages.
    Pages,
    /// Links to ganglia-web, whose paths are below `/ganglia`; answered with the way to our page.
    OldLinks,
    /// Graphite's API, below `/graphite`.
    Graphite,
}

/// A request to one of the rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Which room.
    pub room: Room,
    /// GET, HEAD or, for Graphite, POST.
    pub method: Method,
    /// The path inside of the room as sent, percent-encoded. It begins with a slash.
    pub path: Vec<u8>,
    /// What follows `?`, as sent.
    pub query: Vec<u8>,
    /// The body of a POST.
    pub body: Vec<u8>,
    /// Where the pages are on this port: `/ui/`, or `/` on `web_port`. A proxy may have cut off what
    /// stands before it, so links are better relative.
    pub pages: &'static str,
}

/// What pages and Graphite's API are made from, on whichever thread.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The state of all sources at one moment.
    pub snapshot: Arc<Snapshot>,
    /// That moment.
    pub now: Now,
    /// `graphite_prefix`, without dots at its ends; may be empty.
    pub graphite_prefix: String,
}

/// The same, and what only the loop has.
#[expect(missing_debug_implementations, reason = "it holds a function")]
pub struct PageContext<'a> {
    /// What does not need the loop.
    pub moment: Moment,
    /// The daemon's statistics; called only where they are needed.
    pub report: &'a mut dyn FnMut() -> Report,
}

impl PageRequest {
    /// The parts of the path, decoded: `/cluster/a%2Fb` has `cluster` and `a/b`.
    pub fn parts(&self) -> impl Iterator<Item = String> + '_ {
        let parts = self.path.split(|&b| b == b'/');
        parts.filter(|part| !part.is_empty()).map(decoded)
    }

    /// The arguments of the query, then those of the body, each as name and value, in order.
    pub fn arguments(&self) -> impl Iterator<Item = (String, String)> + '_ {
        form(&self.query).chain(form(&self.body))
    }
}

/// Percent-decoded text. What is no UTF-8 is read as Latin-1.
pub fn decoded(text: &[u8]) -> String {
    let bytes: Vec<u8> = percent_decode(text).collect();
    String::from_utf8(bytes).unwrap_or_else(|err| from_latin1(err.as_bytes()).into_owned())
}

/// The names and values of a form or a query: `+` is a space.
pub fn form(text: &[u8]) -> impl Iterator<Item = (String, String)> + '_ {
    let terms = text.split(|&b| b == b'&').filter(|term| !term.is_empty());
    terms.map(|term| {
        let at = term.iter().position(|&b| b == b'=');
        let (name, value) = at.map_or((term, &[][..]), |at| (&term[..at], &term[at + 1..]));
        (spaced(name), spaced(value))
    })
}

fn spaced(text: &[u8]) -> String {
    let with_spaces = text.iter().map(|&b| if b == b'+' { b' ' } else { b });
    decoded(&with_spaces.collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, query: &str, body: &str) -> PageRequest {
        PageRequest {
            room: Room::Pages,
            method: Method::Get,
            path: path.into(),
            query: query.into(),
            body: body.into(),
            pages: "/ui/",
        }
    }

    #[test]
    fn a_path_is_cut_before_it_is_decoded() {
        let parts = |path: &str| request(path, "", "").parts().collect::<Vec<_>>();
        assert_eq!(parts("/"), [] as [&str; 0]);
        assert_eq!(parts("/host/a%2Fb//%C3%A9%2b+/"), ["host", "a/b", "é++"]);
        assert_eq!(parts("/%E9%zz"), ["é%zz"], "as good as it can be read");
    }

    #[test]
    fn arguments_are_those_of_a_form_wherever_they_stand() {
        let both = request("/", "a=1&b&&=x&a=%3d+%26", "c=d%0A&a=2");
        let all: Vec<_> = both.arguments().collect();
        let expected = [
            ("a", "1"),
            ("b", ""),
            ("", "x"),
            ("a", "= &"),
            ("c", "d\n"),
            ("a", "2"),
        ];
        assert_eq!(
            all,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
