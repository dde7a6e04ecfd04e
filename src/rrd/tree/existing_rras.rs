//! Whether the newest files of a root have other archives than new files will get, for a warning at
//! start and in `gmetad -t`.
//!
//! Reads one header, never through librrd. A root may have a million files, so the names and the time
//! that are spent on it are limited.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::file::{Rra, rras};
use gmetad_config::RrdConfig;
use gmetad_core::model::sorted;

/// Most names that are looked at in a folder.
const NAMES: usize = 4096;

/// Folders that are entered at each level: those in which something was created last.
const FOLDERS: usize = 3;

/// Time limit of the search.
const TIME: Duration = Duration::from_millis(500);

/// What to say where the newest file of the root has other archives than a new one would get.
pub fn other_archives(rrd: &RrdConfig) -> Option<String> {
    if !rrd.write {
        return None;
    }
    let wanted: Vec<Rra> = rrd
        .rras
        .iter()
        .map(|rra| defined(rra))
        .collect::<Option<_>>()?;
    let newest = newest_file(&rrd.rootdir, Instant::now() + TIME)?;
    let (found, shares): (Vec<Rra>, Vec<f64>) = rras(&newest)?.into_iter().unzip();
    if found == wanted {
        return None;
    }
    let lines = found.iter().zip(shares);
    let lines: Vec<String> = lines.map(|(rra, share)| written(rra, share)).collect();
    Some(format!(
        "RRAs differ from those of existing files: {} has {}; new files get {}; to keep the old ones, \
         set RRAs {}",
        newest.display(),
        listed(&found),
        listed(&wanted),
        lines.join(" ")
    ))
}

/// An archive as the configuration has it; none where its steps or rows are times.
fn defined(rra: &str) -> Option<Rra> {
    let mut fields = rra.split(':').skip(1);
    let function = fields.next()?.to_owned();
    let (steps, rows) = (fields.nth(1)?, fields.next()?);
    Some(Rra {
        function,
        steps: steps.parse().ok()?,
        rows: rows.parse().ok()?,
    })
}

fn listed(archives: &[Rra]) -> String {
    let texts = archives.iter();
    let texts = texts.map(|rra| format!("{}:{}:{}", rra.function, rra.steps, rra.rows));
    texts.collect::<Vec<_>>().join(" ")
}

fn written(rra: &Rra, unknown_share: f64) -> String {
    let Rra {
        function,
        steps,
        rows,
    } = rra;
    format!("RRA:{function}:{unknown_share}:{steps}:{rows}")
}

/// The file that was made last, as far as can be seen: a folder's time is that of the last name
/// made in it.
fn newest_file(root: &Path, deadline: Instant) -> Option<PathBuf> {
    let mut folders = vec![root.to_owned()];
    // Clusters, then hosts.
    for _ in 0..2 {
        let below: Vec<_> = folders
            .iter()
            .flat_map(|folder| entries(folder, deadline))
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        let newest = sorted(below, |one, other| other.cmp(one)).into_iter();
        folders = newest.take(FOLDERS).map(|(_, path)| path).collect();
    }
    let files = folders.iter().flat_map(|folder| entries(folder, deadline));
    files
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "rrd"))
        .filter_map(|entry| Some((made(&entry)?, entry.path())))
        .max()
        .map(|(_, path)| path)
}

/// The names in a folder, up to the limits; none of one that cannot be looked into.
fn entries(folder: &Path, deadline: Instant) -> impl Iterator<Item = DirEntry> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .take(NAMES)
        .take_while(move |_| Instant::now() < deadline)
}

/// When a file was made; when it was written, where the file system does not know.
fn made(entry: &DirEntry) -> Option<SystemTime> {
    let metadata = entry.metadata().ok()?;
    metadata.created().or_else(|_| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{layout, testing};
    use std::ffi::{CString, OsStr, c_ulong};
    use std::os::unix::ffi::OsStrExt;

    /// Makes a file with these archives, in place of one that is there.
    fn create(file: &Path, archives: &[&str]) {
        let c_string = |text: &OsStr| CString::new(text.as_bytes()).unwrap();
        let definitions = [&["DS:sum:GAUGE:120:U:U"], archives].concat();
        let _ = fs::remove_file(file);
        testing::create(&c_string(file.as_os_str()), 15, 1_700_000_000, &definitions).unwrap();
    }

    #[test]
    fn other_archives_than_those_of_new_files_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let rrd = RrdConfig {
            rootdir: folder.path().into(),
            rras: vec!["RRA:AVERAGE:0.5:1:10".into(), "RRA:MAX:0.5:2:20".into()],
            ..RrdConfig::default()
        };
        assert_eq!(other_archives(&rrd), None, "an empty root");
        let host = folder.path().join("C/h");
        fs::create_dir_all(&host).unwrap();
        let file = host.join("m.rrd");
        for nothing in [&b""[..], b"RRD\x000003\0", &[0; 4096]] {
            fs::write(&file, nothing).unwrap();
            assert_eq!(other_archives(&rrd), None, "no file of ours");
        }
        create(&file, &["RRA:AVERAGE:0.5:1:10", "RRA:MAX:0.5:2:20"]);
        assert_eq!(other_archives(&rrd), None, "the same");
        create(&file, &["RRA:AVERAGE:0.25:1:244"]);
        let said = other_archives(&rrd).expect("something to say");
        assert_eq!(
            said,
            format!(
                "RRAs differ from those of existing files: {} has AVERAGE:1:244; new files get \
                 AVERAGE:1:10 MAX:2:20; to keep the old ones, set RRAs RRA:AVERAGE:0.25:1:244",
                file.display()
            )
        );
        // Steps of the archive's row: what a damaged header says is no reason for anything.
        let mut bytes = fs::read(&file).unwrap();
        let steps = layout::STAT_HEAD + layout::DS_DEF + layout::RRA_STEPS;
        bytes[steps..steps + size_of::<c_ulong>()].fill(0xff);
        fs::write(&file, bytes).unwrap();
        assert_eq!(other_archives(&rrd), None, "a damaged file");
        let off = RrdConfig {
            write: false,
            ..rrd
        };
        assert_eq!(other_archives(&off), None);
    }
}
