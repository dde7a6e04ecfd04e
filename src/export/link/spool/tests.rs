//! A spool on a real folder, ended and opened again, damaged and filled.

use std::fs;
use std::path::Path;

use super::*;

const NOW: u64 = 1_795_367_147_000;

fn frame(values: u32, bytes: usize) -> Frame {
    Frame {
        bytes: (0..bytes).map(|at| (at as u32 + values) as u8).collect(),
        values,
    }
}

/// Not opened yet.
fn new_spool(folder: &Path, format: u8, limit_bytes: u64, resend: Duration) -> Spool {
    let settings = SpoolSettings {
        folder: folder.into(),
        limit_bytes,
        resend,
    };
    Spool::new(Box::new(FolderDisk::new(folder)), format, &settings)
}

fn spool_with(folder: &Path, limit_bytes: u64, resend: Duration) -> Spool {
    let mut spool = new_spool(folder, 1, limit_bytes, resend);
    assert!(spool.is_ready(NOW), "{:?}", spool.take_news());
    spool
}

fn spool_of(folder: &Path) -> Spool {
    spool_with(folder, 1 << 30, Duration::ZERO)
}

fn put(spool: &mut Spool, values: u32) -> u64 {
    spool.put(frame(values, 1000), NOW, NOW).unwrap()
}

/// Values of the frames that are left, taken and settled.
fn left(spool: &mut Spool) -> (Vec<u32>, u64) {
    let (mut values, mut lost) = (Vec::new(), 0);
    loop {
        let (taken, unread) = spool.take();
        lost += unread;
        let Some(taken) = taken else {
            return (values, lost);
        };
        assert_eq!(taken, frame(taken.values, taken.bytes.len()));
        values.push(taken.values);
        spool.settle(Instant::now());
    }
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut segments: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|it| it == "batches"))
        .collect();
    segments.sort();
    segments
}

#[test]
fn what_was_put_in_is_there_after_a_kill_in_order_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for run in 0..5 {
        // Dropping it does nothing that a kill does not do.
        let mut spool = spool_of(folder.path());
        for at in 1..=3 {
            put(&mut spool, 10 * run + at);
            expected.push(10 * run + at);
        }
        assert_eq!(spool.since_ms(), NOW);
        for _ in 0..2 {
            let values = spool.take().0.unwrap().values;
            assert_eq!(values, expected.remove(0));
            assert!(!spool.settle(Instant::now()));
        }
        // One more is taken, and it is not known what became of it.
        assert_eq!(spool.take().0.unwrap().values, expected[0]);
    }
    let mut spool = spool_of(folder.path());
    assert!(matches!(spool.take_news()[..], [SpoolNews::Found(bytes)] if bytes > 5_000));
    assert_eq!(left(&mut spool), (expected, 0));
    assert_eq!((spool.bytes(), spool.since_ms()), (0, 0));
    assert_eq!(segments(folder.path()).len(), 1);
}

#[test]
fn what_is_taken_at_once_leaves_nothing_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = spool_of(folder.path());
    for at in 1..100 {
        put(&mut spool, at);
        assert_eq!(left(&mut spool), (vec![at], 0));
        let [segment] = &segments(folder.path())[..] else {
            panic!("one segment");
        };
        assert_eq!(fs::metadata(segment).unwrap().len(), HEADER_BYTES);
    }
    drop(spool);
    let mut spool = spool_of(folder.path());
    assert_eq!(spool.take_news(), []);
    assert_eq!(left(&mut spool), (vec![], 0));
}

#[test]
fn a_torn_end_is_cut_and_what_follows_in_the_next_run_is_whole() {
    for torn in [1, 20, 31, 32, 33, 500, 1031] {
        let folder = tempfile::tempdir().unwrap();
        let mut first = spool_of(folder.path());
        for at in 1..=3 {
            put(&mut first, at);
        }
        drop(first);
        let segment = segments(folder.path()).remove(0);
        let file = fs::OpenOptions::new().write(true).open(&segment).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length - 1032 + torn).unwrap();
        let mut second = spool_of(folder.path());
        put(&mut second, 7);
        assert_eq!(left(&mut second), (vec![1, 2, 7], 0), "{torn}");
        assert_eq!(segments(folder.path()).len(), 1);
    }
}

