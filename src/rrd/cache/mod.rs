//! Samples that are held before they are written, many at once, to their RRD files.
//!
//! A sample comes in through [`WriteCache`], which decides when what is done. [`journaled`] keeps
//! memory and journal in step; [`files`] is the memory: a queue for each file, in one [`arena`], and
//! a [`wheel`] that says which file is due.

mod arena;
mod files;
mod journaled;
mod packed;
mod rrd_files;
#[cfg(test)]
mod simulation;
mod texts;
mod wheel;
mod write_cache;

pub(crate) use crate::journal::FileId;
pub(crate) use files::Held;
pub(crate) use write_cache::WriteCache;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// The simulation moves the clock, so there must be no other.
    #[test]
    fn cache_and_journal_read_no_clock() {
        let mut folders = vec!["cache".into(), "journal".into()];
        let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(crate_root.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
                let is_simulation = path.components().any(|it| it.as_os_str() == "simulation");
                let reads = ["::now()", ".elapsed()"].iter().any(|it| code.contains(it));
                assert!(is_simulation || !reads, "{}", path.display());
                files += 1;
            }
        }
        assert!(files > 10, "{files}");
    }
}
