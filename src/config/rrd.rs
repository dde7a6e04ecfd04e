//! Directives that stand in the `rrd` section and nowhere else: those of the write cache, and what
//! becomes of old files.
//!
//! What a value may be is checked in `values`.

use super::lines::{list, one, paths};
use super::table::{Group, Known, RRD_SECTION, find, known, set};
use super::values;

static KNOWN: [Known; 7] = [
    known(
        Group::Stores,
        "write_timeout",
        SECONDS,
        |draft, args| set(&mut draft.config.rrd.write_timeout, args, values::wait),
        |it| one(it.rrd.write_timeout.as_secs()),
    )
    .quiet()
    .exact(),
    known(
        Group::Stores,
        "write_jitter",
        SECONDS,
        |draft, args| {
            draft.config.rrd.write_jitter = Some(args.one(values::wait)?);
            Ok(())
        },
        |it| list(it.rrd.write_jitter.map(|it| it.as_secs())),
    )
    .exact(),
    known(
        Group::Stores,
        "flush_interval",
        SECONDS,
        |draft, args| set(&mut draft.config.rrd.flush_interval, args, values::wait),
        |it| one(it.rrd.flush_interval.as_secs()),
    )
    .quiet()
    .exact(),
    known(
        Group::Stores,
        "cache_limit_mb",
        "megabytes",
        |draft, args| {
            set(
                &mut draft.config.rrd.cache_limit_bytes,
                args,
                values::megabytes,
            )
        },
        |it| one(it.rrd.cache_limit_bytes >> 20),
    )
    .quiet()
    .exact(),
    known(
        Group::Stores,
        "journal_dir",
        "a folder",
        |draft, args| {
            draft.config.rrd.journal_dir = Some(args.one(values::path)?);
            Ok(())
        },
        |it| paths(it.rrd.journal_dir.as_ref()),
    ),
    known(
        Group::Stores,
        "listen",
        "the path of a socket",
        |draft, args| {
            draft.config.rrd.listen = Some(args.one(values::path)?);
            Ok(())
        },
        |it| paths(it.rrd.listen.as_ref()),
    ),
    known(
        Group::Stores,
        "expire_rrds",
        "days",
        |draft, args| set(&mut draft.config.rrd.expire_days, args, values::days),
        |it| one(it.rrd.expire_days.map_or(0, u16::from)),
    )
    .quiet()
    .exact(),
];

const SECONDS: &str = "seconds";

/// Names of those that stand there only.
pub(super) fn own_names() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|known| known.name)
}

/// Those themselves.
pub(super) fn own() -> impl Iterator<Item = &'static Known> {
    KNOWN.iter()
}

/// A directive of the `rrd` section that is ours: one of its own, or one of top level's that it
/// may have too.
pub(super) fn find_in_section(name: &str) -> Option<&'static Known> {
    let own = KNOWN
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(name));
    let shared = || {
        let is_shared = RRD_SECTION.iter().any(|it| it.eq_ignore_ascii_case(name));
        find(name).filter(|_| is_shared)
    };
    own.or_else(shared)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::testing::{config, refusal};

    #[test]
    fn the_cache_is_set_up_in_the_section() {
        let rrd = config(
            "rrd {\n write_timeout 300\n Write_Jitter 100\n flush_interval 600\n cache_limit_mb 64\n \
             journal_dir /j\n listen \"/run/gmetad.sock\"\n}",
        )
        .rrd;
        assert_eq!(rrd.write_timeout, Duration::from_secs(300));
        assert_eq!(rrd.write_jitter, Some(Duration::from_secs(100)));
        assert_eq!(rrd.flush_interval, Duration::from_secs(600));
        assert_eq!(rrd.cache_limit_bytes, 64 << 20);
        assert_eq!(rrd.journal_dir.as_deref(), Some(Path::new("/j")));
        assert_eq!(rrd.listen.as_deref(), Some(Path::new("/run/gmetad.sock")));
        let rrd = config("rrd {\n}").rrd;
        assert!(rrd.write_timeout.is_zero() && rrd.journal_dir.is_none());
    }

    #[test]
    fn old_files_go_only_where_that_is_asked_for() {
        let days = |text: &str| config(text).rrd.expire_days.map(u16::from);
        assert_eq!(days(""), None);
        assert_eq!(days("rrd {\n expire_rrds 0\n}"), None);
        assert_eq!(days("rrd {\n expire_rrds 400\n}"), Some(400));
        assert_eq!(
            refusal("rrd {\n expire_rrds never\n expire_rrds 65536\n}"),
            [
                "g.conf:2: expire_rrds: \"never\" is not a number of days; give 1 to 65535, or 0 for \
                 never",
                "g.conf:3: expire_rrds: \"65536\" is not a number of days; give 1 to 65535, or 0 for \
                 never",
            ]
        );
    }

    #[test]
    fn what_the_cache_cannot_do_is_refused() {
        assert_eq!(
            refusal("rrd {\n write_timeout 1h\n cache_limit_mb 0\n journal_dir j\n}"),
            [
                "g.conf:2: write_timeout: \"1h\" is not a time; give seconds from 0 to 86400",
                "g.conf:3: cache_limit_mb: \"0\" is not a size; give megabytes from 1 to 1048576",
                "g.conf:4: journal_dir: \"j\" is not an absolute path; start it with /, \
                 since the daemon leaves its folder",
            ]
        );
    }
}