#[test]
fn any_bit_that_is_wrong_costs_its_frame_or_the_rest_of_its_segment_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = spool_of(folder.path());
    for values in 1..=3 {
        first.put(frame(values, 20), NOW, NOW).unwrap();
    }
    drop(first);
    let segment = segments(folder.path()).remove(0);
    let whole = fs::read(&segment).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        let copy = tempfile::tempdir().unwrap();
        fs::write(copy.path().join(segment.file_name().unwrap()), damaged).unwrap();
        let mut spool = spool_of(copy.path());
        put(&mut spool, 9);
        let (left, lost) = left(&mut spool);
        assert_eq!(left.last(), Some(&9), "byte {at}");
        let sum: u32 = left.iter().sum();
        if at < 16 {
            // Whose header is wrong has nothing that is known.
            assert_eq!((left.len(), lost), (1, 6), "byte {at}");
        } else if (at - 16) % 52 >= 32 {
            assert_eq!(u64::from(sum - 9) + lost, 6, "byte {at}");
            assert_eq!(left.len(), 3, "byte {at}");
        } else {
            // The last one's head: perhaps it was never whole.
            assert!(left.len() <= 3 && u64::from(sum - 9) + lost <= 6);
        }
    }
}

#[test]
fn the_oldest_segments_go_when_there_is_no_room_and_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let limit = 4 * SEGMENT_BYTES;
    let mut spool = spool_with(folder.path(), limit, Duration::ZERO);
    let mut dropped = 0;
    let all = 3_000;
    for _ in 0..all {
        dropped += put(&mut spool, 1);
        assert!(spool.bytes() <= limit);
    }
    let on_disk: u64 = (segments(folder.path()).iter())
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    assert!(on_disk <= limit && on_disk > limit / 2, "{on_disk}");
    // And after a restart with less room.
    drop(spool);
    let mut spool = spool_with(folder.path(), 2 * SEGMENT_BYTES, Duration::ZERO);
    dropped += put(&mut spool, 1);
    assert!(spool.bytes() <= 2 * SEGMENT_BYTES);
    let (left, lost) = left(&mut spool);
    assert_eq!(lost, 0);
    assert_eq!(left.len() as u64 + dropped, all + 1);
    let too_large = frame(5, 3 * SEGMENT_BYTES as usize);
    assert_eq!(spool.put(too_large, NOW, NOW), Ok(5));
}

#[test]
fn a_frame_that_is_being_sent_while_its_segment_goes_counts_once() {
    for is_taken in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = spool_with(folder.path(), 2 * SEGMENT_BYTES, Duration::ZERO);
        put(&mut spool, 7);
        let mut all = 7;
        assert_eq!(spool.take().0.unwrap().values, 7);
        let mut dropped = 0;
        while dropped == 0 {
            dropped = put(&mut spool, 1);
            all += 1;
        }
        if is_taken {
            assert!(!spool.settle(Instant::now()));
            dropped += 7;
        } else {
            dropped += spool.put_back();
        }
        let (left, lost) = left(&mut spool);
        assert_eq!(left.len() as u64 + dropped + lost, all, "{is_taken}");
    }
}

#[test]
fn what_was_taken_lately_is_taken_again_when_the_connection_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let resend = Duration::from_secs(10);
    let start = Instant::now();
    let mut spool = spool_with(folder.path(), 1 << 30, resend);
    let settle = |spool: &mut Spool, secs: u64| {
        let values = spool.take().0.unwrap().values;
        (values, spool.settle(start + Duration::from_secs(secs)))
    };
    for at in 1..=4 {
        put(&mut spool, at);
    }
    assert_eq!(settle(&mut spool, 0), (1, false));
    assert_eq!(settle(&mut spool, 5), (2, false));
    assert_eq!(settle(&mut spool, 9), (3, false));
    spool.start_again(start + Duration::from_secs(11));
    // The first was taken too long ago.
    assert_eq!(settle(&mut spool, 12), (2, true));
    assert_eq!(settle(&mut spool, 13), (3, true));
    assert_eq!(settle(&mut spool, 14), (4, false));
    assert_eq!(spool.bytes(), 0);
    // So is it after a restart.
    drop(spool);
    let mut spool = spool_with(folder.path(), 1 << 30, resend);
    assert_eq!(left(&mut spool), (vec![2, 3, 4], 0));
    put(&mut spool, 5);
    assert_eq!(settle(&mut spool, 1_000), (5, false));
    drop(spool);
    let mut spool = spool_of(folder.path());
    assert_eq!(left(&mut spool), (vec![5], 0));
}

