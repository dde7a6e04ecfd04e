//! Gmetads that poll themselves or each other, through the real binary: sums stay what they
//! should be.

use crate::support::peers::{CGmetad, FakeSource, Script, available, document};
use crate::support::web::get;
use crate::support::{Gmetad, configure, wait_until};
use tempfile::{TempDir, tempdir};

use nix::sys::signal::Signal;

/// Polls of the other one, after which a growth shows.
const POLLS: u64 = 6;

/// A gmond with two hosts that are up.
fn gmond(name: &str) -> FakeSource {
    let host = |host: &str| {
        format!(
            "<HOST NAME=\"{host}\" TN=\"1\" TMAX=\"20\"><METRIC NAME=\"m\" VAL=\"10\" \
             TYPE=\"int32\" TN=\"1\" TMAX=\"60\" SLOPE=\"both\"/></HOST>\n"
        )
    };
    let hosts = host("one") + &host("two");
    let cluster = format!("<CLUSTER NAME=\"{name}\" LOCALTIME=\"1\">\n{hosts}</CLUSTER>\n");
    FakeSource::start(Script::Serve(document("gmond", &cluster)))
}

/// A gmetad whose second source is named later, since its port is not known before.
struct Circle {
    folder: TempDir,
    directives: String,
    gmetad: Gmetad,
    _gmond: FakeSource,
}

impl Circle {
    fn start(name: &str, more: &str) -> Circle {
        let folder = tempdir().expect("a temporary folder");
        let gmond = gmond(&format!("of {name}"));
        let directives = format!(
            "gridname {name}\nauthority http://{name}.example.org/\n{more}\n\
             data_source gmond 1 127.0.0.1:{}\n",
            gmond.port()
        );
        let gmetad = Gmetad::start(folder.path(), &directives);
        Circle {
            folder,
            directives,
            gmetad,
            _gmond: gmond,
        }
    }

    /// From now on it polls that one too.
    fn poll(&self, other: &Circle) {
        self.poll_port(other.gmetad.xml().port());
    }

    fn poll_port(&self, port: u16) {
        let directives = format!("{}data_source other 1 127.0.0.1:{port}\n", self.directives);
        configure(self.folder.path(), &directives);
        self.gmetad.signal(Signal::SIGHUP);
    }

    /// How often it has read the other one, and the hosts that it counts.
    fn status(&self) -> (u64, u64) {
        let status = get(self.gmetad.interactive(), "/status").json();
        let other = &status["sources"][1]["polls"]["ok"]["num"];
        let hosts = status["store"]["hosts_up"].as_u64();
        (other.as_u64().unwrap_or(0), hosts.expect("a number"))
    }

    /// The sum of its metric and the number of hosts in it, as the root's summary has them.
    fn sum(&self) -> Option<(String, String)> {
        let answer = self.gmetad.query("/?filter=summary");
        let (_, rest) = answer.split_once("<METRICS NAME=\"m\" SUM=\"")?;
        let (sum, rest) = rest.split_once("\" NUM=\"")?;
        let (num, _) = rest.split_once('"')?;
        Some((sum.to_owned(), num.to_owned()))
    }
}

#[test]
fn two_that_poll_each_other_count_each_host_once() {
    for (of_a, of_b) in [
        ("", ""),
        ("", "scalable off"),
        ("scalable off", "scalable off"),
    ] {
        let (a, b) = (Circle::start("A", of_a), Circle::start("B", of_b));
        a.poll(&b);
        b.poll(&a);
        for circle in [&a, &b] {
            wait_until("many polls of the other one", || {
                let (polls, hosts) = circle.status();
                assert!(hosts <= 4, "{hosts} hosts after {polls} polls");
                polls >= POLLS && hosts == 4
            });
            wait_until("the sums of both", || {
                circle.sum() == Some(("40".into(), "4".into()))
            });
        }
        let scalable = of_a.is_empty() && of_b.is_empty();
        let told = |circle: &Circle| circle.gmetad.log().matches("own grid").count();
        assert_eq!([told(&a), told(&b)], [usize::from(scalable); 2]);
        if scalable {
            let answer = a.gmetad.document();
            assert_eq!(answer.matches("<GRID NAME=\"A\"").count(), 1, "{answer}");
            assert_eq!(answer.matches("<GRID NAME=\"B\"").count(), 1, "{answer}");
        }
    }
}

#[test]
fn in_a_circle_of_three_or_four_sums_stay_put_and_the_circle_is_logged_once() {
    for names in [&["A", "B", "C"][..], &["A", "B", "C", "D"]] {
        let all: Vec<Circle> = names.iter().map(|name| Circle::start(name, "")).collect();
        for (at, circle) in all.iter().enumerate() {
            circle.poll(&all[(at + 1) % all.len()]);
        }
        for circle in &all {
            circle.gmetad.wait_for_line("poll each other in a circle");
        }
        for circle in &all {
            let (polls_before, _) = circle.status();
            wait_until("many more polls of the other one", || {
                let (polls, _) = circle.status();
                polls >= polls_before + POLLS
            });
            // Its own, and those of the one that it polls.
            assert_eq!(circle.status().1, 4);
            assert_eq!(circle.sum(), Some(("40".into(), "4".into())));
        }
        for circle in &all {
            let log = circle.gmetad.log();
            assert_eq!(log.matches("in a circle").count(), 1, "{log}");
        }
    }
}

/// They do not say whose sums they pass on, so the circle is detected once sums have grown.
#[test]
fn in_a_circle_with_two_c_gmetads_side_by_side_sums_stay_put_once_it_is_found() {
    let name = "in_a_circle_with_two_c_gmetads_side_by_side_sums_stay_put_once_it_is_found";
    if !available(name, &["gmetad"]) {
        return;
    }
    let own = Circle::start("Own", "");
    let over = |grid: &str, port: u16| CGmetad::start(grid, &[("below", 1, port)], "");
    let first = over("First", own.gmetad.xml().port());
    let second = over("Second", first.xml_port());
    own.poll_port(second.xml_port());
    own.gmetad.wait_for_line("poll each other in a circle");
    wait_until("its own hosts only", || own.status().1 == 2);
    let (before, _) = own.status();
    wait_until("many more polls", || {
        let (polls, hosts) = own.status();
        assert_eq!(hosts, 2, "after {polls} polls");
        polls >= before + 2 * POLLS
    });
    assert_eq!(own.gmetad.log().matches("in a circle").count(), 1);
}

#[test]
fn one_that_polls_itself_counts_its_hosts_once() {
    for (more, told) in [("", 1), ("scalable off", 0)] {
        let own = Circle::start("Own", more);
        own.poll(&own);
        wait_until("many polls of itself", || {
            let (polls, hosts) = own.status();
            assert!(hosts <= 2, "{hosts} hosts after {polls} polls");
            polls >= POLLS && hosts == 2
        });
        assert_eq!(own.sum(), Some(("20".into(), "2".into())));
        assert_eq!(own.gmetad.log().matches("own grid").count(), told);
        let answer = own.gmetad.document();
        assert_eq!(answer.matches("<CLUSTER NAME=").count(), 1, "{answer}");
    }
}
