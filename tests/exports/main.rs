//! Values sent on to real servers: carbon, memcached and rrdcached from their packages, and a receiver
//! of Riemann's messages.
//!
//! Most tests run the plugin thread alone, without the loop and without sources, so that they decide
//! what it gets. Those beside a C gmetad run the real binary.
#![cfg(all(feature = "export", feature = "rrd"))]

mod beside_c;
mod influx;
mod kills;
mod remote_write;
#[cfg(feature = "tls")]
mod remote_write_tls;
mod rig;
mod rrdcached;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "tls")]
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use gmetad_config::Config;
use rig::{
    AT_ONCE, C_CARBON, C_MEMCACHED, PLAIN, Plugins, config, many, now, on, plain_at, update,
};
use support::peers::available;
use support::ports::Port;
use support::stores::{Carbon, Deaf, Memcached, Mood, Riemann};
use support::{wait_for, wait_until};

fn to_carbon(port: u16, prefix: &str) -> Config {
    let mut config = config();
    config.exports.carbon = Some(on(port));
    config.exports.graphite_prefix = Some(prefix.into());
    config
}

/// What C gmetad sends to carbon, by metric.
fn c_values() -> BTreeMap<String, f64> {
    C_CARBON
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            let name = words.next().expect("a path").trim_start_matches("ganglia.");
            let value = words.next().expect("a value").parse();
            (name.to_string(), value.expect("a number"))
        })
        .collect()
}

#[track_caller]
fn wait_for_points(carbon: &Carbon, prefix: &str, times: &[u32]) {
    let expected: BTreeMap<String, BTreeMap<u32, f64>> = c_values()
        .into_iter()
        .map(|(name, value)| (name, times.iter().map(|&time| (time, value)).collect()))
        .collect();
    wait_until(&format!("{prefix} in carbon's files"), || {
        carbon.points(prefix) == expected
    });
}

#[test]
fn carbon_gets_what_c_gmetad_sends_it_over_tcp_and_udp() {
    if !available(
        "carbon_gets_what_c_gmetad_sends_it_over_tcp_and_udp",
        &["carbon-cache"],
    ) {
        return;
    }
    let carbon = Carbon::start();
    let time = now() - 100;
    for (prefix, udp) in [("tcp", false), ("udp", true)] {
        let mut config = to_carbon(carbon.port(), prefix);
        config.exports.carbon_udp = udp;
        let mut plugins = Plugins::start(&config);
        plugins.poll(&plain_at(time));
        plugins.poll(&plain_at(time + 15));
        wait_for_points(&carbon, &format!("{prefix}."), &[time, time + 15]);
        let status = plugins.status("carbon");
        assert_eq!((status.sent, status.failed, status.dropped), (56, 0, 0));
        assert_eq!((status.connects, status.waiting_bytes), (1, 0));
        plugins.end();
    }
}

#[test]
fn carbon_has_every_value_after_it_was_killed_and_restarted() {
    if !available(
        "carbon_has_every_value_after_it_was_killed_and_restarted",
        &["carbon-cache"],
    ) {
        return;
    }
    let mut carbon = Carbon::start();
    let mut plugins = Plugins::start(&to_carbon(carbon.port(), "dc"));
    let time = now() - 100;
    plugins.poll(&plain_at(time));
    wait_for_points(&carbon, "dc.", &[time]);
    carbon.kill();
    for round in 1..=3 {
        let took = plugins.poll(&plain_at(time + 15 * round));
        assert!(took < AT_ONCE, "{took:?}");
    }
    wait_until("the failure to be seen", || {
        plugins.status("carbon").failing
    });
    assert!(plugins.status("carbon").waiting_bytes > 0);
    carbon.start_again();
    wait_for_points(&carbon, "dc.", &[time, time + 15, time + 30, time + 45]);
    let status = plugins.status("carbon");
    assert_eq!((status.sent, status.dropped), (4 * 28, 0));
    assert_eq!((status.waiting_bytes, status.failing), (0, false));
    plugins.end();
}

#[test]
fn values_still_queued_at_exit_reach_carbon() {
    if !available(
        "values_still_queued_at_exit_reach_carbon",
        &["carbon-cache"],
    ) {
        return;
    }
    let carbon = Carbon::start();
    let mut plugins = Plugins::start(&to_carbon(carbon.port(), "end"));
    let time = now() - 100;
    plugins.0.send(update(&plain_at(time)));
    plugins.end();
    wait_for_points(&carbon, "end.", &[time]);
}

