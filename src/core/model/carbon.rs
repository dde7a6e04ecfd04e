//! Names as parts of a path in Graphite's carbon.
//!
//! Only names: the order of a path's parts is the exporter's, or the reader's.

/// Appends a name. Characters that would end the path or the line become `_`; dots as well, if
/// `dots` says so.
pub fn push_carbon_name(out: &mut String, name: &str, dots: bool) {
    out.extend(name.chars().map(|char| {
        let ends = char.is_whitespace() || char.is_control();
        if ends || (dots && char == '.') {
            '_'
        } else {
            char
        }
    }));
}
