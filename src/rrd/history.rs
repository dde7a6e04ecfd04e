//! What the files have of a series, with the values that still wait in memory laid over it.
//!
//! Nothing is written because somebody looks, and nothing is remembered for long. With an rrdcached,
//! what waits there is not seen until it has written it.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use gmetad_config::Config;
use gmetad_core::history::{Field, Owner, Refused, Series, Wanted};

use crate::file::fetch::{Fetcher, TooManyRows, Wish};
use crate::file::open::{Place, open_folder};
use crate::file::samples::Samples;
use crate::paths::{PathBuffer, ROOT_NODE, SUMMARY_DIR, encode};
use crate::tree::SharedTree;

/// Reads series. For the thread that owns the files.
#[derive(Debug)]
pub struct HistoryReader {
    tree: SharedTree,
    fetcher: Fetcher,
    paths: PathBuffer,
    /// The node whose files were read last, until [`HistoryReader::rest`].
    node_open: Option<OpenNode>,
    /// Values that wait.
    held: Samples,
    /// Components in the making.
    node: String,
    dir: String,
    metric: String,
}

/// The folder of a node, held open, as many files of the same are read after each other.
#[derive(Debug)]
struct OpenNode {
    path: CString,
    folder: OwnedFd,
}

impl OpenNode {
    /// The same again, if it is that one. `None` where there is no such folder.
    fn of(last: Option<OpenNode>, path: &[u8]) -> Option<OpenNode> {
        match last {
            Some(same) if same.path.as_bytes() == path => Some(same),
            _ => {
                let path = CString::new(path).ok()?;
                let folder = open_folder(&path)?;
                Some(OpenNode { path, folder })
            }
        }
    }
}

impl HistoryReader {
    pub(crate) fn new(config: &Config, tree: SharedTree) -> HistoryReader {
        HistoryReader {
            tree,
            fetcher: Fetcher::default(),
            paths: PathBuffer::new(&config.rrd.rootdir),
            node_open: None,
            held: Samples::default(),
            node: String::new(),
            dir: String::new(),
            metric: String::new(),
        }
    }

    /// One series, of at most `room` values; `None` where there is no file, or none that can be read.
    pub fn read(&mut self, wanted: &Wanted, room: usize) -> Result<Option<Series>, Refused> {
        let mut tree = self.tree.lock();
        if !tree.writes() {
            return Err(Refused::NoFiles("write_rrds is off"));
        }
        let series = &wanted.series;
        match &series.owner {
            Owner::Whole => self.paths.enter(ROOT_NODE, SUMMARY_DIR),
            Owner::Node(name) => {
                self.paths
                    .enter(component(name, &mut self.node), SUMMARY_DIR);
            }
            Owner::Host { cluster, host } => self.paths.enter(
                component(cluster, &mut self.node),
                component(host, &mut self.dir),
            ),
        }
        let name = component(&series.metric, &mut self.metric);
        self.held.clear();
        if let Some((cache, ..)) = tree.waiting() {
            cache.read_waiting(self.paths.folder(), name, &mut self.held);
        }
        let wish = Wish {
            from: wanted.from,
            until: wanted.until,
            step: wanted.step.into(),
            consolidation: wanted.consolidation,
            column: match series.field {
                Field::Sum => 0,
                Field::Num => 1,
            },
            limit: room,
        };
        self.node_open = OpenNode::of(self.node_open.take(), self.paths.node());
        let Some(node) = &self.node_open else {
            return Ok(None);
        };
        let place = Place {
            folder: node.folder.as_fd(),
            below: self.paths.file_in_node(name),
        };
        let read = self.fetcher.fetch(&place, &wish, &mut self.held);
        read.map_err(|TooManyRows| Refused::Values)
    }

    /// Lets go of folders: until the next call they may be removed and made anew.
    pub fn rest(&mut self) {
        self.node_open = None;
    }
}

