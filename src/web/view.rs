//! The parameters of a page, as a type: what is shown, of which time, in which order.
//!
//! Only parses; names are looked up where they are shown. Those of ganglia-web mean the same here.

use gmetad_core::model::{NamePattern, NameRules};
use thiserror::Error;

use crate::civil;
use crate::link::Link;
use crate::range::{DEFAULT_SPAN, Past, Range, SPANS, Span, span_named};
use crate::reports::Report;

/// Longest expression, in bytes.
pub const MAX_EXPRESSION_BYTES: usize = 300;

/// Memory for a compiled expression.
const MAX_EXPRESSION_MEMORY: usize = 256 << 10;

/// Most hosts named one by one.
pub const MAX_NAMED_HOSTS: usize = 100;

/// Most hosts, clusters or metrics on a page, and how many there are if nothing is said.
pub const MAX_PER_PAGE: usize = 1000;
pub const PER_PAGE: usize = 100;

/// Why a request has no page.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    #[error("the expression {text:?} in {name} is longer than {MAX_EXPRESSION_BYTES} bytes")]
    LongExpression { name: &'static str, text: String },
    #[error("the expression {text:?} in {name} is not valid: {reason}")]
    Expression {
        name: &'static str,
        text: String,
        reason: String,
    },
    #[error("{name} is {text:?}, which is no time: write 2026-11-29T18:20 or seconds since 1970")]
    Time { name: &'static str, text: String },
    #[error("{name} is {text:?}; it can be {allowed}")]
    Word {
        name: &'static str,
        text: String,
        allowed: &'static str,
    },
    #[error("more than {MAX_NAMED_HOSTS} hosts are named; use an expression in f")]
    ManyHosts,
}

/// An expression that picks names. Upper and lower case are the same.
#[derive(Clone, Debug)]
pub struct Filter {
    pub text: String,
    pattern: NamePattern,
}

impl Filter {
    pub fn new(name: &'static str, text: &str) -> Result<Filter, Fault> {
        if text.len() > MAX_EXPRESSION_BYTES {
            let text = text.chars().take(40).collect();
            return Err(Fault::LongExpression { name, text });
        }
        let rules = NameRules {
            any_case: true,
            any_line: false,
            most_bytes: MAX_EXPRESSION_MEMORY,
        };
        let pattern = NamePattern::new(text, rules).map_err(|error| Fault::Expression {
            name,
            text: text.to_owned(),
            reason: last_line(&error.to_string()),
        })?;
        Ok(Filter {
            text: text.to_owned(),
            pattern,
        })
    }

    pub fn takes(&self, name: &str) -> bool {
        self.pattern.takes(name)
    }
}

/// The library's messages show the place in lines of their own; the last line says what is wrong.
fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or_default().trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// The order of hosts; those that are down come first in any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Name,
    /// Load per processor, greatest first.
    Load,
    /// Used processor time, greatest first.
    Cpu,
    /// Used memory, greatest first.
    Memory,
    /// The chosen metric, greatest first.
    Value,
    /// The chosen metric, least first.
    Least,
}

impl Sort {
    pub const ALL: [(Sort, &'static str, &'static str); 6] = [
        (Sort::Name, "name", "name"),
        (Sort::Load, "load", "load per CPU"),
        (Sort::Cpu, "cpu", "CPU in use"),
        (Sort::Memory, "mem", "memory in use"),
        (Sort::Value, "value", "the metric, greatest first"),
        (Sort::Least, "least", "the metric, least first"),
    ];
}

/// How several series become one graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// A line each.
    #[default]
    Lines,
    /// Areas on top of each other.
    Stack,
    /// One line: the sum.
    Sum,
    /// One line: the mean of those that are known.
    Average,
}

impl Style {
    pub const ALL: [(Style, &'static str, &'static str); 4] = [
        (Style::Lines, "lines", "lines"),
        (Style::Stack, "stack", "stacked"),
        (Style::Sum, "sum", "sum"),
        (Style::Average, "average", "average"),
    ];
}

/// How the hosts of a cluster are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listing {
    #[default]
    Table,
    /// A small graph each.
    Graphs,
}

