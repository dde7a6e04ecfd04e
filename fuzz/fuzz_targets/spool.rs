//! Whatever stands in a backlog's folder: it is read to its end, what is read is counted once, and what
//! is put in afterwards comes out again.
#![no_main]

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use gmetad_export::link::{Frame, Spool, SpoolDisk, SpoolNews, SpoolSettings};
use libfuzzer_sys::fuzz_target;

/// What the frames are written in.
const FORMAT: u8 = 1;

/// Bytes of the file that says what was taken.
const POSITION_BYTES: usize = 20;

/// A folder in memory.
#[derive(Debug, Default)]
struct Memory {
    segments: BTreeMap<u64, Vec<u8>>,
    position: Option<Vec<u8>>,
    written: u64,
}

impl Memory {
    /// One byte says whether there is a position, which follows. Then segments: how much greater the
    /// number is than the last one's, a byte, the length, two, and the bytes.
    fn of(mut bytes: &[u8]) -> Memory {
        let mut memory = Memory::default();
        if bytes.first().is_some_and(|it| it & 1 == 1) {
            let end = bytes.len().min(1 + POSITION_BYTES);
            memory.position = Some(bytes[1..end].to_vec());
            bytes = &bytes[end..];
        } else {
            bytes = bytes.get(1..).unwrap_or_default();
        }
        let mut number = 0_u64;
        while let [step, low, high, rest @ ..] = bytes {
            // The greatest step leads to the end of all numbers.
            let step = if *step == u8::MAX {
                u64::MAX
            } else {
                (*step).into()
            };
            number = number.saturating_add(step);
            let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
            memory.segments.insert(number, rest[..length].to_vec());
            bytes = &rest[length..];
        }
        memory
    }

    fn current(&mut self) -> io::Result<&mut Vec<u8>> {
        let segment = self.segments.get_mut(&self.written);
        segment.ok_or(io::ErrorKind::NotFound.into())
    }
}

impl SpoolDisk for Memory {
    fn open(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn segments(&self) -> io::Result<Vec<(u64, u64)>> {
        let segments = self.segments.iter();
        Ok(segments
            .map(|(number, bytes)| (*number, bytes.len() as u64))
            .collect())
    }

    fn create(&mut self, segment: u64) -> io::Result<()> {
        if self.segments.contains_key(&segment) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.segments.insert(segment, Vec::new());
        self.written = segment;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.current()?.extend_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.current()?.truncate(bytes as usize);
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, segment: u64, from: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let all = self.segments.get(&segment).ok_or(io::ErrorKind::NotFound)?;
        let rest = all.get(from as usize..).unwrap_or_default();
        let count = rest.len().min(bytes.len());
        bytes[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn remove(&mut self, segment: u64) -> io::Result<()> {
        let removed = self.segments.remove(&segment);
        removed.map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn position(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.position.clone())
    }

    fn set_position(&mut self, bytes: &[u8; POSITION_BYTES]) -> io::Result<()> {
        self.position = Some(bytes.to_vec());
        Ok(())
    }

    fn folder(&self) -> &Path {
        Path::new("/spool")
    }
}

fuzz_target!(|folder: &[u8]| {
    let settings = SpoolSettings {
        folder: "/spool".into(),
        limit_bytes: 16 << 20,
        resend: Duration::ZERO,
    };
    let mut spool = Spool::new(Box::new(Memory::of(folder)), FORMAT, &settings);
    // Memory does not fail: only a number of values that nobody has leaves no room behind it.
    let is_ready = spool.is_ready(0);
    let is_said =
        |news: &SpoolNews| matches!(news, SpoolNews::Failed(why) if why.contains("numbered"));
    assert!(is_ready || spool.take_news().iter().any(is_said));
    let now = Instant::now();
    let mut left = spool.bytes();
    while let (Some(frame), _) = spool.take() {
        assert!(frame.values > 0 && frame.bytes.len() <= folder.len());
        assert!(!spool.settle(now), "it is sent once");
        assert!(spool.bytes() < left, "it goes on");
        left = spool.bytes();
    }
    assert_eq!(spool.bytes(), 0, "all was read");
    if !is_ready {
        return;
    }
    let (bytes, values) = (b"new".to_vec(), 3);
    let frame = Frame {
        bytes: bytes.clone(),
        values,
    };
    let Ok(dropped) = spool.put(frame, 1, 1) else {
        panic!("memory takes it");
    };
    assert_eq!(dropped, 0, "there is room");
    let (Some(back), 0) = spool.take() else {
        panic!("it comes out again, and no more is lost");
    };
    assert_eq!((back.bytes, back.values), (bytes, values));
    spool.settle(now);
    assert_eq!((spool.take().0.is_none(), spool.bytes()), (true, 0));
});
