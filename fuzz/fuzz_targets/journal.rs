//! Any segment of a journal gives samples of files below the root, or none.
#![no_main]

use gmetad_rrd::journal_samples;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|segment: &[u8]| {
    for sample in journal_samples(segment) {
        assert!(!sample.path.starts_with('/') && sample.path.ends_with(".rrd"));
        let outside = |part| matches!(part, "" | "." | "..");
        assert!(!sample.path.split('/').any(outside), "{}", sample.path);
        assert!(
            sample
                .value
                .bytes()
                .all(|byte| b"0123456789.-:Ue".contains(&byte))
        );
    }
});
