//! Addresses of both families and names that move, through the real binary: sources, clients, trust
//! and what is listened on.
//!
//! Where all addresses of loopback are trusted, a network of one's own has others.

mod support;

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};

use support::peers::{FakeSource, Script, document};
use support::{DEADLINE, Gmetad, ask, configure, gmetad, listening, read, wait_for, wait_until};

fn cluster(name: &str) -> Vec<u8> {
    let inside = format!(
        "<CLUSTER NAME=\"{name}\" LOCALTIME=\"1\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n\
         <HOST NAME=\"h\" IP=\"::1\" REPORTED=\"1\" TN=\"1\" TMAX=\"20\" DMAX=\"0\" LOCATION=\"\" \
         GMOND_STARTED=\"1\">\n</HOST>\n</CLUSTER>\n"
    );
    document("gmond", &inside)
}

/// Whether this machine has IPv6 at all.
fn has_ipv6(test: &str) -> bool {
    let has = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !has {
        eprintln!("{test}: skipped, since this machine has no ::1");
    }
    has
}

#[test]
fn sources_and_clients_of_either_family_are_as_good() {
    if !has_ipv6("sources_and_clients_of_either_family_are_as_good") {
        return;
    }
    let six = FakeSource::start_at(Ipv6Addr::LOCALHOST.into(), Script::Serve(cluster("six")));
    let four = FakeSource::start(Script::Serve(cluster("four")));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let directives = format!(
        "write_rrds off\nbind_address ::1\ndata_source \"six\" 1 [::1]:{}\n\
         data_source \"four\" 1 127.0.0.1:{}\n",
        six.port(),
        four.port()
    );
    let gmetad = Gmetad::start(folder.path(), &directives);
    assert_eq!(gmetad.xml().ip(), IpAddr::from(Ipv6Addr::LOCALHOST));
    assert_eq!(gmetad.interactive().ip(), IpAddr::from(Ipv6Addr::LOCALHOST));
    wait_until("both clusters", || {
        let answer = gmetad.document();
        answer.contains("NAME=\"six\"") && answer.contains("NAME=\"four\"")
    });
    assert!(gmetad.query("/six/h").contains("<HOST NAME=\"h\""));
    // It listens there and nowhere else.
    let elsewhere = SocketAddr::from(([127, 0, 0, 1], gmetad.xml().port()));
    assert!(TcpStream::connect(elsewhere).is_err());
}

#[test]
fn an_address_that_is_none_of_ours_is_refused_in_either_family() {
    for address in ["192.0.2.1", "2001:db8::1"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let conf = configure(folder.path(), &format!("bind_address {address}"));
        let output = gmetad()
            .arg("-f")
            .arg("-c")
            .arg(conf)
            .output()
            .expect("built");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // 71 where the machine does not have the family at all.
        assert!(matches!(output.status.code(), Some(78 | 71)), "{said}");
        assert!(said.contains(address), "{said}");
    }
}

/// Runs one of the tests below in a network and with a table of names of its own.
fn in_own_network(test: &str, set_up: &str, then: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, "127.0.0.1 localhost\n").expect("our own folder");
    let set_up = format!(
        "ip link set lo up; ip addr add 192.0.2.1/32 dev lo; ip addr add 192.0.2.2/32 dev lo; \
         mount --bind {} /etc/hosts; {set_up}",
        hosts.display()
    );
    let run = |script: &str| {
        Command::new("unshare")
            .args(["-rnm", "sh", "-ec", script])
            .arg(std::env::current_exe().expect("it runs"))
            .env("OWN_HOSTS", &hosts)
            .output()
    };
    if !run(&set_up).is_ok_and(|tried| tried.status.success()) {
        eprintln!("{test}: skipped, no network of one's own to be had here (unshare, ip, mount)");
        return;
    }
    let outcome = run(&format!(
        "{set_up}; exec \"$0\" --exact --ignored {then} --nocapture"
    ))
    .expect("it could a moment ago");
    let said = String::from_utf8_lossy(&outcome.stdout).into_owned()
        + &String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

