//! A source's end of a connection: what it will do, drawn before it does it.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use gmetad_core::timers::Random;

/// Metrics of each host.
const METRICS: usize = 5;

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
    /// Whether a patient reader gets a document out of it.
    pub good: bool,
}

/// The document of a cluster in which everything says which version it is.
pub fn document(name: &str, version: u64, hosts: u64) -> Vec<u8> {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" standalone=\"yes\"?>\n\
         <GANGLIA_XML VERSION=\"3.7.2\" SOURCE=\"gmond\">\n\
         <CLUSTER NAME=\"{name}\" LOCALTIME=\"{version}\" OWNER=\"o\" LATLONG=\"\" URL=\"\">\n"
    );
    for host in 0..hosts {
        let _ = writeln!(
            text,
            "<HOST NAME=\"h{host}\" IP=\"10.0.0.{host}\" REPORTED=\"{version}\" TN=\"1\" \
             TMAX=\"20\" DMAX=\"0\" LOCATION=\"\" GMOND_STARTED=\"1\">"
        );
        for metric in 0..METRICS {
            let _ = writeln!(
                text,
                "<METRIC NAME=\"m{metric}\" VAL=\"{version}\" TYPE=\"uint32\" UNITS=\"\" \
                 TN=\"1\" TMAX=\"60\" DMAX=\"0\" SLOPE=\"both\">\n</METRIC>"
            );
        }
        text += "</HOST>\n";
    }
    text += "</CLUSTER>\n</GANGLIA_XML>\n";
    text.into_bytes()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

impl Script {
    /// What a peer with that document does with a connection.
    pub fn draw(document: Vec<u8>, random: &mut Random) -> Script {
        match random.below(16) {
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
                let mut broken = document;
                // Between two tags: inside a value it would be a strange value, and nothing more.
                let middle = broken.len() / 2;
                let at = middle + broken[middle..].iter().take_while(|b| **b != b'\n').count();
                broken.splice(at..at, *b"</NONSENSE>");
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
            // It costs as much time as a hundred of the others, so it comes less often.
            10 if random.below(32) == 0 => {
                let mut padded = document;
                padded.resize(padded.len() + (8 << 20), b' ');
                Script::sent(random, &gzipped(&padded), false)
            }
            11 => Script::sent(random, b"HTTP/1.0 400 Bad Request\r\n\r\n", false),
            // Sends all and never closes.
            12 => {
                let acts = Script::pieces(random, &document);
                Script {
                    good: true,
                    ..Script::accepted(random, acts, None)
                }
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
        let size = 1 + random.below(4000) as usize;
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
