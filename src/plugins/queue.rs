//! The loop's side of the queue to the plugin thread: bounded, and never waited for.
//!
//! Updates that do not fit are held back here; a newer one of a node replaces the older. No plugin
//! is called here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::counted;
use super::history::{HistoryAnswer, HistoryRequest};
use super::parts::rrd::{RrdCounters, SessionAnswer, SessionRequest};
use super::status::{QueueStatus, Status};
use gmetad_core::model::{Mono, Node};
use gmetad_core::plugin::{RootUpdate, Update};
use gmetad_core::status::{ActiveAlerts, ExportStatus, PluginStatus, RrdStatus};

/// Updates in the channel at most.
pub(super) const CHANNEL_EVENTS: usize = 128;

/// Bytes of snapshots in the channel at most, unless one alone has more. The store may have dropped
/// them long ago, so nothing else bounds their memory.
const CHANNEL_BYTES: usize = 64 << 20;

/// Snapshots held back at most: a source could name its clusters differently in each document.
const HELD_BACK_EVENTS: usize = 1 << 16;

/// Approximate size of one metric's sum.
const SUM_BYTES: usize = 1024;

/// A call that takes longer than this is reported.
const STALL_LIMIT: Duration = Duration::from_secs(10);

/// While stopping: pause between looks for room for what is held back.
const STOP_STEP: Duration = Duration::from_millis(5);

/// What is sent to the plugin thread.
#[derive(Debug)]
pub(super) enum Event {
    /// A source was polled.
    Node(Update),
    /// All sources were summed up.
    Root(RootUpdate),
    /// There are questions or requests of the rrdcached socket, in their own channels.
    Requests,
    /// Stop all plugins; nothing comes after this.
    Stop,
}

impl Event {
    /// Approximate memory that it keeps.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Event::Node(update) => match &update.node {
                // What other sources bring of it is in the store, or in updates of theirs.
                Node::Cluster(cluster) => {
                    let newest = cluster.newest().map(|newest| newest.cluster.bytes);
                    newest.unwrap_or(cluster.bytes)
                }
                Node::Grid(grid) => grid.bytes,
            },
            Event::Root(root) => root.summary.metrics.len() * SUM_BYTES,
            Event::Requests | Event::Stop => 0,
        }
    }

    fn key(&self) -> Key {
        match self {
            Event::Node(update) => Key::Node(Arc::clone(&update.source), update.node.name().into()),
            Event::Root(_) => Key::Root,
            Event::Requests => Key::Requests,
            Event::Stop => Key::Stop,
        }
    }
}

/// What an event is about: a newer event with the same key replaces it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// A source's node: by data_source and name.
    Node(Arc<str>, Box<str>),
    /// The root.
    Root,
    /// Questions, and the rrdcached socket.
    Requests,
    /// The end.
    Stop,
}

/// Events that did not fit into the channel, oldest first.
#[derive(Debug)]
struct HeldBack {
    /// `max_queue_mb`: bytes of snapshots held back at most, unless one alone has more.
    most_bytes: usize,
    by_age: BTreeMap<u64, Event>,
    age_of: HashMap<Key, u64>,
    next: u64,
    bytes: usize,
    /// What was dropped: it may be large.
    gone: Vec<Event>,
}

impl HeldBack {
    fn new(most_bytes: usize) -> HeldBack {
        HeldBack {
            most_bytes,
            by_age: BTreeMap::new(),
            age_of: HashMap::new(),
            next: 0,
            bytes: 0,
            gone: Vec::new(),
        }
    }

    /// Adds an event, in the place of an older one with its key. Returns how many were dropped, that
    /// one included.
    fn put(&mut self, event: Event) -> u64 {
        let next = self.next;
        let age = *self.age_of.entry(event.key()).or_insert(next);
        self.next += u64::from(age == next);
        let mut gone = u64::from(self.insert(age, event));
        while self.by_age.len() > HELD_BACK_EVENTS
            || (self.bytes > self.most_bytes && self.by_age.len() > 1)
        {
            if !self.drop_oldest() {
                break;
            }
            gone += 1;
        }
        gone
    }

