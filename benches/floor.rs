//! The least that polling can cost: connects to each port, reads to the end and throws away, every so many
//! seconds. `benches/floor.py` runs it beside gmetad.
//!
//! Usage: floor INTERVAL PORT…

use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// As much as gmetad reads at a time.
const READ_BYTES: usize = 64 << 10;

fn main() -> std::io::Result<()> {
    let numbers = std::env::args().skip(1).map(|word| word.parse());
    let Ok(numbers) = numbers.collect::<Result<Vec<u16>, _>>() else {
        eprintln!("usage: floor INTERVAL PORT…");
        std::process::exit(64);
    };
    let Some((interval, ports)) = numbers.split_first() else {
        return Ok(());
    };
    let mut room = vec![0; READ_BYTES];
    loop {
        for port in ports {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, *port))?;
            while stream.read(&mut room)? > 0 {}
        }
        std::thread::sleep(Duration::from_secs(u64::from(*interval)));
    }
}
