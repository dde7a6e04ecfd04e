//! The configuration: text of gmetad.conf in, a checked [`Config`] out.
//!
//! No I/O but reading the file and what it includes. Nothing is started or looked up.
#![forbid(unsafe_code)]

use std::io;
use std::path::Path;

use gmetad_core::model::sorted;

mod alert;
mod config;
mod directives;
mod draft;
mod effective;
mod error;
mod example;
mod hint;
mod interpret;
mod kind;
mod lists;
#[cfg(test)]
mod meaning;
mod origin;
mod printed;
mod reader;
pub mod reload;
mod rules;
mod section;
#[path = "../../tests/support/seeds.rs"]
#[cfg(test)]
mod seeds;
mod settings;
#[cfg(test)]
mod testing;
mod values;
mod words;
mod written;

pub use config::{
    AlertConfig, AlertRule, Config, DEFAULT_INTERVAL, DEFAULT_POLL_PORT, DEFAULT_RRAS,
    DEFAULT_RRD_ROOTDIR, ExportConfig, GMETAD_PYTHON_RRAS, Overrides, RrdConfig, RrdcachedAddress,
    Section,
};
pub use directives::directive_names;
pub use effective::Effective;
pub use error::{ConfigError, ConfigErrors, Notice, Problem};
pub use hint::meant;
pub use interpret::Loaded;
pub use kind::other_kind;
pub use origin::Origins;
pub use printed::Printed;
pub use reader::{Disk, Files, Unmatched};
pub use section::{ExportSection, host_port};
pub use settings::settings;
pub use values::Fault;

/// Reads and checks the configuration in a file and what it includes.
///
/// `host_name` is this machine's, for the default authority. Every error is listed, and every
/// remark is in [`Loaded::notices`].
pub fn load(path: &Path, overrides: &Overrides, host_name: &str) -> Result<Loaded, ConfigErrors> {
    // Not only a regular file: a shell may give `-t` a pipe.
    let text = reader::read_all(path).map_err(|error| {
        let (path, reason) = (path.into(), error.to_string());
        let problem = match example::find() {
            Some(example) if error.kind() == io::ErrorKind::NotFound => Problem::Missing {
                path,
                reason,
                example,
            },
            _ => Problem::Unreadable { path, reason },
        };
        ConfigErrors {
            errors: vec![ConfigError { at: None, problem }],
            notices: Vec::new(),
            setuid_username: None,
        }
    })?;
    parse(&text, path, &Disk, overrides, host_name)
}