    /// Returns whether there was one to drop.
    fn drop_oldest(&mut self) -> bool {
        // Stop is never dropped.
        let mut ages = self.by_age.iter();
        let oldest = ages.find(|(_, event)| !matches!(event, Event::Stop));
        let Some(age) = oldest.map(|(age, _)| *age) else {
            return false;
        };
        let oldest = self.remove(age);
        let had = oldest.is_some();
        self.gone.extend(oldest);
        had
    }

    fn insert(&mut self, age: u64, event: Event) -> bool {
        self.bytes += event.bytes();
        let old = self.by_age.insert(age, event);
        self.bytes -= old.as_ref().map_or(0, Event::bytes);
        let had = old.is_some();
        self.gone.extend(old);
        had
    }

    fn remove(&mut self, age: u64) -> Option<Event> {
        let event = self.by_age.remove(&age)?;
        self.bytes -= event.bytes();
        self.age_of.remove(&event.key());
        Some(event)
    }

    fn take(&mut self) -> Option<(u64, Event)> {
        let (&age, _) = self.by_age.first_key_value()?;
        Some((age, self.remove(age)?))
    }

    fn put_back(&mut self, age: u64, event: Event) {
        self.age_of.insert(event.key(), age);
        self.insert(age, event);
    }
}

/// The loop's side of the rrdcached socket: requests to the plugin thread, and its answers.
///
/// Not bounded: each of the few clients has at most one request or answer in it.
#[derive(Debug)]
pub(super) struct RrdcachedChannel {
    pub(super) requests: Sender<SessionRequest>,
    pub(super) answers: Receiver<SessionAnswer>,
}

/// The loop's side of what is asked beside the updates.
pub(super) struct Channels {
    pub(super) rrdcached: RrdcachedChannel,
    /// Bounded by the number of errands, as are their answers.
    pub(super) questions: Sender<HistoryRequest>,
    pub(super) histories: Receiver<HistoryAnswer>,
}

#[cfg(test)]
impl Channels {
    /// With nobody at the other ends.
    fn closed() -> Channels {
        use std::sync::mpsc::channel;
        Channels {
            rrdcached: RrdcachedChannel {
                requests: channel().0,
                answers: channel().1,
            },
            questions: channel().0,
            histories: channel().1,
        }
    }
}

/// The loop's hold on the plugin thread.
pub struct PluginHandle {
    /// `None` once the thread is gone.
    sender: Option<SyncSender<Event>>,
    channels: Channels,
    status: Arc<Status>,
    rrd: Arc<RrdCounters>,
    thread: Option<JoinHandle<()>>,
    held_back: HeldBack,
    replaced: u64,
    /// The call that was in work when last looked, and since when.
    watched: Option<(u64, Mono)>,
    stopping: bool,
}

impl PluginHandle {
    pub(super) fn new(
        most_bytes: usize,
        sender: SyncSender<Event>,
        channels: Channels,
        status: Arc<Status>,
        rrd: Arc<RrdCounters>,
        thread: JoinHandle<()>,
    ) -> PluginHandle {
        PluginHandle {
            sender: Some(sender),
            channels,
            status,
            rrd,
            thread: Some(thread),
            held_back: HeldBack::new(most_bytes),
            replaced: 0,
            watched: None,
            stopping: false,
        }
    }

    /// Hands a source's news over. Never waits.
    pub fn send(&mut self, update: Update) {
        self.push(Event::Node(update));
    }

    /// Hands the sum of all sources over. Never waits.
    pub fn send_root(&mut self, root: RootUpdate) {
        self.push(Event::Root(root));
    }

    /// Hands over what a client of the rrdcached socket has sent; whether anybody is there to take
    /// it. Never waits, and goes before updates.
    pub fn ask(&mut self, request: SessionRequest) -> bool {
        if self.stopping || self.channels.rrdcached.requests.send(request).is_err() {
            return false;
        }
        // If there is no room for this word, the thread has work, and looks after each piece of it.
        drop(self.offer(Event::Requests));
        self.sender.is_some()
    }

