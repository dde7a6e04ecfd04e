//! Any bytes on the rrdcached socket get whole lines back, as many as each answer says.
#![no_main]

use gmetad_rrd::rrdcached::protocol::{RrdcachedAnswer, RrdcachedCommands, SessionNext, RrdcachedOutcome, Session};
use libfuzzer_sys::fuzz_target;

/// Answers with what it was asked.
struct Echo;

fn said(words: &str) -> RrdcachedOutcome {
    if words.len() % 2 == 1 {
        return Err(words.into());
    }
    let lines = words.split(' ').map(String::from).collect();
    Ok(RrdcachedAnswer { words: words.into(), lines })
}

impl RrdcachedCommands for Echo {
    fn flush(&mut self, path: &str) -> RrdcachedOutcome {
        said(path)
    }
    fn flush_all(&mut self) -> RrdcachedOutcome {
        said("all")
    }
    fn pending(&mut self, path: &str) -> RrdcachedOutcome {
        said(path)
    }
    fn forget(&mut self, path: &str) -> RrdcachedOutcome {
        said(path)
    }
    fn update(&mut self, path: &str, values: &[String]) -> RrdcachedOutcome {
        said(&(path.to_owned() + &values.concat()))
    }
    fn stats(&mut self) -> RrdcachedOutcome {
        said("stats")
    }
    fn info(&mut self, path: &str) -> RrdcachedOutcome {
        said(path)
    }
    fn first(&mut self, path: &str, archive: u32) -> RrdcachedOutcome {
        said(&format!("{path}{archive}"))
    }
    fn last(&mut self, path: &str) -> RrdcachedOutcome {
        said(path)
    }
    fn fetch(&mut self, path: &str, function: &str, more: &[String]) -> RrdcachedOutcome {
        said(&(path.to_owned() + function + &more.concat()))
    }
}

fuzz_target!(|pieces: Vec<Vec<u8>>| {
    let mut session = Session::default();
    let mut out = String::new();
    'all: for piece in &pieces {
        let mut next = session.turn(piece, &mut Echo, &mut out);
        while next == SessionNext::More {
            next = session.turn(b"", &mut Echo, &mut out);
        }
        if next == SessionNext::Close {
            break 'all;
        }
    }
    let mut lines = out.split_inclusive('\n');
    while let Some(line) = lines.next() {
        assert!(line.ends_with('\n'));
        let (number, _) = line.split_once(' ').expect("a number comes first");
        let follow: i64 = number.parse().expect("it is one");
        for _ in 0..follow {
            assert!(lines.next().is_some_and(|line| line.ends_with('\n')));
        }
    }
});
