//! What tests of plugins in Python share: the host, a folder of plugins, a cluster.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::peers::{FakeSource, Script, document};
use super::{Gmetad, python_host as host};

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder for a gmetad, with one of plugins in it, and a source of two hosts.
pub struct Rig {
    pub folder: TempDir,
    pub source: FakeSource,
}

impl Rig {
    /// With nothing in plugins_dir.
    pub fn new() -> Rig {
        let folder = tempfile::tempdir().expect("a folder of our own");
        fs::create_dir(folder.path().join("plugins")).expect("our own folder");
        Rig {
            folder,
            source: FakeSource::start(Script::Serve(cluster())),
        }
    }

    /// plugins_dir.
    pub fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    /// Puts a plugin into plugins_dir.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.plugins().join(name), text).expect("our own folder");
    }

    /// Copies one of the project's there.
    pub fn copy(&self, file: &str) {
        let file = root().join(file);
        let name = file.file_name().expect("a file");
        fs::copy(&file, self.plugins().join(name)).expect("it is there");
    }

    /// A configuration that knows the host.
    pub fn configure(&self) -> PathBuf {
        let directive = format!("python_host \"{}\"", host().display());
        super::configure(self.folder.path(), &directive)
    }

    /// Starts gmetad with these plugins, everything in its log.
    pub fn start(&self, directives: &str) -> Gmetad {
        self.start_with(directives, host())
    }

    /// The same with another host.
    pub fn start_with(&self, directives: &str, host: &Path) -> Gmetad {
        let directives = format!(
            "data_source fake 1 127.0.0.1:{}\nplugins_dir \"{}\"\npython_host \"{}\"\n{directives}",
            self.source.port(),
            self.plugins().display(),
            host.display()
        );
        Gmetad::start_with(self.folder.path(), &directives, &["-d", "5"])
    }
}

/// Two hosts with memory and three more metrics.
pub fn cluster() -> Vec<u8> {
    let metric = |name: &str, value: &str| {
        format!(
            "<METRIC NAME=\"{name}\" VAL=\"{value}\" TYPE=\"float\" UNITS=\"\" TN=\"1\" TMAX=\"60\" \
             DMAX=\"0\" SLOPE=\"both\" SOURCE=\"gmond\">\n<EXTRA_DATA>\n\
             <EXTRA_ELEMENT NAME=\"GROUP\" VAL=\"tests\"/>\n</EXTRA_DATA>\n</METRIC>\n"
        )
    };
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let hosts = [0, 1].map(|host| {
        let metrics = [0, 1, 2].map(|at| metric(&format!("m{at}"), &(host + at).to_string()));
        format!(
            "<HOST NAME=\"h{host}\" IP=\"192.0.2.{host}\" REPORTED=\"{now}\" TN=\"1\" \
             TMAX=\"20\" DMAX=\"0\" LOCATION=\"\" GMOND_STARTED=\"1\">\n{}</HOST>\n",
            metrics.concat()
        )
    });
    let hosts = hosts.concat();
    let inside = format!(
        "<CLUSTER NAME=\"web\" LOCALTIME=\"{now}\" OWNER=\"o\" LATLONG=\"l\" URL=\"u\">\n{hosts}\
         </CLUSTER>\n"
    );
    document("gmond", &inside)
}

/// A plugin with this as the body of its notify.
pub fn plugin(id: &str, body: &str) -> String {
    let body = body.replace('\n', "\n        ");
    format!(
        "from Gmetad.gmetad_plugin import GmetadPlugin\n\n\
         def get_plugin():\n    return P('{id}')\n\n\
         class P(GmetadPlugin):\n    def notify(self, clusterNode):\n        {body}\n"
    )
}
