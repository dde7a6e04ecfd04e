//! Directives that take a list: what stands between the values, and what becomes of none.
//!
//! C gmetad and gmetad-python start with an empty list and with values they make nothing of, so
//! neither is an error here unless a number is wrong.

use log::Level;

use super::Problem;
use super::directives::Draft;
use super::table::Args;
use super::values::{self, Fault};

/// What parts values in one word.
const SEPARATORS: [char; 3] = [',', ' ', '\t'];

/// The values of a list in which no value has a comma or a blank: hosts, ids, archives.
pub(super) fn parts<'a>(draft: &mut Draft, args: &Args<'a>) -> Vec<&'a str> {
    let words = args.words.iter().map(|word| word.text.as_str());
    let parts: Vec<&str> = words
        .clone()
        .flat_map(|word| word.split(SEPARATORS))
        .filter(|part| !part.is_empty())
        .collect();
    if parts.is_empty() {
        draft.no_values(args);
    } else if words.clone().any(|word| word.contains(',')) {
        let text = format!(
            "{} is read with blanks in place of its commas; write blanks",
            args.known.name
        );
        draft.notice(Level::Warn, args.at, &text);
    } else if words.clone().any(|word| word.contains(SEPARATORS)) {
        let text = format!(
            "{} has several values in one pair of quotes; they are read one by one",
            args.known.name
        );
        draft.notice(Level::Warn, args.at, &text);
    }
    parts
}

