//! Updates for the tests of the exports.
//!
//! Not part of the daemon.

use std::sync::Arc;
use std::time::Duration;

use gmetad_core::ingest::{ParseSettings, Parser, Previous};
use gmetad_core::model::{DefTable, Mono, Now};
use gmetad_core::plugin::{Invented, Stamp, Update};

/// A gmond's document as it comes.
pub const PLAIN: &[u8] = include_bytes!("../../tests/data/gmond/gmond-plain.xml");

/// Names, types and values of every odd kind, and a host that is down.
pub const EDGE_CASES: &str = r#"<GANGLIA_XML VERSION="3.7.2" SOURCE="gmond">
<CLUSTER NAME="Edge. A b" LOCALTIME="1795367147" OWNER="o" LATLONG="l" URL="u">
<HOST NAME="Node.Ex ample" IP="10.0.0.1" TAGS="t1,,t2" REPORTED="1795367142" TN="1" TMAX="20" DMAX="0" LOCATION="rack 1,0" GMOND_STARTED="1">
<METRIC NAME="a b.c" VAL="1.50" TYPE="float" UNITS="u" TN="1" TMAX="60" DMAX="0" SLOPE="both"/>
<METRIC NAME="s" VAL="text" TYPE="string" UNITS="" TN="1" TMAX="0" DMAX="0" SLOPE="both"/>
<METRIC NAME="ts" VAL="1795367142" TYPE="timestamp" UNITS="s" TN="1" TMAX="60" DMAX="0" SLOPE="both"/>
<METRIC NAME="nan" VAL="nan" TYPE="float" UNITS="u" TN="1" TMAX="60" DMAX="0" SLOPE="both"/>
<METRIC NAME="hex" VAL="0x10" TYPE="uint32" UNITS="u" TN="1" TMAX="60" DMAX="0" SLOPE="both"/>
<METRIC NAME="empty" VAL="" TYPE="uint32" UNITS="u" TN="1" TMAX="60" DMAX="0" SLOPE="both"/>
<METRIC NAME="sp" VAL=" 7 " TYPE="int8" UNITS="u" TN="1" TMAX="60" DMAX="0" SLOPE="both"/>
<METRIC NAME="dead" VAL="5" TYPE="int32" UNITS="u" TN="100" TMAX="60" DMAX="50" SLOPE="both"/>
<METRIC NAME="live" VAL="5" TYPE="int32" UNITS="u" TN="10" TMAX="60" DMAX="50" SLOPE="both"/>
<METRIC NAME="sl/ash" VAL="1e5" TYPE="double" UNITS="u" TN="1" TMAX="60" DMAX="3000000" SLOPE="both"/>
<METRIC NAME="neg" VAL="-3" TYPE="int16" UNITS="u" TN="1" TMAX="60" DMAX="0" SLOPE="both"/>
<METRIC NAME="odd" VAL="4" TYPE="int64" UNITS="u" TN="1" TMAX="60" DMAX="0" SLOPE="both"/>
<METRIC NAME="zero" VAL="0" TYPE="uint8" UNITS="u" TN="1" TMAX="60" DMAX="0" SLOPE="zero"/>
<METRIC NAME="jos&#233;" VAL="1" TYPE="int8" UNITS="u" TN="1" TMAX="60" DMAX="0" SLOPE="both"/>
</HOST>
<HOST NAME="downhost" IP="10.0.0.2" TAGS="" REPORTED="1795366000" TN="80" TMAX="20" DMAX="0" LOCATION="" GMOND_STARTED="1">
<METRIC NAME="x" VAL="1" TYPE="float" UNITS="u" TN="1" TMAX="60" DMAX="0" SLOPE="both"/>
</HOST>
</CLUSTER>
</GANGLIA_XML>
"#;

/// The update that a poll of this document gives.
pub fn update_of(xml: &[u8]) -> Update {
    let settings = Arc::new(ParseSettings::default());
    let mut parser = Parser::new(settings, Previous::default());
    parser
        .feed(xml, Mono(0), &mut DefTable::default())
        .expect("a sound document");
    let document = parser.finish(Mono(0)).expect("a whole document");
    let now = Now {
        epoch: 1_795_367_150,
        mono: Mono(0),
    };
    Update {
        source: "source".into(),
        interval: Duration::from_secs(15),
        up: true,
        invented: Invented::default(),
        node: document.nodes[0].clone(),
        now,
        stamp: Stamp::of(&document.nodes[0], now),
    }
}

/// The update of [`EDGE_CASES`].
pub fn edge_cases() -> Update {
    update_of(EDGE_CASES.as_bytes())
}
