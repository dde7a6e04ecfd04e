//! Figures from the text files of the kernel.
//!
//! Opens no file: `sampler` reads them and passes the texts in.

use gmetad_core::status::host::{MEMORY, Network};

/// CPU ticks since the host was booted. Percentages come from differences between two of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTicks([u64; 8]);

impl CpuTicks {
    /// What the ticks since `earlier` were spent on, in percent.
    pub fn percent_since(self, earlier: CpuTicks) -> [f64; 8] {
        let mut spent = [0.0; 8];
        for (at, spent) in spent.iter_mut().enumerate() {
            // Some counters of the kernel go back now and then.
            *spent = self.0[at].saturating_sub(earlier.0[at]) as f64;
        }
        let all: f64 = spent.iter().sum();
        if all > 0.0 {
            spent.map(|spent| 100.0 * spent / all)
        } else {
            spent
        }
    }

    /// The share of idle ticks since the host was booted.
    pub fn idle_percent(self) -> f64 {
        // Idle is the fourth column.
        self.percent_since(CpuTicks::default())[3]
    }
}

/// /proc/stat: ticks, number of CPUs, time of boot.
pub fn read_stat(text: &str) -> (CpuTicks, u64, u64) {
    let mut ticks = CpuTicks::default();
    let (mut cpus, mut boottime) = (0, 0);
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("cpu") => {
                for (tick, word) in ticks.0.iter_mut().zip(words) {
                    *tick = word.parse().unwrap_or(0);
                }
            }
            Some("btime") => boottime = words.next().and_then(|w| w.parse().ok()).unwrap_or(0),
            Some(word) if word.starts_with("cpu") => cpus += 1,
            _ => {}
        }
    }
    (ticks, cpus, boottime)
}

/// /proc/cpuinfo: the first CPU's speed in MHz, if it is given.
pub fn read_cpuinfo(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with("cpu MHz"))?;
    let (_, mhz) = line.split_once(':')?;
    mhz.trim().parse().ok().map(|mhz: f64| mhz as u64)
}

/// /proc/meminfo, in the order of `MEMORY`.
pub fn read_meminfo(text: &str) -> [f64; 8] {
    let mut memory = [0.0; 8];
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else {
            continue;
        };
        if let Some(at) = MEMORY.iter().position(|(_, theirs)| *theirs == name) {
            let number = rest.split_ascii_whitespace().next();
            memory[at] = number.and_then(|n| n.parse().ok()).unwrap_or(0.0);
        }
    }
    memory
}

/// /proc/loadavg: load averages, running threads, all threads.
pub fn read_loadavg(text: &str) -> ([f64; 3], u64, u64) {
    let mut words = text.split_ascii_whitespace();
    let mut load = [0.0; 3];
    for load in &mut load {
        *load = words.next().and_then(|w| w.parse().ok()).unwrap_or(0.0);
    }
    let threads = words.next().and_then(|word| word.split_once('/'));
    let (run, total) = threads.unwrap_or_default();
    (load, run.parse().unwrap_or(0), total.parse().unwrap_or(0))
}

/// Traffic of all interfaces but the loopback since the host was booted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    bytes_in: u64,
    pkts_in: u64,
    bytes_out: u64,
    pkts_out: u64,
}

impl Traffic {
    /// Rates per second, over the `secs` since `earlier`.
    pub fn since(self, earlier: Traffic, secs: f64, mtu: u64) -> Network {
        let rate = |now: u64, then: u64| {
            if secs > 0.0 {
                // When an interface goes away, its count is missing.
                now.saturating_sub(then) as f64 / secs
            } else {
                0.0
            }
        };
        Network {
            mtu,
            bytes_out: rate(self.bytes_out, earlier.bytes_out),
            bytes_in: rate(self.bytes_in, earlier.bytes_in),
            pkts_in: rate(self.pkts_in, earlier.pkts_in),
            pkts_out: rate(self.pkts_out, earlier.pkts_out),
        }
    }
}

/// /proc/net/dev.
pub fn read_net_dev(text: &str) -> Traffic {
    let mut all = Traffic::default();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once(':') else {
            continue;
        };
        if name.trim() == "lo" {
            continue;
        }
        let columns: Vec<u64> = rest
            .split_ascii_whitespace()
            .map(|word| word.parse().unwrap_or(0))
            .collect();
        if let [bytes_in, pkts_in, _, _, _, _, _, _, bytes_out, pkts_out, ..] = columns[..] {
            all.bytes_in = all.bytes_in.wrapping_add(bytes_in);
            all.pkts_in = all.pkts_in.wrapping_add(pkts_in);
            all.bytes_out = all.bytes_out.wrapping_add(bytes_out);
            all.pkts_out = all.pkts_out.wrapping_add(pkts_out);
        }
    }
    all
}

