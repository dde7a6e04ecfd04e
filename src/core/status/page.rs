//! The status as JSON: the fields of C gmetad in its order, then those of this gmetad.
//!
//! Only writes a [`Report`].

use super::{ClientStatus, LongestTurn, PluginStatus, Report, RrdStatus, SourceStatus, Tally};
use crate::answer::json::Object;
use crate::status::host::{CPU, MEMORY};

/// The page; as an argument of the function `callback`, if there is one.
pub fn page(report: &Report, callback: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(4096);
    if let Some(callback) = callback {
        out.extend_from_slice(callback.as_bytes());
        out.push(b'(');
    }
    Object::write(&mut out, |page| {
        identity(page, report);
        page.object("metrics", |metrics| {
            values(metrics, report);
            work(metrics, report);
            host(metrics, report);
        });
        ours(page, report);
    });
    if callback.is_some() {
        out.push(b')');
    }
    out
}

fn identity(page: &mut Object<'_>, report: &Report) {
    page.text("host", &report.host);
    page.text("gridname", &report.gridname);
    page.text("version", report.version);
    page.plain("stattime", report.now_ms);
    page.plain("boottime", report.boot_ms);
    page.plain("uptime", report.uptime.as_secs());
    page.plain("uptimeMillis", report.uptime.as_millis() as u64);
}

fn values(metrics: &mut Object<'_>, report: &Report) {
    let received = report
        .sources
        .iter()
        .map(|source| source.metrics)
        .sum::<u64>();
    metrics.object("received", |all| all.plain("all", received));
    metrics.object("sent", |sent| {
        let tallies = [
            ("rrdtool", report.output(&["rrd", "rrdsummary"])),
            ("rrdcached", report.output(&["rrdcached"])),
            ("graphite", report.output(&["carbon"])),
            ("memcached", report.output(&["memcached"])),
            ("riemann", report.output(&["riemann"])),
        ];
        // C gmetad has no other outputs than these five; here there may be.
        let mut all = Tally::default();
        for (_, output) in report.outputs() {
            all += &output.sent;
        }
        sent.object("all", |object| untimed(object, &all));
        for (name, tally) in &tallies {
            sent.object(name, |object| timed(object, tally));
        }
    });
}

fn work(metrics: &mut Object<'_>, report: &Report) {
    metrics.object("summarize", |summarize| {
        let root = &report.summaries.root;
        summarize.plain("cluster", report.summaries.clusters);
        summarize.plain("root", root.num);
        summarize.plain("totalMillis", root.total.as_millis() as u64);
        summarize.plain("lastTime", root.last_ms);
    });
    metrics.object("requests", |requests| {
        let clients = &report.clients;
        let mut all = clients.interactive;
        all += &clients.xml;
        requests.object("all", |object| untimed(object, &all));
        requests.object("interactive", |object| {
            untimed(object, &clients.interactive);
        });
        requests.object("xml", |object| untimed(object, &clients.xml));
    });
    metrics.object("polls", |polls| {
        polls.object("ok", |object| timed(object, &report.polls_ok()));
        polls.object("failed", |object| timed(object, &report.polls_failed()));
        let misses = report
            .sources
            .iter()
            .map(|source| source.missed)
            .sum::<u64>();
        polls.plain("misses", misses);
    });
}

fn untimed(object: &mut Object<'_>, tally: &Tally) {
    object.plain("num", tally.num);
    object.plain("totalMillis", tally.total.as_millis() as u64);
}

fn timed(object: &mut Object<'_>, tally: &Tally) {
    untimed(object, tally);
    object.plain("lastTime", tally.last_ms);
}

fn host(metrics: &mut Object<'_>, report: &Report) {
    let host = &report.host_status;
    metrics.object("cpu", |cpu| {
        cpu.plain("cpu_num", host.cpu.num);
        cpu.plain("cpu_speed", host.cpu.speed);
        for (name, percent) in CPU.iter().zip(host.cpu.percent) {
            cpu.decimal(name, percent);
            if *name == "cpu_wio" {
                cpu.decimal("cpu_aidle", host.cpu.aidle);
            }
        }
    });
    metrics.object("disk", |disk| {
        disk.decimal("disk_free", host.disk.free);
        disk.decimal("disk_total", host.disk.total);
        disk.decimal("part_max_used", host.disk.part_max_used);
    });
    metrics.object("load", |load| {
        let names = ["load_one", "load_five", "load_fifteen"];
        for (name, value) in names.iter().zip(host.load) {
            load.decimal(name, value);
        }
    });
    metrics.object("memory", |memory| {
        for ((name, _), value) in MEMORY.iter().zip(host.memory) {
            memory.decimal(name, value);
        }
    });
    metrics.object("network", |network| {
        network.plain("mtu", host.network.mtu);
        network.decimal("bytes_out", host.network.bytes_out);
        network.decimal("bytes_in", host.network.bytes_in);
        network.decimal("pkts_in", host.network.pkts_in);
        network.decimal("pkts_out", host.network.pkts_out);
    });
    metrics.object("process", |process| {
        process.plain("proc_run", host.proc_run);
        process.plain("proc_total", host.proc_total);
    });
    metrics.object("system", |system| {
        system.plain("boottime", host.boottime);
        system.plain("sys_clock", report.now_ms / 1000);
        system.text("machine_type", &host.machine_type);
        system.text("os_name", &host.os_name);
        system.text("os_release", &host.os_release);
    });
}

