//! The thread that reads the host's statistics periodically.
//!
//! Asking a file system how full it is blocks if its disk hangs, so the loop must not do it.

use std::ffi::c_long;
use std::fs::{self, File};
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;
use nix::unistd::{SysconfVar, sysconf};

use super::kernel::{self, CpuTicks, Traffic};
use gmetad_core::status::host::{Cpu, Disk, HostStatus, Process};

/// Time between two samples while somebody asks for them.
const PERIOD: Duration = Duration::from_secs(15);

/// Time between two samples while nobody does. Whoever asks then gets the last one, and causes the next.
const IDLE_PERIOD: Duration = Duration::from_secs(300);

/// Time to the second sample: short, so that there are rates soon.
const FIRST_PERIOD: Duration = Duration::from_secs(1);

/// Most of the kernel's files are shorter, and so read in one call.
const FILE_BYTES: usize = 8192;

/// Enough for the thread.
const STACK_BYTES: usize = 128 * 1024;

/// The newest sample, for the loop.
#[derive(Debug)]
pub struct Sampler {
    shared: Arc<Mutex<Sample>>,
    /// As last read.
    last: Sample,
    /// Tells the thread that somebody asks. It ends when this is dropped.
    asks: SyncSender<()>,
}

/// One sample.
type Sample = (HostStatus, Process);

impl Sampler {
    /// Starts the thread.
    pub fn start() -> io::Result<Sampler> {
        let shared = Arc::new(Mutex::new(Sample::default()));
        let theirs = Arc::clone(&shared);
        let (asks, asked) = sync_channel(1);
        thread::Builder::new()
            .name("host".into())
            .stack_size(STACK_BYTES)
            .spawn(move || run(&theirs, &asked))?;
        Ok(Sampler {
            shared,
            last: Sample::default(),
            asks,
        })
    }

    /// The newest sample. Never waits: while the thread writes a new one, this is the one before.
    pub fn figures(&mut self) -> (HostStatus, Process) {
        // Full: it has been told already. Gone: there is only the last sample.
        let _ = self.asks.try_send(());
        if let Ok(sample) = self.shared.try_lock() {
            self.last.clone_from(&sample);
        }
        self.last.clone()
    }
}

