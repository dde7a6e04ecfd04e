//! The ports: one thread, one epoll, a document written as fast as its reader takes it.
//!
//! Knows nothing of what a document says.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook_mio::v1_0::Signals;

use crate::document::{Edition, Template};
use crate::options::Options;

/// Bytes made ahead of what the reader has taken.
const CHUNK_BYTES: usize = 256 << 10;

/// Token of the signals; those of listeners follow, then those of connections.
const SIGNALS: Token = Token(0);

/// A cluster's port.
struct Cluster {
    listener: TcpListener,
    polls: u64,
}

/// One reader.
struct Connection {
    stream: TcpStream,
    edition: Edition,
    next: Part,
    out: Vec<u8>,
    sent: usize,
}

/// What is to be made next.
enum Part {
    /// Prolog and cluster.
    Head,
    /// The host of that number.
    Host(usize),
    /// All has been made.
    End,
}

/// All ports and their readers.
pub struct Farm {
    poll: Poll,
    signals: Signals,
    template: Template,
    clusters: Vec<Cluster>,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    started: Instant,
    run_time: Option<Duration>,
    polls: u64,
    bytes: u64,
}

impl Farm {
    /// Binds a port for each cluster.
    pub fn bind(options: &Options) -> io::Result<Self> {
        raise_descriptor_limit();
        let poll = Poll::new()?;
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1])?;
        poll.registry()
            .register(&mut signals, SIGNALS, Interest::READABLE)?;
        let mut clusters = Vec::with_capacity(options.clusters);
        for number in 0..options.clusters {
            let mut listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into())?;
            poll.registry()
                .register(&mut listener, Token(1 + number), Interest::READABLE)?;
            clusters.push(Cluster { listener, polls: 0 });
        }
        Ok(Self {
            poll,
            signals,
            template: Template::new(options),
            clusters,
            connections: Vec::new(),
            free: Vec::new(),
            started: Instant::now(),
            run_time: options.run_time,
            polls: 0,
            bytes: 0,
        })
    }

    /// The ports in the order of the clusters.
    pub fn ports(&self) -> Vec<u16> {
        self.clusters
            .iter()
            .map(|cluster| {
                let address = cluster.listener.local_addr();
                address.expect("a bound listener has an address").port()
            })
            .collect()
    }

    /// Serves until a signal or the end of its time, then says what it did.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        loop {
            let left = match self.run_time {
                Some(time) => {
                    let left = time.saturating_sub(self.started.elapsed());
                    if left.is_zero() {
                        break;
                    }
                    Some(left)
                }
                None => None,
            };
            match self.poll.poll(&mut events, left) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            let mut ends = false;
            for event in &events {
                match event.token() {
                    SIGNALS => ends |= self.take_signals(),
                    Token(number) if number <= self.clusters.len() => self.accept(number - 1),
                    Token(number) => self.write(number - 1 - self.clusters.len()),
                }
            }
            if ends {
                break;
            }
        }
        self.report();
        Ok(())
    }

    /// True when one of them asks to end.
    fn take_signals(&mut self) -> bool {
        let pending: Vec<i32> = self.signals.pending().collect();
        let mut ends = false;
        for signal in pending {
            match signal {
                SIGUSR1 => self.report(),
                _ => ends = true,
            }
        }
        ends
    }

    fn accept(&mut self, number: usize) {
        loop {
            let cluster = &mut self.clusters[number];
            // What fails here is the other side's connection, or comes again when there is room.
            let Ok((mut stream, _)) = cluster.listener.accept() else {
                return;
            };
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs());
            let edition = Edition {
                cluster: number,
                poll: cluster.polls,
                now,
                age: self.started.elapsed().as_secs(),
            };
            cluster.polls += 1;
            let slot = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let token = Token(1 + self.clusters.len() + slot);
            let registered = self
                .poll
                .registry()
                .register(&mut stream, token, Interest::WRITABLE);
            if registered.is_err() {
                self.free.push(slot);
                continue;
            }
            self.polls += 1;
            self.connections[slot] = Some(Connection {
                stream,
                edition,
                next: Part::Head,
                out: Vec::with_capacity(CHUNK_BYTES + (32 << 10)),
                sent: 0,
            });
        }
    }

    fn write(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        match connection.write(&self.template, &mut self.bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Done, or its reader has gone.
            _ => {
                self.connections[slot] = None;
                self.free.push(slot);
            }
        }
    }

    fn report(&self) {
        // It fails for no process that asks about itself.
        let cpu = getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| {
            let seconds =
                |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
            seconds(usage.user_time()) + seconds(usage.system_time())
        });
        eprintln!(
            "farm: {} polls answered, {:.1} MB sent in {:.0} s, {cpu:.2} s of CPU",
            self.polls,
            self.bytes as f64 / 1e6,
            self.started.elapsed().as_secs_f64(),
        );
    }
}

impl Connection {
    /// Writes until the end or until the reader has to take some.
    fn write(&mut self, template: &Template, bytes: &mut u64) -> io::Result<()> {
        loop {
            if self.sent == self.out.len() {
                self.out.clear();
                self.sent = 0;
                self.fill(template);
                if self.out.is_empty() {
                    return Ok(());
                }
            }
            match self.stream.write(&self.out[self.sent..]) {
                Ok(length) => {
                    self.sent += length;
                    *bytes += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes more of the document, unless all of it is made.
    fn fill(&mut self, template: &Template) {
        while self.out.len() < CHUNK_BYTES {
            self.next = match self.next {
                Part::Head => {
                    Template::write_head(&mut self.out, self.edition);
                    Part::Host(0)
                }
                Part::Host(host) if host < template.hosts() => {
                    template.write_host(&mut self.out, self.edition, host);
                    Part::Host(host + 1)
                }
                Part::Host(_) => {
                    Template::write_tail(&mut self.out);
                    Part::End
                }
                Part::End => return,
            };
        }
    }
}

/// Many clusters are many descriptors; without the right to more, the limit stays.
fn raise_descriptor_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
