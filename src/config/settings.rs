//! The configuration in force as plugins may ask for it: a name and a text for each setting.

use super::config::Config;
use super::directives;
use super::words::split;

/// Every directive in force outside of sections but `data_source`, without quotes.
///
/// Names and values are gmetad-python's where it has them: each RRA is a setting `rras` of its own,
/// and `case_sensitive_hostnames` is 0 or 1.
pub fn settings(config: &Config) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for known in directives::settings() {
        match known.name {
            "RRAs" => found.extend(config.rrd.rras.iter().map(|rra| ("rras", rra.clone()))),
            name @ "case_sensitive_hostnames" => {
                let value = u8::from(config.case_sensitive_hostnames);
                found.push((name, value.to_string()));
            }
            name => {
                let lines = (known.lines)(config);
                found.extend(lines.iter().map(|line| (name, without_quotes(line))));
            }
        }
    }
    found
}

fn without_quotes(line: &str) -> String {
    // What `written` has put in quotes is well formed.
    let words = split(line).unwrap_or_default();
    let texts: Vec<String> = words.into_iter().map(|word| word.text).collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::settings;
    use crate::testing::config;

    #[test]
    fn settings_have_no_quotes_and_one_entry_for_each_rra_and_rule() {
        let config = config(
            "gridname \"My Grid\"\ntrusted_hosts 10.0.0.0/8 web.example\ncase_sensitive_hostnames 0\n\
             RRAs RRA:MAX:0:1:2 RRA:MIN:0:1:2\nsummary_rule exclude \"disk free\" \"/^a b$/\"\n\
             memcached_parameters \"--SERVER=m --SERVER=n\"\nbind_address ::1\numask 077",
        );
        let settings = settings(&config);
        let of = |name: &str| -> Vec<&str> {
            let of_name = settings.iter().filter(|(known, _)| *known == name);
            of_name.map(|(_, value)| value.as_str()).collect()
        };
        for (name, values) in [
            ("gridname", &["My Grid"][..]),
            ("scalable", &["on"]),
            ("trusted_hosts", &["10.0.0.0/8 web.example"]),
            ("case_sensitive_hostnames", &["0"]),
            ("rras", &["RRA:MAX:0:1:2", "RRA:MIN:0:1:2"]),
            ("summary_rule", &["exclude disk free", "exclude /^a b$/"]),
            (
                "memcached_parameters",
                &["--SERVER=m:11211 --SERVER=n:11211"],
            ),
            ("bind_address", &["::1"]),
            ("umask", &["077"]),
            ("setuid_username", &["nobody"]),
            ("logfile", &[]),
            ("data_source", &[]),
            ("RRAs", &[]),
        ] {
            assert_eq!(of(name), values, "{name}");
        }
    }
}