fn component<'a>(name: &str, out: &'a mut String) -> &'a str {
    out.clear();
    encode(name, out);
    out
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use gmetad_core::history::{Consolidation, SeriesName};
    use tempfile::TempDir;

    use super::*;
    use crate::file::FileSpec;
    use crate::file::samples::Kind;

    const T0: u64 = 1_700_000_010;

    fn rig(folder: &TempDir, write: bool) -> (SharedTree, HistoryReader) {
        let mut config = Config::new("test");
        config.rrd.rootdir = folder.path().into();
        config.rrd.write = write;
        config.rrd.write_timeout = Duration::from_secs(300);
        let tree = SharedTree::new(&config, std::sync::Arc::default());
        let reader = HistoryReader::new(&config, tree.clone());
        (tree, reader)
    }

    fn wanted(owner: Owner, field: Field) -> Wanted {
        Wanted {
            series: SeriesName {
                owner,
                metric: "a/b".into(),
                field,
            },
            from: T0,
            until: T0 + 44,
            step: 1,
            consolidation: Consolidation::Average,
            most_rows: 0,
        }
    }

    #[test]
    fn a_value_is_seen_while_it_waits() {
        let folder = TempDir::new().unwrap();
        let (tree, mut reader) = rig(&folder, true);
        let host = |host: &str| Owner::Host {
            cluster: "c".into(),
            host: host.into(),
        };
        let owners = [
            (Owner::Whole, "__SummaryInfo__"),
            (Owner::Node("c/d".into()), "c%2Fd/__SummaryInfo__"),
            (host(".h"), "c/%2Eh"),
            // No host can pass for the sums.
            (host(SUMMARY_DIR), "c/%5F_SummaryInfo__"),
        ];
        for (owner, inside) in owners {
            for time in [T0, T0 + 15, T0 + 30, T0 + 45] {
                let mut tree = tree.lock();
                let (cache, writer, _) = tree.waiting().unwrap();
                let spec = FileSpec {
                    step_secs: 15,
                    kind: Kind::Gauge,
                    with_num: true,
                };
                let value = format!("{}:3", time - T0);
                cache.put_by_name(
                    inside,
                    "a%2Fb",
                    spec,
                    (time as u32, value.as_bytes()),
                    writer,
                );
                drop(tree);
                while !folder.path().join(inside).join("a%2Fb.rrd").exists() {
                    reader.tree.lock().step();
                }
            }
            let file = folder.path().join(inside).join("a%2Fb.rrd");
            let before = fs::read(&file).unwrap();
            let sums = reader.read(&wanted(owner.clone(), Field::Sum), 100);
            let nums = reader.read(&wanted(owner.clone(), Field::Num), 100);
            for (series, expected) in [(sums, [15.0, 30.0, 45.0]), (nums, [3.0, 3.0, 3.0])] {
                let series = series.unwrap().unwrap();
                assert_eq!((series.start, series.step), (T0, 15));
                assert_eq!(series.values, expected, "{owner:?}");
            }
            assert_eq!(fs::read(&file).unwrap(), before, "nothing is written");
            let little = reader.read(&wanted(owner.clone(), Field::Sum), 2);
            assert_eq!(little, Err(Refused::Values));
        }
        let none = wanted(host("other"), Field::Sum);
        assert_eq!(reader.read(&none, 100), Ok(None));
        // A folder that is removed and made anew is another one.
        let file = wanted(host(".h"), Field::Sum);
        assert!(reader.read(&file, 100).unwrap().is_some());
        let (cluster, aside) = (folder.path().join("c"), folder.path().join("aside"));
        fs::rename(&cluster, &aside).unwrap();
        fs::create_dir(&cluster).unwrap();
        reader.rest();
        assert_eq!(reader.read(&file, 100), Ok(None));
    }

    #[test]
    fn where_no_files_are_written_none_are_read() {
        let folder = TempDir::new().unwrap();
        let (_, mut reader) = rig(&folder, false);
        let read = reader.read(&wanted(Owner::Whole, Field::Sum), 100);
        assert_eq!(read, Err(Refused::NoFiles("write_rrds is off")));
    }
}
