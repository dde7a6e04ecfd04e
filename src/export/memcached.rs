//! Keeps the newest values of hosts that are up in memcached, by host and metric.
//!
//! No sockets: `link` has them. Commands are sent many at a time and their answers read afterwards.
//! They do not ask for silence (`noreply`), as a server then says nothing of what it refuses.

use std::io::Write as _;

use crate::export::{Export, Switch};
use crate::link::{
    AnswerReader, BACKLOG_BYTES, BatchAnswer, Dialect, Endpoint, Frame, Link, LinkError, Server,
    Target, target,
};
use crate::select;
use gmetad_config::Config;
use gmetad_core::plugin::{PluginError, Update};
use gmetad_core::source::HostPort;

/// Longest key, memcached's own limit.
const KEY_BYTES: usize = 250;

/// Longest line of an answer.
const ANSWER_BYTES: usize = 4096;

/// Longest expiry that memcached counts from now; above it is a time of day, by its protocol.
const RELATIVE_EXPIRY_SECS: u32 = 30 * 24 * 3600;

/// The export.
pub struct Memcached {
    servers: Vec<HostPort>,
    with_cluster: bool,
}

impl Export for Memcached {
    const ID: &'static str = "memcached";
    const SWITCH: Switch = Switch::Directive("memcached_parameters");

    fn configured(config: &Config) -> Result<Option<Memcached>, PluginError> {
        let config = &config.exports;
        Ok((!config.memcached.is_empty()).then(|| Memcached {
            servers: config.memcached.clone(),
            with_cluster: config.memcached_include_cluster,
        }))
    }

    fn servers(&self) -> Vec<Server> {
        let limit_bytes = BACKLOG_BYTES / self.servers.len().max(1);
        let server = |place: &HostPort| Server {
            limit_bytes,
            ..Server::new("memcached_parameters", Endpoint::Tcp(place.clone()), Text)
        };
        self.servers.iter().map(server).collect()
    }

    fn put(&mut self, update: &Update, links: &mut [Link]) {
        let servers = links.len() as u32;
        let without_key = commands(update, self.with_cluster, |key, command| {
            links[server_of(key, servers)].put(command);
        });
        if let Some(link) = links.first() {
            link.count_failed(without_key);
        }
    }
}

/// Makes the commands of an update, each with its key. Returns how many values have no key, as it
/// would be too long.
///
/// Texts are kept too, as by C gmetad.
fn commands(update: &Update, with_cluster: bool, mut each: impl FnMut(&[u8], &[u8])) -> u64 {
    let Some(cluster) = select::cluster(update) else {
        return 0;
    };
    let mut without_key = 0;
    let mut key = Vec::new();
    let mut command = Vec::new();
    for host in select::hosts(cluster) {
        key.clear();
        if with_cluster {
            name(&mut key, &cluster.name);
            key.push(b'/');
        }
        name(&mut key, &host.info.name);
        key.push(b'/');
        let start = key.len();
        for (def, metric) in select::metrics(host) {
            key.truncate(start);
            name(&mut key, def.name());
            if key.len() > KEY_BYTES {
                without_key += 1;
                continue;
            }
            let value = metric.val.as_bytes();
            let expiry = expiry(def.fields().dmax, update.now.epoch);
            command.clear();
            command.extend_from_slice(b"set ");
            command.extend_from_slice(&key);
            // Writing to a vector does not fail.
            let _ = write!(command, " 0 {expiry} {}\r\n", value.len());
            command.extend_from_slice(value);
            command.extend_from_slice(b"\r\n");
            each(&key, &command);
        }
    }
    without_key
}

/// DMAX as memcached takes it.
fn expiry(dmax: u32, now: i64) -> i64 {
    if dmax <= RELATIVE_EXPIRY_SECS {
        i64::from(dmax)
    } else {
        now + i64::from(dmax)
    }
}

/// Writes a name as part of a key. Bytes that would end the key are percent-encoded, and so is a
/// percent sign that looks like an encoded byte, so that two names never share a key. A plain name
/// stays as it is.
fn name(key: &mut Vec<u8>, name: &str) {
    let bytes = name.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let looks_encoded = byte == b'%'
            && bytes
                .get(at + 1..at + 3)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if byte <= b' ' || byte == 0x7f || looks_encoded {
            // Writing to a vector does not fail.
            let _ = write!(key, "%{byte:02X}");
        } else {
            key.push(byte);
        }
    }
}

