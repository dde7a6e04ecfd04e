//! Parts of gmetad that can be left out when it is built, each by its cargo feature.
//!
//! A part that is left out has an empty twin in its place, so the rest of the daemon is the same
//! either way. Which of the two is built is decided here and nowhere else.

use std::path::Path;

use gmetad_config::reload::{Changes, plan};
use gmetad_config::{self as config, Config, ConfigErrors, Loaded, Notice, Overrides};

#[cfg(feature = "export")]
pub mod export;
#[cfg(not(feature = "export"))]
#[path = "no_export.rs"]
pub mod export;
#[cfg(feature = "loader")]
pub mod loader;
#[cfg(not(feature = "loader"))]
#[path = "no_loader.rs"]
pub mod loader;
#[cfg(feature = "rrd")]
pub mod rrd;
#[cfg(not(feature = "rrd"))]
#[path = "no_rrd.rs"]
pub mod rrd;

#[cfg(feature = "graphite")]
pub mod graphite;
#[cfg(not(feature = "graphite"))]
#[path = "no_graphite.rs"]
pub mod graphite;
#[cfg(feature = "web")]
pub mod web;
#[cfg(not(feature = "web"))]
#[path = "no_web.rs"]
pub mod web;

/// A part of gmetad.
struct Part {
    /// The feature that builds it in.
    feature: &'static str,
    /// What gmetad has or lacks with it: "this gmetad was built without …".
    what: &'static str,
    /// `None` if it is built in.
    left_out: Option<Removal>,
}

/// Removes what only a part could do from a configuration.
pub type Removal = fn(&mut Config);

/// Nothing is removed: a URL that needs it is refused where it is read.
const TLS_LEFT_OUT: Option<Removal> = if cfg!(feature = "tls") {
    None
} else {
    Some(|_| ())
};

/// No directive asks for it: it is for files of a kind that gmetad never makes.
const LIBRRD_LEFT_OUT: Option<Removal> = if cfg!(all(feature = "rrd", feature = "librrd")) {
    None
} else {
    Some(|_| ())
};

/// Every part that can be left out.
const PARTS: [Part; 7] = [
    Part {
        feature: "rrd",
        what: "round-robin files",
        left_out: rrd::LEFT_OUT,
    },
    Part {
        feature: "librrd",
        what: "librrd",
        left_out: LIBRRD_LEFT_OUT,
    },
    Part {
        feature: "export",
        what: "exports",
        left_out: export::LEFT_OUT,
    },
    Part {
        feature: "tls",
        what: "TLS",
        left_out: TLS_LEFT_OUT,
    },
    Part {
        feature: "loader",
        what: "loadable plugins",
        left_out: loader::LEFT_OUT,
    },
    Part {
        feature: "web",
        what: "web pages",
        left_out: web::LEFT_OUT,
    },
    Part {
        feature: "graphite",
        what: "Graphite's API",
        left_out: graphite::LEFT_OUT,
    },
];

/// Reads a configuration for this gmetad: what a missing part would have done is removed from it,
/// with a warning that names the directives.
pub fn load(path: &Path, overrides: &Overrides, host_name: &str) -> Result<Loaded, ConfigErrors> {
    let mut loaded = config::load(path, overrides, host_name)?;
    for part in PARTS {
        loaded.notices.extend(part.without(&mut loaded.config));
    }
    Ok(loaded)
}

impl Part {
    /// Removes what only this part could do, if it is left out. Returns the warning about directives
    /// that have no effect.
    fn without(&self, config: &mut Config) -> Option<Notice> {
        let remove = self.left_out?;
        let before = config.clone();
        remove(config);
        let Changes { applied, later, .. } = plan(&before, config);
        let mut names: Vec<String> = applied.into_iter().map(str::to_owned).collect();
        names.extend(later);
        let (last, others) = names.split_last()?;
        let listed = match others {
            [] => format!("{last} has no effect"),
            others => format!("{} and {last} have no effect", others.join(", ")),
        };
        let Part { what, feature, .. } = self;
        Some(Notice {
            level: log::Level::Warn,
            text: format!(
                "this gmetad was built without {what}; {listed}; use one that was built with the \
                 feature {feature}, or turn them off in the configuration"
            ),
        })
    }
}

/// The parts that are built in and those that are left out, a line each where there are any.
pub fn listed() -> String {
    let (left_out, built_in): (Vec<&Part>, Vec<&Part>) =
        PARTS.iter().partition(|part| part.left_out.is_some());
    let line = |title: &str, parts: &[&Part]| {
        let features: Vec<&str> = parts.iter().map(|part| part.feature).collect();
        let is_empty = features.is_empty();
        (!is_empty).then(|| format!("{title}: {}\n", features.join(", ")))
    };
    let lines = [
        line("built with", &built_in),
        line("built without", &left_out),
    ];
    lines.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(text: &str, remove: Removal) -> Option<String> {
        let (file, nothing) = (Path::new("g.conf"), Overrides::default());
        let loaded = config::parse(text.as_bytes(), file, &config::Disk, &nothing, "h");
        let part = Part {
            feature: "tea",
            what: "a kettle",
            left_out: Some(remove),
        };
        let warning = part.without(&mut loaded.expect("sound").config);
        warning.map(|notice| notice.text)
    }

    #[test]
    fn what_has_no_effect_is_told_with_the_part_that_is_missing() {
        let remove: Removal = |config| {
            config.gridname.clear();
            config.plugins_dir = None;
            config.sections.clear();
        };
        assert_eq!(
            warning("plugins_dir /p\ngridname g\nmine {\n}", remove).as_deref(),
            Some(
                "this gmetad was built without a kettle; gridname, plugins_dir and section mine \
                 have no effect; use one that was built with the feature tea, or turn them off in \
                 the configuration"
            )
        );
        let one = warning("plugins_dir /p", |config| config.plugins_dir = None);
        assert!(
            one.expect("a warning")
                .contains("; plugins_dir has no effect;")
        );
        assert_eq!(warning("", |config| config.plugins_dir = None), None);
    }

    #[test]
    fn every_part_is_listed_once() {
        let listed = listed();
        for part in PARTS {
            let words = listed.split([' ', ',', '\n']);
            let count = words.filter(|word| *word == part.feature).count();
            assert_eq!(count, 1, "{listed}");
        }
    }
}
