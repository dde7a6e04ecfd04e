//! Answers: their header fields, and pages that are written while they are sent.

use std::borrow::Cow;

use gmetad_core::answer::walk::Body;
use gmetad_core::history::Refused;
use gmetad_core::http::{Content, HttpAnswer, Reply, Status};
use maud::{Markup, html};

use crate::graph::{History, Plan};

/// A page may load its own style, script and pictures, ask its own server, and nothing else; nobody may
/// frame it or read it.
const POLICY: &str = "Content-Security-Policy: default-src 'none'; style-src 'self'; \
    script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'\r\n\
    X-Frame-Options: DENY\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Referrer-Policy: no-referrer\r\n\
    Cross-Origin-Opener-Policy: same-origin\r\n";

/// Of pages and values: read by nobody else, and kept by no cache.
const OWN: &str = "Cross-Origin-Resource-Policy: same-origin\r\nCache-Control: no-store\r\n";

/// Of pictures of graphs, which other sites may show, but not read.
const SHOWN: &str = "Cross-Origin-Resource-Policy: cross-origin\r\nCache-Control: no-cache\r\n";

/// Of files whose name changes with their content.
const KEPT: &str = "Cross-Origin-Resource-Policy: same-origin\r\n\
    Cache-Control: public, max-age=31536000, immutable\r\n";

/// Who may do what with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Page,
    Picture,
    Asset,
}

/// An answer with these header fields.
pub fn answer(
    status: Status,
    kind: Kind,
    content_type: &'static str,
    content: Content,
) -> HttpAnswer {
    let more = match kind {
        Kind::Page => OWN,
        Kind::Picture => SHOWN,
        Kind::Asset => KEPT,
    };
    HttpAnswer {
        status,
        fields: Cow::Owned([POLICY, more].concat()),
        content_type,
        content,
    }
}

pub const HTML: &str = "text/html; charset=utf-8";

/// A page that is complete.
pub fn page(status: Status, text: String) -> HttpAnswer {
    answer(status, Kind::Page, HTML, Content::Bytes(text.into_bytes()))
}

/// The way to another page. The place is relative.
pub fn see_other(place: &str) -> HttpAnswer {
    // A link is percent-encoded, so it has no line ends.
    let fields = [POLICY, OWN, "Location: ", place, "\r\n"].concat();
    HttpAnswer {
        status: Status::SeeOther,
        fields: Cow::Owned(fields),
        content_type: "text/plain; charset=utf-8",
        content: Content::Bytes(b"see Location\n".to_vec()),
    }
}

/// Asks for the series of a plan, then makes the answer. Without any it is made at once. The function
/// also gets what hindered the reading.
pub fn ask(
    plan: Plan,
    then: impl FnOnce(History, Option<Refused>) -> HttpAnswer + Send + 'static,
) -> Reply {
    let (question, shape) = plan.question();
    if question.is_empty() {
        return Reply::Ready(then(shape.history(Vec::new()), None));
    }
    Reply::Ask(
        question,
        Box::new(move |read| match read {
            Ok(answer) => then(shape.history(answer), None),
            Err(refused) => then(shape.history(Vec::new()), Some(refused)),
        }),
    )
}

/// Appends the next part of a page. Returns whether there is more.
type Next = Box<dyn FnMut(&mut String) -> bool + Send>;

/// A page that is written while it is sent: its beginning, then part by part, then its end.
pub struct Pieces {
    text: String,
    sent: usize,
    next: Option<Next>,
    after: String,
}

impl Pieces {
    pub fn new(
        mut before: String,
        next: impl FnMut(&mut String) -> bool + Send + 'static,
        after: String,
    ) -> Pieces {
        // It may wait for its turn to be sent.
        before.shrink_to_fit();
        Pieces {
            text: before,
            sent: 0,
            next: Some(Box::new(next)),
            after,
        }
    }

    /// A page whose parts are those of the list.
    pub fn answer(self) -> HttpAnswer {
        answer(Status::Ok, Kind::Page, HTML, Content::Body(Box::new(self)))
    }
}

impl Body for Pieces {
    fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> bool {
        while out.len() < limit {
            if self.sent == self.text.len() {
                self.text.clear();
                self.sent = 0;
                match &mut self.next {
                    Some(next) => {
                        if !next(&mut self.text) {
                            self.next = None;
                            self.text.push_str(&self.after);
                        }
                    }
                    None => return false,
                }
            }
            let part = (limit - out.len()).min(self.text.len() - self.sent);
            out.extend_from_slice(&self.text.as_bytes()[self.sent..self.sent + part]);
            self.sent += part;
        }
        self.next.is_some() || self.sent < self.text.len()
    }
}

/// A page that says why there is no other.
pub fn fault(status: Status, title: &str, text: &str) -> HttpAnswer {
    let frame = html! {
        (maud::DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { (title) }
                link rel="stylesheet" href=(crate::assets::STYLE.name());
                link rel="icon" type="image/svg+xml" href=(crate::assets::ICON.name());
            }
            body {
                main {
                    h1 { (title) }
                    div.box.err { (text) }
                    p { a href="./" { "To the grid" } }
                }
            }
        }
    };
    page(status, Markup::into_string(frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_same_however_they_are_sliced() {
        let pieces = || {
            let mut at = 0;
            Pieces::new(
                "begin".into(),
                move |out| {
                    at += 1;
                    out.push_str(&at.to_string());
                    at < 12
                },
                "end".into(),
            )
        };
        let whole = |slice: usize| {
            let mut pieces = pieces();
            let mut all = Vec::new();
            loop {
                let mut out = Vec::new();
                let more = pieces.fill(&mut out, slice);
                assert!(out.len() <= slice);
                all.extend(out);
                if !more {
                    return String::from_utf8(all).unwrap();
                }
            }
        };
        for slice in [1, 2, 3, 7, 1000] {
            assert_eq!(whole(slice), "begin123456789101112end", "{slice}");
        }
    }
}
