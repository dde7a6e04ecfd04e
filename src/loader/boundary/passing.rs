//! The facts as bytes, on their way to the trial process: counts, and texts behind their lengths.

use super::facts::{Facts, SectionFacts, SourceFacts};
use std::time::Duration;

impl Facts {
    /// For [`Facts::from_bytes`] in another process of the same program.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_number(&mut out, self.settings.len() as u64);
        for (name, value) in &self.settings {
            put_text(&mut out, name);
            put_text(&mut out, value);
        }
        put_number(&mut out, self.sources.len() as u64);
        for source in &self.sources {
            put_text(&mut out, &source.name);
            put_number(&mut out, source.interval.as_nanos() as u64);
            put_number(&mut out, source.hosts.len() as u64);
            for host in &source.hosts {
                put_text(&mut out, host);
            }
        }
        put_number(&mut out, self.sections.len() as u64);
        for section in &self.sections {
            put_text(&mut out, section.id());
            put_number(&mut out, section.lines().count() as u64);
            for (texts, line) in section.lines() {
                for text in texts {
                    put_text(&mut out, text);
                }
                put_number(&mut out, line);
            }
        }
        out
    }

    /// `None` if the bytes are not all of what was written.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Facts> {
        let mut rest = Bytes(bytes);
        let settings = rest.list(|it| Some((it.text()?.into(), it.text()?)))?;
        let sources = rest.list(|it| {
            Some(SourceFacts {
                name: it.text()?,
                interval: Duration::from_nanos(it.number()?),
                hosts: it.list(Bytes::text)?,
            })
        })?;
        let sections = rest.list(|it| {
            let id = it.text()?;
            let lines = it.list(|it| Some(([it.text()?, it.text()?, it.text()?], it.number()?)))?;
            Some(SectionFacts::new(id, lines))
        })?;
        Some(Facts {
            settings,
            sources,
            sections,
        })
    }
}

fn put_number(out: &mut Vec<u8>, number: u64) {
    out.extend(number.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend(text.as_bytes());
}

/// What is still to be read.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..self.number()?).map(|_| item(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use gmetad_config::{Disk, Overrides, parse};

    #[test]
    fn the_trial_process_gets_the_configuration_that_the_daemon_has() {
        let conf = b"data_source \"my cluster\" 20 a [::1]:1\ngridname G\nMine {\n first \"a b\"\n\
            second\n}\nother {\n}\n";
        let (file, nothing) = (Path::new("g.conf"), Overrides::default());
        let loaded = parse(conf, file, &Disk, &nothing, "host");
        let facts = Facts::of(&loaded.unwrap().config);
        let bytes = facts.to_bytes();
        let read = Facts::from_bytes(&bytes).unwrap();
        assert_eq!(read.to_bytes(), bytes);
        assert_eq!(read.setting("gridname"), Some("G"));
        assert_eq!(read.source_at(0).unwrap().hosts, ["a:8649", "[::1]:1"]);
        assert_eq!(read.section("mine").unwrap()[1].line, 5);
        for end in 0..bytes.len() {
            assert!(Facts::from_bytes(&bytes[..end]).is_none(), "{end}");
        }
    }
}
