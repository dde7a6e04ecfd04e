//! Samples that go to an rrdcached in place of the files.
//!
//! Files are created here as without one, and one that librrd could not be given is not named to
//! rrdcached either: it would end that as well.

use std::ffi::CStr;

use crate::file::samples::Samples;
use crate::file::{FileSpec, damage, exists, source_kind};
use crate::writer::Writer;
use crate::writer::counters::count;
use crate::writer::failure::Failure;
use crate::writer::record::FileRecord;
use crate::writer::rrdcached::RrdcachedClient;

impl Writer {
    /// Gives samples to rrdcached, for a file that is there or is created now.
    pub(super) fn give(
        &mut self,
        path: &CStr,
        record: &mut FileRecord,
        spec: FileSpec,
        samples: &mut Samples,
    ) -> Result<(), Failure> {
        let has_missed = |it: &RrdcachedClient| it.has_missed(path);
        if self.rrdcached.as_ref().is_some_and(has_missed) {
            // What was sent last is in no file.
            record.clear_last();
        }
        if record.is_after(samples.last_time()) && !exists(path) {
            record.clear_last();
        }
        if record.last().is_none() && !self.meet(path, record, spec, samples)? {
            return Ok(());
        }
        self.drop_old(path, record, samples);
        if let Some(kind) = record.kind() {
            self.fit(samples, kind);
        }
        if samples.is_empty() {
            return Ok(());
        }
        if let Some(rrdcached) = &mut self.rrdcached {
            count(&self.counters.failed, rrdcached.put(path, samples));
        }
        record.wrote(samples.last_time());
        self.mended(record);
        Ok(())
    }

    /// Finds out about a file of which nothing is known, or creates it; whether there is one.
    fn meet(
        &mut self,
        path: &CStr,
        record: &mut FileRecord,
        spec: FileSpec,
        samples: &mut Samples,
    ) -> Result<bool, Failure> {
        if exists(path) {
            if let Some(damage) = damage(path) {
                return Err(damage.into());
            }
            // rrdcached takes any text as a value, and librrd then refuses it, out of our sight.
            record.set_kind(source_kind(path));
            return Ok(true);
        }
        self.fit(samples, spec.kind);
        if samples.are_unknown() {
            return Ok(false);
        }
        self.create(path, spec, samples.first_time())?;
        record.set_kind(Some(spec.kind));
        Ok(true)
    }
}
