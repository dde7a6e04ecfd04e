//! Many fake gmonds in one small process: what a gmetad is measured and run for days against.
//!
//! Not a gmond: it hears no packets, holds no values, and makes each document while sending it.

mod document;
mod options;
mod server;

use std::process::ExitCode;

use options::{Command, Options};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match options::parse(&arguments) {
        Ok(Command::Print(text)) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Ok(Command::Run(options)) => match run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("farm: {error}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("farm: {error}");
            ExitCode::from(64)
        }
    }
}

fn run(options: &Options) -> std::io::Result<()> {
    let mut farm = server::Farm::bind(options)?;
    let mut sources = String::new();
    for (cluster, port) in farm.ports().into_iter().enumerate() {
        let name = document::cluster_name(cluster);
        let line = format!(
            "data_source \"{name}\" {} 127.0.0.1:{port}\n",
            options.interval
        );
        sources.push_str(&line);
    }
    match &options.conf {
        Some(file) => std::fs::write(file, sources)?,
        None => print!("{sources}"),
    }
    farm.run()
}
