//! HTTP on the interactive port: from the head of a request to the whole answer.
//!
//! No I/O: heads come in as bytes, answers go out as a [`Body`](crate::answer::walk::Body).

mod access;
mod answer;
mod body;
mod door;
mod head;
mod page;
mod route;

pub use access::{ALL, Access};
pub use answer::{
    Content, Context, Continue, HttpAnswer, Later, MAX_SCRAPES, Reply, Status, Think, answer,
    later, scrapes,
};
pub use body::{Incoming, MAX_BODIES, MAX_BODY_BYTES, bodies};
pub use door::{Door, Rooms, Way};
pub use head::{Head, Method, Refusal, begins_request_line, is_request_line};
pub use page::{Moment, PageContext, PageRequest, Room, decoded, form};
pub use route::{Asked, Route, Scope};