    /// An answer for a client of the rrdcached socket: to be asked each time the waker was called.
    pub fn answer(&mut self) -> Option<SessionAnswer> {
        self.channels.rrdcached.answers.try_recv().ok()
    }

    /// Has a client's question about history read. Gives it back if nobody is there to read. Never
    /// waits, and goes before updates.
    pub fn ask_history(&mut self, request: HistoryRequest) -> Result<(), HistoryRequest> {
        if self.stopping || self.sender.is_none() {
            return Err(request);
        }
        self.channels
            .questions
            .send(request)
            .map_err(|unsent| unsent.0)?;
        // As in `ask`.
        drop(self.offer(Event::Requests));
        Ok(())
    }

    /// An answer to such a question: to be asked each time the waker was called.
    pub fn history_answer(&mut self) -> Option<HistoryAnswer> {
        self.channels.histories.try_recv().ok()
    }

    /// Moves what was held back on, as far as there is room. To be called each turn.
    pub fn pump(&mut self) {
        if self.held_back.by_age.is_empty() {
            return;
        }
        self.drain();
        if !self.held_back.by_age.is_empty() {
            // The thread may have made room just before it could see this, so look once more.
            self.status.held_back.store(true, Ordering::SeqCst);
            self.drain();
        }
    }

    /// The nodes of updates that were dropped since, to be dropped step by step.
    pub fn rubbish(&mut self) -> impl Iterator<Item = Node> {
        let gone = self.held_back.gone.drain(..);
        gone.filter_map(|event| match event {
            Event::Node(update) => Some(update.node),
            Event::Root(_) | Event::Requests | Event::Stop => None,
        })
    }

    /// How the queue does.
    pub fn queue(&self) -> QueueStatus {
        QueueStatus {
            length: self.status.sent.load(Ordering::Relaxed) + self.held_back.by_age.len(),
            held_back: self.held_back.by_age.len(),
            replaced: self.replaced,
        }
    }

    /// How each plugin does, in the order of the chain.
    pub fn plugins(&self) -> Vec<PluginStatus> {
        self.status.plugins()
    }

    /// Alerts that are active.
    pub fn alerts(&self) -> ActiveAlerts {
        self.status.alerts.active()
    }

    /// What was done to round-robin files.
    pub fn rrd(&self) -> RrdStatus {
        self.rrd.status()
    }

    /// How each plugin does that sends values on.
    pub fn exports(&self) -> Vec<ExportStatus> {
        self.status.exports()
    }

    /// The plugin that has been in one call for more than ten seconds, and how long, as far as was
    /// seen from here: to be asked each second or so.
    pub fn stalled(&mut self, now: Mono) -> Option<(String, Duration)> {
        let (calls, name) = self.status.at_work()?;
        let since = match self.watched {
            Some((seen, since)) if seen == calls => since,
            _ => {
                self.watched = Some((calls, now));
                now
            }
        };
        let taken = now.since(since);
        (taken > STALL_LIMIT).then_some((name, taken))
    }

    /// Lets nothing more in; what is in is worked off, then the plugins are stopped in order, then
    /// the waker is called. `pump` must go on being called.
    pub fn begin_stop(&mut self) {
        if !self.stopping {
            self.push(Event::Stop);
            self.stopping = true;
        }
    }

