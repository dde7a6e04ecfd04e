//! A client's end of a connection: what it sends, how fast it takes its answer, how it leaves.

use gmetad_core::timers::Random;

/// One thing that a client does, that long after the one before.
pub struct Act {
    pub after_ms: u64,
    pub deed: Deed,
}

pub enum Deed {
    Send(Vec<u8>),
    /// Takes so many bytes of its answer, if there are as many.
    Take(usize),
    HalfClose,
    Break,
}

/// What a client does.
pub struct Manner {
    pub on_xml_port: bool,
    /// Before the answer, in order.
    pub request: Vec<Act>,
    /// Repeated until the answer is there.
    pub taking: Act,
    /// Whether it closes when it has its answer.
    pub closes: bool,
    /// Whether it is to get its whole answer, whatever else happens.
    pub deserving: bool,
}

/// What asks for what another thread answers.
pub const LATER: &[u8] = b"/later";

const LINES: [&[u8]; 16] = [
    b"/",
    b"/shared",
    b"/shared/h4",
    b"/c0",
    b"/c1/h0",
    b"/c0/h1/m2",
    b"/?filter=summary",
    b"/c2?filter=summary",
    b"/nowhere/at/all",
    b"/?foo=bar",
    b"GET /c0 HTTP/1.0",
    b"GET /*/h0 HTTP/1.1\r\nHost: x\r\n",
    b"GET /later/c0 HTTP/1.0\r\n",
    b"GET /later/ HTTP/1.1\r\nHost: x\r\n",
    b"POST /graphite/later/c1 HTTP/1.1\r\nContent-Length: 5\r\n\r\na=b&c",
    b"POST /graphite/later HTTP/1.1\r\nContent-Length: 500\r\n\r\nshort",
];

impl Manner {
    pub fn draw(random: &mut Random) -> Manner {
        let on_xml_port = random.below(3) == 0;
        let (request, asks) = if on_xml_port {
            (Vec::new(), true)
        } else {
            Manner::draw_request(random)
        };
        let (taking, takes) = match random.below(8) {
            0 => (after(5_000, Deed::Take(3)), false),
            // Never reaches it within any limit.
            1 => (after(10_000_000, Deed::Take(1)), false),
            2 => (after(random.below(5_000), Deed::Break), false),
            3 => (after(200, Deed::Take(30_000)), true),
            _ => (after(1, Deed::Take(usize::MAX)), true),
        };
        Manner {
            on_xml_port,
            request,
            taking,
            closes: random.below(4) > 0,
            deserving: asks && takes,
        }
    }

    /// One of a crowd that asks for everything, or for what another thread answers, all at once.
    pub fn of_crowd(on_xml_port: bool, random: &mut Random) -> Manner {
        let question = Deed::Send(b"GET /later/c1 HTTP/1.0\n\n".to_vec());
        Manner {
            on_xml_port,
            request: if on_xml_port {
                Vec::new()
            } else {
                vec![after(1, question)]
            },
            taking: match random.below(3) {
                0 => after(random.below(5_000), Deed::Break),
                _ => after(1, Deed::Take(usize::MAX)),
            },
            closes: true,
            deserving: false,
        }
    }

    fn draw_request(random: &mut Random) -> (Vec<Act>, bool) {
        let line = LINES[random.below(LINES.len() as u64) as usize];
        let send = |bytes: &[u8]| Deed::Send(bytes.to_vec());
        match random.below(9) {
            0 => (vec![after(10, send(&[b'x'; 5000]))], false),
            // Says nothing.
            1 => (Vec::new(), false),
            2 => (vec![after(500, Deed::Break)], false),
            3 => (
                vec![after(10, send(line)), after(10, Deed::HalfClose)],
                true,
            ),
            4 => {
                let (head, tail) = line.split_at(line.len() / 2);
                let halves = vec![
                    after(100, send(head)),
                    after(3000, send(&[tail, b"\r\n"].concat())),
                ];
                let halves = halves.into_iter().filter(|act| match &act.deed {
                    Deed::Send(bytes) => !bytes.is_empty(),
                    _ => true,
                });
                (halves.collect(), true)
            }
            // One byte a second never gets done.
            5 => ((0..20).map(|_| after(1000, send(b"x"))).collect(), false),
            _ => (vec![after(1, send(&[line, b"\n"].concat()))], true),
        }
    }
}

fn after(after_ms: u64, deed: Deed) -> Act {
    Act { after_ms, deed }
}