/// Everything that a request says.
#[derive(Clone, Debug)]
pub struct View {
    pub range: Range,
    pub past: Past,
    /// Minutes east of UTC.
    pub east_minutes: i32,
    /// Seconds since 1970.
    pub now: u64,
    pub cluster: Option<String>,
    pub cluster_filter: Option<Filter>,
    pub hosts: Vec<String>,
    pub host_filter: Option<Filter>,
    pub metric: Option<String>,
    pub metric_filter: Option<Filter>,
    pub report: Option<Report>,
    pub sort: Sort,
    pub style: Style,
    pub listing: Listing,
    /// Whether hosts are shown by their racks.
    pub by_rack: bool,
    /// From 0.
    pub page: usize,
    pub per_page: usize,
    /// What is searched for.
    pub search: String,
    /// The arguments that are known, as they were given.
    arguments: Vec<(&'static str, String)>,
    tail: String,
}

/// All that a link can say. ganglia-web's `cs` and `ce` become `from` and `until`.
const NAMES: [&str; 19] = [
    "c", "cf", "h", "f", "m", "mf", "g", "r", "from", "until", "past", "tz", "sort", "style", "v",
    "by", "p", "n", "q",
];

impl View {
    /// Of the arguments of a request at `now`.
    pub fn parse(
        arguments: impl Iterator<Item = (String, String)>,
        now: u64,
    ) -> Result<View, Fault> {
        let arguments: Vec<(&'static str, String)> = arguments
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(name, value)| {
                let name = match name.as_str() {
                    "cs" => "from",
                    "ce" => "until",
                    "mreg" => "mf",
                    "hreg" => "f",
                    name => name,
                };
                let known = NAMES.iter().find(|known| **known == name)?;
                Some((*known, value))
            })
            .collect();
        let one = |name: &str| {
            let found = arguments.iter().rev().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.as_str())
        };
        let filter = |name| one(name).map(|text| Filter::new(name, text)).transpose();
        let east_minutes = one("tz")
            .and_then(|text| text.parse().ok())
            .filter(|east: &i32| east.abs() <= 15 * 60)
            .unwrap_or(0);
        let hosts: Vec<String> = arguments
            .iter()
            .filter(|(name, _)| *name == "h")
            .map(|(_, value)| value.clone())
            .collect();
        if hosts.len() > MAX_NAMED_HOSTS {
            return Err(Fault::ManyHosts);
        }
        let range = range(&one, east_minutes, now)?;
        let mut view = View {
            range,
            past: word("past", one("past"), &Past::ALL, "day or week")?,
            east_minutes,
            now,
            cluster: one("c").map(str::to_owned),
            cluster_filter: filter("cf")?,
            hosts,
            host_filter: filter("f")?,
            metric: one("m").map(str::to_owned),
            metric_filter: filter("mf")?,
            report: one("g").and_then(Report::named),
            sort: word(
                "sort",
                one("sort"),
                &Sort::ALL,
                "name, load, cpu, mem, value or least",
            )?,
            style: word(
                "style",
                one("style"),
                &Style::ALL,
                "lines, stack, sum or average",
            )?,
            listing: match one("v") {
                Some("graphs") => Listing::Graphs,
                _ => Listing::Table,
            },
            by_rack: one("by") == Some("rack"),
            page: number(one("p")).unwrap_or(1).max(1) - 1,
            per_page: number(one("n")).unwrap_or(PER_PAGE).clamp(1, MAX_PER_PAGE),
            search: one("q").unwrap_or_default().trim().to_owned(),
            tail: String::new(),
            arguments,
        };
        view.tail = view.link_of("", &TIMES, &[]).as_str().replacen('?', "&", 1);
        Ok(view)
    }

    /// What every link has: the time and how it is shown. Written as `&name=value`.
    pub fn tail(&self) -> &str {
        &self.tail
    }