/// The fields that C gmetad does not have.
fn ours(page: &mut Object<'_>, report: &Report) {
    page.objects("sources", &report.sources, source);
    page.object("store", |store| {
        let sizes = &report.store;
        store.plain("clusters", sizes.clusters);
        store.plain("grids", sizes.grids);
        store.plain("hosts", sizes.hosts);
        store.plain("hosts_up", sizes.hosts_up);
        store.plain("hosts_down", sizes.hosts_down);
        store.plain("metrics", sizes.metrics);
        store.plain("definitions", sizes.definitions);
    });
    page.object("clients", |object| clients(object, &report.clients));
    page.object("loop", |object| turns(object, report));
    page.object("queue", |object| {
        let queue = &report.queue;
        object.plain("length", queue.length);
        object.plain("heldBack", queue.held_back);
        object.plain("replaced", queue.replaced);
        let stalled = queue.stalled.as_ref().map(|(id, _)| id.as_str());
        object.text_or_null("stalled", stalled);
    });
    page.objects("plugins", &report.plugins, plugin);
    page.object("files", |object| files(object, &report.files));
    page.object("self", |object| {
        let process = &report.process;
        object.decimal("cpuSeconds", process.cpu_secs);
        object.plain("residentBytes", process.resident_bytes);
        object.plain("virtualBytes", process.virtual_bytes);
        object.plain("threads", process.threads);
        object.plain("openFds", process.open_fds);
        object.plain("maxFds", process.max_fds);
    });
}

fn clients(object: &mut Object<'_>, clients: &ClientStatus) {
    object.plain("connected", clients.connected);
    object.plain("idle", clients.idle);
    object.plain("limit", clients.limit);
    object.plain("accepted", clients.accepted);
    object.plain("untrusted", clients.untrusted);
    object.plain("crowdedOut", clients.crowded_out);
    object.plain("madeRoom", clients.made_room);
    object.plain("faults", clients.faults);
    object.plain("httpRequests", clients.http_requests);
    object.plain("sentBytes", clients.sent_bytes);
}

fn turns(object: &mut Object<'_>, report: &Report) {
    object.plain("turns", report.turns.turns);
    object.plain("longTurns", report.turns.long_turns);
    let mut longest = |name: &str, turn: Option<&LongestTurn>| {
        object.object(name, |object| {
            let took = turn.map_or(0.0, |turn| turn.took.as_secs_f64());
            object.decimal("millis", took * 1000.0);
            object.text_or_null("work", turn.map(|turn| turn.work));
            object.text_or_null("source", turn.and_then(|turn| turn.source.as_deref()));
        });
    };
    longest("longest", report.longest_turn.as_ref());
    longest("longestOfMinute", report.longest_of_minute.as_ref());
}

fn files(object: &mut Object<'_>, files: &RrdStatus) {
    object.plain("created", files.created);
    object.plain("calls", files.calls);
    object.plain("forced", files.forced);
    object.plain("broken", files.broken);
    object.plain("limited", files.limited);
    object.plain("noRoom", u64::from(files.no_room));
    object.plain("repeated", files.repeated);
    object.plain("refused", files.refused);
    object.plain("refusing", files.refusing);
    object.plain("heldValues", files.held);
    object.plain("heldBytes", files.held_bytes);
    object.plain("journalBytes", files.journal_bytes);
    object.plain("journalFails", u64::from(files.journal_fails));
}

fn source(object: &mut Object<'_>, source: &SourceStatus) {
    object.text("name", &source.name);
    object.text("state", source.state.word());
    object.plain("intervalMillis", source.interval.as_millis() as u64);
    object.text("host", &source.host);
    object.text_or_null("failure", source.failure.as_deref());
    object.object("polls", |polls| {
        polls.object("ok", |object| timed(object, &source.polls_ok));
        polls.object("failed", |object| timed(object, &source.polls_failed));
        polls.plain("misses", source.missed);
    });
    object.plain("metrics", source.metrics);
    object.plain("documentBytes", source.document_bytes);
    object.plain("wireBytes", source.wire_bytes);
    object.plain("busyMillis", source.busy.as_millis() as u64);
    object.plain("damage", source.damage);
    object.plain("left_out", source.left_out);
}

