//! An alert as a mail message, for sendmail's standard input.
//!
//! Addresses come only from the configuration, which has checked them.

use std::fmt::Write as _;

use super::facts::{Event, Facts};
use super::run::Job;
use gmetad_config::AlertConfig;
use gmetad_core::complaint::span;

/// Bytes of text in one encoded word: with its frame it stays within the 75 bytes of RFC 2047.
const ENCODED_BYTES: usize = 60;

/// The run of sendmail that delivers it.
pub(super) fn job(config: &AlertConfig, facts: &Facts) -> Job {
    // -i: a line with only a dot does not end the message.
    let mut program = vec![config.sendmail.display().to_string(), "-i".to_owned()];
    if let Some(from) = &config.from {
        program.extend(["-f".to_owned(), from.clone()]);
    }
    program.extend(config.to.iter().cloned());
    Job {
        program,
        environment: Vec::new(),
        input: message(config, facts).into_bytes(),
    }
}

fn message(config: &AlertConfig, facts: &Facts) -> String {
    let from = match &config.from {
        Some(from) => format!("From: {from}\n"),
        None => String::new(),
    };
    let about = match facts.event {
        Event::Begin => String::new(),
        Event::Over => format!("over after {}: ", span(facts.lasted)),
        Event::Gone => format!("gone after {}: ", span(facts.lasted)),
    };
    let sentence = facts.sentence();
    format!(
        "{from}To: {to}\nSubject: {subject}\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\
         {about}{sentence}\n\n{lines}",
        to = config.to.join(",\n\t"),
        subject = header(&format!("[gmetad] {about}{sentence}")),
        lines = facts.lines(),
    )
}

/// Text for a header: as it is, or as encoded words of RFC 2047.
fn header(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.contains("=?");
    if is_plain {
        return text.to_owned();
    }
    let mut words = vec![String::new()];
    for c in text.chars() {
        let encoded = encoded(c);
        let last = words.len() - 1;
        if words[last].len() + encoded.len() > ENCODED_BYTES {
            words.push(encoded);
        } else {
            words[last].push_str(&encoded);
        }
    }
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("=?utf-8?q?{word}?="))
        .collect();
    words.join("\n ")
}

fn encoded(c: char) -> String {
    if c.is_ascii_alphanumeric() {
        return c.to_string();
    }
    if c == ' ' {
        return "_".into();
    }
    let mut encoded = String::new();
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        // Writing to a String does not fail.
        let _ = write!(encoded, "={byte:02X}");
    }
    encoded
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use gmetad_config::AlertRule;
    use gmetad_core::condition::Condition;
    use gmetad_core::model::Now;

    fn facts(host: &str) -> Facts {
        let rule = AlertRule {
            metric: "load_one".into(),
            condition: Condition::parse("$val > 5").unwrap(),
            message: "busy".into(),
            hold: Duration::ZERO,
        };
        let now = Now::default();
        Facts::new(Event::Begin, &rule, "c", host, now, now)
    }

    fn config() -> AlertConfig {
        AlertConfig {
            to: vec!["a@example.com".into(), "b@example.com".into()],
            from: Some("g@example.com".into()),
            ..AlertConfig::default()
        }
    }

    #[test]
    fn a_message_has_its_headers_an_empty_line_and_the_facts() {
        let text = message(&config(), &facts("web1"));
        let (head, body) = text.split_once("\n\n").unwrap();
        assert_eq!(
            head,
            "From: g@example.com\nTo: a@example.com,\n\tb@example.com\n\
             Subject: [gmetad] busy: load_one of web1 in c is\nAuto-Submitted: auto-generated\n\
             MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
             Content-Transfer-Encoding: 8bit"
        );
        assert!(body.starts_with("busy: load_one of web1 in c is\n\nevent: begin\n"));
    }

    #[test]
    fn no_name_becomes_a_header_or_an_argument() {
        let hostile = "x\nBcc: e@example.com\r\n\r\n-oQ/tmp\u{85}";
        let text = message(&config(), &facts(hostile));
        let (head, _) = text.split_once("\n\n").unwrap();
        let names: Vec<&str> = head
            .lines()
            .filter(|line| !line.starts_with(['\t', ' ']))
            .filter_map(|line| line.split_once(": "))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(
            names,
            [
                "From",
                "To",
                "Subject",
                "Auto-Submitted",
                "MIME-Version",
                "Content-Type",
                "Content-Transfer-Encoding"
            ]
        );
        assert_eq!(
            job(&config(), &facts(hostile)).program[1..],
            [
                "-i",
                "-f",
                "g@example.com",
                "a@example.com",
                "b@example.com"
            ]
        );
    }

    #[test]
    fn a_subject_that_is_not_ascii_is_encoded_in_lines_of_legal_length() {
        assert_eq!(header("a b"), "a b");
        assert_eq!(header("é ="), "=?utf-8?q?=C3=A9_=3D?=");
        assert_eq!(header("=?x?="), "=?utf-8?q?=3D=3Fx=3F=3D?=");
        for line in header(&"größer ".repeat(40)).lines() {
            assert!(line.len() <= 76, "{line}");
        }
    }
}
