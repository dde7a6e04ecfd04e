//! Ids of nodes, and how one crosses the plugin boundary as a number.
//!
//! Does not know which nodes exist: the tree does.

/// The kinds of nodes, by gmetad-python's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A nested grid, or the root.
    Grid,
    /// A cluster.
    Cluster,
    /// A host of a cluster.
    Host,
    /// A metric of a host.
    Metric,
    /// A sum over hosts.
    Metrics,
    /// The parent of the EXTRA_ELEMENTs of a metric or a sum.
    ExtraData,
    /// A name and a value about a metric.
    ExtraElement,
}

impl Kind {
    /// Its name, as in keys.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Grid => "GRID",
            Kind::Cluster => "CLUSTER",
            Kind::Host => "HOST",
            Kind::Metric => "METRIC",
            Kind::Metrics => "METRICS",
            Kind::ExtraData => "EXTRA_DATA",
            Kind::ExtraElement => "EXTRA_ELEMENT",
        }
    }
}

/// A node of one tree, by its place in the flat arrays behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeId {
    /// The cluster or grid itself.
    Top,
    /// By place in the cluster's hosts.
    Host(u32),
    /// By place in the cluster's metrics.
    Metric(u32),
    /// By place in the summary's metrics.
    Sum(u32),
    /// The EXTRA_DATA of a metric or a sum.
    ExtraData(Owner),
    /// An EXTRA_ELEMENT of a metric or a sum, by place.
    Extra(Owner, u16),
}

/// What has extra data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// By place in the cluster's metrics.
    Metric(u32),
    /// By place in the summary's metrics.
    Sum(u32),
}

impl Owner {
    /// Its own node.
    pub fn node(self) -> NodeId {
        match self {
            Owner::Metric(at) => NodeId::Metric(at),
            Owner::Sum(at) => NodeId::Sum(at),
        }
    }
}

/// Which tree a number belongs to, so that one kept from an earlier tree is detected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generation(u16);

const GENERATION_BITS: u32 = 12;

impl Generation {
    /// The generation of the next tree. It wraps after 4,096.
    #[must_use]
    pub fn next(self) -> Generation {
        Generation((self.0 + 1) & ((1 << GENERATION_BITS) - 1))
    }
}

const TOP: u64 = 1;
const HOST: u64 = 2;
const METRIC: u64 = 3;
const SUM: u64 = 4;
const METRIC_EXTRA_DATA: u64 = 5;
const SUM_EXTRA_DATA: u64 = 6;
const METRIC_EXTRA: u64 = 7;
const SUM_EXTRA: u64 = 8;

impl NodeId {
    /// As a number: kind, generation, place of an EXTRA_ELEMENT, place. Never 0.
    #[inline]
    pub fn pack(self, generation: Generation) -> u64 {
        let (sort, at, extra) = match self {
            NodeId::Top => (TOP, 0, 0),
            NodeId::Host(at) => (HOST, at, 0),
            NodeId::Metric(at) => (METRIC, at, 0),
            NodeId::Sum(at) => (SUM, at, 0),
            NodeId::ExtraData(Owner::Metric(at)) => (METRIC_EXTRA_DATA, at, 0),
            NodeId::ExtraData(Owner::Sum(at)) => (SUM_EXTRA_DATA, at, 0),
            NodeId::Extra(Owner::Metric(at), extra) => (METRIC_EXTRA, at, extra),
            NodeId::Extra(Owner::Sum(at), extra) => (SUM_EXTRA, at, extra),
        };
        sort << 60 | u64::from(generation.0) << 48 | u64::from(extra) << 32 | u64::from(at)
    }

    /// The node of a number; `None` if it is of another generation, or invalid.
    #[inline]
    pub fn unpack(number: u64, generation: Generation) -> Option<NodeId> {
        if (number >> 48) as u16 & ((1 << GENERATION_BITS) - 1) != generation.0 {
            return None;
        }
        let at = number as u32;
        let extra = (number >> 32) as u16;
        match number >> 60 {
            TOP => Some(NodeId::Top),
            HOST => Some(NodeId::Host(at)),
            METRIC => Some(NodeId::Metric(at)),
            SUM => Some(NodeId::Sum(at)),
            METRIC_EXTRA_DATA => Some(NodeId::ExtraData(Owner::Metric(at))),
            SUM_EXTRA_DATA => Some(NodeId::ExtraData(Owner::Sum(at))),
            METRIC_EXTRA => Some(NodeId::Extra(Owner::Metric(at), extra)),
            SUM_EXTRA => Some(NodeId::Extra(Owner::Sum(at), extra)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_crosses_as_a_number_and_comes_back() {
        let nodes = [
            NodeId::Top,
            NodeId::Host(u32::MAX),
            NodeId::Metric(7),
            NodeId::Sum(0),
            NodeId::ExtraData(Owner::Metric(u32::MAX)),
            NodeId::ExtraData(Owner::Sum(1)),
            NodeId::Extra(Owner::Metric(u32::MAX), u16::MAX),
            NodeId::Extra(Owner::Sum(3), 9),
        ];
        let mut generation = Generation::default();
        for node in nodes.into_iter().cycle().take(10_000) {
            let number = node.pack(generation);
            assert_ne!(number, 0);
            assert_eq!(NodeId::unpack(number, generation), Some(node));
            generation = generation.next();
            assert_eq!(NodeId::unpack(number, generation), None, "kept too long");
        }
    }

    #[test]
    fn a_number_that_was_made_up_is_no_node() {
        let generation = Generation::default();
        assert_eq!(NodeId::unpack(0, generation), None);
        assert_eq!(NodeId::unpack(9 << 60, generation), None);
        assert_eq!(NodeId::unpack(u64::MAX, generation), None);
    }
}
