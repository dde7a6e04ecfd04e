//! A source's end of a connection: its behaviour, drawn in advance.

use std::io::Write as _;
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use gmetad_core::timers::Random;

use super::documents::Said;

/// Bytes that a bomb unpacks to.
const BOMB_BYTES: usize = 8 << 20;

/// One thing that a peer does, that long after the one before.
pub struct Act {
    pub after_ms: u64,
    pub deed: Deed,
}

pub enum Deed {
    Accept,
    Send(Vec<u8>),
    Close,
    Break,
}

/// What a peer does with a connection, to its end or to where nothing more comes.
pub struct Script {
    pub acts: Vec<Act>,
    /// Whether a patient reader gets a complete document.
    pub good: bool,
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// A document that goes on for far longer than a gzipped one may.
fn bomb() -> &'static [u8] {
    static BOMB: OnceLock<Vec<u8>> = OnceLock::new();
    BOMB.get_or_init(|| {
        let mut padded = Said::default().write();
        padded.resize(BOMB_BYTES, b' ');
        gzipped(&padded)
    })
}

/// A document of which one end tag is missing.
fn without_an_end(mut document: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let at = |from: usize| document[from..].windows(2).position(|two| two == b"</");
    let from = random.below(document.len() as u64) as usize;
    // After the last one, it is the first.
    let start = at(from).map_or_else(|| at(0).expect("it ends"), |it| from + it);
    let length = document[start..].iter().take_while(|b| **b != b'>').count();
    document.drain(start..=start + length);
    document
}

impl Script {
    /// Nobody listens.
    pub fn refuse() -> Script {
        Script::bad(vec![after(1, Deed::Break)])
    }

    /// What a peer with that document does with a connection.
    pub fn draw(document: Vec<u8>, random: &mut Random) -> Script {
        match random.below(20) {
            0 => Script::bad(vec![after(random.below(3000), Deed::Break)]),
            // Never says whether it takes the connection.
            1 => Script::bad(Vec::new()),
            2 => Script::accepted(random, Vec::new(), None),
            3 => Script::accepted(random, Vec::new(), Some(Deed::Close)),
            4 => {
                let cut = random.below(document.len() as u64 - 14) as usize;
                Script::sent(random, &document[..cut], false)
            }
            5 => {
                let broken = without_an_end(document, random);
                Script::sent(random, &broken, false)
            }
            6 => {
                let cut = random.below(document.len() as u64 - 14) as usize;
                let acts = Script::pieces(random, &document[..cut]);
                Script::accepted(random, acts, Some(Deed::Break))
            }
            7 => Script::drip(&document, random),
            8 => Script::sent(random, &gzipped(&document), true),
            9 => {
                let stream = gzipped(&document);
                Script::sent(random, &stream[..stream.len() - 3], false)
            }
            // It costs as much time as a thousand of the others, so it comes less often.
            10 if random.below(100) == 0 => Script::sent(random, bomb(), false),
            11 => Script::sent(random, b"HTTP/1.0 400 Bad Request\r\n\r\n", false),
            // Sends all and never closes.
            12 => {
                let acts = Script::pieces(random, &document);
                Script {
                    good: true,
                    ..Script::accepted(random, acts, None)
                }
            }
            // Hangs, after any of the bytes.
            13 => {
                let cut = random.below(document.len() as u64 - 14) as usize;
                let acts = Script::pieces(random, &document[..cut]);
                Script::accepted(random, acts, None)
            }
            14 => {
                let garbage: Vec<u8> = (0..random.below(300)).map(|_| random.any() as u8).collect();
                Script::sent(random, &garbage, false)
            }
            _ => Script::sent(random, &document, true),
        }
    }

    fn bad(acts: Vec<Act>) -> Script {
        Script { acts, good: false }
    }

    fn accepted(random: &mut Random, more: Vec<Act>, last: Option<Deed>) -> Script {
        let mut acts = vec![after(random.below(200), Deed::Accept)];
        acts.extend(more);
        acts.extend(last.map(|deed| after(random.below(50), deed)));
        Script::bad(acts)
    }

    fn sent(random: &mut Random, bytes: &[u8], good: bool) -> Script {
        let acts = Script::pieces(random, bytes);
        Script {
            good,
            ..Script::accepted(random, acts, Some(Deed::Close))
        }
    }

    /// The bytes in pieces of some size, with pauses that no reader minds.
    fn pieces(random: &mut Random, bytes: &[u8]) -> Vec<Act> {
        let count = match random.below(8) {
            0 => 1 + random.below(30),
            _ => 1 + random.below(3),
        };
        let size = bytes.len() / count as usize + 1;
        bytes
            .chunks(size)
            .map(|piece| after(random.below(100), Deed::Send(piece.to_vec())))
            .collect()
    }

    /// A byte every few seconds: never silent, never done in time.
    fn drip(document: &[u8], random: &mut Random) -> Script {
        let acts = document
            .iter()
            .take(60)
            .map(|byte| after(5000, Deed::Send(vec![*byte])))
            .collect();
        Script::accepted(random, acts, None)
    }
}

fn after(after_ms: u64, deed: Deed) -> Act {
    Act { after_ms, deed }
}
