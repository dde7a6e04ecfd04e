//! carbon-cache from its package.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::peers::{Process, program, start_again, start_listening};
use crate::support::ports::Port;

/// Points of a metric by time.
pub type Points = BTreeMap<u32, f64>;

/// carbon-cache, which writes a file for each metric; TCP and UDP on one port.
pub struct Carbon {
    folder: TempDir,
    process: Option<Process>,
    /// That of lines, and two that it insists on.
    ports: [Port; 3],
}

impl Carbon {
    /// Starts it.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("the system has room for a folder");
        let schemas = "[all]\npattern = .*\nretentions = 1s:1h\n";
        fs::write(folder.path().join("storage-schemas.conf"), schemas).expect("our own folder");
        let (process, ports) =
            start_listening("carbon-cache", |ports| launch_carbon(folder.path(), ports));
        Self {
            folder,
            process: Some(process),
            ports,
        }
    }

    /// Where it takes lines.
    pub fn port(&self) -> u16 {
        self.ports[0].number()
    }

    /// Kills it with SIGKILL, so that it writes nothing more.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        self.process = Some(start_again("carbon-cache", &self.ports[0], || {
            launch_carbon(self.folder.path(), &self.ports)
        }));
    }

    /// What it has written about all metrics whose path starts so, by the rest of the path.
    pub fn points(&self, prefix: &str) -> BTreeMap<String, Points> {
        let root = self.folder.path().join("whisper");
        let mut points = BTreeMap::new();
        for file in files(&root) {
            let path = file.strip_prefix(&root).expect("below it");
            let name = path.with_extension("");
            let name = name.to_string_lossy().replace('/', ".");
            if let Some(rest) = name.strip_prefix(prefix) {
                points.insert(rest.to_string(), read_whisper(&file));
            }
        }
        points
    }
}

fn launch_carbon(folder: &Path, ports: &[Port; 3]) -> Process {
    let here = folder.display();
    let [port, pickle, query] = ports.each_ref().map(Port::number);
    let conf = format!(
        "[cache]\nSTORAGE_DIR = {here}\nCONF_DIR = {here}\nLOG_DIR = {here}\nPID_DIR = {here}\n\
         LOCAL_DATA_DIR = {here}/whisper\nUSER =\nMAX_CACHE_SIZE = inf\n\
         MAX_UPDATES_PER_SECOND = inf\nMAX_CREATES_PER_MINUTE = inf\n\
         LINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = {port}\n\
         ENABLE_UDP_LISTENER = True\nUDP_RECEIVER_INTERFACE = 127.0.0.1\n\
         UDP_RECEIVER_PORT = {port}\nPICKLE_RECEIVER_INTERFACE = 127.0.0.1\n\
         PICKLE_RECEIVER_PORT = {pickle}\nCACHE_QUERY_INTERFACE = 127.0.0.1\n\
         CACHE_QUERY_PORT = {query}\nCARBON_METRIC_INTERVAL = 0\nENABLE_TAGS = False\n"
    );
    let conf_path = folder.join("carbon.conf");
    fs::write(&conf_path, conf).expect("our own folder");
    // One that was killed leaves its pid file, and refuses to start while that is there.
    let pid_file = folder.join("pid");
    let _ = fs::remove_file(&pid_file);
    let mut command = Command::new(program("carbon-cache"));
    command
        .arg(format!("--config={}", conf_path.display()))
        .arg(format!("--pidfile={}", pid_file.display()))
        .args(["--nodaemon", "start"]);
    Process::start(command, folder.join("output"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The points of the first archive of a Whisper file: a head of 16 bytes, 12 for each archive, then
/// points of 12, all big-endian.
fn read_whisper(file: &Path) -> Points {
    let bytes = fs::read(file).unwrap_or_default();
    let number = |at: usize| {
        let bytes = bytes.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().expect("four")))
    };
    let (Some(offset), Some(count)) = (number(16), number(24)) else {
        return Points::new();
    };
    (0..count as usize)
        .filter_map(|at| {
            let at = offset as usize + 12 * at;
            let value = bytes.get(at + 4..at + 12)?;
            let value = f64::from_be_bytes(value.try_into().expect("eight"));
            Some((number(at)?, value))
        })
        .filter(|(time, _)| *time > 0)
        .collect()
}
