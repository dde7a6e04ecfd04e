//! How many clients there may be: what is configured, within what descriptors allow.

use std::num::NonZero;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use gmetad_config::Config;
use gmetad_core::share::Most;

/// Most clients at a time unless configured, where the system gives as many descriptors. Each may
/// hold 64 KiB of its answer.
const DEFAULT_MOST: usize = 4096;

/// Descriptors reserved for files, logs, libraries, exports and the loop itself.
const SPARE_DESCRIPTORS: u64 = 64;

/// Raises the limit of descriptors to the hard limit. Returns the limit.
#[allow(clippy::useless_conversion, reason = "a limit may have four bytes")]
pub(super) fn raise_descriptors() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return 1024;
    };
    if soft == hard {
        return hard.into();
    }
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => {
            log::debug!("the limit of open files is raised from {soft} to {hard}");
            hard.into()
        }
        Err(_) => soft.into(),
    }
}

/// How many clients there may be with so many descriptors.
pub(super) fn most_clients(config: &Config, descriptors: u64) -> Most {
    let room = room(config, descriptors);
    let configured = config.clients.most.map(NonZero::get);
    let in_all = configured.map_or(DEFAULT_MOST.min(room), |most| room.min(most as usize));
    let share = config.clients.most_of_address.map(NonZero::get);
    Most {
        of_one: share.map_or(in_all.div_ceil(2), |share| in_all.min(share as usize)),
        in_all,
    }
}

/// Says so if fewer clients fit than are configured.
pub(super) fn warn_of_too_few(config: &Config, descriptors: u64) {
    let room = room(config, descriptors);
    if let Some(most) = config.clients.most
        && room < most.get() as usize
    {
        log::warn!(
            "max_clients is {most}, but {descriptors} open files leave room for {room}; raise \
             gmetad's limit of open files (LimitNOFILE, ulimit -n)"
        );
    }
}

fn room(config: &Config, descriptors: u64) -> usize {
    let spare = SPARE_DESCRIPTORS + config.sources.len() as u64;
    descriptors.saturating_sub(spare).max(1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn most(clients: u32, of_one: u32, descriptors: u64) -> (usize, usize) {
        let mut config = Config::new("h");
        config.clients.most = NonZero::new(clients);
        config.clients.most_of_address = NonZero::new(of_one);
        let most = most_clients(&config, descriptors);
        (most.in_all, most.of_one)
    }

    #[test]
    fn as_many_as_configured_and_no_more_than_descriptors_allow() {
        assert_eq!(most(0, 0, 1 << 20), (4096, 2048));
        assert_eq!(most(0, 0, 1024), (960, 480));
        assert_eq!(most(10_000, 0, 1 << 20), (10_000, 5_000));
        assert_eq!(most(10_000, 20, 1064), (1000, 20));
        assert_eq!(most(0, 9_000, 1 << 20), (4096, 4096));
        assert_eq!(most(3, 0, 1 << 20), (3, 2));
        assert_eq!(most(0, 0, 10), (1, 1));
    }
}
