//! RRD files: where they are, what is in them, how long values are held before they are written.

use super::{DIRECTORY, TOGGLE};
use crate::draft::{Args, Draft, Known, Place, known, rows};
use crate::error::Problem;
use crate::lists;
use crate::values;
use crate::written::{list, one, paths, toggle};

const SECONDS: &str = "seconds";

pub(crate) const DIRECTIVES: &[Known] = &[
    known(
        "write_rrds",
        TOGGLE,
        |draft, args| args.set(&mut draft.config.rrd.write, values::toggle),
        |it| toggle(it.rrd.write),
    )
    .shown_elsewhere(),
    known(
        "rrd_rootdir",
        DIRECTORY,
        |draft, args| args.set(&mut draft.config.rrd.rootdir, values::path),
        |it| paths(Some(&it.rrd.rootdir)),
    )
    .at(Place::TopLevelOrRrd),
    known(
        "RRAs",
        "RRAs, as in \"RRA:AVERAGE:0.5:1:244\"",
        rras,
        |it| list(&it.rrd.rras),
    )
    .at(Place::TopLevelOrRrd)
    .any()
    .rows(|it| rows("RRAs", it.rrd.rras.clone())),
    known("umask", "octal digits, as in 022", umask, |it| {
        one(format_args!("{:03o}", it.umask))
    })
    .exact(),
    known(
        "write_timeout",
        SECONDS,
        |draft, args| args.set(&mut draft.config.rrd.write_timeout, values::wait),
        |it| one(it.rrd.write_timeout.as_secs()),
    )
    .at(Place::Rrd)
    .exact()
    .unless_default("s"),
    known(
        "write_jitter",
        SECONDS,
        |draft, args| args.set_some(&mut draft.config.rrd.write_jitter, values::wait),
        |it| list(it.rrd.write_jitter.map(|it| it.as_secs())),
    )
    .at(Place::Rrd)
    .exact()
    .unless_default("s"),
    known(
        "flush_interval",
        SECONDS,
        |draft, args| args.set(&mut draft.config.rrd.flush_interval, values::wait),
        |it| one(it.rrd.flush_interval.as_secs()),
    )
    .at(Place::Rrd)
    .exact()
    .unless_default("s"),
    known(
        "cache_limit_mb",
        "megabytes",
        |draft, args| args.set(&mut draft.config.rrd.cache_limit_bytes, values::megabytes),
        |it| one(it.rrd.cache_limit_bytes >> 20),
    )
    .at(Place::Rrd)
    .exact()
    .unless_default("MB"),
    known(
        "journal_dir",
        DIRECTORY,
        |draft, args| args.set_some(&mut draft.config.rrd.journal_dir, values::path),
        |it| paths(it.rrd.journal_dir.as_ref()),
    )
    .at(Place::Rrd),
    known(
        "listen",
        "the path of a socket",
        |draft, args| args.set_some(&mut draft.config.rrd.listen, values::path),
        |it| paths(it.rrd.listen.as_ref()),
    )
    .at(Place::Rrd),
    known(
        "new_rrds_per_hour",
        "a number",
        |draft, args| args.set(&mut draft.config.rrd.new_per_hour, values::number),
        |it| one(it.rrd.new_per_hour),
    )
    .at(Place::Rrd)
    .exact()
    .unless_default("and one for each value"),
    known(
        "min_free_mb",
        "megabytes",
        |draft, args| {
            args.set(
                &mut draft.config.rrd.min_free_bytes,
                values::megabytes_or_none,
            )
        },
        |it| one(it.rrd.min_free_bytes >> 20),
    )
    .at(Place::Rrd)
    .exact()
    .unless_default("MB"),
    known(
        "expire_rrds",
        "days",
        |draft, args| args.set(&mut draft.config.rrd.expire_days, values::days),
        |it| one(it.rrd.expire_days.map_or(0, u16::from)),
    )
    .at(Place::Rrd)
    .exact()
    .unless_default("days"),
];

/// `RRAs RRA ...`: librrd's RRAs for forecasts are left out, since no value of gmetad's ever gets
/// into them.
fn rras(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let mut rras = Vec::new();
    for part in lists::parts(draft, args) {
        if values::is_forecast(part) {
            let text =
                format!("RRAs: {part} is ignored; only AVERAGE, MIN, MAX and LAST are supported");
            draft.warn(args.at, text);
        } else {
            rras.push(args.check(part, values::rra)?);
        }
    }
    if !rras.is_empty() {
        draft.config.rrd.rras = rras;
        draft.pending.has_rras = true;
    }
    Ok(())
}

