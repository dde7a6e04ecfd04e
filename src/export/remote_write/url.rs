//! The URL that values are sent to.
//!
//! Only what a request needs: where to connect, the path, and the name of the host.

use crate::link::HAS_TLS;
use gmetad_core::source::HostPort;

/// Port of a URL without one.
const HTTP_PORT: u16 = 80;

/// The same, of `https`.
const HTTPS_PORT: u16 = 443;

/// A URL of HTTP, over TLS or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether it is of `https`.
    pub is_secure: bool,
    /// Where to connect.
    pub place: HostPort,
    /// Host and port as they are written, for the header `Host`.
    pub authority: String,
    /// From the first slash on, with the question.
    pub path: String,
}

impl Url {
    /// Reads a URL. An error says what to write.
    pub fn parse(text: &str) -> Result<Url, String> {
        let (is_secure, authority, path) = split(text)?;
        let usual_port = if is_secure { HTTPS_PORT } else { HTTP_PORT };
        Ok(Url {
            is_secure,
            place: gmetad_config::host_port(authority, usual_port)?,
            authority: authority.into(),
            path: path.into(),
        })
    }
}

/// Splits a URL into whether it is of `https`, host and port, and path.
fn split(text: &str) -> Result<(bool, &str, &str), String> {
    let wrong = |reason: &str| Err(format!("\"{text}\" {reason}"));
    let Some((scheme, rest)) = text.split_once("://") else {
        return wrong("is not a URL; write http://HOST:PORT/PATH");
    };
    let is_secure = scheme.eq_ignore_ascii_case("https");
    if is_secure && !HAS_TLS {
        return wrong(
            "needs TLS, which this gmetad was built without; use one that was built with the \
             feature tls, or http:// to a proxy on this machine",
        );
    }
    if !is_secure && !scheme.eq_ignore_ascii_case("http") {
        return wrong("is not of HTTP; write http://HOST:PORT/PATH");
    }
    let is_sound = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '#' | '\\');
    if !rest.chars().all(is_sound) {
        return wrong("has characters that a URL cannot have; write them as %20");
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        return Err("a URL has no place for a password; use username and password_file".into());
    }
    if !path.starts_with('/') {
        return wrong("has no path; stores take values at /api/v1/write or the like");
    }
    Ok((is_secure, authority, path))
}