    /// Whether all plugins have been stopped.
    pub fn has_stopped(&self) -> bool {
        self.status.ended.load(Ordering::Acquire)
            || self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends the thread as `begin_stop` does, and waits up to `limit` for it; whether it has ended.
    /// If not, what is lost is said, and the thread is left behind for the process's end.
    pub fn stop(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        self.begin_stop();
        while !self.has_stopped() {
            if Instant::now() >= deadline {
                self.tell_lost();
                return false;
            }
            self.pump();
            thread::park_timeout(STOP_STEP);
        }
        if let Some(thread) = self.thread.take() {
            // A panic outside of any plugin has been told by the panic itself.
            let _ = thread.join();
        }
        true
    }

    fn tell_lost(&self) {
        let culprit = self.status.at_work();
        log::error!(
            "the plugins did not stop in time: {} lost{}",
            counted(self.queue().length, "update"),
            culprit.map_or(String::new(), |(_, name)| format!(
                "; plugin {name} is still at work"
            )),
        );
    }

    fn push(&mut self, event: Event) {
        if self.stopping || self.sender.is_none() {
            return;
        }
        let is_news = matches!(event, Event::Node(_) | Event::Root(_));
        if is_news && self.status.idle.load(Ordering::Relaxed) {
            // Nobody else may hold it, and it may be large.
            self.held_back.gone.push(event);
            return;
        }
        if !self.held_back.by_age.is_empty() {
            self.replaced += self.held_back.put(event);
        } else if let Some(event) = self.offer(event) {
            self.held_back.put(event);
        }
        self.pump();
    }

    fn drain(&mut self) {
        while let Some((age, event)) = self.held_back.take() {
            if let Some(event) = self.offer(event) {
                self.held_back.put_back(age, event);
                return;
            }
        }
    }

    /// Puts an event into the channel; gives it back if there is no room.
    fn offer(&mut self, event: Event) -> Option<Event> {
        let sender = self.sender.as_ref()?;
        let bytes = event.bytes();
        let waiting = self.status.bytes.load(Ordering::Relaxed);
        if waiting > 0 && waiting + bytes > CHANNEL_BYTES {
            return Some(event);
        }
        // Counted before it is sent: the thread may be done with it before this call returns.
        self.status.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.status.sent.fetch_add(1, Ordering::Relaxed);
        let refused = match sender.try_send(event) {
            Ok(()) => return None,
            Err(TrySendError::Full(event)) => Some(event),
            Err(TrySendError::Disconnected(_)) => {
                gmetad_core::critical!(
                    "the plugin thread has ended: nothing is stored or sent on until gmetad is \
                     started again; this is a bug in gmetad, please report it"
                );
                self.sender = None;
                None
            }
        };
        self.status.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.status.sent.fetch_sub(1, Ordering::Relaxed);
        refused
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};

    use gmetad_core::plugin::{Invented, Plugin, PluginError, Stamp};

    use super::super::{chain::Chain, parts::rrd, start_chain};
    use super::*;
    use gmetad_config::Config;
    use gmetad_core::model::{Cluster, Now, Summary};
    use gmetad_core::status::PluginState;

    mod simulation;

    const LONG: Duration = Duration::from_secs(20);

    fn update(source: &str, node: &str, epoch: i64) -> Update {
        let node = Node::Cluster(Arc::new(Cluster {
            name: node.into(),
            ..Cluster::default()
        }));
        let now = Now {
            epoch,
            mono: Mono(0),
        };
        Update {
            source: source.into(),
            interval: Duration::from_secs(15),
            up: true,
            stamp: Stamp::of(&node, now),
            node,
            now,
            invented: Invented::default(),
        }
    }

    /// An update that takes so many bytes, as far as is known.
    fn sized(name: &str, bytes: usize) -> Update {
        let mut update = update("s", name, 0);
        if let Node::Cluster(cluster) = &mut update.node {
            Arc::make_mut(cluster).bytes = bytes;
        }
        update
    }

    fn root(epoch: i64) -> RootUpdate {
        RootUpdate {
            gridname: "grid".into(),
            authority: "http://grid/".into(),
            summary: Arc::new(Summary::default()),
            now: Now {
                epoch,
                mono: Mono(0),
            },
            present: Arc::default(),
            invented: Invented::default(),
        }
    }

    /// Tells what it saw, and lets each update pass only when the test says so.
    struct Gate {
        takes_updates: bool,
        seen: Sender<String>,
        go: Receiver<()>,
    }

    impl Plugin for Gate {
        fn id(&self) -> &'static str {
            "gate"
        }

        fn takes_updates(&self) -> bool {
            self.takes_updates
        }

        fn notify(&mut self, update: &mut Update) -> Result<(), PluginError> {
            let text = format!("{} {}", update.node.name(), update.now.epoch);
            self.seen.send(text).unwrap();
            self.go.recv().unwrap();
            Ok(())
        }

        fn notify_root(&mut self, root: &mut RootUpdate) -> Result<(), PluginError> {
            self.seen.send(format!("root {}", root.now.epoch)).unwrap();
            Ok(())
        }

        fn stop(&mut self) {
            self.seen.send("stop".into()).unwrap();
        }
    }

