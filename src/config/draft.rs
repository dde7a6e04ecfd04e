//! A configuration that is being put together, and what a directive is.
//!
//! Knows no directive: those are in `directives`. What a value may be is in `values`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Display;

use log::Level;

use super::config::Config;
use super::error::{ConfigError, Notice, Problem};
use super::origin::Origins;
use super::values::Fault;
use super::words::Word;
use gmetad_core::plugin::Location;

/// A directive that gmetad has.
pub(super) struct Known {
    pub(super) name: &'static str,
    /// Follows "takes" in a sentence.
    pub(super) expected: &'static str,
    pub(super) place: Place,
    pub(super) arity: Arity,
    pub(super) repeat: Repeat,
    pub(super) effect: Effect,
    /// Another directive that this one completes: a change of both is a change of that one.
    pub(super) completes: Option<&'static str>,
    pub(super) apply: Apply,
    pub(super) lines: LinesOf,
    pub(super) shown: Shown,
}

/// Takes a line over into the draft.
pub(super) type Apply = fn(&mut Draft, &Args<'_>) -> Result<(), Problem>;

/// The values in force as a file has them, one element a line; none where nothing is in force.
pub(super) type LinesOf = fn(&Config) -> Vec<String>;

/// A label and a text for each row of `gmetad -t`.
pub(super) type Rows = Vec<(&'static str, String)>;

/// Where a directive may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Outside of sections.
    TopLevel,
    /// Outside of sections, and in the `rrd` section, which overrides it.
    TopLevelOrRrd,
    /// In the `rrd` section alone.
    Rrd,
}

/// How many values a line has, and what becomes of extra ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Arity {
    /// One; extra ones are ignored with a warning, as C gmetad does without one.
    One,
    /// Exactly one: with several it would be a guess which is meant.
    Exact,
    /// Any number; `apply` decides.
    Any,
}

/// What a second line of a directive does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// It replaces the first, with a warning.
    Replaces,
    /// It adds to the first.
    Adds,
    /// It adds to the first, and `apply` notes the origin of each value.
    AddsEach,
}

/// When a changed value takes effect.
#[derive(Clone, Copy)]
pub(super) enum Effect {
    /// Never: it is accepted and ignored.
    None,
    /// At the next start.
    AtStart,
    /// At a reload, which copies it from the new configuration.
    AtReload(fn(&mut Config, &Config)),
}

/// What `gmetad -t` shows of a directive.
#[derive(Clone, Copy)]
pub(super) enum Shown {
    /// Its lines.
    Lines,
    /// Its lines with this unit, unless they are the default.
    UnlessDefault(&'static str),
    /// Rows of its own; none where another directive's rows cover it.
    Rows(fn(&Config) -> Rows),
}

/// A directive of one value that takes effect at the next start; methods change that.
pub(super) const fn known(
    name: &'static str,
    expected: &'static str,
    apply: Apply,
    lines: LinesOf,
) -> Known {
    Known {
        name,
        expected,
        place: Place::TopLevel,
        arity: Arity::One,
        repeat: Repeat::Replaces,
        effect: Effect::AtStart,
        completes: None,
        apply,
        lines,
        shown: Shown::Lines,
    }
}

impl Known {
    /// Takes any number of values.
    pub(super) const fn any(mut self) -> Self {
        self.arity = Arity::Any;
        self
    }

    /// As [`Known::any`]; a second line adds to the first.
    pub(super) const fn adding(mut self) -> Self {
        self.repeat = Repeat::Adds;
        self.any()
    }

    /// As [`Known::adding`]; each value is shown on a line of its own.
    pub(super) const fn adding_each(mut self) -> Self {
        self.repeat = Repeat::AddsEach;
        self.any()
    }

    /// Refuses a second value.
    pub(super) const fn exact(mut self) -> Self {
        self.arity = Arity::Exact;
        self
    }

    pub(super) const fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    pub(super) const fn completing(mut self, directive: &'static str) -> Self {
        self.completes = Some(directive);
        self
    }

