//! Links: the name of a page, and its parameters, percent-encoded.
//!
//! All are relative and all pages lie side by side, so they hold below any path.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the characters that are never encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A link that grows.
#[derive(Clone, Debug)]
pub struct Link {
    text: String,
    empty: bool,
}

impl Link {
    /// To a page without parameters.
    pub fn to(page: &str) -> Link {
        let mut text = String::with_capacity(96);
        text.push_str(page);
        Link { text, empty: true }
    }

    /// With one parameter more.
    pub fn with(mut self, name: &str, value: &str) -> Link {
        self.text.push(if self.empty { '?' } else { '&' });
        self.empty = false;
        self.text.push_str(name);
        self.text.push('=');
        self.text.extend(utf8_percent_encode(value, ENCODED));
        self
    }

    /// With a parameter if there is a value.
    pub fn with_some(self, name: &str, value: Option<&str>) -> Link {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With further parameters, each written as `&name=value`.
    pub fn with_tail(mut self, tail: &str) -> Link {
        match tail.strip_prefix('&') {
            Some(rest) if self.empty => {
                self.text.push('?');
                self.text.push_str(rest);
            }
            _ => self.text.push_str(tail),
        }
        self.empty &= tail.is_empty();
        self
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl maud::Render for Link {
    fn render_to(&self, out: &mut String) {
        self.text.render_to(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_kind_are_encoded() {
        let link = Link::to("host").with("c", "a&b=c/é").with("h", "\"<'>+ %");
        assert_eq!(
            link.as_str(),
            "host?c=a%26b%3Dc%2F%C3%A9&h=%22%3C%27%3E%2B%20%25"
        );
    }

    #[test]
    fn a_tail_begins_or_goes_on() {
        assert_eq!(Link::to("./").with_tail("&r=day").as_str(), "./?r=day");
        assert_eq!(Link::to("./").with_tail("").as_str(), "./");
        let with = Link::to("x").with("a", "1").with_tail("&r=day");
        assert_eq!(with.as_str(), "x?a=1&r=day");
    }
}
