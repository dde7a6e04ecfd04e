//! One section `remote_write` of gmetad.conf.
//!
//! Settings only.

use std::time::Duration;

use super::encode::Protocol;
use super::labels::OWN;
use super::protocol::Login;
use super::url::Url;
use crate::link::{BACKLOG_BYTES, SpoolSettings, TlsFiles};
use gmetad_config::ExportSection;
use gmetad_core::model::sorted;
use gmetad_core::plugin::PluginError;
use gmetad_core::summary::SummaryFilter;

/// Samples of a request, if nothing else is configured.
const BATCH_SAMPLES: u32 = 2_000;

/// Most samples of a request.
const MOST_BATCH_SAMPLES: u32 = 100_000;

/// How long a store may take, if nothing else is configured.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes that wait on disk at most, if nothing else is configured: eight hours of 33,000 metrics every
/// 15 s.
const BACKLOG_DIR_BYTES: u64 = 1024 * 1024 * 1024;

/// Headers that are ours.
const OWN_HEADERS: [&str; 8] = [
    "Host",
    "Connection",
    "Content-Length",
    "Content-Type",
    "Content-Encoding",
    "Transfer-Encoding",
    "X-Prometheus-Remote-Write-Version",
    "Expect",
];

/// A store, and what it gets.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `protocol`.
    pub protocol: Protocol,
    /// `url`.
    pub url: Url,
    /// `name`: what the log calls it.
    pub name: Option<String>,
    /// `header`s.
    pub headers: Vec<(String, String)>,
    /// `bearer_token_file`, or `username` and `password_file`.
    pub login: Login,
    /// `ca_file`, `client_certificate` and `client_key`; `None` without TLS.
    pub tls: Option<TlsFiles>,
    /// `external_label`s.
    pub external: Vec<(String, String)>,
    /// Rules about `metrics`.
    pub metrics: SummaryFilter,
    /// Rules about `hosts`.
    pub hosts: SummaryFilter,
    /// `summaries`.
    pub summaries: bool,
    /// `timeout`.
    pub timeout: Duration,
    /// `batch_samples`.
    pub batch_samples: u32,
    /// `backlog_mb`.
    pub backlog_bytes: usize,
    /// `backlog_dir`, `backlog_dir_mb` and `resend`.
    pub spool: Option<SpoolSettings>,
}

impl Settings {
    /// Reads a section.
    pub fn read(mut section: ExportSection<'_>) -> Result<Settings, PluginError> {
        let url = section.value("url", Url::parse)?;
        let protocol = section.value("protocol", protocol)?.unwrap_or_default();
        let name = section.text("name")?;
        let headers = section.each("header", header)?;
        let login = login(&mut section)?;
        let tls = tls(&mut section)?;
        let external = section.each("external_label", external_label)?;
        let names: Vec<&String> = external.iter().map(|(name, _)| name).collect();
        let names = sorted(names, Ord::cmp);
        let mut pairs = names.iter().zip(names.iter().skip(1));
        if let Some((twice, _)) = pairs.find(|(one, next)| one == next) {
            let told = format!("section remote_write sets external_label {twice} twice");
            return Err(PluginError::Failed(told));
        }
        let metrics = section.rules("metrics")?;
        let hosts = section.rules("hosts")?;
        let summaries = section.toggle("summaries")?;
        let timeout = section.seconds("timeout")?;
        let batch_samples = section.value("batch_samples", batch_samples)?;
        let backlog_bytes = section.megabytes("backlog_mb")?;
        let spool = spool(&mut section)?;
        section.finish()?;
        let url = url.ok_or_else(|| {
            let told = "section remote_write has no url; write url \"http://HOST:PORT/PATH\"";
            PluginError::Failed(told.into())
        })?;
        let is_secure = url.is_secure;
        if !is_secure && tls != TlsFiles::default() {
            let told = "section remote_write has files for TLS, but its url is of http://; write \
                        https://, or leave out ca_file, client_certificate and client_key";
            return Err(PluginError::Failed(told.into()));
        }
        let url = match protocol {
            Protocol::Prometheus => url,
            Protocol::Influx => in_milliseconds(url)?,
        };
        if protocol == Protocol::Influx && external.iter().any(|(name, _)| name == "time") {
            let told = "section remote_write has external_label time, which InfluxDB does not take";
            return Err(PluginError::Failed(told.into()));
        }
        Ok(Settings {
            protocol,
            url,
            name,
            headers,
            login,
            tls: is_secure.then_some(tls),
            external,
            metrics,
            hosts,
            summaries: summaries.unwrap_or(true),
            timeout: timeout.unwrap_or(TIMEOUT),
            batch_samples: batch_samples.unwrap_or(BATCH_SAMPLES),
            backlog_bytes: backlog_bytes.unwrap_or(BACKLOG_BYTES),
            spool,
        })
    }
}

