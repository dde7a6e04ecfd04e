//! The data model: grid, cluster, host, metric, summary, and the text and numbers in them.
//!
//! No I/O and no clock: times come in with the data.

mod carbon;
pub mod civil;
mod cluster;
mod contributors;
mod def_list;
pub mod escape;
mod host_index;
pub mod latin1;
mod metric;
mod name_pattern;
mod nodes;
mod number;
mod order;
mod parts;
mod readable;
mod rubbish;
mod snapshot;
mod sorter;
mod stamp;
mod summary;
mod table;
mod text;
mod time;
mod via;
mod vocabulary;
mod word;

pub use carbon::push_carbon_name;
pub use cluster::{Cluster, Grid, Host, HostInfo, Metric, Node, is_up, order_by_name};
pub use contributors::{Contributors, id_of};
pub use def_list::DefList;
pub use host_index::HostIndex;
pub use metric::{DEFAULT_SOURCE, MetricDef, MetricFields, MetricType, Slope, Wire};
pub use name_pattern::{NamePattern, NameRules};
pub use nodes::NodeList;
pub use number::{Number, parse_number, push_decimal, push_number};
pub use order::sorted;
pub use parts::{ClusterPart, Parts, Piece, ShownHost};
pub use readable::Readable;
pub use rubbish::Rubbish;
pub use snapshot::{AsItIs, GridIdentity, NodeIndex, Snapshot};
pub use sorter::Sorter;
pub use stamp::Stamp;
pub use summary::{Summary, SummaryBuilder, SummaryMetric};
pub use table::DefTable;
pub use text::{ShortText, SmallText};
pub use time::{
    CLOCK_SET_SINCE, MOST_AHEAD_SECS, MOST_BEHIND_SECS, Mono, Now, SourceClock, StoreTime,
};
pub use via::{Via, grid_id, mark, mark_prefix};
pub use vocabulary::{DefId, Vocabulary};
pub use word::Word;
