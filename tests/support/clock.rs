//! A clock for one gmetad alone: the time of day that it reads is so many seconds off.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::skipped;

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int outcome = real(clock, now);
    const char *name = getenv("TEST_CLOCK");
    if (clock == CLOCK_REALTIME && name) {
        FILE *file = fopen(name, "re");
        long seconds = 0;
        if (file) {
            if (fscanf(file, "%ld", &seconds) == 1) now->tv_sec += seconds;
            fclose(file);
        }
    }
    return outcome;
}
"#;

/// The time of day of one gmetad.
pub struct SetClock {
    offset: PathBuf,
    object: PathBuf,
}

impl SetClock {
    /// In that folder; `None`, with a message, if there is no C compiler.
    pub fn new(test: &str, folder: &Path) -> Option<SetClock> {
        let (source, object) = (folder.join("clock.c"), folder.join("clock.so"));
        fs::write(&source, SOURCE).expect("our own folder");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&object, &source])
            .arg("-ldl")
            .status();
        if !built.is_ok_and(|status| status.success()) {
            skipped(test, "there is no C compiler");
            return None;
        }
        let clock = SetClock {
            offset: folder.join("offset"),
            object,
        };
        clock.set(0);
        Some(clock)
    }

    /// So many seconds ahead of the true time.
    pub fn set(&self, seconds: i64) {
        // In one step: a file that is being written would be read as no offset.
        let next = self.offset.with_extension("next");
        fs::write(&next, seconds.to_string()).expect("our own folder");
        fs::rename(next, &self.offset).expect("our own folder");
    }

    /// What a gmetad needs in its environment.
    pub fn environment(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.object), ("TEST_CLOCK", &self.offset)]
    }
}