#[test]
fn memcached_gets_what_c_gmetad_sends_it() {
    if !available("memcached_gets_what_c_gmetad_sends_it", &["memcached"]) {
        return;
    }
    let servers = [Memcached::start(), Memcached::start()];
    let mut config = config();
    config.exports.memcached = servers.iter().map(|it| on(it.port())).collect();
    let mut plugins = Plugins::start(&config);
    plugins.poll(PLAIN);
    wait_until("all values to be taken", || {
        plugins.status("memcached").sent == 32
    });
    let mut of_server = [0, 0];
    for line in C_MEMCACHED.lines() {
        let mut words = line.splitn(3, ' ');
        let key = words.next().expect("a key");
        let value = words.nth(1).expect("an expiry and a value");
        let values = servers.each_ref().map(|it| it.value(key));
        let at = usize::from(values[0].is_none());
        of_server[at] += 1;
        assert_eq!(values[at].as_deref(), Some(value), "{key}");
        assert_eq!(values[1 - at], None, "{key} is on both");
    }
    assert!(of_server[0] > 0 && of_server[1] > 0, "{of_server:?}");
    plugins.end();
}

#[test]
fn memcached_keeps_odd_names_and_forgets_after_dmax() {
    if !available(
        "memcached_keeps_odd_names_and_forgets_after_dmax",
        &["memcached"],
    ) {
        return;
    }
    let server = Memcached::start();
    let mut config = config();
    config.exports.memcached = vec![on(server.port())];
    config.exports.memcached_include_cluster = true;
    let mut plugins = Plugins::start(&config);
    let long = "n".repeat(250);
    let xml = PLAIN
        .replace("NAME=\"load_one\"", "NAME=\"load one\"")
        .replace("NAME=\"load_five\"", &format!("NAME=\"{long}\""))
        .replace(
            "DMAX=\"0\" SLOPE=\"zero\"",
            "DMAX=\"3000000\" SLOPE=\"zero\"",
        )
        .replacen("TMAX=\"70\" DMAX=\"0\"", "TMAX=\"70\" DMAX=\"60\"", 1);
    plugins.poll(&xml);
    let sent = 31;
    wait_until("all values to be taken", || {
        plugins.status("memcached").sent == sent
    });
    assert_eq!(plugins.status("memcached").failed, 1, "the long key");
    assert!(server.value("Bench%20A/localhost/load%20one").is_some());
    // To memcached an expiry over 30 days is a time of day: this one would be in 1970.
    assert!(server.value("Bench%20A/localhost/cpu_num").is_some());
    plugins.end();
}

#[test]
fn a_value_that_memcached_refuses_is_counted_and_affects_no_other() {
    if !available(
        "a_value_that_memcached_refuses_is_counted_and_affects_no_other",
        &["memcached"],
    ) {
        return;
    }
    let server = Memcached::start_with(&["-I", "16k", "-o", "slab_chunk_max=8192"]);
    let mut config = config();
    config.exports.memcached = vec![on(server.port())];
    let mut plugins = Plugins::start(&config);
    let big = format!(
        "<METRIC NAME=\"big\" VAL=\"{}\" TYPE=\"string\" UNITS=\"\" TN=\"1\" TMAX=\"60\" DMAX=\"0\" \
         SLOPE=\"both\"/>",
        "v".repeat(60_000)
    );
    plugins.poll(&PLAIN.replacen("<METRIC", &format!("{big}<METRIC"), 1));
    wait_until("all other values to be taken", || {
        plugins.status("memcached").sent == 32
    });
    assert_eq!(plugins.status("memcached").failed, 1);
    assert_eq!(server.value("localhost/big"), None);
    assert_eq!(server.statistic("curr_items"), Some(32));
    plugins.end();
}

#[test]
fn memcached_has_the_newest_values_after_it_was_killed_and_restarted() {
    if !available(
        "memcached_has_the_newest_values_after_it_was_killed_and_restarted",
        &["memcached"],
    ) {
        return;
    }
    let mut server = Memcached::start();
    let mut config = config();
    config.exports.memcached = vec![on(server.port())];
    let mut plugins = Plugins::start(&config);
    plugins.poll(PLAIN);
    wait_until("all values to be taken", || {
        plugins.status("memcached").sent == 32
    });
    server.kill();
    for value in ["7.5", "8.5"] {
        let xml = PLAIN.replace(
            "NAME=\"cpu_wio\" VAL=\"0.1\"",
            &format!("NAME=\"cpu_wio\" VAL=\"{value}\""),
        );
        assert!(plugins.poll(&xml) < AT_ONCE);
    }
    wait_until("the failure to be seen", || {
        plugins.status("memcached").failing
    });
    server.start_again();
    wait_until("what waited to be taken", || {
        plugins.status("memcached").sent == 96
    });
    assert_eq!(server.value("localhost/cpu_wio").as_deref(), Some("8.5"));
    let status = plugins.status("memcached");
    assert_eq!((status.failed, status.dropped), (0, 0));
    plugins.end();
}

