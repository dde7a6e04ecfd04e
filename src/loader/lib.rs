//! Plugins in shared objects: found, tried, loaded and called.
//!
//! `include/gmetad_plugin.h` says what both sides promise. All `unsafe` code is in `boundary`. A
//! loaded plugin is a [`Plugin`] like any other; the chain's rules are not here.

use std::path::{Path, PathBuf};

use gmetad_config::Config;
use gmetad_core::plugin::Plugin;

mod boundary;
mod candidate;
mod error;
mod trial;

use boundary::{Facts, Newest, load};
pub use boundary::{LastWords, attempt, end_is_asked, watch};
pub use candidate::Candidate;
pub use candidate::files_in;
use candidate::{is_module, is_python, trusted};
pub use error::LoadError;
pub use trial::TRIAL_OPTION;

/// A file of plugins_dir that is not loaded, or plugins_dir itself if it cannot be read.
#[derive(Debug)]
pub struct LeftOut {
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub reason: String,
}

/// Loads the plugins in plugins_dir, in order of file name, and logs which cannot be loaded.
/// `at_work` is told which file is being loaded, and when that has ended.
pub fn load_all(
    config: &Config,
    at_work: &dyn Fn(Option<&Path>),
) -> (Vec<Box<dyn Plugin>>, Vec<LeftOut>) {
    let mut plugins: Vec<Box<dyn Plugin>> = Vec::new();
    let mut left_out = Vec::new();
    let Some(folder) = &config.plugins_dir else {
        return (plugins, left_out);
    };
    let files = files_in(folder).unwrap_or_else(|error| {
        let reason = format!("it cannot be read: {error}");
        log::error!("plugins_dir {}: {reason}", folder.display());
        let file = folder.clone();
        left_out.push(LeftOut { file, reason });
        Vec::new()
    });
    // A plugin may ask for the configuration until the process ends.
    let facts = facts_of(config, !files.is_empty());
    let newest: &'static Newest = Box::leak(Box::default());
    let modules: Vec<&PathBuf> = files.iter().filter(|it| is_module(it, &files)).collect();
    for file in &files {
        if modules.contains(&file) {
            log::info!(
                "{} is not loaded: it is a module that plugins import",
                file.display()
            );
            continue;
        }
        at_work(Some(file));
        // A plugin in Python may import any of the modules.
        let imported = modules.iter().filter(|_| is_python(file));
        let loaded = { imported }
            .try_for_each(|module| trusted(module).map(drop))
            .and_then(|()| tried(file, config, facts))
            .and_then(|candidate| load(&candidate, facts, newest));
        at_work(None);
        match loaded {
            Ok(plugin) => {
                log::info!("plugin {} is loaded from {}", plugin.id(), file.display());
                plugins.push(plugin);
            }
            Err(error) => {
                log::error!("plugin {} is left out: {error}", file.display());
                left_out.push(LeftOut {
                    file: file.clone(),
                    reason: error.to_string(),
                });
            }
        }
    }
    (plugins, left_out)
}

/// Loads one file, whatever plugins_dir says.
pub fn load_one(file: &Path, config: &Config) -> Result<Box<dyn Plugin>, LoadError> {
    let facts = facts_of(config, true);
    let candidate = tried(file, config, facts)?;
    let newest: &'static Newest = Box::leak(Box::default());
    let mut plugin = load(&candidate, facts, newest)?;
    let name = plugin.id().to_owned();
    plugin.name_is(&name);
    Ok(plugin)
}

/// A file that may be loaded, and that another process has loaded.
fn tried(file: &Path, config: &Config, facts: &Facts) -> Result<Candidate, LoadError> {
    let candidate = Candidate::of(file, config)?;
    trial::is_passed(&candidate, &facts.to_bytes())?;
    Ok(candidate)
}

fn facts_of(config: &Config, wanted: bool) -> &'static Facts {
    let config = wanted.then_some(config);
    Box::leak(Box::new(config.map_or_else(Facts::default, Facts::of)))
}
