//! In place of the rrdcached socket in a gmetad that is built without round-robin files.
//!
//! Nobody listens, so there are no clients: the types have no values.

use std::path::Path;

use gmetad_config::Config;
use socket::{RrdcachedClient, RrdcachedListener};

use super::slot::Slot;
use super::slots::{Key, Turn};
use super::{BindError, Reactor};

/// In place of what carries the bytes.
pub(super) mod socket {
    use gmetad_core::model::Mono;
    use mio::event::Event;

    use crate::reactor::shared::Shared;
    use crate::reactor::slots::Turn;

    /// The socket.
    pub(in crate::reactor) enum RrdcachedListener {}

    /// One client's connection.
    pub(in crate::reactor) enum RrdcachedClient {}

    impl RrdcachedClient {
        pub(in crate::reactor) fn deadline(&self) -> Option<Mono> {
            match *self {}
        }

        pub(in crate::reactor) fn event(&mut self, _event: &Event) {
            match *self {}
        }

        pub(in crate::reactor) fn turn(&mut self, _shared: &mut Shared) -> Turn {
            match *self {}
        }
    }
}

#[expect(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "they stand for those that do something"
)]
impl Reactor {
    /// Does nothing: `listen` is removed from the configuration.
    pub(super) fn listen_as_rrdcached(
        &mut self,
        _path: &Path,
        _config: &Config,
    ) -> Result<(), BindError> {
        Ok(())
    }

    /// Accepts nobody.
    pub(super) fn accept_rrdcached(&mut self, _listener: Key) -> Turn {
        Turn::Waits
    }

    /// There are no answers.
    pub(super) fn take_rrdcached_answers(&mut self) {}
}

/// Uses what else only the socket uses, so that the rest of the loop is the same without it.
#[expect(dead_code, reason = "there is no socket")]
fn use_all(listener: RrdcachedListener, client: RrdcachedClient, key: Key) -> ([Slot; 2], Key) {
    let slots = [
        Slot::RrdcachedListener(listener),
        Slot::RrdcachedClient(Box::new(client)),
    ];
    (slots, Key::of_number(key.number()))
}
