//! The facts of an alert, as they are passed to a program.
//!
//! The one place that makes text from the network harmless: without control characters, and cut.

use std::fmt::Write as _;
use std::time::Duration;

use gmetad_config::AlertRule;
use gmetad_core::model::Now;

/// Longest name or value, in bytes.
const LIMIT_BYTES: usize = 200;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The condition has held for as long as the rule asks.
    Begin,
    /// It no longer holds.
    Over,
    /// The host or the metric is no longer reported.
    Gone,
}

impl Event {
    pub(super) fn word(self) -> &'static str {
        match self {
            Event::Begin => "begin",
            Event::Over => "over",
            Event::Gone => "gone",
        }
    }
}

/// All about one alert, at one moment.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// The number of its rule.
    pub(super) rule: usize,
    pub(super) event: Event,
    pub(super) cluster: String,
    pub(super) host: String,
    /// Empty, as value and units are, where the host is gone.
    pub(super) ip: String,
    pub(super) metric: String,
    pub(super) value: String,
    pub(super) units: String,
    pub(super) condition: String,
    pub(super) message: String,
    /// Seconds since the epoch.
    pub(super) time: i64,
    /// When the condition began to hold.
    pub(super) since: i64,
    /// For how long it has held.
    pub(super) lasted: Duration,
}

impl Facts {
    /// Without the host's address, value and units.
    pub(super) fn new(
        event: Event,
        rule: &AlertRule,
        cluster: &str,
        host: &str,
        now: Now,
        since: Now,
    ) -> Facts {
        Facts {
            event,
            rule: 0,
            cluster: plain(cluster),
            host: plain(host),
            ip: String::new(),
            metric: plain(&rule.metric),
            value: String::new(),
            units: String::new(),
            condition: plain(rule.condition.text()),
            message: plain(&rule.message),
            time: now.epoch,
            since: since.epoch,
            lasted: now.mono.since(since.mono),
        }
    }

    pub(super) fn of_gone(
        rule: &AlertRule,
        cluster: &str,
        host: &str,
        now: Now,
        since: Now,
    ) -> Facts {
        Facts::new(Event::Gone, rule, cluster, host, now, since)
    }

    /// One line for a person.
    pub(super) fn sentence(&self) -> String {
        let Facts {
            message,
            metric,
            host,
            cluster,
            value,
            units,
            ..
        } = self;
        let mut text = format!("{message}: {metric} of {host} in {cluster}");
        match self.event {
            Event::Gone => text.push_str(" is no longer reported"),
            _ => {
                // Writing to a String does not fail.
                let _ = write!(text, " is {value} {units}");
            }
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn pairs(&self) -> [(&'static str, String); 11] {
        [
            ("EVENT", self.event.word().into()),
            ("CLUSTER", self.cluster.clone()),
            ("HOST", self.host.clone()),
            ("IP", self.ip.clone()),
            ("METRIC", self.metric.clone()),
            ("VALUE", self.value.clone()),
            ("UNITS", self.units.clone()),
            ("CONDITION", self.condition.clone()),
            ("MESSAGE", self.message.clone()),
            ("TIME", self.time.to_string()),
            ("SINCE", self.since.to_string()),
        ]
    }

    /// `GMETAD_ALERT_HOST` and so on.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let pairs = self.pairs().into_iter();
        pairs
            .map(|(name, value)| (format!("GMETAD_ALERT_{name}"), value))
            .collect()
    }

    /// `host: web1` and so on, a line each.
    pub(super) fn lines(&self) -> String {
        let mut lines = String::new();
        for (name, value) in self.pairs() {
            let name = name.to_ascii_lowercase();
            lines.extend([&*name, ": ", &*value, "\n"]);
        }
        lines
    }
}

/// One line without control characters, so that no terminal or mail header obeys it, cut to
/// `LIMIT_BYTES`.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len().min(LIMIT_BYTES));
    for c in text.chars() {
        if plain.len() + c.len_utf8() > LIMIT_BYTES {
            plain.push('…');
            break;
        }
        // Some programs take the two separators for ends of lines.
        let is_blank = c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        plain.push(if is_blank { ' ' } else { c });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use gmetad_core::condition::Condition;

    #[test]
    fn nothing_from_the_network_makes_a_line_of_its_own() {
        let rule = AlertRule {
            metric: "load_one".into(),
            condition: Condition::parse("$val > 5").unwrap(),
            message: "busy".into(),
            hold: Duration::ZERO,
        };
        let now = Now::default();
        let facts = Facts {
            value: plain("6\nevent: over"),
            ..Facts::new(
                Event::Begin,
                &rule,
                "c\r\nhost: x",
                "a\0b\u{2028}",
                now,
                now,
            )
        };
        assert_eq!(facts.lines().lines().count(), 11);
        for (name, value) in facts.environment() {
            assert!(!value.contains(['\0', '\n', '\r']), "{name}");
        }
        assert_eq!(
            facts.sentence(),
            "busy: load_one of a b  in c  host: x is 6 event: over"
        );
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let cut = plain(&"é".repeat(1000));
        assert_eq!(cut.chars().count(), LIMIT_BYTES / 2 + 1);
        assert!(cut.ends_with('…'));
        assert_eq!(plain("é"), "é");
    }
}
