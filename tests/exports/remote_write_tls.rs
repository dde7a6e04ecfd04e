//! Values written over TLS: to servers with the expected identity, and to others.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, StreamOwned};

use crate::remote_write::{NO_CONTENT, Store, clocks, configured};
use crate::rig::{AT_ONCE, Plugins, now};
use crate::support::clockwork::Clockwork;
use crate::support::peers::available;
use crate::support::stores::Deaf;
use crate::support::web::Prometheus;
use crate::support::{DEADLINE, Gmetad, wait_for, wait_until};
use crate::tls::{Authority, Front, Identity, Life, Versions, file};

const OLD: Versions = &[&TLS12];
const NEW: Versions = &[&TLS13];
const ALL: Versions = &[&TLS12, &TLS13];
const HERE: &str = "127.0.0.1";

fn section(scheme: &str, host: &str, port: u16, lines: &str) -> String {
    format!(
        "remote_write {{\nurl \"{scheme}://{host}:{port}/api/v1/write\"\nsummaries off\n{lines}\n}}\n"
    )
}

#[test]
fn values_arrive_over_one_connection_of_tls_1_2_or_1_3() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let authority = Authority::new("ours");
    let both = [Authority::new("another").pem, authority.pem.clone()].concat();
    let trusted = file(folder.path(), "ca.pem", &both);
    for (versions, host) in [(OLD, "localhost"), (NEW, HERE)] {
        let store = Store::start(NO_CONTENT);
        let identity = authority.issue(host, Life::Now);
        let front = Front::start(Authority::server(&identity, None, versions), store.port);
        let lines = format!("ca_file {}", trusted.display());
        let config = configured(&section("https", host, front.port, &lines));
        let mut plugins = Plugins::start(&config);
        let first = now() - 100;
        for round in 0..4 {
            // Requests of more than a record of TLS.
            plugins.poll(&clocks(first + 10 * round, 300, 30, 0));
            let taken = round as usize + 1;
            wait_until("it to be taken", || store.taken().len() == taken);
        }
        let status = plugins.status("remote_write");
        assert_eq!((status.failed, status.dropped, status.retried), (0, 0, 0));
        assert_eq!((front.handshakes(), status.connects), (1, 1), "{status:?}");
        plugins.end();
    }
}

/// A server that answers this to whatever comes, and closes the connection.
fn saying(answer: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // A client that has gone is ignored.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

/// A faulty store: its name, where it listens, its settings, and what the log must
/// say about it.
type Faulty = (&'static str, u16, String, &'static str);

/// What faulty stores are made of.
struct Workshop<'a> {
    folder: &'a Path,
    ours: Authority,
    others: Authority,
    /// A server behind those that speak TLS.
    behind: u16,
    /// Trusts `ours`.
    trusts: String,
}