    pub(super) const fn at_reload(mut self, copy: fn(&mut Config, &Config)) -> Self {
        self.effect = Effect::AtReload(copy);
        self
    }

    pub(super) const fn without_effect(mut self) -> Self {
        self.effect = Effect::None;
        self
    }

    /// `-t` shows it unless it is the default, with this unit behind it.
    pub(super) const fn unless_default(mut self, unit: &'static str) -> Self {
        self.shown = Shown::UnlessDefault(unit);
        self
    }

    /// `-t` shows these rows.
    pub(super) const fn rows(mut self, rows: fn(&Config) -> Rows) -> Self {
        self.shown = Shown::Rows(rows);
        self
    }

    /// `-t` shows it in another directive's rows.
    pub(super) const fn shown_elsewhere(self) -> Self {
        self.rows(|_| Vec::new())
    }
}

/// One row of `-t`, or none.
pub(super) fn row(label: &'static str, text: Option<impl Into<String>>) -> Rows {
    text.map(|text| (label, text.into())).into_iter().collect()
}

/// Rows of `-t`, the first of which has the label.
pub(super) fn rows(label: &'static str, texts: impl IntoIterator<Item = String>) -> Rows {
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    labels.zip(texts).collect()
}

/// A line of a directive, as its `apply` sees it.
pub(super) struct Args<'a> {
    pub(super) known: &'a Known,
    pub(super) words: &'a [Word],
    pub(super) at: &'a Location,
}

impl Args<'_> {
    pub(super) fn at_least_one(&self) -> Result<&[Word], Problem> {
        if self.words.is_empty() {
            return Err(Problem::NoValue {
                directive: self.known.name,
                expected: self.known.expected,
            });
        }
        Ok(self.words)
    }

    /// The one value there is.
    pub(super) fn one<T>(&self, value: impl Fn(&str) -> Result<T, Fault>) -> Result<T, Problem> {
        match self.at_least_one()? {
            [word] => self.check(&word.text, value),
            [_, extra, ..] => Err(Problem::TooMuch {
                directive: self.known.name,
                expected: self.known.expected,
                extra: extra.text.clone(),
            }),
            [] => unreachable!("at least one"),
        }
    }

    /// Sets a field to the one value there is.
    pub(super) fn set<T>(
        &self,
        field: &mut T,
        value: impl Fn(&str) -> Result<T, Fault>,
    ) -> Result<(), Problem> {
        *field = self.one(value)?;
        Ok(())
    }

    /// Sets a field that may be empty to the one value there is.
    pub(super) fn set_some<T>(
        &self,
        field: &mut Option<T>,
        value: impl Fn(&str) -> Result<T, Fault>,
    ) -> Result<(), Problem> {
        *field = Some(self.one(value)?);
        Ok(())
    }

    pub(super) fn check<T>(
        &self,
        text: &str,
        value: impl Fn(&str) -> Result<T, Fault>,
    ) -> Result<T, Problem> {
        value(text).map_err(|fault| Problem::Value {
            directive: self.known.name,
            value: text.into(),
            fault,
        })
    }
}

/// The configuration that is being put together.
pub(super) struct Draft {
    pub(super) config: Config,
    pub(super) pending: Pending,
    /// Where each directive stands first.
    pub(super) given: HashMap<&'static str, Location>,
    pub(super) origins: Origins,
    pub(super) notices: Vec<Notice>,
    pub(super) errors: Vec<ConfigError>,
}

/// What only makes sense once all lines are read.
pub(super) struct Pending {
    pub(super) setuid: bool,
    pub(super) setuid_username: String,
    pub(super) carbon_server: Option<String>,
    pub(super) carbon_port: Option<u16>,
    pub(super) riemann_server: Option<String>,
    pub(super) riemann_port: Option<u16>,
    /// Where each source stands first, by its name.
    pub(super) sources: HashMap<String, Location>,
    /// Sources to which clusters are given, and where.
    pub(super) source_clusters: Vec<(String, Location)>,
    /// Where each rule of the summary filter stands.
    pub(super) rule_lines: Vec<Location>,
    /// Whether a line sets RRAs.
    pub(super) has_rras: bool,
}