fn spool(section: &mut ExportSection<'_>) -> Result<Option<SpoolSettings>, PluginError> {
    let folder = section.path("backlog_dir")?;
    let limit = section.megabytes("backlog_dir_mb")?;
    let resend = section.seconds("resend")?;
    let Some(folder) = folder else {
        let alone = [
            ("backlog_dir_mb", limit.is_some()),
            ("resend", resend.is_some()),
        ];
        return match alone.into_iter().find(|(_, is_set)| *is_set) {
            Some((name, _)) => {
                let told = format!("section remote_write has {name}, which needs backlog_dir");
                Err(PluginError::Failed(told))
            }
            None => Ok(None),
        };
    };
    Ok(Some(SpoolSettings {
        folder,
        limit_bytes: limit.map_or(BACKLOG_DIR_BYTES, |bytes| bytes as u64),
        resend: resend.unwrap_or_default(),
    }))
}

fn protocol(text: &str) -> Result<Protocol, String> {
    match text.to_ascii_lowercase().as_str() {
        "prometheus" => Ok(Protocol::Prometheus),
        "influx" => Ok(Protocol::Influx),
        _ => Err(format!("\"{text}\" is neither prometheus nor influx")),
    }
}

/// The URL that says which unit our times have.
fn in_milliseconds(mut url: Url) -> Result<Url, PluginError> {
    if url.path.contains("precision=") {
        let told = "section remote_write has a url with a precision, which gmetad sets itself";
        return Err(PluginError::Failed(told.into()));
    }
    let sign = if url.path.contains('?') { '&' } else { '?' };
    url.path.push(sign);
    url.path.push_str("precision=ms");
    Ok(url)
}

fn batch_samples(text: &str) -> Result<u32, String> {
    let number = text.parse().ok();
    number
        .filter(|number| (1..=MOST_BATCH_SAMPLES).contains(number))
        .ok_or_else(|| format!("\"{text}\" is not a number from 1 to {MOST_BATCH_SAMPLES}"))
}

/// `header NAME VALUE`
fn header(words: &[&str]) -> Result<(String, String), String> {
    let [name, value] = words else {
        return Err("takes a name and a value in quotes".into());
    };
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("\"{name}\" is not the name of a header"));
    }
    if OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Err(format!("{name} is set by gmetad"));
    }
    if name.eq_ignore_ascii_case("Authorization") {
        let told = "passwords and tokens stand in files; use bearer_token_file, or username and \
                    password_file";
        return Err(told.into());
    }
    if !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(format!(
            "the value of {name} has characters outside of ASCII"
        ));
    }
    Ok(((*name).into(), (*value).into()))
}

/// `external_label NAME VALUE`
fn external_label(words: &[&str]) -> Result<(String, String), String> {
    let [name, value] = words else {
        return Err("takes a name and a value".into());
    };
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if !name.bytes().all(is_word)
        || !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
    {
        let told = "is not a label's name; give letters, digits and \"_\", no digit first";
        return Err(format!("\"{name}\" {told}"));
    }
    if OWN.contains(name) {
        return Err(format!(
            "{name} is a label of gmetad's own; give another name"
        ));
    }
    Ok(((*name).into(), (*value).into()))
}

/// `ca_file`, `client_certificate` and `client_key`.
fn tls(section: &mut ExportSection<'_>) -> Result<TlsFiles, PluginError> {
    let authorities = section.path("ca_file")?;
    let certificate = section.path("client_certificate")?;
    let client = match (certificate, section.path("client_key")?) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some((certificate, key)),
        _ => {
            let told = "section remote_write needs client_certificate and client_key together";
            return Err(PluginError::Failed(told.into()));
        }
    };
    Ok(TlsFiles {
        authorities,
        client,
    })
}

fn login(section: &mut ExportSection<'_>) -> Result<Login, PluginError> {
    let token = section.path("bearer_token_file")?;
    let (user, password) = (section.text("username")?, section.path("password_file")?);
    let wrong = |told: &str| Err(PluginError::Failed(format!("section remote_write {told}")));
    match (token, user, password) {
        (None, None, None) => Ok(Login::None),
        (Some(file), None, None) => Ok(Login::Bearer(file)),
        (None, Some(user), Some(_)) if user.contains(':') => wrong("has a username with a colon"),
        (None, Some(user), Some(file)) => Ok(Login::Basic(user, file)),
        (None, _, _) => wrong("needs username and password_file together"),
        (Some(_), _, _) => wrong("has bearer_token_file and a username; use one of them"),
    }
}
