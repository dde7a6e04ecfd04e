//! Limits in time of a poll.

use std::time::Duration;

/// For a look-up of a name. After it, the earlier addresses are tried.
pub const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

/// For a connection.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// For a connected peer that sends nothing.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// For a whole poll over all hosts of the source; twice the interval, if that is longer. It is
/// enough for 100 MB at 14 Mbit/s.
pub const WHOLE_LIMIT: Duration = Duration::from_secs(60);

/// The age at which a name's addresses are looked up again while a poll uses them.
pub const ADDRESSES_FRESH: Duration = Duration::from_secs(300);