/// C gmetad never takes the owner's own permissions away, and reads digits without a leading 0 as
/// decimal. The first is kept, the second is reported.
fn umask(draft: &mut Draft, args: &Args<'_>) -> Result<(), Problem> {
    let mask = args.one(values::umask)?;
    let written = args.at_least_one()?[0].text.as_str();
    if !written.starts_with('0') {
        let text = format!("umask {written} is read as octal 0{written}; write 0{written}");
        draft.warn(args.at, text);
    }
    let used = mask & 0o077;
    if used != mask {
        let text = format!(
            "umask {written} would lock gmetad out of its own files; umask {used:03o} is used"
        );
        draft.warn(args.at, text);
    }
    draft.config.umask = used;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use crate::testing::{config, defaults, notices, refusal};

    #[test]
    fn the_cache_is_set_up_in_the_section() {
        let rrd = config(
            "rrd {\n write_timeout 300\n Write_Jitter 100\n flush_interval 600\n cache_limit_mb \
             64\n \
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
                "g.conf:2: expire_rrds: \"never\" is not a number of days; give 1 to 65535, or 0 \
                 for \
                 never",
                "g.conf:3: expire_rrds: \"65536\" is not a number of days; give 1 to 65535, or 0 \
                 for \
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
                "g.conf:4: journal_dir: \"j\" is not an absolute path; start it with /",
            ]
        );
    }

    #[test]
    fn archives_may_stand_in_one_string_and_forecasts_are_left_out() {
        let text = "data_source a b\nRRAs \"RRA:MAX:0:1:2 RRA:HWPREDICT:10:0.1:0.0035:5\" \
                    RRA:LAST:0:3:4,";
        assert_eq!(config(text).rrd.rras, ["RRA:MAX:0:1:2", "RRA:LAST:0:3:4"]);
        assert_eq!(
            notices(text)[1],
            "WARN g.conf:2: RRAs: RRA:HWPREDICT:10:0.1:0.0035:5 is ignored; only AVERAGE, MIN, \
             MAX and LAST are supported"
        );
        let default = defaults().rrd.rras;
        assert_eq!(config("RRAs RRA:FAILURES:10:5:7:9").rrd.rras, default);
    }

    #[test]
    fn a_umask_leaves_the_owner_alone_and_says_what_it_is_read_as() {
        assert_eq!(config("umask 0").umask, 0);
        assert_eq!(config("umask 0777").umask, 0o077);
        assert!(
            notices("umask 0777\ndata_source a b").contains(
                &"WARN g.conf:1: umask 0777 would lock gmetad out of its own files; umask 077 is \
                  used"
                    .into()
            )
        );
        assert_eq!(config("umask 27").umask, 0o027);
        assert_eq!(
            notices("umask 27\ndata_source a b"),
            ["WARN g.conf:1: umask 27 is read as octal 027; write 027"]
        );
    }

    #[test]
    fn the_rrd_section_wins_over_top_level_wherever_it_stands() {
        let text = "rrd {\n rras \"RRA:LAST:0.5:1:2\" RRA:MIN:0:1:3\n RRD_rootdir \"/section\"\n \
                    write_timeout 300\n}\nrrd_rootdir /top\nRRAs RRA:MAX:0:1:4\n";
        let config = config(text);
        assert_eq!(config.rrd.rootdir, Path::new("/section"));
        assert_eq!(config.rrd.rras, ["RRA:LAST:0.5:1:2", "RRA:MIN:0:1:3"]);
        // The plugin sees all of it, our two included.
        assert_eq!(config.section("RRD").expect("kept").directives.len(), 3);
    }

    #[test]
    fn the_rrd_section_is_checked_where_it_is_ours() {
        assert_eq!(
            refusal("rrd {\n RRAs\n rrd_rootdir rrds\n RRAs RRA:AVERAGE:0.5:1\n RRAs x\n x 'y\n}"),
            [
                "g.conf:3: rrd_rootdir: \"rrds\" is not an absolute path; start it with /",
                "g.conf:4: RRAs: \"RRA:AVERAGE:0.5:1\" is not an RRA; write \
                 RRA:CF:XFF:STEPS:ROWS, as in RRA:AVERAGE:0.5:1:244",
                "g.conf:5: RRAs: \"x\" is not an RRA; write RRA:CF:XFF:STEPS:ROWS, as in \
                 RRA:AVERAGE:0.5:1:244",
            ]
        );
    }
}
