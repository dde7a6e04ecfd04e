//! How much one source may bring, and how much of it may wait for the plugins.

use crate::draft::{Known, known};
use crate::values;
use crate::written::one;

pub(crate) const DIRECTIVES: &[Known] = &[
    known(
        "max_document_mb",
        "megabytes",
        |draft, args| {
            let bytes = args.one(values::source_megabytes)?;
            draft.config.documents.document_bytes = bytes as u64;
            Ok(())
        },
        |it| one(it.documents.document_bytes >> 20),
    )
    .exact()
    .unless_default(" MB")
    .at_reload(|it, new| it.documents.document_bytes = new.documents.document_bytes),
    known(
        "max_source_mb",
        "megabytes",
        |draft, args| args.set(&mut draft.config.documents.bytes, values::source_megabytes),
        |it| one(it.documents.bytes >> 20),
    )
    .exact()
    .unless_default(" MB")
    .at_reload(|it, new| it.documents.bytes = new.documents.bytes),
    known(
        "max_source_clusters",
        "a number of clusters and grids",
        |draft, args| args.set(&mut draft.config.documents.nodes, values::most),
        |it| one(it.documents.nodes),
    )
    .exact()
    .unless_default("")
    .at_reload(|it, new| it.documents.nodes = new.documents.nodes),
    known(
        "max_source_hosts",
        "a number of hosts",
        |draft, args| args.set(&mut draft.config.documents.hosts, values::most),
        |it| one(it.documents.hosts),
    )
    .exact()
    .unless_default("")
    .at_reload(|it, new| it.documents.hosts = new.documents.hosts),
    known(
        "max_metric_names",
        "a number of names",
        |draft, args| args.set(&mut draft.config.documents.names, values::most),
        |it| one(it.documents.names),
    )
    .exact()
    .unless_default("")
    .at_reload(|it, new| it.documents.names = new.documents.names),
    known(
        "max_tag_bytes",
        "bytes",
        |draft, args| args.set(&mut draft.config.documents.tag_bytes, values::tag_bytes),
        |it| one(it.documents.tag_bytes),
    )
    .exact()
    .unless_default(" bytes")
    .at_reload(|it, new| it.documents.tag_bytes = new.documents.tag_bytes),
    known(
        "max_extra_elements",
        "a number of elements",
        |draft, args| args.set(&mut draft.config.documents.extra, values::most),
        |it| one(it.documents.extra),
    )
    .exact()
    .unless_default("")
    .at_reload(|it, new| it.documents.extra = new.documents.extra),
    known(
        "max_nesting",
        "a number of elements",
        |draft, args| args.set(&mut draft.config.documents.depth, values::nesting),
        |it| one(it.documents.depth),
    )
    .exact()
    .unless_default("")
    .at_reload(|it, new| it.documents.depth = new.documents.depth),
    known(
        "max_queue_mb",
        "megabytes",
        |draft, args| args.set(&mut draft.config.queue_bytes, values::source_megabytes),
        |it| one(it.queue_bytes >> 20),
    )
    .exact()
    .unless_default(" MB"),
];
