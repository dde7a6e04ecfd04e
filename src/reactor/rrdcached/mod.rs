//! The rrdcached socket's clients in the loop: accepted, replaced, answered.
//!
//! `socket` carries their bytes. What is read, asked and sent, and for how long, is decided in
//! `gmetad_rrd`.

pub(super) mod socket;

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use mio::Interest;
use mio::net::UnixStream;

use super::listen::ACCEPTED_A_TURN;
use super::slot::Slot;
use super::slots::{Key, Turn};
use super::{BindError, Reactor};
use crate::plugins::PluginHandle;
use gmetad_config::Config;
use gmetad_rrd::rrdcached::connection::Admission;
use socket::RrdcachedClient;

/// Pause of the rrdcached socket after a failed accept, or while all of its clients are busy.
/// Newcomers are accepted afterwards.
const RRDCACHED_REST: Duration = Duration::from_millis(100);

impl Reactor {
    /// Listens at the path, as an rrdcached does.
    pub(super) fn listen_as_rrdcached(
        &mut self,
        path: &Path,
        config: &Config,
    ) -> Result<(), BindError> {
        let opened = socket::open(path, config).map_err(|source| BindError::Socket {
            path: path.into(),
            source,
        });
        let mut listener = opened?;
        let registry = &self.shared.registry;
        self.slots.try_add_with(|key| {
            registry.register(listener.socket(), key.token(), Interest::READABLE)?;
            Ok(Slot::RrdcachedListener(listener))
        })?;
        Ok(())
    }

    /// Accepts clients that wait at the rrdcached socket.
    pub(super) fn accept_rrdcached(&mut self, listener: Key) -> Turn {
        for _ in 0..ACCEPTED_A_TURN {
            let admission = self.decide_rrdcached();
            if admission == Admission::Full {
                return self.rest_rrdcached(listener);
            }
            let Some(Slot::RrdcachedListener(open)) = self.slots.get_mut(listener) else {
                return Turn::Waits;
            };
            match open.socket().accept() {
                Ok((stream, _)) => {
                    if let Admission::InPlaceOf(client) = admission {
                        self.replace_rrdcached(Key::of_number(client));
                    }
                    self.admit_rrdcached(stream);
                }
                Err(err) => match err.kind() {
                    ErrorKind::WouldBlock => return Turn::Waits,
                    ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
                    _ => return self.rest_rrdcached(listener),
                },
            }
        }
        Turn::Again
    }

    /// Whether the rrdcached socket has a place for another client.
    fn decide_rrdcached(&self) -> Admission {
        let open = self.slots.iter().filter_map(|slot| match slot {
            Slot::RrdcachedClient(client) => Some(&client.machine),
            _ => None,
        });
        Admission::decide(open, self.shared.now.mono)
    }

    /// Closes a client of the rrdcached socket for a newcomer.
    fn replace_rrdcached(&mut self, key: Key) {
        if let Some(Slot::RrdcachedClient(client)) = self.slots.get_mut(key) {
            client.machine.replace();
            self.turn(key);
        }
    }

    fn rest_rrdcached(&mut self, listener: Key) -> Turn {
        let again = self.shared.now.mono + RRDCACHED_REST;
        self.shared.set_deadline(listener, Some(again));
        Turn::Waits
    }

    fn admit_rrdcached(&mut self, mut stream: UnixStream) {
        let (registry, now) = (&self.shared.registry, self.shared.now.mono);
        let added = self.slots.try_add_with(|key| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            registry.register(&mut stream, key.token(), interest)?;
            let client = RrdcachedClient::new(key, stream, now);
            Ok(Slot::RrdcachedClient(Box::new(client)))
        });
        match added {
            Ok(key) => self.make_ready(key),
            Err(err) => log::error!(
                "rrdcached socket: cannot register a client's connection: {}; it is closed",
                super::reason(&err)
            ),
        }
    }

    /// Takes the plugin thread's answers to clients of the rrdcached socket.
    pub(super) fn take_rrdcached_answers(&mut self) {
        let now = self.shared.now.mono;
        while let Some(answer) = self.shared.plugins.as_mut().and_then(PluginHandle::answer) {
            let key = Key::of_number(answer.client);
            if let Some(Slot::RrdcachedClient(client)) = self.slots.get_mut(key) {
                client.machine.answer(answer.turn, now);
                self.make_ready(key);
            }
        }
    }
}
