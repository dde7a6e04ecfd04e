//! Figures of this machine and of this process.
//!
//! What they are, and in which units. Nothing is looked at here: the daemon's `host` does that.

/// This machine, in the units in which C gmetad gives the same names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Machine {
    /// Percentages since the last look, or since the machine started at the first.
    pub cpu: Cpu,
    /// Of local file systems.
    pub disk: Disk,
    /// Over one, five and fifteen minutes.
    pub load: [f64; 3],
    /// In the order of `MEMORY`, in kilobytes.
    pub memory: [f64; 8],
    /// Of all interfaces but the loopback.
    pub network: Network,
    /// Threads that run.
    pub proc_run: u64,
    /// Threads.
    pub proc_total: u64,
    /// When it started, in seconds since the epoch.
    pub boottime: u64,
    /// Its processor's family.
    pub machine_type: String,
    /// Its kernel's name.
    pub os_name: String,
    /// Its kernel's version.
    pub os_release: String,
}

/// Names of the figures of memory, and what the kernel calls them.
pub const MEMORY: [(&str, &str); 8] = [
    ("mem_total", "MemTotal"),
    ("swap_total", "SwapTotal"),
    ("mem_free", "MemFree"),
    ("mem_shared", "Shmem"),
    ("mem_buffers", "Buffers"),
    ("mem_cached", "Cached"),
    ("swap_free", "SwapFree"),
    ("mem_sreclaimable", "SReclaimable"),
];

/// What the processors do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cpu {
    /// How many there are.
    pub num: u64,
    /// Of the first, in MHz.
    pub speed: u64,
    /// In the order of `CPU`.
    pub percent: [f64; 8],
    /// Idle since the machine started.
    pub aidle: f64,
}

/// Names of the percentages, in the order of /proc/stat's columns.
pub const CPU: [&str; 8] = [
    "cpu_user",
    "cpu_nice",
    "cpu_system",
    "cpu_idle",
    "cpu_wio",
    "cpu_intr",
    "cpu_sintr",
    "cpu_steal",
];

/// Local file systems, in units of a thousand million bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Disk {
    /// What users can still write.
    pub free: f64,
    /// All there is.
    pub total: f64,
    /// Percentage of the fullest.
    pub part_max_used: f64,
}

impl Disk {
    /// Adds a file system of so many bytes.
    pub fn add(&mut self, total_bytes: f64, available_bytes: f64) {
        const UNIT: f64 = 1e9;
        if total_bytes > 0.0 {
            self.total += total_bytes / UNIT;
            self.free += available_bytes / UNIT;
            let used = 100.0 * (1.0 - available_bytes / total_bytes);
            self.part_max_used = self.part_max_used.max(used);
        }
    }
}

/// Bytes and packets a second since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Network {
    /// The smallest of the interfaces'.
    pub mtu: u64,
    /// Sent.
    pub bytes_out: f64,
    /// Received.
    pub bytes_in: f64,
    /// Received.
    pub pkts_in: f64,
    /// Sent.
    pub pkts_out: f64,
}

/// This process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// In seconds, of all its threads.
    pub cpu_secs: f64,
    /// In memory, not swapped out.
    pub resident_bytes: u64,
    /// Of address space.
    pub virtual_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub open_fds: u64,
    /// Most it may open.
    pub max_fds: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_file_system_is_told() {
        let mut disk = Disk::default();
        disk.add(4e9, 1e9);
        disk.add(1e9, 0.5e9);
        disk.add(0.0, 0.0);
        assert_eq!(
            (disk.total, disk.free, disk.part_max_used),
            (5.0, 1.5, 75.0)
        );
    }
}
