//! Addresses of both families and names that move, through the real binary: sources, clients, trust
//! and what is listened on.
//!
//! Nothing leaves the machine: where loopback will not do, as all of its addresses are trusted, a
//! test has a network of its own.

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use nix::unistd::geteuid;
use support::peers::{FakeSource, Script, document};
#[cfg(feature = "web")]
use support::web::get;
use support::{DEADLINE, Gmetad, ask, configure, gmetad, listening, read, wait_for, wait_until};

fn cluster(name: &str) -> Vec<u8> {
    let inside = format!(
        "<CLUSTER NAME=\"{name}\" LOCALTIME=\"1\" OWNER=\"\" LATLONG=\"\" URL=\"\">\n\
         <HOST NAME=\"h\" IP=\"::1\" REPORTED=\"1\" TN=\"1\" TMAX=\"20\" DMAX=\"0\" LOCATION=\"\" \
         GMOND_STARTED=\"1\">\n</HOST>\n</CLUSTER>\n"
    );
    document("gmond", &inside)
}

#[test]
fn binding_to_a_foreign_address_fails_in_either_family() {
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

/// A gmetad that listens on all addresses.
struct Everywhere {
    child: Child,
    log: PathBuf,
    xml_port: u16,
    interactive_port: u16,
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
        let (xml, interactive) = wait_for("the ports", || listening(&read(&log)));
        Everywhere {
            child,
            log,
            xml_port: xml.port(),
            interactive_port: interactive.port(),
        }
    }

    /// Whether a client at one of this machine's addresses is answered: its request says where it
    /// comes from.
    fn answers(&self, address: &str) -> bool {
        let bytes = from_there(address, self.xml_port);
        assert!(bytes.is_empty() || bytes.ends_with(b"</GANGLIA_XML>\n"));
        !bytes.is_empty()
    }
}

/// The answer to a client without a request.
fn from_there(address: &str, port: u16) -> Vec<u8> {
    asked_from_there(address, port, "")
}

/// The answer to this request.
fn asked_from_there(address: &str, port: u16, request: &str) -> Vec<u8> {
    let address: IpAddr = address.parse().expect("an address");
    let to = SocketAddr::from((address, port));
    let mut stream = TcpStream::connect_timeout(&to, DEADLINE).expect("it listens");
    assert_eq!(stream.local_addr().expect("connected").ip(), address);
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let mut answer = Vec::new();
    // A refused client may see a reset.
    let _ = stream.write_all(request.as_bytes());
    let _ = stream.read_to_end(&mut answer);
    answer
}

impl Drop for Everywhere {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tests that run in a network and with a table of names of their own.
///
/// Not every machine gives them one, and none of them passes where it did not run: they are ignored
/// unless asked for, and `contrib/test.sh` asks where they can be had.
mod own_network {
    use super::*;

    /// Where the table of names is; says that a test has its network.
    const HOSTS: &str = "GMETAD_TEST_HOSTS";