    /// A link to `page` with all that this request says, but for `changes`; an empty value drops.
    pub fn with(&self, page: &str, changes: &[(&'static str, &str)]) -> Link {
        self.link_of(page, &NAMES, changes)
    }

    fn link_of(&self, page: &str, names: &[&str], changes: &[(&'static str, &str)]) -> Link {
        let is_changed = |name: &str| changes.iter().any(|(changed, _)| *changed == name);
        let mut link = Link::to(page);
        for (name, value) in &self.arguments {
            if names.contains(name) && !is_changed(name) {
                link = link.with(name, value);
            }
        }
        for (name, value) in changes {
            if !value.is_empty() {
                link = link.with(name, value);
            }
        }
        link
    }

    /// The arguments that a form must carry on, but for those that it has itself.
    pub fn carried<'a>(
        &'a self,
        own: &'a [&str],
    ) -> impl Iterator<Item = (&'static str, &'a str)> + 'a {
        let all = self.arguments.iter();
        all.filter(|(name, _)| !own.contains(name))
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// Those of them that say which time is shown.
    pub fn carried_time(&self) -> impl Iterator<Item = (&'static str, &str)> + '_ {
        let all = self.arguments.iter();
        all.filter(|(name, _)| TIMES.contains(name))
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// The word of the span that is shown, if it ends now.
    pub fn span_word(&self) -> Option<&'static str> {
        match self.range.span {
            Span::Last(index) => Some(SPANS[index].0),
            Span::Fixed => None,
        }
    }

    /// The page's part of a list: its first and the one after its last.
    pub fn part(&self, count: usize) -> std::ops::Range<usize> {
        let last_page = count.saturating_sub(1) / self.per_page;
        let from = self.page.min(last_page) * self.per_page;
        from..(from + self.per_page).min(count)
    }
}

/// What goes with every link.
const TIMES: [&str; 5] = ["r", "from", "until", "past", "tz"];

fn number(text: Option<&str>) -> Option<usize> {
    text?.parse().ok()
}

fn word<T: Copy>(
    name: &'static str,
    text: Option<&str>,
    all: &[(T, &'static str, &'static str)],
    allowed: &'static str,
) -> Result<T, Fault> {
    let text = text.unwrap_or(all[0].1);
    let found = all.iter().find(|(_, word, _)| *word == text);
    found.map(|(value, ..)| *value).ok_or_else(|| Fault::Word {
        name,
        text: text.to_owned(),
        allowed,
    })
}

fn range<'a>(
    one: &impl Fn(&str) -> Option<&'a str>,
    east_minutes: i32,
    now: u64,
) -> Result<Range, Fault> {
    let time = |name: &'static str| -> Result<Option<u64>, Fault> {
        let Some(text) = one(name) else {
            return Ok(None);
        };
        let seconds = text.parse::<i64>().ok();
        let seconds = seconds.or_else(|| civil::parse(text, east_minutes));
        let in_bounds = seconds.filter(|seconds| (0..=u32::MAX.into()).contains(seconds));
        match in_bounds {
            Some(seconds) => Ok(Some(seconds as u64)),
            None => Err(Fault::Time {
                name,
                text: text.to_owned(),
            }),
        }
    };
    let (from, until) = (time("from")?, time("until")?);
    Ok(match (from, until) {
        (Some(from), until) => Range::fixed(from, until.unwrap_or(now)),
        (None, Some(until)) => Range::fixed(until.saturating_sub(SPANS[DEFAULT_SPAN].2), until),
        (None, None) => {
            let span = one("r").and_then(span_named).unwrap_or(DEFAULT_SPAN);
            Range::last(span, now)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gmetad_core::http::form;

    fn view(query: &str) -> Result<View, Fault> {
        View::parse(form(query.as_bytes()), 1_700_000_000)
    }

    #[test]
    fn the_range_goes_with_every_link() {
        let view = view("c=a%26b&r=day&past=week&tz=60&sort=load").unwrap();
        assert_eq!(view.tail(), "&r=day&past=week&tz=60");
        assert_eq!(
            view.with("cluster", &[("sort", ""), ("r", "week")])
                .as_str(),
            "cluster?c=a%26b&past=week&tz=60&r=week"
        );
        let carried: Vec<_> = view.carried(&["c", "past"]).map(|(name, _)| name).collect();
        assert_eq!(carried, ["r", "tz", "sort"]);
    }

    #[test]
    fn times_are_those_of_the_viewer() {
        let view = view("cs=2023-11-14T20:00&ce=11/14/2023+21:00&tz=-60").unwrap();
        assert_eq!(
            (view.range.from, view.range.until),
            (1_699_995_600, 1_699_999_200)
        );
        assert_eq!(
            view.tail(),
            "&from=2023-11-14T20%3A00&until=11%2F14%2F2023%2021%3A00&tz=-60"
        );
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        let said = |query: &str| view(query).unwrap_err().to_string();
        assert_eq!(
            said("f=%28"),
            "the expression \"(\" in f is not valid: unclosed group"
        );
        let long = "a".repeat(MAX_EXPRESSION_BYTES + 1);
        assert!(said(&format!("mf={long}")).contains("longer than 300 bytes"));
        assert!(
            said("f=(a{1000}){1000}").contains("size limit"),
            "{}",
            said("f=(a{1000}){1000}")
        );
        assert!(said("from=noon").contains("is no time"));
        assert_eq!(
            said("sort=age"),
            "sort is \"age\"; it can be name, load, cpu, mem, value or least"
        );
        assert_eq!(view(&"h=x&".repeat(101)).unwrap_err(), Fault::ManyHosts);
    }

    #[test]
    fn a_page_beyond_the_last_is_the_last() {
        assert_eq!(view("p=3").unwrap().part(250), 200..250);
        assert_eq!(view("p=9&n=10").unwrap().part(25), 20..25);
        assert_eq!(view("p=0").unwrap().part(0), 0..0);
    }
}