    struct Rig {
        handle: PluginHandle,
        seen: Receiver<String>,
        go: Sender<()>,
        woken: Receiver<()>,
    }

    fn rig() -> Rig {
        rig_of(true)
    }

    fn rig_of(takes_updates: bool) -> Rig {
        let (seen_sender, seen) = channel();
        let (go, go_receiver) = channel();
        let (woken_sender, woken) = channel();
        let gate = Gate {
            takes_updates,
            seen: seen_sender,
            go: go_receiver,
        };
        let chain = |status: &Arc<Status>| {
            let plugins: Vec<Box<dyn Plugin>> = vec![Box::new(gate)];
            Chain::new(&Config::new("test"), plugins, &[], Arc::clone(status))
        };
        // The loop may be gone before the thread is.
        let waker = Box::new(move || {
            let _ = woken_sender.send(());
        });
        let files = rrd::parts(&Config::new("test"), &Arc::default());
        let readers = (files.server, files.history);
        Rig {
            handle: start_chain(1 << 30, chain, readers, Arc::default(), waker).unwrap(),
            seen,
            go,
            woken,
        }
    }

    impl Rig {
        fn next(&self) -> String {
            self.seen.recv_timeout(LONG).unwrap()
        }

        /// Sends one update that is then in work, and as many as the channel holds behind it.
        fn fill(&mut self) {
            self.handle.send(update("s", "first", 0));
            assert_eq!(self.next(), "first 0");
            for at in 0..CHANNEL_EVENTS {
                self.handle.send(update("s", &format!("n{at}"), 0));
            }
        }
    }

    #[test]
    fn a_full_queue_keeps_the_newest_of_each_node_and_counts_the_others() {
        let mut rig = rig();
        rig.fill();
        assert_eq!(rig.handle.queue().replaced, 0);
        for epoch in 1..=3 {
            rig.handle.send(update("s", "a", epoch));
            rig.handle.send(update("other", "a", 10 * epoch));
            rig.handle.send_root(root(epoch));
        }
        let queue = rig.handle.queue();
        assert_eq!((queue.length, queue.replaced), (1 + CHANNEL_EVENTS + 3, 6));
        for _ in 0..CHANNEL_EVENTS + 3 {
            rig.go.send(()).unwrap();
        }
        for at in 0..CHANNEL_EVENTS {
            assert_eq!(rig.next(), format!("n{at} 0"));
        }
        rig.woken.recv_timeout(LONG).unwrap();
        rig.handle.pump();
        assert_eq!(
            [rig.next(), rig.next(), rig.next()],
            ["a 3", "a 30", "root 3"]
        );
        assert!(rig.handle.stop(LONG));
        assert_eq!(rig.next(), "stop");
    }

    #[test]
    fn nothing_is_handed_over_where_no_plugin_has_use_for_it() {
        let mut rig = rig_of(false);
        // Known once the plugins have been started.
        while !rig.handle.status.idle.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        for epoch in 1..=3 {
            rig.handle.send(update("s", "a", epoch));
            rig.handle.send_root(root(epoch));
            assert_eq!(rig.handle.queue().length, 0);
        }
        assert_eq!(rig.handle.rubbish().count(), 3, "to be dropped in steps");
        assert!(rig.handle.stop(LONG));
        assert_eq!(rig.seen.try_iter().collect::<Vec<String>>(), ["stop"]);
    }

    #[test]
    fn a_stop_drains_what_was_held_back_too() {
        let mut rig = rig();
        rig.fill();
        rig.handle.send(update("s", "late", 1));
        for _ in 0..CHANNEL_EVENTS + 2 {
            rig.go.send(()).unwrap();
        }
        assert!(rig.handle.stop(LONG));
        let seen: Vec<String> = rig.seen.try_iter().collect();
        assert_eq!(seen[seen.len() - 2..], ["late 1", "stop"]);
    }