fn to_riemann(riemann: &Riemann, tcp: bool) -> Config {
    let mut config = config();
    config.exports.riemann = Some(on(riemann.port()));
    config.exports.riemann_tcp = tcp;
    config.exports.riemann_attributes = vec![("customer".into(), "Acme Corp".into())];
    config
}

#[test]
fn riemann_gets_all_events_over_udp_and_tcp() {
    let receivers = [(Riemann::udp(), false), (Riemann::tcp(), true)];
    for (riemann, tcp) in &receivers {
        let mut plugins = Plugins::start(&to_riemann(riemann, *tcp));
        plugins.poll(PLAIN);
        let events = wait_for("33 events", || {
            let events = riemann.events();
            (events.len() >= 33).then_some(events)
        });
        assert_eq!(events.len(), 33, "a heartbeat and 32 values");
        let services: BTreeSet<&str> = events
            .iter()
            .filter_map(|it| it.service.as_deref())
            .collect();
        assert_eq!(services.len(), 33);
        assert!(services.contains("heartbeat"));
        for event in &events {
            assert_eq!(event.host.as_deref(), Some("localhost"));
            assert_eq!(event.time, Some(1_795_367_147));
            let last = event.attributes.last().expect("one is configured");
            assert_eq!(last.key, "customer");
            let values = [
                event.state.is_some(),
                event.metric_sint64.is_some(),
                event.metric_d.is_some(),
            ];
            assert_eq!(values.iter().filter(|it| **it).count(), 1);
        }
        wait_until("them to be counted", || {
            plugins.status("riemann").sent == 33
        });
        plugins.end();
    }
}

#[test]
fn riemann_gets_each_event_once_although_it_hangs_up() {
    let riemann = Riemann::tcp();
    riemann.set_mood(Mood::HangsUp);
    let mut plugins = Plugins::start(&to_riemann(&riemann, true));
    plugins.poll(PLAIN);
    wait_until("two tries", || riemann.messages().1 >= 2);
    riemann.set_mood(Mood::Takes);
    wait_until("all to be taken", || plugins.status("riemann").sent == 33);
    assert_eq!(riemann.events().len(), 33);
    plugins.end();
}

#[test]
fn events_that_riemann_refuses_are_counted_and_not_resent() {
    let riemann = Riemann::tcp();
    riemann.set_mood(Mood::Refuses);
    let mut plugins = Plugins::start(&to_riemann(&riemann, true));
    plugins.poll(PLAIN);
    wait_until("the refusal", || plugins.status("riemann").failed == 33);
    riemann.set_mood(Mood::Takes);
    plugins.poll(PLAIN);
    wait_until("the next to be taken", || {
        plugins.status("riemann").sent == 33
    });
    assert_eq!(riemann.messages(), (1, 1));
    plugins.end();
}

#[test]
fn servers_that_hang_or_are_down_delay_nothing() {
    let deaf = Deaf::start();
    let riemann = Riemann::tcp();
    let gone = Port::reserve();
    let mut config = to_riemann(&riemann, true);
    config.exports.carbon = Some(on(deaf.port()));
    config.exports.memcached = vec![on(gone.number())];
    let mut plugins = Plugins::start(&config);
    let hosts = 100;
    let mut longest = Duration::ZERO;
    for round in 0..10 {
        longest = longest.max(plugins.poll(&many(hosts, 1_795_367_147 + round)));
        let events = (round as usize + 1) * hosts * 33;
        wait_until("riemann to have all of it", || {
            riemann.event_count() == events
        });
    }
    assert!(longest < AT_ONCE, "{longest:?}");
    // What the server does not read stays queued, except what the system's buffers hold.
    let carbon = plugins.status("carbon");
    let all = 10 * hosts * 28;
    assert!(carbon.waiting_bytes > 200_000, "{carbon:?}");
    assert_eq!((carbon.failed, carbon.dropped), (0, 0));
    assert!(carbon.sent < all as u64);
    let memcached = plugins.status("memcached");
    assert!(memcached.failing && memcached.sent == 0, "{memcached:?}");
    // Neither delays shutdown for long.
    let start = Instant::now();
    plugins.end();
    // A server that hangs would be waited for 10 s.
    assert!(start.elapsed() < Duration::from_secs(9));
}
