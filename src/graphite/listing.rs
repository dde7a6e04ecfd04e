//! `/metrics/find`, `/metrics/expand` and `/functions`: what there is to ask for.

use std::collections::{BTreeMap, BTreeSet};

use gmetad_core::answer::json::push_string;
use gmetad_core::http::{HttpAnswer, Moment};

use crate::functions::{Function, Kind, Parameter, Times, all};
use crate::line::Aggregation;
use crate::pattern::{Pattern, shortened};
use crate::tree::{self, Found};
use crate::{bad_request, json};

/// Answers `/metrics/find`: the nodes that a pattern takes, without what is below them.
pub fn find(arguments: impl Iterator<Item = (String, String)>, moment: &Moment) -> HttpAnswer {
    let (mut query, mut format) = (None, String::from("treejson"));
    for (name, value) in arguments {
        match name.as_str() {
            "query" => query = Some(value),
            "format" => format = value,
            _ => {}
        }
    }
    let Some(query) = query else {
        return bad_request("query is missing: give a path, as query=*");
    };
    let found = match found(&query, moment) {
        Ok(found) => found,
        Err(reason) => return bad_request(&reason),
    };
    match format.as_str() {
        "treejson" | "" => json(tree_json(&query, &found)),
        "completer" => json(completer(&found)),
        other => {
            let other = shortened(other);
            bad_request(&format!(
                "there is no format \"{other}\"; there are treejson and completer"
            ))
        }
    }
}

/// Answers `/metrics/expand`: the paths that patterns take.
pub fn expand(arguments: impl Iterator<Item = (String, String)>, moment: &Moment) -> HttpAnswer {
    let (mut paths, mut leaves_only) = (BTreeSet::new(), false);
    let mut queries = Vec::new();
    for (name, value) in arguments {
        match name.as_str() {
            "query" => queries.push(value),
            "leavesOnly" => leaves_only = matches!(value.as_str(), "1" | "true"),
            _ => {}
        }
    }
    for query in queries {
        let found = match found(&query, moment) {
            Ok(found) => found,
            Err(reason) => return bad_request(&reason),
        };
        let wanted = found
            .into_iter()
            .filter(|it| !leaves_only || it.series.is_some());
        paths.extend(wanted.map(|it| it.path));
        if paths.len() > tree::MAX_FOUND {
            return bad_request(&tree::TooMany.to_string());
        }
    }
    let mut out = b"{\"results\":[".to_vec();
    push_list(&mut out, &paths, |out, path| push_string(out, path));
    out.extend_from_slice(b"]}");
    json(out)
}

fn found(query: &str, moment: &Moment) -> Result<Vec<Found>, String> {
    let pattern = Pattern::parse(query).map_err(|err| err.to_string())?;
    let found = tree::find(&moment.snapshot, &moment.graphite_prefix, &pattern);
    found.map_err(|err| err.to_string())
}

/// Appends items with commas between them.
fn push_list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    push: impl Fn(&mut Vec<u8>, T),
) {
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push(out, item);
    }
}

/// What Grafana takes for its menus: each name once, branches before leaves, in order.
fn tree_json(query: &str, found: &[Found]) -> Vec<u8> {
    let above = query.rfind('.').map_or("", |at| &query[..=at]);
    let (mut branches, mut leaves) = (BTreeSet::new(), BTreeSet::new());
    for found in found {
        let name = found.path.rsplit('.').next().unwrap_or_default();
        let kind = if found.series.is_some() {
            &mut leaves
        } else {
            &mut branches
        };
        kind.insert(name);
    }
    let branches = branches.iter().map(|name| (*name, false));
    let leaves = leaves.iter().map(|name| (*name, true));
    let mut out = vec![b'['];
    push_list(&mut out, branches.chain(leaves), |out, (name, is_leaf)| {
        out.extend_from_slice(b"{\"text\":");
        push_string(out, name);
        out.extend_from_slice(b",\"id\":");
        push_string(out, &format!("{above}{name}"));
        out.extend_from_slice(if is_leaf {
            b",\"allowChildren\":0,\"expandable\":0,\"leaf\":1}"
        } else {
            b",\"allowChildren\":1,\"expandable\":1,\"leaf\":0}"
        });
    });
    out.push(b']');
    out
}

/// The older form, in which a branch's path ends with a dot.
fn completer(found: &[Found]) -> Vec<u8> {
    // Collecting them would bring a sort of 7 KB for this alone.
    let mut paths: BTreeMap<&str, bool> = BTreeMap::new();
    paths.extend(
        found
            .iter()
            .map(|found| (found.path.as_str(), found.series.is_some())),
    );
    let mut out = b"{\"metrics\":[".to_vec();
    push_list(&mut out, paths, |out, (path, is_leaf)| {
        let name = path.rsplit('.').next().unwrap_or_default();
        out.extend_from_slice(b"{\"path\":");
        push_string(out, &format!("{path}{}", if is_leaf { "" } else { "." }));
        out.extend_from_slice(b",\"name\":");
        push_string(out, name);
        out.extend_from_slice(if is_leaf {
            b",\"is_leaf\":\"1\"}"
        } else {
            b",\"is_leaf\":\"0\"}"
        });
    });
    out.extend_from_slice(b"]}");
    out
}

/// All functions, by name.
pub fn functions() -> Vec<u8> {
    let named = all().flat_map(|function| function.names.iter().map(move |name| (*name, function)));
    let mut out = vec![b'{'];
    push_list(&mut out, named, |out, (name, function)| {
        push_string(out, name);
        out.push(b':');
        push_function(out, name, function);
    });
    out.push(b'}');
    out
}

/// One function.
pub fn function(function: &Function) -> Vec<u8> {
    let mut out = Vec::new();
    push_function(&mut out, function.name(), function);
    out
}

fn push_function(out: &mut Vec<u8>, name: &str, function: &Function) {
    let description = format!("{} Gaps {}.", function.does, function.gaps);
    let fields = [
        ("name", name),
        ("function", name),
        ("group", function.group),
        ("description", &description),
    ];
    out.push(b'{');
    for (key, value) in fields {
        push_string(out, key);
        out.push(b':');
        push_string(out, value);
        out.push(b',');
    }
    out.extend_from_slice(b"\"params\":[");
    push_list(out, function.parameters, push_parameter);
    out.extend_from_slice(b"]}");
}

fn push_parameter(out: &mut Vec<u8>, parameter: &Parameter) {
    out.extend_from_slice(b"{\"name\":");
    push_string(out, parameter.name);
    out.extend_from_slice(b",\"type\":");
    push_string(out, parameter.graphite_type());
    if matches!(parameter.times, Times::Once | Times::Many) {
        out.extend_from_slice(b",\"required\":true");
    }
    if matches!(parameter.times, Times::Many | Times::Any) {
        out.extend_from_slice(b",\"multiple\":true");
    }
    if let Some(default) = parameter.default {
        out.extend_from_slice(b",\"default\":");
        match parameter.kind {
            Kind::Number | Kind::Whole | Kind::Bool => out.extend_from_slice(default.as_bytes()),
            _ => push_string(out, default),
        }
    }
    if parameter.kind == Kind::Aggregation {
        out.extend_from_slice(b",\"options\":[");
        let names = Aggregation::NAMES.iter().map(|(_, names)| names[0]);
        push_list(out, names, push_string);
        out.push(b']');
    }
    out.push(b'}');
}