/// As [`load`], of a text that has been read already; `files` gives what it includes.
pub fn parse(
    text: &[u8],
    file: &Path,
    files: &dyn Files,
    overrides: &Overrides,
    host_name: &str,
) -> Result<Loaded, ConfigErrors> {
    let mut errors = Vec::new();
    let document = reader::read(text, file, files, &mut errors);
    let order = document.files.clone();
    let (mut loaded, problems) = interpret::interpret(document, overrides, host_name);
    errors.extend(problems);
    if errors.is_empty() {
        loaded.config.path = Some(file.to_owned());
        return Ok(loaded);
    }
    // The reader and the directives each found theirs; a person reads them by file and line.
    let place = |error: &ConfigError| {
        let at = error.at.as_ref()?;
        Some((order.iter().position(|file| *file == at.file), at.line))
    };
    let errors = sorted(errors, |one, other| place(one).cmp(&place(other)));
    Err(ConfigErrors {
        errors,
        notices: loaded.notices,
        setuid_username: loaded.config.setuid_username,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::testing::{Memory, Random, is_read_again_as_the_same};
    use super::*;

    /// What a configuration is made of, so that the generator gets behind the first check.
    const PIECES: &[&str] = &[
        " ",
        " ",
        " ",
        "\n",
        "\n",
        "\n",
        "\t",
        "\r\n",
        "\\",
        "\\\n",
        "\"",
        "\"",
        "'",
        "#",
        "{",
        "}",
        " {\n",
        "\n}\n",
        ":",
        "/",
        "[",
        "]",
        "[::1]:1",
        "::",
        "%",
        "=",
        ",",
        ".",
        "-",
        "0",
        "1",
        "15",
        "65536",
        "99999999999999999999",
        "on",
        "off",
        "a",
        "b.example",
        "192.0.2.1",
        "192.0.2.0/24",
        "RRA:AVERAGE:0.5:1:244",
        "/var",
        "unix:/x",
        "--SERVER=",
        "--server=a",
        "k=v",
        "udp",
        "x.conf",
        "*.conf",
        "rrd",
        "alert",
        "\u{fc}",
        "\u{2028}",
    ];

    fn anything(random: &mut Random) -> Vec<u8> {
        let names: Vec<&str> = directive_names().collect();
        let mut text = Vec::new();
        for _ in 0..random.below(60) {
            match random.below(8) {
                0 => text.push(random.below(256) as u8),
                1 | 2 => {
                    text.push(b'\n');
                    text.extend_from_slice(names[random.below(names.len())].as_bytes());
                    text.push(b' ');
                }
                _ => text.extend_from_slice(PIECES[random.below(PIECES.len())].as_bytes()),
            }
        }
        text
    }

    /// What `Config` promises, whatever the file.
    fn check(config: &Config) {
        let mut names: Vec<&str> = config.sources.iter().map(|source| &*source.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), config.sources.len(), "names are unique");
        for source in &config.sources {
            assert!(!source.name.trim().is_empty() && !source.hosts.is_empty());
            assert!(source.interval >= Duration::from_secs(1));
            assert!(
                source
                    .hosts
                    .iter()
                    .all(|place| !place.host.is_empty() && place.port != 0)
            );
        }
        assert!(!config.rrd.rras.is_empty() && config.rrd.rootdir.is_absolute());
        assert!(config.umask & 0o700 == 0);
        assert!(config.xml_port == 0 || config.xml_port != config.interactive_port);
        assert!(
            config
                .sections
                .iter()
                .all(|section| section.id == section.id.to_lowercase())
        );
    }

    /// Files that were read, and those of them that are sound.
    #[derive(Default)]
    struct Tally {
        files: u64,
        sound: u64,
    }

    impl seeds::Seen for Tally {
        fn add(&mut self, other: &Tally) {
            self.files += other.files;
            self.sound += other.sound;
        }

        fn steps(&self) -> u64 {
            self.files
        }

        fn assert_that_all_of_it_happened(&self) {
            let share = self.sound * 100 / self.files;
            assert!((5..95).contains(&share), "{share} % are sound");
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_break_its_promise() {
        seeds::run("-p gmetad-config no_bytes_make_it_panic", 4_000, |seed| {
            let mut random = Random::new(seed);
            let text = anything(&mut random);
            if seeds::only().is_some() {
                println!("{}", String::from_utf8_lossy(&text));
            }
            let files = Memory([("x.conf".into(), anything(&mut random))].into());
            let file = Path::new("g.conf");
            let loaded = parse(&text, file, &files, &Overrides::default(), "h");
            let sound = u64::from(loaded.is_ok());
            match loaded {
                Ok(loaded) => {
                    check(&loaded.config);
                    assert!(Effective(&loaded.config).to_string().starts_with("polls "));
                    is_read_again_as_the_same(loaded);
                }
                Err(errors) => {
                    assert!(!errors.errors.is_empty() && !errors.to_string().is_empty());
                }
            }
            Tally { files: 1, sound }
        });
    }

    #[test]
    fn a_file_is_loaded_from_the_disk_with_what_it_includes() {
        let folder = tempfile::tempdir().expect("a folder");
        let main = folder.path().join("gmetad.conf");
        std::fs::create_dir(folder.path().join("conf.d")).expect("made");
        std::fs::write(&main, "gridname a\nInclude conf.d/*.conf\n").expect("written");
        std::fs::write(folder.path().join("conf.d/b.conf"), "gridname b\n").expect("written");
        std::fs::write(folder.path().join("conf.d/c.txt"), "gridname c\n").expect("written");
        let loaded = load(&main, &Overrides::default(), "h").expect("sound");
        assert_eq!(loaded.config.gridname, "b");
        let expected = format!(
            "{}:1: gridname is set twice (first at {}:1); this value is used",
            folder.path().join("conf.d/b.conf").display(),
            main.display()
        );
        assert_eq!(
            loaded.notices[0],
            Notice {
                level: log::Level::Warn,
                text: expected
            }
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_told() {
        let error = load(
            Path::new("/nonexistent/gmetad.conf"),
            &Overrides::default(),
            "h",
        )
        .expect_err("refused")
        .to_string();
        // An example is named where there is one.
        let told = "cannot read /nonexistent/gmetad.conf: No such file or directory (os error 2)";
        assert!(error.starts_with(told), "{error}");
    }

    #[test]
    fn a_section_is_found_by_its_id_in_any_case() {
        let config = testing::config("Alert {\n x 1\n}");
        assert_eq!(
            config
                .section("ALERT")
                .map(|section| section.directives.len()),
            Some(1)
        );
        assert_eq!(config.section("other"), None);
    }
}
