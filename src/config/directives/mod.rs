//! Every directive that gmetad has: what it takes, what it sets, how it is shown.
//!
//! One file for each part of the daemon; an entry stands beside the functions that only it uses.

use super::draft::{Known, Place};

pub(super) mod exports;
pub(super) mod limits;
pub(super) mod polls;
pub(super) mod runs;
pub(super) mod serves;
pub(super) mod stores;
pub(super) mod summary;

const TOGGLE: &str = "on or off";
const PORT: &str = "a port";
const DIRECTORY: &str = "a directory";

fn all() -> impl Iterator<Item = &'static Known> {
    [
        polls::DIRECTIVES,
        limits::DIRECTIVES,
        serves::DIRECTIVES,
        summary::DIRECTIVES,
        stores::DIRECTIVES,
        exports::DIRECTIVES,
        runs::DIRECTIVES,
    ]
    .into_iter()
    .flatten()
}

/// Those that may stand outside of sections, `Include` apart, which the reader follows.
pub(super) fn at_top_level() -> impl Iterator<Item = &'static Known> {
    all().filter(|known| known.place != Place::Rrd)
}

/// Those at top level that are one setting each: all but `data_source`.
pub(super) fn settings() -> impl Iterator<Item = &'static Known> {
    at_top_level().filter(|known| known.name != polls::DATA_SOURCE)
}

/// Those that may stand in the `rrd` section.
pub(super) fn in_rrd_section() -> impl Iterator<Item = &'static Known> {
    all().filter(|known| known.place != Place::TopLevel)
}

/// Those that stand in the `rrd` section alone.
pub(super) fn in_rrd_section_only() -> impl Iterator<Item = &'static Known> {
    all().filter(|known| known.place == Place::Rrd)
}

/// The directive of that name, in any case.
pub(super) fn find(
    name: &str,
    mut among: impl Iterator<Item = &'static Known>,
) -> Option<&'static Known> {
    among.find(|known| known.name.eq_ignore_ascii_case(name))
}

/// Names of all directives at top level, as they are documented.
pub fn directive_names() -> impl Iterator<Item = &'static str> {
    at_top_level().map(|known| known.name).chain(["Include"])
}

#[cfg(test)]
mod tests {
    use super::{at_top_level, directive_names};
    use crate::draft::Effect;
    use crate::testing::{Memory, config, config_with, defaults, notices};
    use crate::{DEFAULT_RRAS, GMETAD_PYTHON_RRAS};

    const SHIPPED: &str = include_str!("../../../contrib/gmetad.conf");
    const MANUAL: &str = include_str!("../../../man/gmetad.conf.5");
    const COMPATIBILITY: &str = include_str!("../../../docs/COMPATIBILITY.md");

    /// The shipped file with every directive that is commented out taken in.
    fn uncommented() -> String {
        let line = |line: &'static str| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphabetic()) => rest,
            _ => line,
        };
        SHIPPED.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_shipped_file_is_sound_and_leaves_nothing_to_remark() {
        assert_eq!(notices(SHIPPED), Vec::<String>::new());
        assert_eq!(config(SHIPPED).rrd.rras, DEFAULT_RRAS);
        assert_eq!(config(SHIPPED).sources.len(), 1);
    }

    #[test]
    fn the_shipped_file_is_the_defaults_but_for_its_source_and_sections() {
        let mut shipped = config(SHIPPED);
        shipped.sources.clear();
        shipped.sections.clear();
        assert_eq!(shipped, defaults());
    }

    #[test]
    fn the_shipped_file_has_every_directive() {
        let text = uncommented();
        for name in directive_names() {
            let is_there = text
                .lines()
                .any(|line| line.split_whitespace().next() == Some(name));
            assert!(is_there, "{name} is missing in contrib/gmetad.conf");
        }
    }

    #[test]
    fn every_line_of_the_shipped_file_can_be_taken_in() {
        let files = Memory::with(&[("conf.d/more.conf", "gridname included")]);
        let config = config_with(&uncommented(), &files);
        assert_eq!(config.gridname, "included");
        assert_eq!(config.sources.len(), 3);
        // gmetad-python's archives, which stand behind the default ones.
        assert_eq!(config.rrd.rras, GMETAD_PYTHON_RRAS);
        let strange: Vec<String> = notices(&uncommented())
            .into_iter()
            .filter(|notice| notice.starts_with("WARN") && !notice.contains("RRAs is set twice"))
            .collect();
        assert_eq!(strange, Vec::<String>::new());
    }

    #[test]
    fn the_manual_has_every_directive() {
        for name in directive_names() {
            let is_there = MANUAL.lines().any(|line| {
                line.strip_prefix(".It Ic ")
                    .and_then(|rest| rest.split(' ').next())
                    == Some(name)
            });
            assert!(is_there, "{name} is missing in man/gmetad.conf.5");
        }
    }

    #[test]
    fn the_manual_tells_which_directives_take_effect_at_a_reload() {
        let list = MANUAL
            .split_once("\nThese directives take effect at once:\n")
            .and_then(|(_, rest)| rest.split_once("\nAll other directives"))
            .expect("the manual has the list")
            .0;
        let names = list.lines().filter_map(|line| line.strip_prefix(".Ic "));
        let told: Vec<&str> = names.filter_map(|name| name.split(' ').next()).collect();
        let at_reload = at_top_level().filter(|it| matches!(it.effect, Effect::AtReload(_)));
        let expected: Vec<&str> = at_reload.map(|known| known.name).collect();
        assert_eq!(
            told, expected,
            "the list under Reload in man/gmetad.conf.5 has not just what has at_reload, in this order"
        );
    }

    #[test]
    fn what_became_of_every_directive_is_told() {
        for name in directive_names() {
            let spellings = [format!("`{name}`"), format!("`{name} ")];
            let first_cell = |line: &str| {
                let cell = line.strip_prefix("| ")?.split(" | ").next()?;
                spellings.iter().find(|it| cell.contains(*it)).map(drop)
            };
            assert!(
                COMPATIBILITY.lines().find_map(first_cell).is_some(),
                "{name} is missing in docs/COMPATIBILITY.md"
            );
        }
    }

    #[test]
    fn the_stock_file_of_c_gmetad_is_read_as_it_is() {
        // What Debian's package sets; the rest of its file is comments.
        let text = "data_source \"this host\" localhost\ntrusted_hosts 127.0.0.1 \n#\n\
                    setuid_username \"ganglia\"\n";
        assert_eq!(notices(text), Vec::<String>::new());
        assert_eq!(config(text).setuid_username.as_deref(), Some("ganglia"));
    }

    #[test]
    fn the_stock_file_of_gmetad_python_is_read_as_it_is() {
        let text = "data_source \"my cluster\" localhost\n\
                    plugins_dir /usr/lib64/ganglia/python_modules/gmetad\n\
                    rrd {\n#\n# RRAs \"RRA:AVERAGE:0.5:1:244\" \"RRA:AVERAGE:0.5:24:244\" \\\n\
                    #      \"RRA:AVERAGE:0.5:5760:374\"\n#\n# rrd_rootdir \"/some/other/place\"\n}\n\
                    \nrrdsummary {\n}\n";
        let config = config(text);
        assert_eq!(config.rrd.rras, GMETAD_PYTHON_RRAS);
        let ids: Vec<&str> = config
            .sections
            .iter()
            .map(|section| section.id.as_str())
            .collect();
        assert_eq!(ids, ["rrd", "rrdsummary"]);
    }
}
