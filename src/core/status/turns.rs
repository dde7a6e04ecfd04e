//! How long the turns of the event loop take, and what the longest ones were.
//!
//! No clock: the loop says how long a turn took and when it was.

use std::time::Duration;

/// No turn of the loop should take longer: everybody else waits.
pub const LONG_TURN: Duration = Duration::from_millis(10);

/// The last minute is looked at in pieces of that many milliseconds.
const PIECE_MS: u64 = 10_000;

/// Pieces of a minute.
const PIECES: usize = 6;

/// What a turn of the loop is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A source's document, its polls and its connection.
    Source,
    /// A client and its answer.
    Client,
    /// New connections.
    Accept,
    /// The rrdcached socket.
    Rrdcached,
    /// Signals, and what other threads have sent.
    Messages,
    /// Periodic work.
    Chores,
    /// What is stored: it changes, is shown anew, and what is no longer needed is dropped.
    Store,
    /// Sums of everything.
    Sums,
    /// Updates for the plugins.
    Plugins,
}

impl Work {
    /// All, in the order in which they are shown.
    pub const ALL: [Work; 9] = [
        Work::Source,
        Work::Client,
        Work::Accept,
        Work::Rrdcached,
        Work::Messages,
        Work::Chores,
        Work::Store,
        Work::Sums,
        Work::Plugins,
    ];

    /// As one word.
    pub fn word(self) -> &'static str {
        match self {
            Work::Source => "source",
            Work::Client => "client",
            Work::Accept => "accept",
            Work::Rrdcached => "rrdcached",
            Work::Messages => "messages",
            Work::Chores => "chores",
            Work::Store => "store",
            Work::Sums => "sums",
            Work::Plugins => "plugins",
        }
    }
}

/// One turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// How long it took.
    pub took: Duration,
    /// What it was about.
    pub work: Work,
    /// The number of the source whose document it was about, if any.
    pub source: Option<usize>,
}

/// How the event loop does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoopStatus {
    /// Turns: pieces of work between which it looks for events.
    pub turns: u64,
    /// Those of more than `LONG_TURN`.
    pub long_turns: u64,
    /// The longest one since the start.
    pub longest: Option<Turn>,
    /// The longest of each kind of work, in the order of `Work::ALL`.
    pub by_work: [Duration; Work::ALL.len()],
    /// The longest in each of the last pieces of time, and which piece that is.
    recent: [Option<(u64, Turn)>; PIECES],
}

impl LoopStatus {
    /// Counts a turn that ended so many milliseconds after the start.
    pub fn add(&mut self, turn: Turn, now_ms: u64) {
        self.turns += 1;
        self.long_turns += u64::from(turn.took > LONG_TURN);
        let of_work = &mut self.by_work[turn.work as usize];
        *of_work = turn.took.max(*of_work);
        if self.longest.is_none_or(|it| it.took < turn.took) {
            self.longest = Some(turn);
        }
        let piece = now_ms / PIECE_MS;
        let recent = &mut self.recent[(piece % PIECES as u64) as usize];
        if recent.is_none_or(|(of, it)| of != piece || it.took < turn.took) {
            *recent = Some((piece, turn));
        }
    }

    /// The longest in the minute before that.
    pub fn longest_of_minute(&self, now_ms: u64) -> Option<Turn> {
        let piece = now_ms / PIECE_MS;
        let recent = self.recent.iter().flatten();
        recent
            .filter(|(of, _)| of + PIECES as u64 > piece)
            .map(|(_, turn)| *turn)
            .max_by_key(|turn| turn.took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_turn_is_known_since_the_start_and_of_the_last_minute() {
        let turn = |ms, work| Turn {
            took: Duration::from_millis(ms),
            work,
            source: None,
        };
        let at = |secs: u64| secs * 1000;
        let mut status = LoopStatus::default();
        assert_eq!(status.longest_of_minute(at(0)), None);
        status.add(turn(10, Work::Store), at(5));
        status.add(turn(11, Work::Source), at(8));
        for second in 9..70 {
            status.add(turn(1, Work::Client), at(second));
            let longest = status.longest_of_minute(at(second)).map(|it| it.took);
            let expected = if second < 60 { 11 } else { 1 };
            assert_eq!(longest, Some(Duration::from_millis(expected)), "{second}");
        }
        assert_eq!(status.longest_of_minute(at(600)), None, "it has passed");
        assert_eq!(status.longest, Some(turn(11, Work::Source)));
        assert_eq!((status.turns, status.long_turns), (63, 1));
        for (at, work) in Work::ALL.into_iter().enumerate() {
            assert_eq!(work as usize, at, "{}", work.word());
        }
        assert_eq!(status.by_work[Work::Store as usize], LONG_TURN);
    }
}