/// The values of a list of names that may have anything in them: a comma parts them where it
/// stands behind a word that has no quotes.
pub(super) fn names(draft: &mut Draft, args: &Args<'_>) -> Vec<String> {
    let mut has_commas = false;
    let mut names = Vec::new();
    for word in args.words {
        let name = match word.text.trim_end_matches(',') {
            name if word.quoted || name.len() == word.text.len() => word.text.as_str(),
            name => {
                has_commas = true;
                name
            }
        };
        if !name.trim().is_empty() {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() {
        draft.no_values(args);
    } else if has_commas {
        let text = format!(
            "{} is read without its commas; write blanks alone",
            args.known.name
        );
        draft.notice(Level::Warn, args.at, &text);
    }
    names
}

impl Draft {
    fn no_values(&mut self, args: &Args<'_>) {
        let text = format!(
            "{} has no value and is ignored; it takes {}",
            args.known.name, args.known.expected
        );
        self.notice(Level::Warn, args.at, &text);
    }
}

/// `trusted_hosts HOST ...`: what is no host trusts nobody.
pub(super) fn trusted_hosts(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    for part in parts(draft, args) {
        match values::trust_entry(part) {
            Ok(entry) => draft.config.trust.entries.push(entry),
            Err(Fault::NoPortHere) => {
                let (host, _) = part.rsplit_once(':').unwrap_or((part, ""));
                let entry = args.check(host, values::trust_entry)?;
                draft.config.trust.entries.push(entry);
                let text = format!("trusted_hosts: {part} is read as {host}; ports do not count");
                draft.notice(Level::Warn, args.at, &text);
            }
            Err(Fault::Block) => args.check(part, values::trust_entry).map(drop)?,
            Err(fault) => {
                let text = match in_place_of_wildcard(part) {
                    Some(instead) => format!(
                        "trusted_hosts: \"{part}\" is no pattern here and trusts nobody; write \
                         {instead}"
                    ),
                    None => format!("trusted_hosts: \"{part}\" trusts nobody: it {fault}"),
                };
                draft.notice(Level::Warn, args.at, &text);
            }
        }
    }
    Ok(())
}

/// What to write for `*` and for `192.0.2.*`.
fn in_place_of_wildcard(text: &str) -> Option<String> {
    if text == "*" {
        return Some("\"all_trusted on\" if everyone may ask, or the blocks that may".into());
    }
    if !text.contains('*') {
        return None;
    }
    let numbers: Vec<&str> = text.split('.').take_while(|part| *part != "*").collect();
    let are_numbers = numbers.iter().all(|part| part.parse::<u8>().is_ok());
    let is_pattern = are_numbers && (1..=3).contains(&numbers.len());
    if is_pattern {
        let missing = ".0".repeat(4 - numbers.len());
        Some(format!(
            "{}{missing}/{}",
            numbers.join("."),
            numbers.len() * 8
        ))
    } else {
        Some("each host, or the blocks that may ask".into())
    }
}

/// `RRAs ARCHIVE ...`: those that librrd has for forecasts are left out, as no value of gmetad's
/// ever gets into them.
pub(super) fn archives(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let mut rras = Vec::new();
    for part in parts(draft, args) {
        if values::is_forecast(part) {
            let text = format!("RRAs: {part} is left out; AVERAGE, MIN, MAX and LAST are made");
            draft.notice(Level::Warn, args.at, &text);
        } else {
            rras.push(args.check(part, values::rra)?);
        }
    }
    if !rras.is_empty() {
        draft.config.rrd.rras = rras;
        draft.has_archives = true;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::table::{Arity, at_top_level};
    use crate::testing::{config, defaults, notices};
    use gmetad_core::trust::TrustConfig;

    /// Each list at top level but data_source, which is not one alone.
    fn lists() -> impl Iterator<Item = &'static str> {
        let texts = ["data_source", "gridname", "authority"];
        at_top_level()
            .filter(|known| known.arity == Arity::Own)
            .map(|known| known.name)
            .filter(move |name| !texts.contains(name))
    }

    #[test]
    fn a_list_of_nothing_is_a_warning_and_changes_nothing() {
        assert!(lists().count() >= 8);
        for name in lists() {
            for empty in ["", " ", " \"\"", " '' \"\"", " ,"] {
                let line = format!("{name}{empty}");
                if name == "summary_rule" && !empty.trim().is_empty() {
                    continue;
                }
                assert_eq!(config(&line), defaults(), "{line}");
                let said = notices(&format!("data_source a b\n{line}"));
                let start = format!("WARN g.conf:2: {name} has no value and is ignored; it takes ");
                assert!(
                    said.len() == 1 && said[0].starts_with(&start),
                    "{line}: {said:?}"
                );
            }
        }
    }

    #[test]
    fn hosts_are_parted_by_blanks_and_commas_in_quotes_or_not() {
        let expected = config("trusted_hosts 192.0.2.1 198.51.100.0/24 www.example.org").trust;
        for text in [
            "192.0.2.1, 198.51.100.0/24, www.example.org",
            "192.0.2.1,198.51.100.0/24,www.example.org,",
            "\"192.0.2.1 198.51.100.0/24\" www.example.org",
            "\"192.0.2.1\", \"198.51.100.0/24\" , 'www.example.org'",
        ] {
            let line = format!("trusted_hosts {text}");
            assert_eq!(config(&line).trust, expected, "{line}");
            assert_eq!(
                notices(&format!("{line}\ndata_source a b")).len(),
                1,
                "{line}"
            );
        }
    }

    #[test]
    fn what_is_no_host_trusts_nobody_and_what_to_write_is_said() {
        for (host, said) in [
            (
                "*",
                "trusted_hosts: \"*\" is no pattern here and trusts nobody; write \"all_trusted on\" \
                 if everyone may ask, or the blocks that may",
            ),
            (
                "10.*",
                "trusted_hosts: \"10.*\" is no pattern here and trusts nobody; write 10.0.0.0/8",
            ),
            (
                "192.0.2.*",
                "trusted_hosts: \"192.0.2.*\" is no pattern here and trusts nobody; write \
                 192.0.2.0/24",
            ),
            (
                "*.example.org",
                "trusted_hosts: \"*.example.org\" is no pattern here and trusts nobody; write each \
                 host, or the blocks that may ask",
            ),
            (
                "192.0.2.300",
                "trusted_hosts: \"192.0.2.300\" trusts nobody: it is not an address; one has four \
                 numbers from 0 to 255, as in 192.0.2.1",
            ),
        ] {
            let text = format!("data_source a b\ntrusted_hosts {host}");
            assert_eq!(config(&text).trust, TrustConfig::default(), "{host}");
            assert_eq!(notices(&text), [format!("WARN g.conf:2: {said}")]);
        }
        let text = "data_source a b\ntrusted_hosts www.example.org:80 [::1]:80";
        let hosts = "trusted_hosts www.example.org ::1";
        assert_eq!(config(text).trust, config(hosts).trust);
        assert_eq!(notices(text).len(), 2);
    }

    #[test]
    fn archives_may_stand_in_one_string_and_forecasts_are_left_out() {
        let text = "data_source a b\nRRAs \"RRA:MAX:0:1:2 RRA:HWPREDICT:10:0.1:0.0035:5\" \
                    RRA:LAST:0:3:4,";
        assert_eq!(config(text).rrd.rras, ["RRA:MAX:0:1:2", "RRA:LAST:0:3:4"]);
        assert_eq!(
            notices(text)[1],
            "WARN g.conf:2: RRAs: RRA:HWPREDICT:10:0.1:0.0035:5 is left out; AVERAGE, MIN, MAX and \
             LAST are made"
        );
        let default = defaults().rrd.rras;
        assert_eq!(config("RRAs RRA:FAILURES:10:5:7:9").rrd.rras, default);
    }

    #[test]
    fn names_of_metrics_lose_a_comma_unless_it_is_quoted() {
        let text = "data_source a b\nunsummarized_metrics disk_, net_, \"odd,\"\nplugins a,A rrd";
        let config = config(text);
        assert_eq!(
            config.summary_filter.without_prefixes,
            ["disk_", "net_", "odd,"]
        );
        assert_eq!(config.plugins, Some(vec!["a".into(), "rrd".into()]));
        assert_eq!(
            notices(text),
            [
                "WARN g.conf:2: unsummarized_metrics is read without its commas; write blanks alone",
                "WARN g.conf:3: plugins is read with blanks in place of its commas; write blanks",
                "WARN g.conf:3: plugins names a twice; its first place in the chain counts",
            ]
        );
    }
}
