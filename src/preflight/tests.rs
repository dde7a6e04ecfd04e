use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::*;
use gmetad_config as config;
use gmetad_config::Disk;
use gmetad_config::Overrides;

/// A machine on which all is well, but for what a test says.
#[derive(Default)]
struct Fake {
    root: bool,
    no_user: bool,
    kinds: HashMap<PathBuf, Kind>,
    links: HashSet<PathBuf>,
    /// By who and path; `None` is that it could not be asked.
    denied: HashMap<(String, PathBuf), Option<io::ErrorKind>>,
    ports: HashMap<u16, io::ErrorKind>,
    holder: Option<PortHolder>,
    owner: Option<u32>,
    answers: bool,
    unresolved: Vec<(&'static str, NameTrouble)>,
    named: &'static str,
}

impl Fake {
    fn with(paths: &[(&str, Kind)]) -> Fake {
        let known = [("/", Kind::Folder), ("/var/lib/ganglia/rrds", Kind::Folder)];
        let kinds = known.iter().chain(paths);
        Fake {
            kinds: kinds.map(|(path, kind)| (path.into(), *kind)).collect(),
            ..Fake::default()
        }
    }

    fn of_root(mut self) -> Fake {
        self.root = true;
        self
    }

    fn denying(mut self, who: &str, path: &str) -> Fake {
        let denied = Some(io::ErrorKind::PermissionDenied);
        self.denied.insert((who.into(), path.into()), denied);
        self
    }
}

impl World for Fake {
    fn is_root(&self) -> bool {
        self.root
    }

    fn user(&self, name: &str) -> Result<(), UserError> {
        if self.no_user {
            return Err(UserError::Unknown(name.into()));
        }
        Ok(())
    }