/// The server that has a key, as libmemcached chooses it by default: Jenkins's one-at-a-time hash
/// of the key, modulo the number of servers.
fn server_of(key: &[u8], servers: u32) -> usize {
    if servers < 2 {
        return 0;
    }
    let mut hash = 0_u32;
    for &byte in key {
        // libmemcached reads bytes as signed characters.
        hash = hash.wrapping_add(i32::from(byte as i8) as u32);
        hash = hash.wrapping_add(hash << 10);
        hash ^= hash >> 6;
    }
    hash = hash.wrapping_add(hash << 3);
    hash ^= hash >> 11;
    hash = hash.wrapping_add(hash << 15);
    (hash % servers) as usize
}

/// The text protocol: a line for each `set`.
///
/// A batch's answers are 8 bytes each. They fit into the system's buffers while nobody reads them.
struct Text;

impl Dialect for Text {
    fn answers(&self) -> bool {
        true
    }

    fn answer(
        &self,
        reader: &mut AnswerReader<'_>,
        frame: &Frame,
    ) -> Result<BatchAnswer, LinkError> {
        let mut answer = BatchAnswer::default();
        for at in 0..frame.values {
            let line = reader.line(ANSWER_BYTES)?;
            if line == "STORED" {
                continue;
            }
            // Anything else is about the connection: no value that is sent makes it so.
            if !line.starts_with("SERVER_ERROR") && line != "NOT_STORED" {
                return Err(LinkError::Protocol(line));
            }
            if answer.refused.is_empty() {
                answer.reason = with_key(frame, at, &line);
            }
            answer.refused.push(at);
        }
        Ok(answer)
    }

    fn targets(&self, frame: &Frame) -> Vec<Target> {
        keys(frame).map(target).collect()
    }
}

/// The keys of a frame's commands, in order.
fn keys(frame: &Frame) -> impl Iterator<Item = &[u8]> {
    let mut rest = frame.bytes.as_slice();
    std::iter::from_fn(move || {
        let (key, after) = first_command(rest)?;
        rest = after;
        Some(key)
    })
}

/// What memcached says of a command, with its key.
fn with_key(frame: &Frame, at: u32, line: &str) -> String {
    let key = keys(frame).nth(at as usize).unwrap_or_default();
    format!("{}: {line}", String::from_utf8_lossy(key))
}

