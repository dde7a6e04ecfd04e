//! Commands without files, for the tests of this folder.

use super::protocol::{RrdcachedAnswer, RrdcachedCommands, RrdcachedOutcome, TURN_BYTES};

/// Answers with what it was asked. Fails where that is "bad".
#[derive(Default)]
pub(super) struct Echo;

fn said(text: String) -> RrdcachedOutcome {
    if text.contains("bad") {
        return Err(format!("{text}\nis bad"));
    }
    Ok(RrdcachedAnswer::of(text))
}

impl RrdcachedCommands for Echo {
    fn flush(&mut self, path: &str) -> RrdcachedOutcome {
        said(format!("flush {path}"))
    }
    fn flush_all(&mut self) -> RrdcachedOutcome {
        said("flush_all".into())
    }
    fn pending(&mut self, path: &str) -> RrdcachedOutcome {
        Ok(RrdcachedAnswer {
            words: format!("of {path}"),
            lines: vec!["1:2".into(), "3:4\n5".into()],
        })
    }
    fn forget(&mut self, path: &str) -> RrdcachedOutcome {
        said(format!("forget {path}"))
    }
    fn update(&mut self, path: &str, values: &[String]) -> RrdcachedOutcome {
        said(format!("update {path} {values:?}"))
    }
    fn stats(&mut self) -> RrdcachedOutcome {
        said("stats".into())
    }
    fn info(&mut self, path: &str) -> RrdcachedOutcome {
        said("x".repeat(TURN_BYTES) + path)
    }
    fn first(&mut self, path: &str, archive: u32) -> RrdcachedOutcome {
        said(format!("first {path} {archive}"))
    }
    fn last(&mut self, path: &str) -> RrdcachedOutcome {
        said(format!("last {path}"))
    }
    fn fetch(&mut self, path: &str, function: &str, more: &[String]) -> RrdcachedOutcome {
        said(format!("fetch {path} {function} {more:?}"))
    }
}
