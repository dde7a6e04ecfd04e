//! What a plugin costs that touches every value through the C interface: 33,000 of them.
//!
//! And through Python. The targets are 5 and 150 ms a call. Needed are a C compiler, cc or what CC
//! names, and for Python its host beside this: cargo build --release --workspace.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use gmetad::cli;
use gmetad_config as config;
use gmetad_config::{Config, Disk};
use gmetad_core::model::GridIdentity;
use gmetad_core::model::{Mono, Node, Now};
use gmetad_core::plugin::{Invented, Plugin, Stamp, Update};
use gmetad_core::store::Store;
use gmetad_loader as shared_object;
use gmetad_loader::Candidate;

const HOSTS: usize = 1000;
const METRICS: usize = 33;

fn main() {
    // Loading a plugin starts this program anew, to see whether it goes well.
    if let Some([library, file]) = cli::plugin_to_try(std::env::args_os()) {
        shared_object::attempt(&Candidate { library, file });
    }
    divan::main();
}

/// A store keeps the cluster, so that a plugin that changes it has to copy it.
struct Rig {
    _store: Store,
    update: Update,
    plugin: Box<dyn Plugin>,
}

fn rig(section: &str) -> Rig {
    over(plugin(section))
}

fn over(mut plugin: Box<dyn Plugin>) -> Rig {
    let mut store = Store::new(GridIdentity::default(), Arc::default());
    let source = store.add_source();
    let mut parser = store.begin(source);
    let read = parser.feed(document().as_bytes(), Mono(0), store.table());
    read.expect("a sound document");
    let document = parser.finish(Mono(0)).expect("a whole document");
    let now = Now::default();
    let node = store.commit(source, document, now).remove(0);
    plugin.configure(&[]).expect("it takes anything");
    Rig {
        _store: store,
        update: Update {
            source: "source".into(),
            interval: Duration::from_secs(15),
            up: true,
            stamp: Stamp::of(&node, now),
            node,
            now,
            invented: Invented::default(),
        },
        plugin,
    }
}

fn document() -> String {
    let mut xml =
        String::from("<GANGLIA_XML VERSION=\"3\" SOURCE=\"gmond\">\n<CLUSTER NAME=\"c\">\n");
    for host in 0..HOSTS {
        let _ = writeln!(xml, "<HOST NAME=\"host{host}\" TN=\"1\" TMAX=\"20\">");
        for metric in 0..METRICS {
            let _ = writeln!(
                xml,
                "<METRIC NAME=\"metric{metric}\" VAL=\"{host}.{metric}\" TYPE=\"float\" UNITS=\"\" \
                 TN=\"1\" TMAX=\"70\" DMAX=\"0\" SLOPE=\"both\"></METRIC>"
            );
        }
        xml.push_str("</HOST>\n");
    }
    xml.push_str("</CLUSTER>\n</GANGLIA_XML>\n");
    xml
}

fn plugin(section: &str) -> Box<dyn Plugin> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a folder");
    let object = folder.path().join("touch.so");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let built = Command::new(compiler)
        .args(["-std=c99", "-O2", "-shared", "-fPIC", "-I"])
        .arg(root.join("include"))
        .arg("-o")
        .arg(&object)
        .arg(root.join("benches/touch.c"))
        .status();
    assert!(built.expect("a C compiler").success());
    shared_object::load_one(&object, &configured(section)).expect("it was just built")
}

fn configured(section: &str) -> Config {
    let text = format!("touch {{\n{section}\n}}\n");
    let overrides = gmetad_config::Overrides::default();
    let loaded = config::parse(
        text.as_bytes(),
        Path::new("bench"),
        &Disk,
        &overrides,
        "host",
    );
    loaded.expect("a sound configuration").config
}

#[divan::bench]
fn read_every_value(bencher: Bencher<'_, '_>) {
    let mut rig = rig("");
    bencher
        .counter(ItemsCount::new(HOSTS * METRICS))
        .bench_local(|| rig.plugin.notify(&mut rig.update));
}

#[divan::bench]
fn change_every_value(bencher: Bencher<'_, '_>) {
    let mut rig = rig("change");
    let shared: Node = rig.update.node.clone();
    bencher
        .counter(ItemsCount::new(HOSTS * METRICS))
        .bench_local(|| {
            // As it comes from the store: to be copied by the first change.
            rig.update.node = shared.clone();
            rig.plugin.notify(&mut rig.update)
        });
}

/// A plugin in Python with this as the body of its notify.
fn python(body: &str) -> Rig {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bench.py");
    let text = format!(
        "from Gmetad.gmetad_plugin import GmetadPlugin\n\n\
         def get_plugin():\n    return P('touch')\n\n\
         class P(GmetadPlugin):\n    def notify(self, clusterNode):\n        {}\n",
        body.replace('\n', "\n        ")
    );
    std::fs::write(&file, text).expect("our own folder");
    let own = std::env::current_exe().expect("it runs");
    let host = own.ancestors().nth(2).expect("two folders");
    let mut config = configured("");
    config.python_host = Some(host.join("libgmetad_python_host.so"));
    over(shared_object::load_one(&file, &config).expect("Python and its host"))
}

fn bench_python(bencher: Bencher<'_, '_>, body: &str) {
    let mut rig = python(body);
    let shared: Node = rig.update.node.clone();
    bencher
        .counter(ItemsCount::new(HOSTS * METRICS))
        .bench_local(|| {
            // Another update each time, as it comes from the store.
            rig.update.node = shared.clone();
            rig.update.invented = Invented::default();
            rig.plugin.notify(&mut rig.update)
        });
}

#[divan::bench]
fn python_touches_nothing(bencher: Bencher<'_, '_>) {
    bench_python(bencher, "pass");
}

#[divan::bench]
fn python_reads_type_and_value_of_each(bencher: Bencher<'_, '_>) {
    bench_python(
        bencher,
        "for host in clusterNode:\n    for metric in host:\n        \
         metric.getAttr('type'), metric.getAttr('val')",
    );
}

#[divan::bench]
fn python_reads_every_attribute_of_each(bencher: Bencher<'_, '_>) {
    bench_python(
        bencher,
        "for host in clusterNode:\n    for metric in host:\n        \
         sum(len(value) for value in metric.getAttrs().values())",
    );
}

#[divan::bench]
fn python_sets_every_value(bencher: Bencher<'_, '_>) {
    bench_python(
        bencher,
        "for host in clusterNode:\n    for metric in host:\n        metric.setAttr('val', 1.5)",
    );
}
