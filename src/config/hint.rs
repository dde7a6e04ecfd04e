//! What an unknown directive was most likely meant to be.
//!
//! For the warning only: the directive is ignored.

use strsim::levenshtein;

use super::directives::{at_top_level, directive_names, find, in_rrd_section, in_rrd_section_only};

/// Letters that may be wrong, missing or too many: one in so many.
const LETTERS_A_MISTAKE: usize = 4;

/// Follows "is ignored": what was meant by an unknown directive at top level, or nothing.
pub(super) fn outside_sections(name: &str) -> String {
    if let Some(known) = find(name, in_rrd_section_only()) {
        return format!("; put {} in the section rrd {{ … }}", known.name);
    }
    meant(name, directive_names())
}

/// The same, of a directive in the section `rrd`.
pub(super) fn in_rrd(name: &str) -> String {
    if let Some(known) = find(name, at_top_level()) {
        return format!("; put {} outside of sections", known.name);
    }
    meant(name, in_rrd_section().map(|known| known.name))
}

/// What of these a name was meant to be, for the end of a sentence; nothing if none is near.
pub fn meant(name: &str, known: impl Iterator<Item = &'static str>) -> String {
    let name = name.to_ascii_lowercase();
    let near = known
        .map(|known| (levenshtein(&name, &known.to_ascii_lowercase()), known))
        .min()
        .filter(|(mistakes, known)| *mistakes <= known.len() / LETTERS_A_MISTAKE);
    near.map_or_else(String::new, |(_, known)| format!("; did you mean {known}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_told_with_what_was_meant() {
        for (name, meant) in [
            ("data_sorce", "; did you mean data_source?"),
            ("DataSource", "; did you mean data_source?"),
            ("xmlport", "; did you mean xml_port?"),
            ("trusted_host", "; did you mean trusted_hosts?"),
            ("RRA", "; did you mean RRAs?"),
            ("frobnicate", ""),
            ("", ""),
            (
                "write_timeout",
                "; put write_timeout in the section rrd { … }",
            ),
        ] {
            assert_eq!(outside_sections(name), meant, "{name}");
        }
        for (name, meant) in [
            ("wirte_timeout", "; did you mean write_timeout?"),
            ("rrdrootdir", "; did you mean rrd_rootdir?"),
            ("xml_port", "; put xml_port outside of sections"),
            ("x", ""),
        ] {
            assert_eq!(in_rrd(name), meant, "{name}");
        }
    }
}
