//! What a directive that nobody knows was most likely meant to be.
//!
//! Decides nothing: it is ignored all the same.

use strsim::levenshtein;

use super::rrd;
use super::table::{RRD_SECTION, directive_names};

/// Letters that may be wrong, missing or too many: one in each so many.
const LETTERS_A_MISTAKE: usize = 4;

/// For behind "is ignored": what is meant by an unknown directive at top level, or nothing.
pub(super) fn at_top_level(name: &str) -> String {
    if let Some(own) = rrd::own_names().find(|own| own.eq_ignore_ascii_case(name)) {
        return format!("; {own} stands in the section rrd, as in rrd {{");
    }
    meant(name, directive_names())
}

/// The same, of a directive in the section `rrd`.
pub(super) fn in_rrd_section(name: &str) -> String {
    if let Some(outside) = directive_names().find(|known| known.eq_ignore_ascii_case(name)) {
        return format!("; {outside} stands outside of sections");
    }
    meant(name, rrd::own_names().chain(RRD_SECTION))
}

/// What of these a name was meant to be, for the end of a sentence; nothing if none is near.
pub fn meant(name: &str, known: impl Iterator<Item = &'static str>) -> String {
    let name = name.to_ascii_lowercase();
    let near = known
        .map(|known| (levenshtein(&name, &known.to_ascii_lowercase()), known))
        .min()
        .filter(|(mistakes, known)| *mistakes <= known.len() / LETTERS_A_MISTAKE);
    near.map_or_else(String::new, |(_, known)| format!("; is {known} meant?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_told_with_what_was_meant() {
        for (name, meant) in [
            ("data_sorce", "; is data_source meant?"),
            ("DataSource", "; is data_source meant?"),
            ("xmlport", "; is xml_port meant?"),
            ("trusted_host", "; is trusted_hosts meant?"),
            ("RRA", "; is RRAs meant?"),
            ("frobnicate", ""),
            ("", ""),
            (
                "write_timeout",
                "; write_timeout stands in the section rrd, as in rrd {",
            ),
        ] {
            assert_eq!(at_top_level(name), meant, "{name}");
        }
        for (name, meant) in [
            ("wirte_timeout", "; is write_timeout meant?"),
            ("rrdrootdir", "; is rrd_rootdir meant?"),
            ("xml_port", "; xml_port stands outside of sections"),
            ("x", ""),
        ] {
            assert_eq!(in_rrd_section(name), meant, "{name}");
        }
    }
}
