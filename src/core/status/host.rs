//! Statistics of this machine and this process, and their units.
//!
//! Nothing is read here: the daemon's `host` does that.

/// Statistics of this machine, with the names and units of C gmetad.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostStatus {
    /// Percentages since the last reading; the first time, since the machine started.
    pub cpu: Cpu,
    /// Of local file systems.
    pub disk: Disk,
    /// Over one, five and fifteen minutes.
    pub load: [f64; 3],
    /// In the order of `MEMORY`, in kilobytes.
    pub memory: [f64; 8],
    /// Of all interfaces but the loopback.
    pub network: Network,
    /// Running threads.
    pub proc_run: u64,
    /// All threads.
    pub proc_total: u64,
    /// When the machine started, in seconds since the epoch.
    pub boottime: u64,
    /// Processor architecture.
    pub machine_type: String,
    /// Kernel name.
    pub os_name: String,
    /// Kernel version.
    pub os_release: String,
}

/// Names of the memory statistics, and of their fields in /proc/meminfo.
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

/// Processors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cpu {
    /// Number of processors.
    pub num: u64,
    /// Speed of the first one, in MHz.
    pub speed: u64,
    /// In the order of `CPU`.
    pub percent: [f64; 8],
    /// Percentage of idle time since the machine started.
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

/// Local file systems, in units of 10^9 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Disk {
    /// Space available to users.
    pub free: f64,
    /// Total space.
    pub total: f64,
    /// Usage of the fullest one, in percent.
    pub part_max_used: f64,
}

impl Disk {
    /// Adds a file system.
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

/// Bytes and packets a second since the last reading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Network {
    /// The smallest MTU of the interfaces.
    pub mtu: u64,
    /// Bytes sent.
    pub bytes_out: f64,
    /// Bytes received.
    pub bytes_in: f64,
    /// Packets received.
    pub pkts_in: f64,
    /// Packets sent.
    pub pkts_out: f64,
}

/// Statistics of this process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// Processor time of all threads, in seconds.
    pub cpu_secs: f64,
    /// Resident memory.
    pub resident_bytes: u64,
    /// Virtual memory.
    pub virtual_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// Limit of open file descriptors.
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