    /// Runs a test of this module in its own network, with more of it set up by a script.
    fn inside(test: &str, script: &str, body: impl FnOnce()) {
        if std::env::var_os(HOSTS).is_some() {
            body();
            return;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let hosts = folder.path().join("hosts");
        std::fs::write(&hosts, "127.0.0.1 localhost\n").expect("our own folder");
        let script = format!(
            "ip link set lo up; ip addr add 192.0.2.1/32 dev lo; ip addr add 192.0.2.2/32 dev lo; \
             mount --bind \"${HOSTS}\" /etc/hosts; {script}; \
             exec \"$0\" --exact --ignored own_network::{test} --nocapture"
        );
        // Root needs no users of its own, and may have them forbidden.
        let flags = if geteuid().is_root() { "-nm" } else { "-rnm" };
        let outcome = Command::new("unshare")
            .args([flags, "sh", "-ec", &script])
            .arg(std::env::current_exe().expect("it runs"))
            .env(HOSTS, &hosts)
            .output()
            .expect("unshare is installed");
        let said = String::from_utf8_lossy(&outcome.stdout).into_owned()
            + &String::from_utf8_lossy(&outcome.stderr);
        assert!(outcome.status.success(), "{said}");
        assert!(said.contains("1 passed"), "{said}");
    }

    #[test]
    #[ignore = "needs a network of its own, as contrib/test.sh tries to have one"]
    fn sources_and_clients_work_over_ipv4_and_ipv6() {
        inside(
            "sources_and_clients_work_over_ipv4_and_ipv6",
            "true",
            || {
                let six =
                    FakeSource::start_at(Ipv6Addr::LOCALHOST.into(), Script::Serve(cluster("six")));
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
            },
        );
    }

    #[test]
    #[ignore = "needs a network of its own, as contrib/test.sh tries to have one"]
    fn untrusted_clients_are_closed_without_a_byte() {
        inside(
            "untrusted_clients_are_closed_without_a_byte",
            "true",
            || {
                let fake = FakeSource::start(Script::Serve(cluster("c")));
                let folder = tempfile::tempdir().expect("a temporary folder");
                let directives = format!(
                    "write_rrds off\ndata_source \"s\" 1 127.0.0.1:{}\ntrusted_hosts 192.0.2.2\n",
                    fake.port()
                );
                let gmetad = Everywhere::start(folder.path(), &directives);
                for port in [gmetad.xml_port, gmetad.interactive_port] {
                    for _ in 0..3 {
                        assert!(from_there("192.0.2.1", port).is_empty());
                    }
                    for request in [
                        "/\n",
                        "GET /status HTTP/1.0\r\n\r\n",
                        "OPTIONS / HTTP/1.1\r\nHost: other.test\r\n\r\n",
                        "POST / HTTP/1.1\r\nX: y",
                    ] {
                        let answer = asked_from_there("192.0.2.1", port, request);
                        assert!(answer.is_empty(), "{request}");
                    }
                }
                assert!(gmetad.answers("192.0.2.2") && gmetad.answers("127.0.0.1"));
                wait_until("a line about it", || {
                    read(&gmetad.log).contains("client 192.0.2.1: refused, ")
                });
                assert_eq!(
                    read(&gmetad.log)
                        .matches("client 192.0.2.1: refused, ")
                        .count(),
                    1
                );
            },
        );
    }

    #[cfg(feature = "web")]
    #[test]
    #[ignore = "needs a network of its own, as contrib/test.sh tries to have one"]
    fn a_client_without_access_to_the_pages_is_told_which_directive_grants_it() {
        let test = "a_client_without_access_to_the_pages_is_told_which_directive_grants_it";
        inside(test, "true", || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let directives = "write_rrds off\nweb_port 0\ntrusted_hosts 192.0.2.0/24\n\
                              web_trusted_hosts 192.0.2.2\n";
            let mut gmetad = Everywhere::start(folder.path(), directives);
            let web_port = |gmetad: &Everywhere| {
                wait_for("the port of the pages", || {
                    let log = read(&gmetad.log);
                    let (_, rest) = log.split_once("the pages are at ")?;
                    let (address, _) = rest.split_once('\n')?;
                    address.parse::<SocketAddr>().ok().map(|it| it.port())
                })
            };
            let page = |address: &str, port: u16, target: &str| {
                let to = SocketAddr::from((address.parse::<IpAddr>().expect("one"), port));
                get(to, target)
            };
            let port = web_port(&gmetad);
            for (port, target) in [(port, "/"), (gmetad.interactive_port, "/ui/")] {
                assert_eq!(page("192.0.2.2", port, target).code, 200, "{target}");
                assert_eq!(page("127.0.0.1", port, target).code, 200, "{target}");
                let refused = page("192.0.2.1", port, target);
                assert_eq!(refused.code, 403, "{target}");
                let line = "\n    web_trusted_hosts 192.0.2.1\n";
                assert!(refused.text().contains(line), "{}", refused.text());
            }
            let find = "/graphite/metrics/find?query=*";
            assert_eq!(
                page("192.0.2.1", port, find).code,
                403,
                "the rule of its port"
            );
            if cfg!(feature = "graphite") {
                let answer = page("192.0.2.1", gmetad.interactive_port, find);
                assert_eq!(answer.code, 200, "{}", answer.text());
            }
            wait_until("a line about it", || {
                let line = "client 192.0.2.1: sees no pages, it is not in web_trusted_hosts";
                read(&gmetad.log).contains(line)
            });
            // At a reload, the list goes, and the pages are for those who may connect.
            let conf = folder.path().join("gmetad.conf");
            let changed = read(&conf).replace("web_trusted_hosts 192.0.2.2\n", "");
            let changed = changed.replace("192.0.2.0/24", "192.0.2.1");
            std::fs::write(&conf, changed).expect("our own folder");
            let pid = support::pid_of(&gmetad.child);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGHUP).expect("it runs");
            wait_until("the pages for another", || {
                page("192.0.2.1", port, "/").code == 200
            });
            let refused = page("192.0.2.2", port, "/");
            let line = "\n    trusted_hosts 192.0.2.2\n";
            assert!(refused.text().contains(line), "{}", refused.text());
            let _ = gmetad.child.kill();
        });
    }

    #[test]
    #[ignore = "needs a network of its own, as contrib/test.sh tries to have one"]
    fn only_the_configured_block_of_ipv6_addresses_is_trusted() {
        inside(
            "only_the_configured_block_of_ipv6_addresses_is_trusted",
            "ip addr add 2001:db8:0:ff::1/128 dev lo nodad; \
             ip addr add 2001:db8:1::1/128 dev lo nodad",
            || {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let directives = "write_rrds off\ntrusted_hosts 2001:db8::/48 192.0.2.2/31\n";
                let gmetad = Everywhere::start(folder.path(), directives);
                for trusted in ["2001:db8:0:ff::1", "192.0.2.2", "::1", "127.0.0.1"] {
                    assert!(gmetad.answers(trusted), "{trusted}");
                }
                for other in ["2001:db8:1::1", "192.0.2.1"] {
                    assert!(!gmetad.answers(other), "{other}");
                }
                let any = SocketAddr::from((Ipv6Addr::LOCALHOST, gmetad.xml_port));
                assert!(ask(any, None).ends_with(b"</GANGLIA_XML>\n"));
            },
        );
    }

    #[test]
    #[ignore = "needs a network of its own, as contrib/test.sh tries to have one"]
    fn a_trusted_name_is_resolved_again_when_its_host_is_refused() {
        inside(
            "a_trusted_name_is_resolved_again_when_its_host_is_refused",
            "true",
            || {
                let hosts = std::env::var_os(HOSTS).expect("it has its network");
                let set = |address: &str| {
                    std::fs::write(
                        &hosts,
                        format!("127.0.0.1 localhost\n{address} moves.test\n"),
                    )
                    .expect("our own folder");
                };
                set("192.0.2.1");
                let folder = tempfile::tempdir().expect("a temporary folder");
                let directives = "write_rrds off\ntrusted_hosts moves.test\n";
                let gmetad = Everywhere::start(folder.path(), directives);
                wait_until("the name to be looked up", || gmetad.answers("192.0.2.1"));
                assert!(!gmetad.answers("192.0.2.2"));
                set("192.0.2.2");
                // Much sooner than the regular five minutes.
                wait_until("the new address", || gmetad.answers("192.0.2.2"));
                assert!(!gmetad.answers("192.0.2.1"), "the old one is nobody's now");
            },
        );
    }
}
