//! The configuration in force as a configuration file, for `gmetad --print-config`.
//!
//! It is read back as the same configuration. Each directive has a line, with its origin behind it.
//! Sections are printed as they were written.

use std::fmt;

use super::config::Section;
use super::directives::{at_top_level, in_rrd_section_only};
use super::draft::{Effect, Known};
use super::interpret::Loaded;
use super::origin::Origin;
use super::written::word;

/// A configuration as text, a directive a line.
pub struct Printed<'a>(pub &'a Loaded);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.0.config;
        for known in at_top_level() {
            self.directive(f, known)?;
        }
        if let Some(file) = &config.pid_file {
            let file = on_one_line(&file.display().to_string());
            writeln!(f, "#--pid_file {file}  # command line")?;
        }
        if config.section("rrd").is_none() {
            writeln!(f, "#rrd {{")?;
            self.defaults_of_rrd(f)?;
            writeln!(f, "#}}")?;
        }
        config
            .sections
            .iter()
            .try_for_each(|section| self.section(f, section))
    }
}

impl Printed<'_> {
    fn directive(&self, f: &mut fmt::Formatter<'_>, known: &Known) -> fmt::Result {
        let name = known.name;
        let lines = (known.lines)(&self.0.config);
        let origin = self.0.origins.of(name);
        if lines.is_empty() {
            let state = match (known.effect, origin) {
                (Effect::None, _) => "no effect",
                (_, Origin::Default) => "not set",
                _ => "not in use",
            };
            return match origin {
                Origin::Default => writeln!(f, "#{name}  # {state}"),
                origin => writeln!(f, "#{name}  # {state}; {}", place(origin)),
            };
        }
        for (at, line) in lines.iter().enumerate() {
            // Each value is from a line of its own, or all lines made one value.
            let own = match origin {
                Origin::Lines(places) if places.len() == lines.len() => {
                    Origin::Lines(&places[at..=at])
                }
                whole => whole,
            };
            writeln!(f, "{name} {line}  # {}", place(own))?;
        }
        Ok(())
    }

    /// Directives that the section `rrd` does not have, as comments.
    fn defaults_of_rrd(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origins = &self.0.origins;
        let missing = in_rrd_section_only();
        for known in missing.filter(|known| origins.of(known.name) == Origin::Default) {
            match &(known.lines)(&self.0.config)[..] {
                [] => writeln!(f, "#{}  # not set", known.name)?,
                lines => writeln!(f, "#{} {}  # default", known.name, lines.join(" "))?,
            }
        }
        Ok(())
    }

    /// The origin of a line stands above it: behind the value it would be part of the value.
    fn section(&self, f: &mut fmt::Formatter<'_>, section: &Section) -> fmt::Result {
        let last = section.ends.len();
        for (number, directives) in (1..).zip(section.blocks()) {
            writeln!(f, "{} {{", word(&section.id))?;
            for directive in directives {
                let at = on_one_line(&directive.line.to_string());
                writeln!(f, "# {at}\n  {} {}", directive.name, directive.value)?;
            }
            if section.id == "rrd" && number == last {
                self.defaults_of_rrd(f)?;
            }
            writeln!(f, "}}")?;
        }
        Ok(())
    }
}

fn place(origin: Origin<'_>) -> String {
    match origin {
        Origin::Default => "default".into(),
        Origin::CommandLine => "command line".into(),
        Origin::Lines(places) => {
            let places: Vec<String> = places.iter().map(ToString::to_string).collect();
            on_one_line(&places.join(", "))
        }
    }
}