impl Workshop<'_> {
    fn new(folder: &Path, behind: u16) -> Workshop<'_> {
        let ours = Authority::new("ours");
        let trusts = format!("ca_file {}", file(folder, "ca.pem", &ours.pem).display());
        Workshop {
            folder,
            others: Authority::new("others"),
            ours,
            behind,
            trusts,
        }
    }

    fn front(&self, identity: &Identity, clients: Option<&Authority>) -> u16 {
        Front::start(Authority::server(identity, clients, ALL), self.behind).port
    }

    fn right(&self) -> u16 {
        self.front(&self.ours.issue(HERE, Life::Now), None)
    }

    fn asking(&self) -> u16 {
        self.front(&self.ours.issue(HERE, Life::Now), Some(&self.ours))
    }

    fn shows(&self, name: &str, certificate: &Identity, key: &Identity) -> String {
        let [certificate, _] = certificate.write(self.folder, name);
        let [_, key] = key.write(self.folder, &format!("{name}-key"));
        format!(
            "{}\nclient_certificate {}\nclient_key {}",
            self.trusts,
            certificate.display(),
            key.display()
        )
    }

    /// Servers with wrong certificates.
    fn strangers(&self) -> Vec<Faulty> {
        let stranger = |name, authority: &Authority, host, life, told| {
            let port = self.front(&authority.issue(host, life), None);
            (name, port, self.trusts.clone(), told)
        };
        let (ours, others) = (&self.ours, &self.others);
        let untrusted = "TLS: its certificate is signed by an authority that is not trusted; name \
                         the authority's certificate with ca_file";
        let of_another = "TLS: its certificate is for other.example, not for 127.0.0.1; use a name \
                          of it in url";
        vec![
            stranger("unknown", others, HERE, Life::Now, untrusted),
            ("systems", self.right(), String::new(), untrusted),
            stranger("expired", ours, HERE, Life::Past, "certificate expired "),
            stranger("early", ours, HERE, Life::Future, "not valid for another "),
            stranger("name", ours, "other.example", Life::Now, of_another),
        ]
    }

    /// Faults in our own files.
    fn ours_wrong(&self) -> Vec<Faulty> {
        let mine = self.ours.issue("c", Life::Now);
        let other = self.others.issue("c", Life::Now);
        let empty = file(self.folder, "empty.pem", "no certificate");
        let asks = "TLS: it wants to see a certificate; set client_certificate and client_key";
        let refuses = "TLS: it refuses client_certificate: ";
        let theirs = self.shows("theirs", &other, &other);
        let mixed = self.shows("mixed", &mine, &other);
        let no_pem = "empty.pem: it has no certificate in PEM";
        let none = "/nonexistent/ca.pem: No such file or directory";
        vec![
            ("asks", self.asking(), self.trusts.clone(), asks),
            ("refuses", self.asking(), theirs, refuses),
            ("pair", self.asking(), mixed, "the key is not that of "),
            (
                "empty",
                self.right(),
                format!("ca_file {}", empty.display()),
                no_pem,
            ),
            (
                "missing",
                self.right(),
                "ca_file /nonexistent/ca.pem".into(),
                none,
            ),
        ]
    }

    /// Servers that do not speak TLS, or do not answer.
    fn others(&self, deaf: &Deaf) -> Vec<Faulty> {
        let trusts = || self.trusts.clone();
        let plain = saying("HTTP/1.1 400 Bad Request\r\n\r\n");
        let speaks_none = "TLS: it does not speak TLS at this port; is its URL http://?";
        let hangs = "TLS: no handshake within 1 s; does it speak TLS?";
        let closes = "TLS: it closed the connection in the handshake";
        vec![
            ("plain", plain, trusts(), speaks_none),
            ("silent", deaf.port(), trusts() + "\ntimeout 1", hangs),
            ("closes", saying(""), trusts(), closes),
        ]
    }
}

#[test]
fn a_peer_with_the_wrong_identity_is_named_and_delays_nobody() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (well, never) = (Store::start(NO_CONTENT), Store::start(NO_CONTENT));
    let workshop = Workshop::new(folder.path(), never.port);
    let deaf = Deaf::start();
    let faulty = [
        workshop.strangers(),
        workshop.ours_wrong(),
        workshop.others(&deaf),
    ]
    .concat();
    let mut lines = section("http", HERE, well.port, "name well");
    lines += &section("http", HERE, workshop.right(), "name reverse");
    for (name, port, settings, _) in &faulty {
        lines += &section("https", HERE, *port, &format!("name {name}\n{settings}"));
    }
    let time = now();
    let source = Clockwork::start(move |polls| clocks(time + polls, 1, 1, 0).into_bytes());
    let lines = format!(
        "write_rrds off\ndata_source \"s\" 1 127.0.0.1:{}\n{lines}",
        source.port()
    );
    let gmetad = Gmetad::start(folder.path(), &lines);
    for (name, _, _, told) in faulty {
        let line = gmetad.wait_for_line(&format!("remote_write {name}: "));
        assert!(line.contains(told), "{name}: {line}");
    }
    let line = gmetad.wait_for_line("remote_write reverse: ");
    assert!(
        line.contains("it speaks TLS; write https:// in url"),
        "{line}"
    );
    let before = well.taken().len();
    wait_until("values where all is well", || {
        well.taken().len() > before + 2
    });
    let polls = source.polls();
    wait_until("more polls", || source.polls() > polls + 2);
    assert_eq!(never.requests(), 0, "nobody got a value that should not");
    assert_eq!(gmetad.end().code(), Some(0));
}