fn run(shared: &Mutex<Sample>, asked: &Receiver<()>) {
    let mut reader = Reader::new();
    let mut pause = FIRST_PERIOD;
    loop {
        let sample = (reader.host(), reader.process());
        if let Ok(mut shared) = shared.lock() {
            *shared = sample;
        }
        let taken = Instant::now();
        loop {
            match asked.recv_timeout(pause.saturating_sub(taken.elapsed())) {
                Ok(()) => pause = pause.min(PERIOD),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        pause = IDLE_PERIOD;
    }
}

/// What is kept between samples.
struct Reader {
    ticks: CpuTicks,
    traffic: Option<(Traffic, Instant)>,
    speed: u64,
    os_name: String,
    os_release: String,
    ticks_a_sec: f64,
    page_bytes: u64,
}

impl Reader {
    fn new() -> Reader {
        let system = |var: SysconfVar, usual: c_long| sysconf(var).ok().flatten().unwrap_or(usual);
        Reader {
            ticks: CpuTicks::default(),
            traffic: None,
            speed: speed(),
            os_name: text("/proc/sys/kernel/ostype").trim().into(),
            os_release: text("/proc/sys/kernel/osrelease").trim().into(),
            ticks_a_sec: system(SysconfVar::CLK_TCK, 100) as f64,
            page_bytes: system(SysconfVar::PAGE_SIZE, 4096) as u64,
        }
    }

    fn host(&mut self) -> HostStatus {
        let (ticks, num, boottime) = kernel::read_stat(&text("/proc/stat"));
        let percent = ticks.percent_since(self.ticks);
        self.ticks = ticks;
        let (load, proc_run, proc_total) = kernel::read_loadavg(&text("/proc/loadavg"));
        let traffic = kernel::read_net_dev(&text("/proc/net/dev"));
        let now = Instant::now();
        let (before, secs) = match self.traffic.replace((traffic, now)) {
            Some((before, then)) => (before, now.duration_since(then).as_secs_f64()),
            None => (traffic, 0.0),
        };
        HostStatus {
            cpu: Cpu {
                num,
                speed: self.speed,
                percent,
                aidle: ticks.idle_percent(),
            },
            disk: disk(),
            load,
            memory: kernel::read_meminfo(&text("/proc/meminfo")),
            network: traffic.since(before, secs, mtu()),
            proc_run,
            proc_total,
            boottime,
            machine_type: std::env::consts::ARCH.into(),
            os_name: self.os_name.clone(),
            os_release: self.os_release.clone(),
        }
    }

    #[allow(clippy::useless_conversion, reason = "a limit may have four bytes")]
    fn process(&self) -> Process {
        let stat = kernel::read_self_stat(&text("/proc/self/stat"));
        let (ticks, threads, virtual_bytes, pages) = stat.unwrap_or_default();
        Process {
            cpu_secs: ticks as f64 / self.ticks_a_sec,
            resident_bytes: pages * self.page_bytes,
            virtual_bytes,
            threads,
            // Minus the descriptor of the listing itself.
            open_fds: fs::read_dir("/proc/self/fd")
                .map_or(0, |all| (all.count() as u64).saturating_sub(1)),
            max_fds: getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft.into()),
        }
    }
}

/// A file's text; empty if it cannot be read.
fn text(path: &str) -> String {
    let mut bytes = Vec::with_capacity(FILE_BYTES);
    // Without the limit, the file's size would be asked for, which the kernel's files do not have.
    let read = File::open(path).and_then(|file| file.take(u64::MAX).read_to_end(&mut bytes));
    if read.is_err() {
        bytes.clear();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The first CPU's speed in MHz: its maximum, or else its current one.
fn speed() -> u64 {
    let most = text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq");
    match most.trim().parse::<u64>() {
        Ok(khz) => khz / 1000,
        Err(_) => kernel::read_cpuinfo(&text("/proc/cpuinfo")).unwrap_or(0),
    }
}

fn disk() -> Disk {
    let mut disk = Disk::default();
    for point in kernel::local_mounts(&text("/proc/mounts")) {
        // A file system that was unmounted meanwhile is not counted.
        if let Ok(stat) = statvfs(point) {
            let unit = stat.fragment_size() as f64;
            disk.add(
                stat.blocks() as f64 * unit,
                stat.blocks_available() as f64 * unit,
            );
        }
    }
    disk
}

/// The smallest MTU of the interfaces that are up; the loopback's if there is no other.
fn mtu() -> u64 {
    const UP: u64 = 1;
    const LOOPBACK: u64 = 8;
    let (mut smallest, mut loopback) = (None, 0);
    for entry in fs::read_dir("/sys/class/net")
        .into_iter()
        .flatten()
        .flatten()
    {
        let folder = entry.path();
        let read = |name: &str| {
            let text = fs::read_to_string(folder.join(name)).ok()?;
            let text = text.trim();
            match text.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16).ok(),
                None => text.parse().ok(),
            }
        };
        let (Some(flags), Some(mtu)) = (read("flags"), read("mtu")) else {
            continue;
        };
        if flags & LOOPBACK != 0 {
            loopback = mtu;
        } else if flags & UP != 0 {
            smallest = Some(smallest.map_or(mtu, |smallest: u64| smallest.min(mtu)));
        }
    }
    smallest.unwrap_or(loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_figures() {
        let mut reader = Reader::new();
        let host = reader.host();
        assert!(host.cpu.num > 0);
        assert!((host.cpu.percent.iter().sum::<f64>() - 100.0).abs() < 0.01);
        assert!(host.memory[0] > 1000.0 && host.memory[0] >= host.memory[2]);
        assert!(host.proc_total > 0 && host.boottime > 1_000_000_000);
        assert_eq!(host.os_name, "Linux");
        assert!(!host.os_release.is_empty());
        let process = reader.process();
        assert!(process.threads > 0 && process.resident_bytes > 1000 && process.open_fds > 2);
        assert!(process.max_fds >= process.open_fds);
    }

    #[test]
    fn the_newest_figures_are_there_without_waiting() {
        let mut sampler = Sampler::start().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while sampler.figures().0.cpu.num == 0 {
            assert!(Instant::now() < deadline);
            thread::yield_now();
        }
        let held = Arc::clone(&sampler.shared);
        let _guard = held.lock().unwrap();
        assert!(sampler.figures().0.cpu.num > 0);
    }
}
