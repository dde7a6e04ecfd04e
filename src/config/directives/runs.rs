//! The process: its user, its log and its plugins.

use super::{DIRECTORY, TOGGLE};
use crate::config::Config;
use crate::draft::{Args, Draft, Known, Rows, known, row};
use crate::lists;
use crate::values::{self, not_empty};
use crate::written::{list, one, paths, toggle};

pub(crate) const DIRECTIVES: &[Known] = &[
    known(
        "daemonize",
        TOGGLE,
        |draft, args| args.set(&mut draft.config.daemonize, values::toggle),
        |it| toggle(it.daemonize),
    )
    .rows(process),
    known(
        "setuid",
        TOGGLE,
        |draft, args| args.set(&mut draft.pending.setuid, values::toggle),
        |it| toggle(it.setuid_username.is_some()),
    )
    .shown_elsewhere(),
    known(
        "setuid_username",
        "a user name",
        |draft, args| args.set(&mut draft.pending.setuid_username, not_empty),
        |it| list(&it.setuid_username),
    )
    .completing("setuid")
    .rows(user),
    known(
        "debug_level",
        "a level from 0 to 5",
        |draft, args| args.set(&mut draft.config.debug_level, values::level),
        |it| one(it.debug_level),
    )
    .exact()
    .rows(level)
    .at_reload(|it, new| it.debug_level = new.debug_level),
    known(
        "logfile",
        "a file",
        |draft, args| args.set_some(&mut draft.config.logfile, values::path),
        |it| paths(it.logfile.as_ref()),
    )
    .rows(logs)
    .at_reload(|it, new| it.logfile.clone_from(&new.logfile)),
    known(
        "plugins_dir",
        DIRECTORY,
        |draft, args| args.set_some(&mut draft.config.plugins_dir, values::path),
        |it| paths(it.plugins_dir.as_ref()),
    ),
    known(
        "python_host",
        "a file",
        |draft, args| args.set_some(&mut draft.config.python_host, values::path),
        |it| paths(it.python_host.as_ref()),
    ),
    known(
        "plugins",
        "ids of plugins, in order",
        |draft, args| {
            plugins(draft, args);
            Ok(())
        },
        |it| list(it.plugins.iter().flatten()),
    )
    .any(),
];

fn process(config: &Config) -> Rows {
    let text = if config.is_foreground() {
        "in the foreground"
    } else {
        "in the background"
    };
    row("process", Some(text))
}

fn user(config: &Config) -> Rows {
    let text = match &config.setuid_username {
        Some(user) => format!("{user}, if started as root"),
        None => "the user who starts it".into(),
    };
    row("user", Some(text))
}

fn level(config: &Config) -> Rows {
    let level = [
        "fatal errors",
        "critical errors",
        "errors",
        "warnings",
        "info",
    ]
    .get(usize::from(config.debug_level))
    .unwrap_or(&"debug");
    let worse = if config.debug_level == 0 {
        "only"
    } else {
        "and worse"
    };
    row("logs", Some(format!("{level} {worse}")))
}

fn logs(config: &Config) -> Rows {
    let file = config.logfile.iter().map(|file| file.display().to_string());
    let console = (config.debug_level >= 5).then(|| "the console".to_owned());
    let logs = std::iter::once("syslog".into()).chain(file).chain(console);
    row(
        "log goes to",
        Some(logs.collect::<Vec<String>>().join(", ")),
    )
}

/// `plugins ID …`: the chain, in order.
fn plugins(draft: &mut Draft, args: &Args<'_>) {
    let mut chain: Vec<String> = Vec::new();
    for id in lists::parts(draft, args) {
        let id = id.to_lowercase();
        if chain.contains(&id) {
            let text = format!("plugins lists {id} twice; its first place is used");
            draft.warn(args.at, text);
        } else {
            chain.push(id);
        }
    }
    if !chain.is_empty() {
        draft.config.plugins = Some(chain);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::config;

    #[test]
    fn setuid_off_wins_over_the_users_name_wherever_it_stands() {
        assert_eq!(
            config("setuid off\nsetuid_username x").setuid_username,
            None
        );
        assert_eq!(
            config("setuid_username x\nsetuid off").setuid_username,
            None
        );
        assert_eq!(
            config("setuid on").setuid_username.as_deref(),
            Some("nobody")
        );
    }
}