/// A gmetad that listens on all addresses.
struct Everywhere {
    child: Child,
    port: u16,
}

impl Everywhere {
    fn start(folder: &Path, directives: &str) -> Self {
        let conf = configure(folder, directives);
        let text = read(&conf).replace("bind_address 127.0.0.1\n", "");
        std::fs::write(&conf, text).expect("our own folder");
        let log = folder.join("log");
        let child = gmetad()
            .args(["-f", "-d", "4", "-c"])
            .arg(&conf)
            .stderr(File::create(&log).expect("our own folder"))
            .spawn()
            .expect("the binary was built");
        let (xml, _) = wait_for("the ports", || listening(&read(&log)));
        Everywhere {
            child,
            port: xml.port(),
        }
    }

    /// Whether a client at one of this machine's addresses is answered: what it asks is where it
    /// comes from.
    fn answers(&self, address: &str) -> bool {
        let address: IpAddr = address.parse().expect("an address");
        let to = SocketAddr::from((address, self.port));
        let mut stream = TcpStream::connect_timeout(&to, DEADLINE).expect("it listens");
        assert_eq!(stream.local_addr().expect("connected").ip(), address);
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let mut answer = Vec::new();
        // One that is turned away may see a reset.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.ends_with(b"</GANGLIA_XML>\n"));
        !answer.is_empty()
    }
}

impl Drop for Everywhere {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_block_of_ipv6_addresses_is_trusted_and_no_other() {
    in_own_network(
        "a_block_of_ipv6_addresses_is_trusted_and_no_other",
        "ip addr add 2001:db8:0:ff::1/128 dev lo nodad; \
         ip addr add 2001:db8:1::1/128 dev lo nodad",
        "clients_of_ipv6",
    );
}

#[test]
#[ignore = "part of a_block_of_ipv6_addresses_is_trusted_and_no_other, which gives it its network"]
fn clients_of_ipv6() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let directives = "write_rrds off\ntrusted_hosts 2001:db8::/48 192.0.2.2/31\n";
    let gmetad = Everywhere::start(folder.path(), directives);
    for trusted in ["2001:db8:0:ff::1", "192.0.2.2", "::1", "127.0.0.1"] {
        assert!(gmetad.answers(trusted), "{trusted}");
    }
    for other in ["2001:db8:1::1", "192.0.2.1"] {
        assert!(!gmetad.answers(other), "{other}");
    }
    let any = SocketAddr::from((Ipv6Addr::LOCALHOST, gmetad.port));
    assert!(ask(any, None).ends_with(b"</GANGLIA_XML>\n"));
}

#[test]
fn a_trusted_name_that_moves_is_looked_up_again_when_its_host_is_turned_away() {
    in_own_network(
        "a_trusted_name_that_moves_is_looked_up_again_when_its_host_is_turned_away",
        "true",
        "a_name_that_moves",
    );
}

#[test]
#[ignore = "part of a_trusted_name_that_moves_is_looked_up_again_when_its_host_is_turned_away"]
fn a_name_that_moves() {
    let hosts = std::env::var_os("OWN_HOSTS").expect("given by who runs this");
    let set = |address: &str| {
        std::fs::write(
            &hosts,
            format!("127.0.0.1 localhost\n{address} moves.test\n"),
        )
        .expect("our own folder");
    };
    set("192.0.2.1");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let gmetad = Everywhere::start(folder.path(), "write_rrds off\ntrusted_hosts moves.test\n");
    wait_until("the name to be looked up", || gmetad.answers("192.0.2.1"));
    assert!(!gmetad.answers("192.0.2.2"));
    set("192.0.2.2");
    // Much sooner than the five minutes after which it would be anyway.
    wait_until("the new address", || gmetad.answers("192.0.2.2"));
    assert!(!gmetad.answers("192.0.2.1"), "the old one is nobody's now");
}
