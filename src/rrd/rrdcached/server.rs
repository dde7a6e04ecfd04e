//! The rrdcached socket's sessions, on the plugin thread: requests of clients in, answers out.
//!
//! How a client is read and written to is decided in `connection`.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::commands::{Counts, FileCommands};
use super::protocol::{Session, SessionTurn};
use super::target::Roots;
use crate::tree::SharedTree;

/// What a client's session is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionInput {
    /// Take these bytes. The first ones open the session.
    Bytes(Vec<u8>),
    /// Go on with what is left of earlier bytes.
    More,
    /// End: the client is gone. There is no answer to this.
    Gone,
}

/// A request to a client's session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRequest {
    /// Number of the client.
    pub client: u64,
    /// What to do.
    pub input: SessionInput,
}

/// A session's answer to a request.
#[derive(Debug)]
pub struct SessionAnswer {
    /// Number of the client.
    pub client: u64,
    /// What to send to it, and what follows.
    pub turn: SessionTurn,
}

impl SessionAnswer {
    /// Closes the client's connection.
    pub fn close(client: u64) -> SessionAnswer {
        SessionAnswer {
            client,
            turn: SessionTurn::close(),
        }
    }
}

/// The sessions of all clients.
#[derive(Debug)]
pub struct RrdcachedServer {
    tree: SharedTree,
    sessions: HashMap<u64, Session>,
    roots: Roots,
    counts: Counts,
}

impl RrdcachedServer {
    pub(crate) fn new(tree: SharedTree, root: &Path) -> RrdcachedServer {
        RrdcachedServer {
            tree,
            sessions: HashMap::new(),
            roots: Roots::new(root),
            counts: Counts::default(),
        }
    }

    /// Does what a request asks for. Returns the answer, if there is to be one.
    pub fn take(&mut self, request: &SessionRequest) -> Option<SessionAnswer> {
        let client = request.client;
        let bytes: &[u8] = match &request.input {
            SessionInput::Bytes(bytes) => bytes,
            SessionInput::More => &[],
            SessionInput::Gone => {
                self.sessions.remove(&client);
                return None;
            }
        };
        self.roots.follow_links();
        let session = self.sessions.entry(client).or_default();
        let mut tree = self.tree.lock();
        let turn = match tree.waiting() {
            Some((cache, writer, paths)) => {
                cache.tell_time(Instant::now(), writer);
                let mut commands = FileCommands {
                    cache,
                    writer,
                    paths,
                    roots: &self.roots,
                    counts: &mut self.counts,
                    now: epoch(),
                };
                session.turn(bytes, &mut commands)
            }
            None => SessionTurn::close(),
        };
        Some(SessionAnswer { client, turn })
    }
}

/// Seconds since the epoch.
fn epoch() -> i64 {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH);
    clock.map_or(0, |it| it.as_secs() as i64)
}
