//! What the cache asks of those who write RRD files: the writer, or what a test puts in its place.

use std::ffi::CStr;

use crate::file::samples::Samples;
use crate::file::{self, FileSpec};
use crate::writer::Writer;
use crate::writer::counters::RrdCounters;
use crate::writer::record::FileRecord;

pub(crate) trait RrdFiles {
    /// Writes samples, oldest first. What cannot be written is lost, and counted.
    fn write(
        &mut self,
        path: &CStr,
        record: &mut FileRecord,
        spec: FileSpec,
        samples: &mut Samples,
    );

    /// The same with samples that need not be lost yet: whether they are done with. If not, the
    /// file may take them later.
    fn write_or_keep(
        &mut self,
        path: &CStr,
        record: &mut FileRecord,
        spec: FileSpec,
        samples: &mut Samples,
    ) -> bool;

    /// Creates a file if it is missing, for a first sample of that time.
    fn make(&mut self, path: &CStr, record: &mut FileRecord, spec: FileSpec, first: u32);

    fn exists(&self, path: &CStr) -> bool;

    /// Counts samples that a file refuses, as it has one of `newest`.
    fn refuse(&self, path: &CStr, newest: u32, samples: usize);

    /// Counts a file as gone whose record is dropped.
    fn forget(&self, record: FileRecord);

    /// Waits until everything written so far would survive a loss of power. Whether that is known.
    fn settle(&mut self) -> bool;

    fn counters(&self) -> &RrdCounters;
}

impl RrdFiles for Writer {
    fn write(
        &mut self,
        path: &CStr,
        record: &mut FileRecord,
        spec: FileSpec,
        samples: &mut Samples,
    ) {
        Writer::write(self, path, record, spec, samples);
    }

    fn write_or_keep(
        &mut self,
        path: &CStr,
        record: &mut FileRecord,
        spec: FileSpec,
        samples: &mut Samples,
    ) -> bool {
        Writer::write_or_keep(self, path, record, spec, samples)
    }

    fn make(&mut self, path: &CStr, record: &mut FileRecord, spec: FileSpec, first: u32) {
        Writer::make(self, path, record, spec, first);
    }

    fn exists(&self, path: &CStr) -> bool {
        file::exists(path)
    }

    fn refuse(&self, path: &CStr, newest: u32, samples: usize) {
        Writer::refuse(self, path, newest, samples);
    }

    fn forget(&self, record: FileRecord) {
        Writer::forget(self, record);
    }

    fn settle(&mut self) -> bool {
        Writer::settle(self)
    }

    fn counters(&self) -> &RrdCounters {
        Writer::counters(self)
    }
}
