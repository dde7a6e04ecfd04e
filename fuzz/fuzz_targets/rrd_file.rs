//! Whatever is damaged in a round-robin file, reading and writing it ends no process.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use gmetad_rrd::exercise_file;
use libfuzzer_sys::fuzz_target;

/// Real files of all kinds, made by rrdtool.
const KINDS: [&[&str]; 4] = [
    &[
        "DS:sum:GAUGE:80:U:U",
        "RRA:AVERAGE:0.5:1:20",
        "RRA:AVERAGE:0.5:4:12",
    ],
    &[
        "DS:sum:COUNTER:80:U:U",
        "DS:num:GAUGE:80:U:U",
        "RRA:MIN:0.5:1:9",
        "RRA:LAST:0.5:7:9",
    ],
    &[
        "DS:sum:DERIVE:80:U:U",
        "RRA:AVERAGE:0.5:1:9",
        "RRA:HWPREDICT:30:0.1:0.0035:6",
    ],
    &[
        "DS:a:DCOUNTER:80:U:U",
        "DS:c:COMPUTE:a,2,MAX",
        "RRA:MAX:0.5:1:20",
    ],
];

/// One damage: where, by how far in the file, and the bytes.
const RECORD: usize = 2 + 8;

struct Rig {
    files: Vec<Vec<u8>>,
    scratch: PathBuf,
}

fn rig() -> &'static Rig {
    static RIG: OnceLock<Rig> = OnceLock::new();
    RIG.get_or_init(|| {
        let scratch = std::env::temp_dir().join(format!("rrd_file-{}", std::process::id()));
        let files = KINDS.iter().map(|definitions| {
            let status = Command::new("rrdtool")
                .arg("create")
                .arg(&scratch)
                .args(["--start", "1700000003", "--step", "10"])
                .args(*definitions)
                .status();
            assert!(status.expect("rrdtool is installed").success());
            fs::read(&scratch).expect("rrdtool has made it")
        });
        Rig {
            files: files.collect(),
            scratch: scratch.clone(),
        }
    })
}

fuzz_target!(|damage: &[u8]| {
    let Some((kind, damage)) = damage.split_first() else {
        return;
    };
    let Rig { files, scratch } = rig();
    let mut file = files[usize::from(*kind) % files.len()].clone();
    for record in damage.chunks_exact(RECORD) {
        let at = usize::from(u16::from_le_bytes([record[0], record[1]])) % file.len();
        let bytes = &record[2..];
        let end = (at + bytes.len()).min(file.len());
        file[at..end].copy_from_slice(&bytes[..end - at]);
    }
    fs::write(scratch, &file).expect("a folder for temporary files");
    exercise_file(scratch);
});
