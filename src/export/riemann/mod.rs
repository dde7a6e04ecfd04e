//! Sends heartbeats of all hosts, and the values of those that are up, to Riemann as events.
//!
//! No sockets: `link` has them. Over UDP nothing is answered. Over TCP every message is, and a
//! server that fails too often is left alone for a while.

use std::sync::Arc;

use prost::Message as _;

use crate::export::{Export, Switch};
use crate::link::{
    AnswerReader, Batch, BatchAnswer, Dialect, Endpoint, Frame, Link, LinkError, Server, Target,
    target,
};
use crate::select;
use gmetad_config::Config;
use gmetad_core::model::{Cluster, Host, MetricDef, MetricType, parse_number};
use gmetad_core::plugin::{PluginError, RootUpdate, Update};
use gmetad_core::source::HostPort;

mod breaker;
mod wire;

use breaker::Breaker;
use wire::{Attribute, Event, Msg, append_event};

/// Longest answer.
const ANSWER_BYTES: usize = 1024 * 1024;

/// Bytes of a message's length, in front of it.
const LENGTH_BYTES: usize = 4;

/// The service of a host's heartbeat, as C gmetad names it.
const HEARTBEAT: &str = "heartbeat";

/// TMAXes without a word after which a host is down.
const HEARTBEATS_MISSED: u32 = 4;

/// The export.
pub struct Riemann {
    server: HostPort,
    tcp: bool,
    /// As the newest sum has it: a reload may change it.
    gridname: Arc<str>,
    attributes: Vec<(String, String)>,
}

impl Riemann {
    /// The events of an update, each with its length, as they stand in a message.
    fn events(&self, update: &Update, mut each: impl FnMut(&[u8])) {
        let Some(cluster) = select::cluster(update) else {
            return;
        };
        let time = update.stamp.time.epoch();
        let mut item = Vec::new();
        for host in select::hosts(cluster) {
            // What all events of a host have in common is encoded once: encoded parts of a message
            // put one after another are that message.
            let common = self.common(cluster, &host, time).encode_to_vec();
            let mut put = |event: &Event| {
                item.clear();
                append_event(&mut item, &common, event);
                each(&item);
            };
            put(&heartbeat(&host));
            for (def, metric) in select::metrics(host) {
                put(&event(def, metric.val.as_str()));
            }
        }
    }

    fn common(&self, cluster: &Cluster, host: &Host, time: i64) -> Event {
        let own = [
            ("grid", &*self.gridname),
            ("cluster", &*cluster.name),
            ("ip", &*host.info.ip),
            ("location", &*host.info.location),
        ];
        let configured = self
            .attributes
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        Event {
            time: Some(time),
            host: Some(host.info.name.to_string()),
            tags: host
                .info
                .tags
                .split(',')
                .filter(|tag| !tag.is_empty())
                .map(String::from)
                .collect(),
            attributes: own
                .into_iter()
                .chain(configured)
                .map(|(key, value)| Attribute {
                    key: key.into(),
                    value: Some(value.into()),
                })
                .collect(),
            ..Event::default()
        }
    }
}

/// When a host was last heard of, good until it counts as down.
fn heartbeat(host: &Host) -> Event {
    Event {
        service: Some(HEARTBEAT.into()),
        description: Some("seconds".into()),
        ttl: ttl(host.info.tmax.saturating_mul(HEARTBEATS_MISSED)),
        metric_sint64: Some(host.reported),
        ..Event::default()
    }
}

/// A value: a number as metric, all else as state.
///
/// C gmetad makes a number of anything whose type says so, 0 where it is none; here such a text is
/// kept as state.
fn event(def: &MetricDef, text: &str) -> Event {
    let mut event = Event {
        service: Some(def.name().into()),
        description: Some(def.fields().units.clone()),
        ttl: ttl(def.fields().tmax),
        ..Event::default()
    };
    let number = parse_number(text.as_bytes()).filter(|_| def.ty().is_numeric());
    match (number, def.ty()) {
        (None, _) => event.state = Some(text.into()),
        (Some(number), MetricType::Float | MetricType::Double) => {
            event.metric_d = Some(number.value);
        }
        (Some(number), _) if number.value.fract() == 0.0 => {
            event.metric_sint64 = Some(number.value as i64);
        }
        (Some(number), _) => event.metric_d = Some(number.value),
    }
    event
}

/// Seconds an event is good for; nothing said where the sender says nothing, as 0 would be over at
/// once.
fn ttl(secs: u32) -> Option<f32> {
    (secs > 0).then_some(secs as f32)
}

impl Export for Riemann {
    const ID: &'static str = "riemann";
    const SWITCH: Switch = Switch::Directive("riemann_server");

    fn configured(config: &Config) -> Result<Option<Riemann>, PluginError> {
        let exports = &config.exports;
        let Some(server) = exports.riemann.clone() else {
            return Ok(None);
        };
        Ok(Some(Riemann {
            server,
            tcp: exports.riemann_tcp,
            gridname: config.gridname.as_str().into(),
            attributes: exports.riemann_attributes.clone(),
        }))
    }

