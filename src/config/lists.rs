//! Values of directives that take a list: what separates them, and what an empty list means.
//!
//! C gmetad and gmetad-python start with an empty list and with values they cannot use, so neither
//! is an error here.

use super::draft::{Args, Draft, Known};

/// What separates values in one word.
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
        let name = args.known.name;
        let text = format!("{name}: commas are read as spaces; separate values with spaces");
        draft.warn(args.at, text);
    } else if words.clone().any(|word| word.contains(SEPARATORS)) {
        let name = args.known.name;
        let text = format!("{name}: several values in one pair of quotes are read one by one");
        draft.warn(args.at, text);
    }
    parts
}

/// The values of a list of names that may contain anything: a comma separates them only at the end
/// of a word without quotes.
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
        let name = args.known.name;
        let text = format!("{name}: commas are ignored; separate values with spaces");
        draft.warn(args.at, text);
    }
    names
}

impl Draft {
    fn no_values(&mut self, args: &Args<'_>) {
        let Known { name, expected, .. } = args.known;
        let text = format!("{name} has no value and is ignored; it takes {expected}");
        self.warn(args.at, text);
    }
}

#[cfg(test)]
mod tests {
    use crate::directives::at_top_level;
    use crate::draft::Arity;
    use crate::testing::{config, defaults, notices};

    /// Each list at top level but those that begin with the name of a source.
    fn lists() -> impl Iterator<Item = &'static str> {
        let texts = ["data_source", "source_clusters", "gridname", "authority"];
        at_top_level()
            .filter(|known| known.arity == Arity::Any)
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
                "WARN g.conf:2: unsummarized_metrics: commas are ignored; separate values with \
                 spaces",
                "WARN g.conf:3: plugins: commas are read as spaces; separate values with spaces",
                "WARN g.conf:3: plugins lists a twice; its first place is used",
            ]
        );
    }
}