impl Draft {
    /// The defaults, of a machine of this name.
    pub(super) fn new(host_name: &str) -> Self {
        Draft {
            config: Config::new(host_name),
            pending: Pending {
                setuid: true,
                setuid_username: "nobody".into(),
                carbon_server: None,
                carbon_port: None,
                riemann_server: None,
                riemann_port: None,
                sources: HashMap::new(),
                source_clusters: Vec::new(),
                rule_lines: Vec::new(),
                has_rras: false,
            },
            given: HashMap::new(),
            origins: Origins::default(),
            notices: Vec::new(),
            errors: Vec::new(),
        }
    }

    pub(super) fn error(&mut self, at: &Location, problem: Problem) {
        let at = Some(at.clone());
        self.errors.push(ConfigError { at, problem });
    }

    pub(super) fn warn(&mut self, at: &Location, text: impl Display) {
        self.notice(Level::Warn, at, text);
    }

    pub(super) fn notice(&mut self, level: Level, at: &Location, text: impl Display) {
        let text = format!("{at}: {text}");
        self.notices.push(Notice { level, text });
    }

    /// Follows a line of a directive.
    pub(super) fn apply(&mut self, known: &'static Known, words: &[Word], at: &Location) {
        let words = &self.without_extras(known, words, at)[..];
        match (known.apply)(self, &Args { known, words, at }) {
            Ok(()) => self.note_origin(known, words, at),
            Err(problem) => self.error(at, problem),
        }
    }

    /// The words of a directive that takes one value, without what C gmetad ignores behind it.
    fn without_extras<'a>(
        &mut self,
        known: &'static Known,
        words: &'a [Word],
        at: &Location,
    ) -> Cow<'a, [Word]> {
        let [first, others @ ..] = words else {
            return words.into();
        };
        let kept = match known.arity {
            Arity::Any => return words.into(),
            Arity::Exact => words,
            Arity::One => {
                self.ignore_extra(known, others, at);
                &words[..1]
            }
        };
        let value = first.text.trim_end_matches(',');
        if first.quoted || value.is_empty() || value.len() == first.text.len() {
            return kept.into();
        }
        let text = format!(
            "{}: the comma after {value} is ignored; remove it",
            known.name
        );
        self.warn(at, text);
        let mut kept = kept.to_vec();
        kept[0].text.truncate(value.len());
        kept.into()
    }

    fn ignore_extra(&mut self, known: &Known, extra: &[Word], at: &Location) {
        if let Some(extra) = extra.first() {
            let Known { name, expected, .. } = known;
            let text = format!("{name} takes {expected}; \"{}\" is ignored", extra.text);
            self.warn(at, text);
        }
    }

    fn note_origin(&mut self, known: &Known, words: &[Word], at: &Location) {
        let is_empty = |word: &Word| word.text.trim_matches([',', ' ', '\t']).is_empty();
        if words.iter().all(is_empty) {
            return;
        }
        match known.repeat {
            Repeat::Adds => self.origins.add(known.name, at),
            Repeat::Replaces => self.origins.replace(known.name, at),
            Repeat::AddsEach => {}
        }
    }

    /// Free text; without quotes it is the whole line, as in gmetad-python.
    pub(super) fn text(&mut self, args: &Args<'_>) -> Result<String, Problem> {
        let words = args.at_least_one()?;
        if let [first, others @ ..] = words
            && words.iter().any(|word| word.quoted)
        {
            self.ignore_extra(args.known, others, args.at);
            return args.check(&first.text, super::values::not_empty);
        }
        if let [word] = words {
            return Ok(word.text.clone());
        }
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        let text = texts.join(" ");
        let name = args.known.name;
        self.warn(
            args.at,
            format!("{name} is read as \"{text}\"; put it in quotes"),
        );
        Ok(text)
    }
}