    fn servers(&self) -> Vec<Server> {
        let (directive, place) = ("riemann_server", self.server.clone());
        vec![if self.tcp {
            Server {
                pacing: Box::new(Breaker::default()),
                ..Server::new(directive, Endpoint::Tcp(place), Framed)
            }
        } else {
            Server::new(directive, Endpoint::Udp(place), Datagrams)
        }]
    }

    fn put(&mut self, update: &Update, links: &mut [Link]) {
        for link in links {
            self.events(update, |event| link.put(event));
        }
    }

    fn root(&mut self, root: &RootUpdate, _: &mut [Link]) {
        self.gridname = Arc::clone(&root.gridname);
    }
}

/// Over UDP a datagram is a message; no answers.
struct Datagrams;

impl Dialect for Datagrams {}

/// Over TCP each message has its length in front, both ways.
struct Framed;

impl Dialect for Framed {
    fn encode(&self, batch: &Batch, out: &mut Vec<u8>, _: &mut Vec<u8>) {
        // A batch is far below 4 GB: at most one event over its limit.
        let length = batch.bytes().len() as u32;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(batch.bytes());
    }

    fn answers(&self) -> bool {
        true
    }

    fn answer(
        &self,
        reader: &mut AnswerReader<'_>,
        frame: &Frame,
    ) -> Result<BatchAnswer, LinkError> {
        let head = reader.exactly(LENGTH_BYTES)?;
        let length = head
            .iter()
            .fold(0, |length, &byte| length << 8 | usize::from(byte));
        if length > ANSWER_BYTES {
            let what = format!("a message of {length} bytes");
            return Err(LinkError::Protocol(what));
        }
        let bytes = reader.exactly(length)?;
        let msg = Msg::decode(bytes.as_slice())
            .map_err(|error| LinkError::Protocol(error.to_string()))?;
        if msg.ok == Some(true) {
            return Ok(BatchAnswer::default());
        }
        Ok(BatchAnswer {
            refused: (0..frame.values).collect(),
            reason: msg
                .error
                .unwrap_or_else(|| "it does not say why".to_string()),
            ..BatchAnswer::default()
        })
    }