/// /proc/mounts: mount points of writable local file systems, one for each device.
pub fn local_mounts(text: &str) -> Vec<&str> {
    let mut devices = Vec::new();
    let mut points = Vec::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let (Some(device), Some(point), Some(_), Some(options)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        let writable = options.split(',').all(|option| option != "ro");
        // Without a device it is in memory or on a server, and a server may not answer.
        if device.starts_with("/dev/") && writable && !devices.contains(&device) {
            devices.push(device);
            points.push(point);
        }
    }
    points
}

/// /proc/self/stat: CPU time in ticks, threads, bytes of address space, resident pages.
pub fn read_self_stat(text: &str) -> Option<(u64, u64, u64, u64)> {
    // The name before it may contain anything, even spaces and parentheses.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    // The first field here is the state, which is field 3 in proc(5).
    let field = |number: usize| fields.get(number - 3)?.trim_end().parse::<u64>().ok();
    Some((field(14)? + field(15)?, field(20)?, field(23)?, field(24)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_differences_and_end_at_a_hundred() {
        let before = "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1\ncpu1 1\nbtime 1700000000\n";
        let after = "cpu  150 10 70 900 60 0 10 0 0 0\ncpu0 1\nbtime 1700000000\n";
        let (before, cpus, boottime) = read_stat(before);
        assert_eq!((cpus, boottime), (2, 1_700_000_000));
        assert_eq!(before.idle_percent(), 80.0);
        let (after, ..) = read_stat(after);
        let percent = after.percent_since(before);
        assert_eq!(percent, [25.0, 5.0, 10.0, 50.0, 5.0, 0.0, 5.0, 0.0]);
        assert_eq!(percent.iter().sum::<f64>(), 100.0);
        assert_eq!(after.percent_since(after), [0.0; 8]);
        assert_eq!(
            before.percent_since(after),
            [0.0; 8],
            "a count that went back"
        );
    }

    #[test]
    fn the_kernels_texts_are_read() {
        assert_eq!(read_cpuinfo("a\t: b\ncpu MHz\t\t: 2599.998\n"), Some(2599));
        assert_eq!(read_cpuinfo("BogoMIPS : 3\n"), None);
        let memory = read_meminfo("MemTotal:   100 kB\nMemFree:  40 kB\nCached: 7 kB\nOdd\n");
        assert_eq!(memory, [100.0, 0.0, 40.0, 0.0, 0.0, 7.0, 0.0, 0.0]);
        assert_eq!(
            read_loadavg("1.43 0.96 0.76 3/124 6706\n"),
            ([1.43, 0.96, 0.76], 3, 124)
        );
        assert_eq!(read_loadavg(""), ([0.0; 3], 0, 0));
        let mounts = "proc /proc proc rw 0 0\n/dev/sda1 / ext4 rw,relatime 0 0\n\
             /dev/sda1 /bind ext4 rw 0 0\nserver:/x /x nfs rw 0 0\n/dev/sr0 /cd iso9660 ro 0 0\n";
        assert_eq!(local_mounts(mounts), ["/"]);
        let stat = "7 (g) x (y)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 3 18 19 20000 500 22\n";
        assert_eq!(read_self_stat(stat), Some((11 + 12, 3, 20000, 500)));
    }

    #[test]
    fn traffic_is_by_the_second_and_without_the_loopback() {
        let head = "Inter-|   Receive |  Transmit\n face |bytes |bytes\n";
        let dev = |bytes: u64| {
            let text = format!(
                "{head}    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n\
                   eth0: {bytes} 10 0 0 0 0 0 0 50 5 0 0 0 0 0 0\n"
            );
            read_net_dev(&text)
        };
        let network = dev(300).since(dev(100), 10.0, 1500);
        assert_eq!((network.bytes_in, network.bytes_out), (20.0, 0.0));
        assert_eq!(dev(100).since(dev(300), 10.0, 1500).bytes_in, 0.0);
        assert_eq!(dev(1).since(Traffic::default(), 0.0, 9).mtu, 9);
    }
}