fn plugin(object: &mut Object<'_>, plugin: &PluginStatus) {
    object.text("id", &plugin.id);
    object.text("name", &plugin.name);
    object.text_or_null("file", plugin.file.as_deref());
    object.text("state", plugin.state.word());
    object.text_or_null("reason", plugin.reason.as_deref());
    object.plain("updates", plugin.notified);
    object.plain("failed", plugin.failed);
    if let Some(output) = &plugin.output {
        object.object("values", |values| {
            timed(values, &output.sent);
            values.plain("failed", output.failed);
            values.plain("refusing", output.refusing);
            values.plain("dropped", output.dropped);
            values.plain("waitingBytes", output.waiting_bytes);
            values.plain("failing", output.failing);
            values.plain("retried", output.retried);
            values.plain("lagSeconds", output.lag.as_secs());
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::{Work, example};
    use super::*;

    /// Every key of an object, those inside objects with their parents', in order of appearance.
    fn keys(text: &str) -> Vec<String> {
        let mut keys = Vec::new();
        let mut path: Vec<String> = Vec::new();
        let mut last = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['"', '{', '}']) {
            let c = rest.as_bytes()[at];
            rest = &rest[at + 1..];
            match c {
                b'{' => path.push(std::mem::take(&mut last)),
                b'}' => drop(path.pop()),
                _ => {
                    let (name, after) = rest.split_once('"').unwrap();
                    rest = after;
                    if rest.starts_with(':') {
                        last = name.into();
                        keys.push(path[1..].join(".") + "/" + name);
                    }
                }
            }
        }
        keys
    }

    #[test]
    fn it_begins_with_the_fields_of_c_gmetad_in_their_order() {
        let theirs = include_str!("../../../tests/data/c-gmetad/http-status.txt");
        let (_, theirs) = theirs
            .split_once("\r\n\r\n")
            .or(theirs.split_once("\n\n"))
            .unwrap();
        let theirs = keys(theirs);
        assert!(theirs.len() > 70, "{theirs:?}");
        // This simple reader does not know of quotes in texts.
        let mut report = example();
        report.gridname = "Top".into();
        report.sources.clear();
        let ours = keys(&String::from_utf8(page(&report, None)).unwrap());
        assert_eq!(ours[..theirs.len()], theirs);
    }

    #[test]
    fn figures_are_added_up_over_sources_and_outputs() {
        let page: Value = serde_json::from_slice(&page(&example(), None)).unwrap();
        assert_eq!(page["gridname"], "Top \"grid\"");
        assert_eq!(page["uptimeMillis"], 60_250);
        assert_eq!(page["metrics"]["received"]["all"], 40);
        assert_eq!(page["metrics"]["sent"]["all"]["num"], 42);
        assert_eq!(page["metrics"]["sent"]["rrdtool"]["num"], 30);
        assert_eq!(page["metrics"]["sent"]["graphite"]["lastTime"], 1012);
        assert_eq!(page["metrics"]["requests"]["all"]["num"], 7);
        assert_eq!(page["metrics"]["polls"]["ok"]["num"], 4);
        assert_eq!(page["metrics"]["polls"]["failed"]["totalMillis"], 30);
        assert_eq!(page["metrics"]["polls"]["misses"], 1);
        assert_eq!(page["sources"][1]["state"], "down");
        assert_eq!(
            page["sources"][1]["failure"],
            "10.0.0.2:8649: cannot connect"
        );
        assert_eq!(page["sources"][0]["failure"], Value::Null);
        assert_eq!(page["store"]["hosts_down"], 1);
        assert_eq!(page["plugins"][0]["values"]["num"], 30);
    }

    #[test]
    fn the_longest_turns_say_what_they_were_about() {
        let mut report = example();
        let read = |report: &Report| -> Value {
            let page: Value = serde_json::from_slice(&page(report, None)).unwrap();
            page["loop"].clone()
        };
        assert_eq!(read(&report)["longest"]["work"], Value::Null);
        report.longest_turn = Some(LongestTurn {
            took: std::time::Duration::from_micros(12_500),
            work: Work::Source.word(),
            source: Some("one".into()),
        });
        let page = read(&report);
        assert_eq!(page["longest"]["millis"], 12.5);
        assert_eq!(page["longest"]["work"], "source");
        assert_eq!(page["longest"]["source"], "one");
        assert_eq!(page["longestOfMinute"]["millis"], 0.0);
    }

    #[test]
    fn an_output_that_c_gmetad_does_not_have_counts_in_all() {
        let mut report = example();
        let carbon = report.plugins.iter().find(|it| it.id == "carbon");
        let mut other = carbon.unwrap().clone();
        other.id = "other".into();
        let sent = other.output.as_ref().unwrap().sent.num;
        report.plugins.push(other);
        let page: Value = serde_json::from_slice(&page(&report, None)).unwrap();
        assert_eq!(page["metrics"]["sent"]["all"]["num"], 42 + sent);
        let last = page["plugins"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&last["id"], &last["values"]["num"]),
            (&"other".into(), &sent.into())
        );
    }

    #[test]
    fn a_callback_is_called_with_it() {
        let text = String::from_utf8(page(&example(), Some("a.f"))).unwrap();
        let inner = text.strip_prefix("a.f(").and_then(|t| t.strip_suffix(')'));
        assert!(serde_json::from_str::<Value>(inner.unwrap()).is_ok());
    }
}