    #[test]
    fn a_stop_gives_a_plugin_up_that_does_not_end() {
        let mut rig = rig();
        rig.handle.send(update("s", "slow", 0));
        assert_eq!(rig.next(), "slow 0");
        assert!(!rig.handle.stop(Duration::from_millis(20)));
        rig.go.send(()).unwrap();
    }

    #[test]
    fn a_stop_need_not_be_waited_for() {
        let mut rig = rig();
        rig.handle.begin_stop();
        rig.handle.send(update("s", "after", 0));
        rig.woken.recv_timeout(LONG).unwrap();
        assert!(rig.handle.has_stopped());
        assert_eq!(rig.next(), "stop");
        assert_eq!(rig.handle.plugins()[0].state, PluginState::Stopped);
    }

    #[test]
    fn a_plugin_that_hangs_is_named() {
        let mut rig = rig();
        assert_eq!(rig.handle.stalled(Mono(0)), None);
        for epoch in 0..2 {
            rig.handle.send(update("s", "slow", epoch));
            rig.next();
            let start = 100_000 * epoch as u64;
            assert_eq!(rig.handle.stalled(Mono(start)), None);
            assert_eq!(rig.handle.stalled(Mono(start + 10_000)), None);
            assert_eq!(
                rig.handle.stalled(Mono(start + 12_000)),
                Some(("gate".into(), Duration::from_secs(12)))
            );
            rig.go.send(()).unwrap();
        }
        assert!(rig.handle.stop(LONG));
    }

    #[test]
    fn snapshots_that_wait_are_bounded_by_their_size() {
        let status = Arc::new(Status::default());
        let (sender, events) = sync_channel(CHANNEL_EVENTS);
        let mut handle = PluginHandle::new(
            CHANNEL_BYTES,
            sender,
            Channels::closed(),
            status,
            Arc::default(),
            thread::spawn(|| ()),
        );
        let big = |name: &str| sized(name, CHANNEL_BYTES);
        handle.send(big("one"));
        handle.send(big("two"));
        assert_eq!(events.try_iter().count(), 1, "the first always finds room");
        assert_eq!(handle.queue().length, 2);
    }

    #[test]
    fn a_source_that_names_its_clusters_otherwise_each_time_fills_no_memory() {
        const MOST_BYTES: usize = 64 << 20;
        let mut held = HeldBack::new(MOST_BYTES);
        let names = |held: &HeldBack| {
            let nodes = held.by_age.values().map(|event| match event {
                Event::Node(update) => update.node.name().to_owned(),
                other => format!("{other:?}"),
            });
            nodes.collect::<Vec<_>>()
        };
        let quarter = |name: &str| Event::Node(sized(name, MOST_BYTES / 4));
        let gone: u64 = (0..9).map(|at| held.put(quarter(&at.to_string()))).sum();
        assert_eq!(
            (gone, names(&held)),
            (5, ["5", "6", "7", "8"].map(String::from).into())
        );
        assert_eq!(
            held.put(quarter("6")),
            1,
            "the older one of its kind, and no other"
        );
        assert_eq!(held.put(Event::Stop), 0);
        let all = Event::Node(sized("all", MOST_BYTES));
        assert_eq!(held.put(all), 4);
        assert_eq!(names(&held), ["Stop", "all"], "one alone always finds room");
        let small = |at: usize| Event::Node(update("s", &at.to_string(), 0));
        let gone: u64 = (0..2 * HELD_BACK_EVENTS)
            .map(|at| held.put(small(at)))
            .sum();
        assert_eq!(held.by_age.len(), HELD_BACK_EVENTS);
        assert_eq!(held.age_of.len(), HELD_BACK_EVENTS);
        assert_eq!(gone as usize, HELD_BACK_EVENTS + 2);
        while let Some((_, event)) = held.take() {
            drop(event);
        }
        assert_eq!((held.bytes, held.age_of.len()), (0, 0));
    }
}
