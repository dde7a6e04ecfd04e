//! Which room a request goes to: the pages, old links to them, or Graphite's API.
//!
//! Does not answer, and does not look into the data.

use super::{Head, PageRequest, Room};

/// The port that a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `interactive_port`: the tree at `/`, the pages below `/ui/`.
    Interactive,
    /// `web_port`: the pages at `/`.
    Web,
}

/// Which rooms there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rooms {
    /// The pages.
    pub pages: bool,
    /// Graphite's API.
    pub graphite: bool,
}

/// Where a request leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Into a room.
    Room(PageRequest),
    /// To this address, relative to the one that was asked for.
    To(String),
    /// To none of the rooms: a page of the core, or a path into the tree.
    Other,
}

impl Door {
    /// Where the pages are on this port.
    fn pages(self) -> &'static str {
        match self {
            Door::Interactive => "/ui/",
            Door::Web => "/",
        }
    }

    /// Where a request leads. One that is refused leads nowhere.
    pub fn way(self, head: &Head, rooms: Rooms) -> Way {
        let Ok(target) = &head.target else {
            return Way::Other;
        };
        let end = target.iter().position(|&b| b == b'?');
        let (path, query) = target.split_at(end.unwrap_or(target.len()));
        let query = query.get(1..).unwrap_or_default();
        let into = |room: Room, path: &[u8]| {
            Way::Room(PageRequest {
                room,
                method: head.method,
                path: if path.is_empty() { b"/" } else { path }.to_vec(),
                query: query.to_vec(),
                body: head.body.clone(),
                pages: self.pages(),
            })
        };
        if let Some(inside) = below(path, b"/graphite")
            && rooms.graphite
        {
            return into(Room::Graphite, inside);
        }
        if !rooms.pages {
            return Way::Other;
        }
        if path == b"/favicon.ico" && accepts_first(head, b"image/") {
            return into(Room::Pages, b"/icon.svg");
        }
        if let Some(inside) = below(path, b"/ganglia")
            && is_old_link(inside, query, head)
        {
            return match inside {
                // Relative links would miss a folder.
                [] => Way::To(with_query("ganglia/", query)),
                _ => into(Room::OldLinks, inside),
            };
        }
        match (self, below(path, b"/ui")) {
            (Door::Web, _) => into(Room::Pages, path),
            (Door::Interactive, Some([])) => Way::To(with_query("ui/", query)),
            (Door::Interactive, Some(inside)) => into(Room::Pages, inside),
            (Door::Interactive, None) if target == b"/" && is_browser(head) => {
                Way::To("ui/".into())
            }
            (Door::Interactive, None) => Way::Other,
        }
    }
}

/// What follows a room's own path.
fn below<'a>(path: &'a [u8], room: &[u8]) -> Option<&'a [u8]> {
    let inside = path.strip_prefix(room)?;
    matches!(inside, [] | [b'/', ..]).then_some(inside)
}

/// Whether somebody looks for ganglia-web. A cluster may have the same name.
fn is_old_link(inside: &[u8], query: &[u8], head: &Head) -> bool {
    match inside {
        [] | b"/" if query.is_empty() => is_browser(head),
        [] | b"/" => !query.starts_with(b"filter="),
        _ => inside.ends_with(b".php"),
    }
}

/// Whether a page is asked for rather than data.
fn is_browser(head: &Head) -> bool {
    accepts_first(head, b"text/html")
}

/// Whether the field Accept names that type first.
fn accepts_first(head: &Head, content_type: &[u8]) -> bool {
    let accepted = head.field("Accept").unwrap_or_default();
    accepted.starts_with(content_type)
}

fn with_query(path: &str, query: &[u8]) -> String {
    // A target has no control characters; what is not ASCII cannot be sent in a header field.
    let query = str::from_utf8(query).ok().filter(|query| query.is_ascii());
    match query {
        Some(query) if !query.is_empty() => format!("{path}?{query}"),
        _ => path.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Rooms = Rooms {
        pages: true,
        graphite: true,
    };

    fn way(door: Door, target: &str, accept: &str, rooms: Rooms) -> String {
        let head = format!("GET {target} HTTP/1.1\r\nAccept: {accept}\r\n\r\n");
        match door.way(&Head::parse(head.as_bytes()), rooms) {
            Way::Room(request) => format!(
                "{:?} {} {} {}",
                request.room,
                String::from_utf8_lossy(&request.path),
                String::from_utf8_lossy(&request.query),
                request.pages
            ),
            Way::To(location) => format!("to {location}"),
            Way::Other => "other".into(),
        }
    }

    const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

    #[test]
    fn the_interactive_port_has_the_pages_below_ui_and_the_tree_elsewhere() {
        let way = |target: &str, accept: &str| way(Door::Interactive, target, accept, ALL);
        for (target, expected) in [
            ("/ui", "to ui/"),
            ("/ui?r=day", "to ui/?r=day"),
            ("/ui/", "Pages /  /ui/"),
            (
                "/ui/cluster/a%2Fb?r=day&x",
                "Pages /cluster/a%2Fb r=day&x /ui/",
            ),
            ("/graphite", "Graphite /  /ui/"),
            (
                "/graphite/render?target=a",
                "Graphite /render target=a /ui/",
            ),
            ("/ganglia/graph.php?c=a", "OldLinks /graph.php c=a /ui/"),
            ("/ganglia/?c=a", "OldLinks / c=a /ui/"),
            ("/ganglia?c=a", "to ganglia/?c=a"),
            ("/ganglia/?filter=summary", "other"),
            ("/ganglia/host", "other"),
            ("/ganglia/", "other"),
            ("/uix", "other"),
            ("/graphitex/", "other"),
            ("/", "other"),
            ("/status", "other"),
        ] {
            assert_eq!(way(target, "*/*"), expected, "{target}");
        }
        for (target, expected) in [
            ("/", "to ui/"),
            ("/?filter=summary", "other"),
            ("/ganglia/", "OldLinks /  /ui/"),
            ("/status", "other"),
        ] {
            assert_eq!(way(target, BROWSER), expected, "{target}");
        }
        assert_eq!(way("/", "application/xml, text/html"), "other");
        assert_eq!(
            way("/favicon.ico", "*/*"),
            "other",
            "a cluster of that name"
        );
        let icon = way("/favicon.ico", "image/avif,image/webp,*/*;q=0.8");
        assert_eq!(icon, "Pages /icon.svg  /ui/");
    }

    #[test]
    fn the_web_port_has_the_pages_at_its_root() {
        let way = |target: &str| way(Door::Web, target, "*/*", ALL);
        assert_eq!(way("/"), "Pages /  /");
        assert_eq!(way("/status?x"), "Pages /status x /");
        assert_eq!(way("/ui/"), "Pages /ui/  /");
        assert_eq!(way("/ganglia/?c=a"), "OldLinks / c=a /");
        assert_eq!(way("/graphite/find"), "Graphite /find  /");
    }

    #[test]
    fn a_room_that_is_not_built_in_is_a_path_into_the_tree() {
        let none = Rooms {
            pages: false,
            graphite: false,
        };
        for target in ["/", "/ui", "/ui/", "/graphite/find", "/ganglia/?c=a"] {
            let way = way(Door::Interactive, target, BROWSER, none);
            assert_eq!(way, "other", "{target}");
        }
    }
}