    fn kind(&self, path: &Path) -> io::Result<Kind> {
        let kind = self.kinds.get(path).copied();
        kind.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn is_link(&self, path: &Path) -> bool {
        self.links.contains(path)
    }

    fn may(&self, who: Who<'_>, _: Need, path: &Path) -> May {
        match self.denied.get(&(who.to_string(), path.into())) {
            None => May::Yes,
            Some(Some(kind)) => May::No((*kind).into()),
            Some(None) => May::Unknown("no process can be started".into()),
        }
    }

    fn port(&self, _: Option<IpAddr>, port: u16) -> Result<(), (SocketAddr, io::Error)> {
        match self.ports.get(&port) {
            None => Ok(()),
            Some(kind) => Err((SocketAddr::from(([127, 0, 0, 1], port)), (*kind).into())),
        }
    }

    fn holder(&self, _: SocketAddr) -> Option<PortHolder> {
        self.holder.clone()
    }

    fn owner_of_pid_file(&self, _: &Path) -> Option<u32> {
        self.owner
    }

    fn answers(&self, _: &Path) -> bool {
        self.answers
    }

    fn unresolved(&self, names: &[&str]) -> Vec<(String, NameTrouble)> {
        let known = self.unresolved.iter();
        known
            .filter(|(name, _)| names.contains(name))
            .map(|(name, trouble)| ((*name).to_owned(), trouble.clone()))
            .collect()
    }

    fn files_naming(&self, _: &Path, id: &str) -> Vec<String> {
        let named = Some("a.so".to_owned()).filter(|_| self.named == id);
        named.into_iter().collect()
    }
}

/// What is found, `CODE TEXT`: the exit code, `warn` or `unchecked`.
fn found(text: &str, world: &Fake) -> Vec<String> {
    let file = Path::new("g.conf");
    let overrides = Overrides {
        // Given on the command line alone.
        pid_file: text.contains("#pid").then(|| "/p/pid".into()),
        ..Overrides::default()
    };
    let loaded = config::parse(text.as_bytes(), file, &Disk, &overrides, "h").expect("sound");
    let findings = findings(&loaded.config, world);
    let said = |Finding { weight, text }: &Finding| match weight {
        Weight::Fatal(exit) => format!("{} {text}", *exit as u8),
        Weight::LeftOut => format!("left out {text}"),
        Weight::Warning => format!("warn {text}"),
        Weight::Unchecked => format!("unchecked {text}"),
    };
    findings.iter().map(said).collect()
}

fn process(name: &str) -> PortHolder {
    PortHolder::Process {
        name: name.into(),
        pid: 7,
    }
}

const NOBODY: &str = "user nobody";

#[test]
fn nothing_is_found_where_all_is_well() {
    let world = Fake::with(&[]).of_root();
    assert_eq!(found("data_source a h", &world), [""; 0]);
    assert_eq!(found("setuid off", &Fake::with(&[])), [""; 0]);
}

#[test]
fn what_only_root_can_check_is_said() {
    assert_eq!(
        found("setuid_username ganglia", &Fake::with(&[])),
        [
            "unchecked started by root, gmetad becomes user ganglia; run this check as root to \
             check that user's rights: here it checks those of this user"
        ]
    );
}

#[test]
fn a_user_that_is_not_there_stands_beside_the_other_mistakes() {
    let mut world = Fake::with(&[]).of_root();
    world.no_user = true;
    world.ports.insert(8651, io::ErrorKind::AddrInUse);
    let said = found("setuid_username nobady", &world);
    assert!(
        said[0].starts_with("78 the user nobady does not exist"),
        "{said:?}"
    );
    assert!(
        said[1].starts_with("unchecked what user nobady may"),
        "{said:?}"
    );
    assert!(
        said[2].starts_with("69 xml_port 127.0.0.1:8651 "),
        "{said:?}"
    );
    assert_eq!(said.len(), 3);
}

#[test]
fn files_are_made_by_who_starts_it_in_folders_that_are_there() {
    let conf = "setuid off\nlogfile /l/log\n#pid";
    let both = [("/l", Kind::Folder), ("/p", Kind::Folder)];
    assert_eq!(found(conf, &Fake::with(&both)), [""; 0]);
    assert_eq!(
        found(conf, &Fake::with(&[])),
        [
            "73 log file /l/log cannot be opened: /l: entity not found; make the folder or choose \
             another",
            "73 pid file /p/pid cannot be made: /p: entity not found; make the folder or choose \
             another",
        ]
    );
    let world = Fake::with(&both)
        .denying("this user", "/l")
        .denying("this user", "/p");
    assert_eq!(
        found(conf, &world),
        [
            "73 log file /l/log cannot be opened: this user may not write to /l: permission denied",
            "73 pid file /p/pid cannot be made: this user may not write to /p: permission denied",
        ]
    );
    let mut world = Fake::with(&[("/l/log", Kind::Folder), ("/p/pid", Kind::File)]);
    world.links.insert("/p/pid".into());
    assert_eq!(
        found(conf, &world),
        [
            "73 log file /l/log cannot be opened: it is a folder",
            "73 pid file /p/pid cannot be made: it is a link, which is not followed",
        ]
    );
}

#[test]
fn a_log_file_that_the_user_cannot_open_again_is_a_warning() {
    let other = Fake::with(&[("/l/log", Kind::Fifo)]);
    assert_eq!(
        found("setuid off\nlogfile /l/log", &other),
        ["73 log file /l/log cannot be opened: it is not a regular file"]
    );
    let world = Fake::with(&[("/l/log", Kind::File)])
        .of_root()
        .denying(NOBODY, "/l/log");
    assert_eq!(
        found("logfile /l/log", &world),
        [
            "warn log file /l/log can be opened at the start, and not again after a rotation: user \
             nobody may not write to /l/log: permission denied"
        ]
    );
}

#[test]
fn a_taken_port_names_who_has_it() {
    let mut world = Fake::with(&[]);
    world.ports.insert(8651, io::ErrorKind::AddrInUse);
    world.ports.insert(8652, io::ErrorKind::PermissionDenied);
    assert_eq!(
        found("setuid off", &world),
        [
            "69 xml_port 127.0.0.1:8651 cannot be listened on: address in use; choose another port, or \
             end the process that has it",
            "77 interactive_port 127.0.0.1:8652 cannot be listened on: permission denied; start as \
             root, or choose a port above 1023",
        ]
    );
    world.holder = Some(process("nc"));
    assert_eq!(
        found("setuid off", &world)[0],
        "69 xml_port 127.0.0.1:8651 cannot be listened on: nc (pid 7) has the port; end that process, or \
         choose another port"
    );
    assert_eq!(
        found("setuid off\nxml_port 0\ninteractive_port 1", &world),
        [""; 0]
    );
}

#[test]
fn what_a_running_gmetad_has_is_no_mistake() {
    let mut world = Fake::with(&[("/s", Kind::Socket)]);
    world.ports.insert(8651, io::ErrorKind::AddrInUse);
    world.holder = Some(process("gmetad"));
    world.owner = Some(7);
    world.answers = true;
    let conf = "setuid off\n#pid\nrrd {\nlisten /s\n}";
    let said = found(conf, &world);
    assert_eq!(
        said[0],
        "warn pid file /p/pid is held by gmetad (pid 7), which runs now; a start fails until that has \
         ended, a reload does not"
    );
    assert!(
        said[1].starts_with("warn xml_port 127.0.0.1:8651 is held by gmetad"),
        "{said:?}"
    );
    assert!(
        said[2].starts_with("warn listen /s cannot be listened on"),
        "{said:?}"
    );
    // Without that, the socket is somebody else's.
    world.owner = None;
    world.ports.clear();
    world.kinds.insert("/p".into(), Kind::Folder);
    let said = found(conf, &world);
    assert!(
        said[0].starts_with("69 listen /s cannot be listened on"),
        "{said:?}"
    );
}

#[test]
fn the_socket_stands_in_a_folder_and_in_the_place_of_no_file() {
    let conf = "setuid off\nrrd {\nlisten /r/s\n}";
    let said = found(conf, &Fake::with(&[]));
    assert!(
        said[0].starts_with("71 listen /r/s cannot be listened on: /r: "),
        "{said:?}"
    );
    let world = Fake::with(&[("/r", Kind::Folder)]).denying("this user", "/r");
    let said = found(conf, &world);
    assert!(
        said[0].starts_with("77 listen /r/s cannot be listened on: "),
        "{said:?}"
    );
    let said = found(conf, &Fake::with(&[("/r/s", Kind::File)]));
    assert!(
        said[0].starts_with("71 listen /r/s cannot be listened on: there is a file"),
        "{said:?}"
    );
    let world = Fake::with(&[("/r", Kind::Folder), ("/r/s", Kind::Socket)]);
    assert_eq!(
        found(conf, &world),
        [""; 0],
        "one that nobody listens at is replaced"
    );
}

#[test]
fn values_are_stored_by_the_user_that_is_become() {
    let conf = "rrd_rootdir /rrds\nrrd {\nwrite_timeout 60\njournal_dir /j/d\n}";
    let world = Fake::with(&[("/rrds", Kind::Folder), ("/j/d", Kind::Folder)]).of_root();
    assert_eq!(found(conf, &world), [""; 0]);
    let world = world.denying(NOBODY, "/rrds").denying(NOBODY, "/j/d");
    assert_eq!(
        found(conf, &world),
        [
            "warn no values would be stored in the RRD root /rrds: user nobody may not write to \
             /rrds: permission denied; make it, and chown it to nobody",
            "warn no journal would be kept in journal_dir /j/d, and a crash would lose the values in \
             the cache: user nobody may not write to /j/d: permission denied; make it, and chown it to \
             nobody",
        ]
    );
    let without = conf.replace("rrd_rootdir", "write_rrds off\nrrd_rootdir");
    assert_eq!(found(&without, &world), [""; 0]);
}

#[cfg(feature = "export")]
#[test]
fn values_wait_where_the_user_that_is_become_may_write() {
    let conf = "write_rrds off\nremote_write {\nurl http://127.0.0.1/w\nbacklog_dir /b/d\n}";
    let world = Fake::with(&[("/b", Kind::Folder)]).of_root();
    assert_eq!(found(conf, &world), [""; 0]);
    assert_eq!(
        found(conf, &world.denying(NOBODY, "/b")),
        [
            "warn values would wait in memory and not in backlog_dir /b/d, and a crash would lose \
             them: it is not there and cannot be made, user nobody may not write to /b: permission \
             denied; make it, and chown it to nobody"
        ]
    );
}

#[cfg(feature = "export")]
#[test]
fn what_is_read_while_values_are_sent_is_there_and_the_users_to_read() {
    let conf =
        "write_rrds off\nremote_write {\nurl http://127.0.0.1/w\nbearer_token_file /t/token\n}";
    let told = "warn values would wait and not be sent while /t/token cannot be read: ";
    let world = || Fake::with(&[("/t/token", Kind::File)]).of_root();
    assert_eq!(found(conf, &world()), [""; 0]);
    assert_eq!(
        found(conf, &world().denying(NOBODY, "/t/token")),
        [format!(
            "{told}user nobody may not read /t/token: permission denied"
        )]
    );
    assert_eq!(
        found(conf, &Fake::with(&[("/t/token", Kind::Folder)]).of_root()),
        [format!("{told}it is not a regular file")]
    );
    let missing = found(conf, &Fake::with(&[]).of_root());
    assert!(
        missing.len() == 1 && missing[0].starts_with(told),
        "{missing:?}"
    );
}

#[test]
fn root_makes_a_missing_rrd_root_for_a_user_who_can_get_there() {
    let conf = "rrd_rootdir /a/b/c\nrrd {\nwrite_timeout 60\njournal_dir /a/j\n}";
    let world = || Fake::with(&[("/a", Kind::Folder), ("/a/j", Kind::Folder)]).of_root();
    assert_eq!(found(conf, &world()), [""; 0]);
    let begins = "warn no values would be stored in the RRD root /a/b/c: ";
    let remedy = "; make it, and chown it to nobody";
    assert_eq!(
        found(conf, &world().denying(NOBODY, "/a")),
        [format!(
            "{begins}user nobody may not enter /a: permission denied{remedy}"
        )]
    );
    assert_eq!(
        found(conf, &world().denying("this user", "/a")),
        [format!(
            "{begins}it is not there and cannot be made, this user may not write to /a: permission \
             denied{remedy}"
        )]
    );
    // A link that leads nowhere is left alone, so the user has to make what it names.
    let mut dangling = world().denying(NOBODY, "/a");
    dangling.kinds.insert("/a/b".into(), Kind::Folder);
    assert_eq!(found(conf, &dangling), [""; 0]);
    dangling.links.insert("/a/b/c".into());
    let dangling = dangling.denying(NOBODY, "/a/b");
    assert_eq!(found(conf, &dangling).len(), 1);
    let without = found(&format!("{conf}\nplugins alert"), &dangling);
    assert!(!without.concat().contains("RRD root"), "{without:?}");
}

#[test]
fn a_folder_that_is_made_needs_the_right_in_the_nearest_that_is_there() {
    let conf = "setuid off\nrrd_rootdir /a/b/c";
    let world = Fake::with(&[("/a", Kind::Folder)]);
    assert_eq!(found(conf, &world), [""; 0]);
    let world = world.denying("this user", "/a");
    assert_eq!(
        found(conf, &world),
        [
            "warn no values would be stored in the RRD root /a/b/c: it is not there and cannot be \
             made, this user may not write to /a: permission denied"
        ]
    );
}

#[test]
fn what_could_not_be_asked_is_said_and_decides_nothing() {
    let mut world = Fake::with(&[]).of_root();
    let root = "/var/lib/ganglia/rrds";
    world.denied.insert((NOBODY.into(), root.into()), None);
    let said = found("", &world);
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("unchecked perhaps no values would be stored in the RRD root"),
        "{said:?}"
    );
    assert!(said[0].ends_with("no process can be started"), "{said:?}");
}

#[test]
fn names_that_no_plugin_answers_to_are_told_as_at_a_start() {
    let conf = "setuid off\nalrt {\n}\nrrdsummary {\n}\nplugins rrdsummary mine";
    assert_eq!(
        found(conf, &Fake::with(&[])),
        [
            "warn section alrt is ignored: no built-in plugin has that name, and plugins_dir is not \
             set; did you mean alert?",
            "warn plugins: mine is ignored: no built-in plugin has that name, and plugins_dir is not \
             set",
        ]
    );
    let mut world = Fake::with(&[("/p", Kind::Folder), ("/p/a.so", Kind::File)]);
    world.named = "alrt";
    assert_eq!(
        found(&format!("plugins_dir /p\n{conf} a.so"), &world),
        ["warn plugins: mine is ignored: no plugin has that name, built in or in /p"]
    );
}

#[test]
fn a_folder_of_plugins_is_read_by_the_user_that_is_become() {
    let world = Fake::with(&[("/p", Kind::Folder), ("/f", Kind::File)]).of_root();
    let said = |conf: &str, world: &Fake| found(conf, world).join("\n");
    assert_eq!(said("plugins_dir /p", &world), "");
    for (conf, reason) in [
        (
            "plugins_dir /none",
            "/none cannot be read, so no plugin is loaded from it: entity not found",
        ),
        (
            "plugins_dir /f",
            "/f cannot be read, so no plugin is loaded from it: it is not a folder",
        ),
    ] {
        assert_eq!(said(conf, &world), format!("warn plugins_dir {reason}"));
    }
    let world = world.denying(NOBODY, "/p");
    assert!(
        said("plugins_dir /p", &world).ends_with("user nobody may not read /p: permission denied")
    );
}

#[test]
fn what_alerts_run_must_be_there_and_may_be_run() {
    let rule = "metricrule a \"$val > 1\" m";
    let conf = format!("setuid off\nalert {{\ntoaddress a\ncommand /c x\n{rule}\n}}");
    let world = Fake::with(&[("/c", Kind::File)]).denying("this user", "/c");
    assert_eq!(
        found(&conf, &world),
        [
            "warn alerts are only logged, sendmailpath /usr/sbin/sendmail cannot be run: entity \
             not \
             found",
            "warn alerts are only logged, command /c cannot be run: this user may not run /c: \
             permission denied",
        ]
    );
    let alone = format!("setuid off\nalert {{\n{rule}\n}}");
    assert_eq!(found(&alone, &world), [""; 0]);
}

#[test]
fn an_export_that_is_left_out_is_a_mistake_of_the_file_and_no_failed_start() {
    let file = Path::new("g.conf");
    let parsed = config::parse(b"", file, &Disk, &Overrides::default(), "h");
    let config = parsed.expect("sound").config;
    let finding = |weight| Finding {
        weight,
        text: String::new(),
    };
    let judged = |weights: &[Weight]| {
        let findings: Vec<Finding> = weights.iter().copied().map(finding).collect();
        let Verdict { text, exit } = verdict(&config, &findings);
        (text, exit)
    };
    let (left_out, fatal) = (Weight::LeftOut, Weight::Fatal(Exit::Unavailable));
    assert_eq!(judged(&[Weight::Warning]), ("sound", Exit::Ok));
    let but = "sound, but for an export that is left out";
    assert_eq!(judged(&[Weight::Warning, left_out]), (but, Exit::Config));
    let fails = "a start with it fails here";
    assert_eq!(judged(&[fatal, left_out]), (fails, Exit::Config));
}

#[test]
#[cfg_attr(not(feature = "export"), ignore = "needs the feature export")]
fn names_without_an_address_are_told_with_where_they_stand() {
    let conf = "setuid off\ndata_source \"a b\" here gone 192.0.2.1 [::1]:1\n\
                trusted_hosts web\ncarbon_server carbon\n";
    let mut world = Fake::with(&[]);
    let unknown = || NameTrouble::Unknown("Name or service not known".into());
    world.unresolved = vec![
        ("gone", unknown()),
        ("web", unknown()),
        ("carbon", NameTrouble::NoAnswer),
        ("192.0.2.1", unknown()),
    ];
    assert_eq!(
        found(conf, &world),
        [
            "warn data_source \"a b\": the name gone has no address now (Name or service not \
             known); until it has one, that host counts as down",
            "warn trusted_hosts: the name web has no address now (Name or service not known); until \
             it has one, that host counts as down",
            "unchecked carbon_server: whether the name carbon has an address: the resolver does not \
             answer",
        ]
    );
}

#[test]
fn an_interval_that_lets_hosts_look_down_is_told() {
    let said = found(
        "setuid off\ndata_source a 60 h\ndata_source b 61 h",
        &Fake::with(&[]),
    );
    assert_eq!(said.len(), 1);
    assert!(
        said[0].starts_with("warn data_source \"b\" is polled every 61 s: "),
        "{said:?}"
    );
}