/// A comment ends with its line, but names of files may contain anything.
fn on_one_line(text: &str) -> String {
    let text = text.replace(|c: char| c.is_control(), "?");
    text.strip_suffix('\\')
        .map_or(text.clone(), |rest| format!("{rest}?"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::testing::{Memory, Random, SAMPLES, is_read_again_as_the_same, sample};
    use crate::written::quoted;
    use crate::{Config, ConfigErrors, Effective, Overrides, parse};

    fn read(text: &str) -> Result<Loaded, ConfigErrors> {
        let (file, options) = (Path::new("g.conf"), Overrides::default());
        parse(text.as_bytes(), file, &Memory::default(), &options, "h")
    }

    fn printed(text: &str) -> String {
        Printed(&read(text).expect("sound")).to_string()
    }

    #[test]
    fn every_directive_is_shown_as_it_is_written_and_by_t_too() {
        let all = at_top_level().chain(in_rrd_section_only());
        for known in all.filter(|known| !matches!(known.effect, Effect::None)) {
            let name = known.name;
            let (_, value, beside) = sample(name);
            let (text, line) = if beside == "rrd" {
                let line = format!("# g.conf:2\n  {name} {value}\n");
                (format!("rrd {{\n{name} {value}\n}}"), line)
            } else {
                let line = format!("{name} {value}  # g.conf:1\n");
                (format!("{name} {value}\n{beside}"), line)
            };
            let shown = printed(&text);
            assert!(shown.contains(&line), "{line} in:\n{shown}");
            let loaded = read(&text).expect("sound");
            assert_ne!(
                (known.lines)(&loaded.config),
                (known.lines)(&Config::new("h")),
                "{name}"
            );
            // As -t shows it: otherwise than without the line.
            let without = match beside {
                "rrd" => "rrd {\n}",
                beside => beside,
            };
            let without = read(without).expect("sound").config;
            let shown = Effective(&loaded.config).to_string();
            assert_ne!(shown, Effective(&without).to_string(), "-t: {name}");
            is_read_again_as_the_same(loaded);
        }
    }

    #[test]
    fn each_value_has_the_place_it_comes_from() {
        let text = "data_source b x\ngridname a\ndata_source c x\ndata_source b x\n\
                    trusted_hosts y\ngridname b\ntrusted_hosts z\ntrusted_hosts\n\
                    summary_rule include m n\nsummary_rule exclude o\nserver_threads 4\n\
                    carbon_server c:1\nrrd {\n RRAs RRA:MAX:0:2:3\n write_timeout 5 # s\n}\n\
                    mine {\n a \"b\" # c\n}";
        let options = Overrides {
            debug_level: Some(3),
            foreground: true,
            pid_file: Some("/p\nid".into()),
            ..Overrides::default()
        };
        let file = Path::new("g.conf");
        let loaded = parse(text.as_bytes(), file, &Memory::default(), &options, "h");
        let shown = Printed(&loaded.expect("sound")).to_string();
        for line in [
            "data_source \"b\" 15 x:8649  # g.conf:1",
            "data_source \"c\" 15 x:8649  # g.conf:3",
            "gridname b  # g.conf:6",
            "trusted_hosts y z  # g.conf:5, g.conf:7",
            "summary_rule include m  # g.conf:9",
            "summary_rule include n  # g.conf:9",
            "summary_rule exclude o  # g.conf:10",
            "#server_threads  # no effect; g.conf:11",
            "carbon_port 1  # g.conf:12",
            "RRAs RRA:MAX:0:2:3  # g.conf:14",
            "xml_port 8651  # default",
            "debug_level 3  # command line",
            "daemonize off  # command line",
            "#logfile  # not set",
            "#--pid_file /p?id  # command line",
            "# g.conf:15\n  write_timeout 5 # s",
            "#write_jitter  # not set",
            "#cache_limit_mb 512  # default",
            "# g.conf:18\n  a \"b\" # c",
        ] {
            assert!(
                shown.contains(&format!("\n{line}\n")) || shown.starts_with(line),
                "{line} in:\n{shown}"
            );
        }
    }

    /// What texts are made of: all that means something to the reader, and other letters.
    const LETTERS: [char; 20] = [
        'a', 'B', '7', ' ', '\t', '"', '\'', '\\', '#', '{', '}', ',', '/', '=', '*', ':', '.',
        '\u{fc}', '\u{201c}', '\u{a0}',
    ];

    fn any_text(random: &mut Random) -> String {
        let len = 1 + random.below(6);
        (0..len)
            .map(|_| LETTERS[random.below(LETTERS.len())])
            .collect()
    }

    /// Lines of which each is sound, or most are.
    fn any_configuration(random: &mut Random) -> String {
        let mut text = String::new();
        for _ in 0..random.below(12) {
            let (name, value, section) = SAMPLES[random.below(SAMPLES.len())];
            let line = match name {
                _ if section == "rrd" => {
                    format!("rrd {{\n{name} {value} # {}\n}}", any_text(random))
                }
                "data_source" => format!("{name} {} 10 h:1", quoted(&any_text(random))),
                "gridname"
                | "setuid_username"
                | "graphite_prefix"
                | "graphite_path"
                | "unsummarized_metrics"
                | "summarized_metrics" => {
                    format!("{name} {}", quoted(&any_text(random)))
                }
                "logfile" | "rrd_rootdir" => {
                    format!("{name} {}", quoted(&format!("/{}", any_text(random))))
                }
                "riemann_attributes" => {
                    format!("{name} {}", quoted(&format!("k={}", any_text(random))))
                }
                _ => format!("{name} {value}"),
            };
            text += &line;
            text.push('\n');
            if random.below(4) == 0 {
                let (id, lines) = (any_text(random), [any_text(random), any_text(random)]);
                text += &[&quoted(&id), " {\n ", &lines[0], "\n ", &lines[1], "\n}\n"].concat();
            }
        }
        text
    }

    #[test]
    fn what_is_printed_is_read_again_as_the_same() {
        let mut sound = 0;
        for seed in 1..=1_000_u64 {
            let text = any_configuration(&mut Random::new(seed));
            if let Ok(loaded) = read(&text) {
                is_read_again_as_the_same(loaded);
                sound += 1;
            }
        }
        assert!(sound > 333, "{sound} of 1000 are sound");
    }
}