#[test]
fn frames_of_another_format_are_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    put(&mut spool_of(folder.path()), 3);
    let mut other = new_spool(folder.path(), 2, 1 << 30, Duration::ZERO);
    put(&mut other, 4);
    assert_eq!(left(&mut other), (vec![4], 3));
    assert_eq!(other.take_news().len(), 2, "found, and damaged");
}

#[test]
fn a_folder_that_cannot_be_used_gives_frames_back_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let holder = spool_of(folder.path());
    let mut second = new_spool(folder.path(), 1, 1 << 30, Duration::ZERO);
    assert_eq!(second.put(frame(2, 9), NOW, NOW), Err(frame(2, 9)));
    let news = second.take_news();
    assert!(matches!(&news[..], [SpoolNews::Failed(told)] if told.contains("another gmetad")));
    drop(holder);
    assert!(!second.is_ready(NOW + RETRY_MS - 1));
    assert_eq!(second.put(frame(2, 9), NOW, NOW + RETRY_MS), Ok(0));
    assert_eq!(second.take_news(), [SpoolNews::Works]);
    assert_eq!(left(&mut second), (vec![2], 0));
}

#[test]
fn a_folder_that_is_removed_costs_what_was_in_it_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("b");
    let mut spool = spool_of(&below);
    for at in 1..=3 {
        put(&mut spool, at);
        // What is written may still be read.
        assert_eq!(left(&mut spool), (vec![at], 0));
        // It is made again when the next segment begins.
        let _ = fs::remove_dir_all(&below);
    }
    put(&mut spool, 4);
    assert_eq!(left(&mut spool), (vec![4], 0));
    put(&mut spool, 5);
    assert_eq!(segments(&below).len(), 1);
    drop(spool);
    assert_eq!(left(&mut spool_of(&below)), (vec![5], 0));
}

#[test]
fn what_is_missing_before_a_segment_without_frames_is_counted_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = spool_of(folder.path());
    put(&mut spool, 7);
    drop(spool);
    // Of values 7 and 8 nothing is left but the name of the segment after theirs.
    let mut disk = FolderDisk::new(folder.path());
    disk.open().unwrap();
    disk.create(9).unwrap();
    disk.append(&header(1)).unwrap();
    drop(disk);
    let mut spool = spool_of(folder.path());
    assert_eq!(left(&mut spool), (vec![7], 2));
    put(&mut spool, 3);
    assert_eq!(left(&mut spool), (vec![3], 0), "not once more");
}

#[test]
fn a_folder_whose_numbers_come_to_an_end_is_read_out_and_takes_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    // Such as damage leaves that no checksum shows.
    let last = frame(2, 9);
    let mut disk = FolderDisk::new(folder.path());
    disk.open().unwrap();
    disk.create(0).unwrap();
    let head = Head::of(&last, MOST_VALUES - 2, NOW);
    disk.append(&[&header(1)[..], &head.bytes(), &last.bytes].concat())
        .unwrap();
    drop(disk);
    let mut spool = new_spool(folder.path(), 1, 1 << 30, Duration::ZERO);
    assert_eq!(spool.put(frame(3, 9), NOW, NOW), Err(frame(3, 9)));
    let news = spool.take_news();
    assert!(
        matches!(&news[..], [SpoolNews::Found(_), SpoolNews::Failed(told)] if told.contains("remove what is in it")),
        "{news:?}"
    );
    assert_eq!(left(&mut spool), (vec![2], MOST_VALUES - 2));
    drop(spool);
    for left in fs::read_dir(folder.path()).unwrap() {
        fs::remove_file(left.unwrap().path()).unwrap();
    }
    put(&mut spool_of(folder.path()), 3);
}