#[test]
fn a_renewed_certificate_is_used_without_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let trusted = file(folder.path(), "ca.pem", &ours.pem);
    let store = Store::start(NO_CONTENT);
    let right = ours.issue(HERE, Life::Now);
    let front = Front::start(Authority::server(&right, Some(&ours), ALL), store.port);
    let [certificate, key] = others.issue("c", Life::Now).write(folder.path(), "client");
    let lines = format!(
        "ca_file {}\nclient_certificate {}\nclient_key {}",
        trusted.display(),
        certificate.display(),
        key.display()
    );
    let mut plugins = Plugins::start(&configured(&section("https", HERE, front.port, &lines)));
    let first = now() - 100;
    assert!(plugins.poll(&clocks(first, 1, 1, 0)) < AT_ONCE);
    wait_until("the failure to be seen", || {
        plugins.status("remote_write").failing
    });
    assert_eq!(store.requests(), 0);
    ours.issue("c", Life::Now).write(folder.path(), "client");
    wait_until("it to be taken", || store.taken().len() == 1);
    let status = plugins.status("remote_write");
    assert_eq!((status.failed, status.dropped), (0, 0), "{status:?}");
    plugins.end();
}

#[test]
fn a_server_that_closes_every_connection_at_once_is_retried_with_pauses() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let connections = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&connections);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            drop(stream);
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut plugins = Plugins::start(&configured(&section("http", HERE, port, "")));
    plugins.poll(&clocks(now() - 50, 1, 1, 0));
    let retried = || plugins.status("remote_write").retried;
    wait_until("failures", || retried() >= 6);
    // Two values each time.
    let (tries, made) = (retried() / 2, connections.load(Ordering::SeqCst));
    assert!(made <= tries + 2, "{made} connections for {tries} failures");
    plugins.end();
}

#[test]
fn prometheus_accepts_values_over_tls_with_a_client_certificate() {
    let test = "prometheus_takes_values_over_tls";
    if !available(test, &["prometheus"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ours = Authority::new("ours");
    let secure = tempfile::tempdir().expect("a temporary folder");
    let trusted = file(secure.path(), "ca.pem", &ours.pem);
    ours.issue("localhost", Life::Now)
        .write(secure.path(), "server");
    let client = ours.issue("client", Life::Now);
    let [certificate, key] = client.write(secure.path(), "client");
    let prometheus = Prometheus::secure(secure);
    let port = prometheus.port();
    let trusts = format!("ca_file {}", trusted.display());
    let shows = format!(
        "{trusts}\nclient_certificate {}\nclient_key {}",
        certificate.display(),
        key.display()
    );
    let source = Clockwork::start(|polls| clocks(now() - 100 + polls, 1, 1, 0).into_bytes());
    let lines = format!(
        "write_rrds off\ndata_source \"s\" 1 127.0.0.1:{}\n{}{}{}",
        source.port(),
        section("https", "localhost", port, &format!("name shows\n{shows}")),
        section(
            "https",
            "localhost",
            port,
            &format!("name nothing\n{trusts}")
        ),
        section("http", "localhost", port, "name plain")
    );
    let gmetad = Gmetad::start(folder.path(), &lines);
    let line = gmetad.wait_for_line("remote_write nothing: ");
    assert!(line.contains("it wants to see a certificate"), "{line}");
    let line = gmetad.wait_for_line("remote_write plain: ");
    assert!(
        line.contains("it speaks TLS; write https:// in url"),
        "{line}"
    );
    let config = ours.client(&client);
    let answer = wait_for("the values in the store", || {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).ok()?;
        let name = "localhost".try_into().expect("a name");
        let session = ClientConnection::new(Arc::clone(&config), name).expect("sound");
        let mut stream = StreamOwned::new(session, stream);
        let query = "GET /api/v1/query?query=ganglia_m0%5B1h%5D HTTP/1.0\r\n\r\n";
        stream.write_all(query.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.contains("\"ganglia_m0\"").then_some(answer)
    });
    assert!(answer.contains("\"host\":\"h0\""), "{answer}");
    assert_eq!(gmetad.end().code(), Some(0));
}