/// The key of the first of these commands, and the commands after it.
fn first_command(commands: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memmem::find(commands, b"\r\n")?;
    let mut words = commands[..end].split(|byte| *byte == b' ').skip(1);
    let key = words.next()?;
    let length: usize = std::str::from_utf8(words.last()?).ok()?.parse().ok()?;
    Some((key, commands.get(end + 2 + length + 2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Batch, encoded, read_slowly};
    use crate::testing::{EDGE_CASES, PLAIN, edge_cases, update_of};

    fn all(update: &Update, with_cluster: bool) -> (Vec<String>, u64) {
        let mut all = Vec::new();
        let without_key = commands(update, with_cluster, |key, command| {
            let command = String::from_utf8_lossy(command).into_owned();
            assert_eq!(
                command.split(' ').nth(1),
                Some(&*String::from_utf8_lossy(key))
            );
            all.push(command);
        });
        (all, without_key)
    }

    #[test]
    fn all_values_of_hosts_that_are_up_are_kept_as_they_came() {
        let (all, without_key) = all(&edge_cases(), false);
        assert_eq!(without_key, 0);
        assert_eq!(
            all,
            [
                "set Node.Ex%20ample/a%20b.c 0 0 4\r\n1.50\r\n",
                "set Node.Ex%20ample/s 0 0 4\r\ntext\r\n",
                "set Node.Ex%20ample/ts 0 0 10\r\n1795367142\r\n",
                "set Node.Ex%20ample/nan 0 0 3\r\nnan\r\n",
                "set Node.Ex%20ample/hex 0 0 4\r\n0x10\r\n",
                "set Node.Ex%20ample/empty 0 0 0\r\n\r\n",
                "set Node.Ex%20ample/sp 0 0 3\r\n 7 \r\n",
                "set Node.Ex%20ample/live 0 50 1\r\n5\r\n",
                "set Node.Ex%20ample/sl/ash 0 1798367150 3\r\n1e5\r\n",
                "set Node.Ex%20ample/neg 0 0 2\r\n-3\r\n",
                "set Node.Ex%20ample/odd 0 0 1\r\n4\r\n",
                "set Node.Ex%20ample/zero 0 0 1\r\n0\r\n",
                "set Node.Ex%20ample/josé 0 0 1\r\n1\r\n",
            ]
        );
    }

    #[test]
    fn the_keys_of_commands_are_found_again_whatever_the_values() {
        let xml = EDGE_CASES.replace("VAL=\"text\"", "VAL=\"a&#13;&#10;set x 0 0 1&#13;&#10;b\"");
        let (mut batch, mut keys) = (Batch::default(), Vec::new());
        commands(&update_of(xml.as_bytes()), false, |key, command| {
            batch.push(command);
            keys.push(target(key));
        });
        assert_eq!(batch.values(), 13);
        assert_eq!(Text.targets(&encoded(&batch, &Text)), keys);
    }

    #[test]
    fn answers_are_told_apart_and_name_the_key() {
        let mut batch = Batch::default();
        commands(&edge_cases(), false, |_, command| batch.push(command));
        let frame = encoded(&batch, &Text);
        let answer = |text: &str| read_slowly(text.as_bytes(), |it| Text.answer(it, &frame));
        let all = "STORED\r\n".repeat(13);
        assert_eq!(answer(&all).unwrap(), BatchAnswer::default());
        let error = "SERVER_ERROR out of memory storing object\r\n";
        let some = format!("STORED\r\n{error}NOT_STORED\r\n{}", "STORED\r\n".repeat(10));
        let refused = answer(&some).unwrap();
        assert_eq!(refused.refused, [1, 2]);
        assert_eq!(
            refused.reason,
            "Node.Ex%20ample/s: SERVER_ERROR out of memory storing object"
        );
        let odd = answer("STORED\r\nERROR\r\n");
        assert!(matches!(odd, Err(LinkError::Protocol(line)) if line == "ERROR"));
        assert!(matches!(answer("STORED\r\n"), Err(LinkError::Closed)));
    }

    #[test]
    fn a_plain_cluster_is_kept_as_c_gmetad_keeps_it() {
        let mut ours: Vec<String> = all(&update_of(PLAIN), false)
            .0
            .iter()
            .map(|command| {
                let (head, value) = command.split_once("\r\n").unwrap();
                let words: Vec<&str> = head.split(' ').collect();
                format!("{} {} {}", words[1], words[3], value.trim_end())
            })
            .collect();
        ours.sort();
        let theirs = include_str!("../../tests/data/c-exports/memcached.txt");
        assert_eq!(ours, theirs.lines().collect::<Vec<_>>());
    }

    #[test]
    fn the_cluster_stands_first_in_a_key_where_it_is_asked_for() {
        let command = &all(&edge_cases(), true).0[0];
        assert!(command.starts_with("set Edge.%20A%20b/Node.Ex%20ample/a%20b.c 0 "));
    }

    #[test]
    fn two_names_never_share_a_key() {
        let encoded = |text: &str| {
            let mut key = Vec::new();
            name(&mut key, text);
            String::from_utf8(key).unwrap()
        };
        assert_eq!(encoded("plain-1.example%zz%"), "plain-1.example%zz%");
        assert_eq!(encoded("a\r\nb\0\u{7f}"), "a%0D%0Ab%00%7F");
        assert_eq!(encoded("a b"), "a%20b");
        assert_eq!(encoded("a%20b"), "a%2520b");
    }

    #[test]
    fn a_key_that_memcached_would_refuse_is_left_out_and_counted() {
        let (name, long) = ("NAME=\"a b.c\"", "x".repeat(250 - "Node.Ex%20ample/".len()));
        let with = |metric: &str| {
            let name_of = format!("NAME=\"{metric}\"");
            let xml = EDGE_CASES.replace(name, &name_of);
            all(&update_of(xml.as_bytes()), false)
        };
        assert_eq!(with(&long).1, 0);
        let (commands, without_key) = with(&format!("{long}y"));
        assert_eq!((commands.len(), without_key), (12, 1));
    }

    #[test]
    fn servers_are_chosen_as_libmemcached_chooses_them() {
        // Taken from libmemcached 1.1.4.
        for (key, hash) in [
            ("localhost/load_one", 3_330_018_673_u32),
            ("host1/cpu_user", 4_248_436_891),
            ("é/x", 3_252_537_891),
            ("a", 3_392_050_242),
            ("node17.example.org/bytes_in", 2_469_955_086),
        ] {
            for servers in [2, 3, 7, 1000] {
                assert_eq!(
                    server_of(key.as_bytes(), servers),
                    (hash % servers) as usize
                );
            }
        }
        assert_eq!(server_of(b"any", 1), 0);
    }
}
