//! Requests for pages and for Graphite's API: into their room, and back with the answer.
//!
//! What is answered is decided in the rooms. The history that they ask for is read by the plugin
//! thread, which makes the answer then; the client waits meanwhile.

use std::net::IpAddr;

use super::Reactor;
use super::nuisance::Nuisance;
use super::shared::Shared;
use super::slot::Slot;
use super::slots::Key;
use crate::plugins::parts::{graphite, web};
use crate::plugins::{HistoryRequest, PluginHandle};
use gmetad_core::client::Client;
use gmetad_core::history::Refused;
use gmetad_core::http::{
    self, Door, Head, HttpAnswer, Later, Method, Moment, PageContext, PageRequest, Reply, Room,
    Rooms, Status, Way,
};

/// Which rooms are built in.
const ROOMS: Rooms = Rooms {
    pages: web::LEFT_OUT.is_none(),
    graphite: graphite::LEFT_OUT.is_none(),
};

/// Who asks, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor {
    pub(super) address: IpAddr,
    pub(super) key: Key,
    pub(super) door: Door,
}

impl Visitor {
    /// Whether the pages' own rule lets it in. It does not count for Graphite's API on the
    /// interactive port, which is data as all else there.
    fn may_enter(self, way: &Way, shared: &Shared) -> bool {
        let is_about_pages = match way {
            Way::Room(request) => self.door == Door::Web || request.room != Room::Graphite,
            Way::To(_) => self.door == Door::Web,
            Way::Other => false,
        };
        !is_about_pages || shared.trust.allows_pages(self.address)
    }

    /// What it is told if not. The refusal is counted and logged.
    fn refusal(self, shared: &mut Shared) -> HttpAnswer {
        let directive = if shared.config.trust.pages.is_empty() {
            "trusted_hosts"
        } else {
            "web_trusted_hosts"
        };
        let address = self.address;
        shared.clients.untrusted += 1;
        let what = format!("sees no pages, it is not in {directive}");
        shared.tell(address, Nuisance::Untrusted, &what);
        shared.look_up_names_soon();
        let text = format!(
            "{address} may not see these pages. This line in gmetad.conf lets it, from the next \
             reload on:\n\n    {directive} {address}"
        );
        HttpAnswer::text(Status::Forbidden, "Cache-Control: no-store\r\n", &text)
    }
}

/// Answers a request for one of the rooms, or has it answered. Returns whether it was for one.
pub(super) fn answer(
    visitor: Visitor,
    head: &Head,
    machine: &mut Client,
    shared: &mut Shared,
) -> bool {
    let way = visitor.door.way(head, ROOMS);
    if !visitor.may_enter(&way, shared) {
        let answer = visitor.refusal(shared);
        machine.answer(answer.into_body(head.method), shared.now.mono);
        return true;
    }
    let request = match way {
        Way::Room(request) => request,
        Way::To(location) => {
            let answer = HttpAnswer::see_other(&location);
            machine.answer(answer.into_body(head.method), shared.now.mono);
            return true;
        }
        Way::Other => return false,
    };
    let readers = shared.access.fields(head.field("Origin"));
    match enter(&request, shared).read_by(readers) {
        Reply::Ready(answer) => {
            machine.answer(answer.into_body(request.method), shared.now.mono);
        }
        reply => ask(machine, visitor, request.method, reply, shared),
    }
    true
}

fn enter(request: &PageRequest, shared: &mut Shared) -> Reply {
    let (snapshot, now) = (shared.store.snapshot(), shared.now);
    let prefix = shared.config.exports.graphite_prefix.as_deref();
    let mut context = PageContext {
        moment: Moment {
            snapshot,
            now,
            graphite_prefix: prefix.unwrap_or_default().trim_matches('.').to_owned(),
        },
        report: &mut || shared.report(),
    };
    match request.room {
        Room::Pages | Room::OldLinks => web::answer(request, &mut context),
        Room::Graphite => graphite::answer(request, &mut context),
    }
}

/// Has the plugin thread find out what to read, read it, and make the answer of it.
fn ask(machine: &mut Client, visitor: Visitor, method: Method, reply: Reply, shared: &mut Shared) {
    let now = shared.now.mono;
    let Later { wait, late, errand } =
        match http::later(method, visitor.address, &mut shared.errands) {
            Ok(later) => later,
            Err(body) => return machine.answer(body, now),
        };
    machine.wait(wait, late, now);
    let request = HistoryRequest {
        client: visitor.key.number(),
        method,
        errand,
        reply,
    };
    let refused = match &mut shared.plugins {
        Some(plugins) => plugins.ask_history(request).err(),
        None => Some(request),
    };
    if let Some(request) = refused {
        let answer = request.answer(Err(Refused::Ended));
        machine.deliver(&answer.errand, answer.body, now);
    }
}

impl Reactor {
    /// Takes the answers that the plugin thread has made. One whose client is gone is dropped.
    pub(super) fn take_histories(&mut self) {
        let now = self.shared.now.mono;
        while let Some(answer) =
            (self.shared.plugins.as_mut()).and_then(PluginHandle::history_answer)
        {
            let key = Key::of_number(answer.client);
            if let Some(Slot::Client(client)) = self.slots.get_mut(key)
                && client.machine.deliver(&answer.errand, answer.body, now)
            {
                self.make_ready(key);
            }
        }
    }
}
