//! One graph by its URL: as a picture, as CSV, as JSON.

use std::sync::Arc;

use gmetad_core::http::{Content, HttpAnswer, Moment, Reply, Status};

use super::metric::chosen;
use crate::answer::{Kind, answer, ask};
use crate::graph::svg::{Ground, LARGE, SMALL, Size, draw};
use crate::graph::{Figure, History, Plan, data};
use crate::view::View;

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Svg(Size),
    Csv,
    Json,
}

pub fn page(view: &View, form: Form, moment: &Moment) -> Reply {
    let snapshot = Arc::clone(&moment.snapshot);
    // Numbers are those of the graph, so that what stands under the mouse is what is drawn.
    let columns = match form {
        Form::Svg(size) => size.most_columns,
        Form::Csv => data::MOST_COLUMNS,
        Form::Json => LARGE.most_columns,
    };
    let mut plan = Plan::new(view, columns);
    let mut figures = chosen(view, &snapshot, &mut plan).figures;
    if figures.is_empty() {
        let text = "no host has such a metric";
        return Reply::Ready(HttpAnswer::text(Status::NotFound, "", text));
    }
    let mut figure = figures.swap_remove(0);
    figure.title = titled(view, &figure.title);
    let east_minutes = view.east_minutes;
    ask(plan, move |history, refused| match refused {
        Some(refused) => HttpAnswer::text(Status::Unavailable, "", &refused.to_string()),
        None => drawn(&figure, &history, form, columns, east_minutes),
    })
}

/// By itself a graph must say whose it is.
fn titled(view: &View, title: &str) -> String {
    let host = match &view.hosts[..] {
        [] => view.host_filter.as_ref().map(|filter| filter.text.clone()),
        [host] => Some(host.clone()),
        hosts => Some(format!("{} hosts", hosts.len())),
    };
    let parts = [view.cluster.clone(), host, Some(title.to_owned())];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(" · ")
}

fn drawn(
    figure: &Figure,
    history: &History,
    form: Form,
    columns: usize,
    east_minutes: i32,
) -> HttpAnswer {
    let values = figure.values(history, columns);
    match form {
        Form::Svg(size) => {
            let mut out = String::with_capacity(16 << 10);
            draw(
                &mut out,
                figure,
                &values,
                history,
                size,
                Ground::Alone,
                east_minutes,
            );
            answer(
                Status::Ok,
                Kind::Picture,
                "image/svg+xml",
                Content::Bytes(out.into_bytes()),
            )
        }
        Form::Csv => answer(
            Status::Ok,
            Kind::Page,
            "text/csv; charset=utf-8",
            Content::Bytes(data::csv(figure, &values).into_bytes()),
        ),
        Form::Json => answer(
            Status::Ok,
            Kind::Page,
            "application/json",
            Content::Bytes(data::json(figure, &values)),
        ),
    }
}

/// The form that the last part of a path names.
pub fn form(name: &str, size: Option<&str>) -> Option<Form> {
    match name {
        "graph.svg" => Some(Form::Svg(match size {
            Some(_) => Size::named(size),
            None => SMALL,
        })),
        "graph.csv" => Some(Form::Csv),
        "graph.json" => Some(Form::Json),
        _ => None,
    }
}