    fn targets(&self, frame: &Frame) -> Vec<Target> {
        let message = frame.bytes.get(LENGTH_BYTES..).unwrap_or_default();
        // It was encoded here.
        let events = Msg::decode(message).unwrap_or_default().events;
        let targets = events
            .iter()
            .map(|event| target((&event.host, &event.service)));
        targets.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{encoded, read_slowly};
    use crate::testing::{PLAIN, edge_cases, update_of};

    fn riemann(attributes: &[(&str, &str)]) -> Riemann {
        let mut config = Config::new("test");
        config.gridname = "G".into();
        config.exports.riemann = Some(HostPort {
            host: "127.0.0.1".into(),
            port: 1,
        });
        config.exports.riemann_attributes = attributes
            .iter()
            .map(|(key, value)| ((*key).to_string(), (*value).to_string()))
            .collect();
        Riemann::configured(&config).unwrap().unwrap()
    }

    fn all(riemann: &Riemann, update: &Update) -> Vec<Event> {
        let mut bytes = Vec::new();
        riemann.events(update, |item| bytes.extend_from_slice(item));
        Msg::decode(bytes.as_slice()).unwrap().events
    }

    fn of<'a>(events: &'a [Event], service: &str) -> &'a Event {
        events
            .iter()
            .find(|event| event.service.as_deref() == Some(service))
            .unwrap()
    }

    #[test]
    fn a_plain_cluster_is_sent_as_c_gmetad_sends_it_and_with_its_time() {
        let riemann = riemann(&[("customer", "Acme Corp"), ("environment", "PROD")]);
        let mut ours = all(&riemann, &update_of(PLAIN));
        for event in &mut ours {
            assert_eq!(event.time.take(), Some(1_795_367_147));
        }
        let mut theirs = Vec::new();
        let mut rest = &include_bytes!("../../../tests/data/c-exports/riemann.bin")[..];
        while let Some((head, after)) = rest.split_first_chunk::<4>() {
            let (datagram, after) = after.split_at(u32::from_be_bytes(*head) as usize);
            theirs.extend(Msg::decode(datagram).unwrap().events);
            rest = after;
        }
        assert_eq!(theirs.len(), 33);
        assert_eq!(ours, theirs);
    }

    #[test]
    fn over_tcp_a_message_has_its_length_in_front_and_its_events_are_found_again() {
        let mut batch = Batch::default();
        riemann(&[]).events(&edge_cases(), |event| batch.push(event));
        let frame = encoded(&batch, &Framed);
        let (head, message) = frame.bytes.split_first_chunk::<4>().unwrap();
        assert_eq!(u32::from_be_bytes(*head) as usize, message.len());
        assert_eq!(message, batch.bytes());
        let events = Msg::decode(message).unwrap().events;
        assert_eq!(events.len(), frame.values as usize);
        let targets = Framed.targets(&frame);
        let own = target((&events[3].host, &events[3].service));
        assert_eq!((targets.len(), targets[3]), (events.len(), own));
    }

    #[test]
    fn an_answer_is_yes_no_or_not_riemanns() {
        let frame = Frame {
            bytes: Vec::new(),
            values: 3,
        };
        let answer = |msg: &Msg| {
            let bytes = msg.encode_to_vec();
            let head = (bytes.len() as u32).to_be_bytes();
            let whole = [&head[..], &bytes].concat();
            read_slowly(&whole, |reader| Framed.answer(reader, &frame)).unwrap()
        };
        let msg = |ok, error: Option<&str>| Msg {
            ok,
            error: error.map(String::from),
            events: Vec::new(),
        };
        assert_eq!(answer(&msg(Some(true), None)), BatchAnswer::default());
        let no = answer(&msg(Some(false), Some("full")));
        assert_eq!((no.refused, &*no.reason), (vec![0, 1, 2], "full"));
        assert_eq!(answer(&msg(None, None)).reason, "it does not say why");
        for odd in [&b"\xff\xff\xff\xff"[..], b"\0\0\0\x02\xff\xff"] {
            let result = read_slowly(odd, |reader| Framed.answer(reader, &frame));
            assert!(matches!(result, Err(LinkError::Protocol(_))), "{result:?}");
        }
    }

    #[test]
    fn a_host_that_is_down_sends_its_heartbeat_alone() {
        let events = all(&riemann(&[]), &edge_cases());
        let down: Vec<&Event> = events
            .iter()
            .filter(|event| event.host.as_deref() == Some("downhost"))
            .collect();
        assert_eq!(down.len(), 1);
        assert_eq!(down[0].service.as_deref(), Some("heartbeat"));
        assert_eq!(down[0].metric_sint64, Some(1_795_366_000));
        assert_eq!(down[0].ttl, Some(80.0));
    }

    #[test]
    fn the_grid_is_called_as_it_was_told_last() {
        let mut riemann = riemann(&[]);
        let grid = |riemann: &Riemann| {
            let events = all(riemann, &update_of(PLAIN));
            let attributes = events.into_iter().flat_map(|event| event.attributes);
            let mut grids = attributes.filter(|it| it.key == "grid");
            grids.next().and_then(|it| it.value)
        };
        assert_eq!(grid(&riemann).as_deref(), Some("G"));
        let root = RootUpdate {
            gridname: "renamed".into(),
            authority: "".into(),
            summary: Arc::default(),
            now: gmetad_core::model::Now::default(),
            present: Arc::default(),
            invented: gmetad_core::plugin::Invented::default(),
        };
        riemann.root(&root, &mut []);
        assert_eq!(grid(&riemann).as_deref(), Some("renamed"));
    }

    #[test]
    fn numbers_are_metrics_and_all_else_is_state() {
        let events = all(&riemann(&[]), &edge_cases());
        let value = |service| {
            let event = of(&events, service);
            let (int, double) = (event.metric_sint64, event.metric_d);
            (event.state.as_deref(), int, double)
        };
        assert_eq!(value("a b.c"), (None, None, Some(1.5)));
        assert_eq!(value("neg"), (None, Some(-3), None));
        assert_eq!(value("sp"), (None, Some(7), None));
        assert_eq!(value("s"), (Some("text"), None, None));
        assert_eq!(value("ts"), (Some("1795367142"), None, None));
        assert_eq!(value("nan"), (Some("nan"), None, None));
        assert_eq!(value("hex"), (Some("0x10"), None, None));
        assert_eq!(value("odd"), (Some("4"), None, None));
        assert!(events.iter().all(|event| event.metric_f.is_none()));
    }

    #[test]
    fn commas_in_a_location_and_empty_tags_do_no_harm() {
        let events = all(&riemann(&[("a", "b=c")]), &edge_cases());
        let event = of(&events, "live");
        assert_eq!(event.tags, ["t1", "t2"]);
        let attributes: Vec<(&str, &str)> = event
            .attributes
            .iter()
            .map(|it| (it.key.as_str(), it.value.as_deref().unwrap()))
            .collect();
        assert_eq!(
            attributes,
            [
                ("grid", "G"),
                ("cluster", "Edge. A b"),
                ("ip", "10.0.0.1"),
                ("location", "rack 1,0"),
                ("a", "b=c")
            ]
        );
    }

    #[test]
    fn a_value_without_a_tmax_is_not_over_at_once() {
        let events = all(&riemann(&[]), &edge_cases());
        assert_eq!(of(&events, "s").ttl, None);
        assert_eq!(of(&events, "live").ttl, Some(60.0));
    }
}
