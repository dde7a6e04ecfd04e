//! What is wrong with a server's TLS, in words that say what to do.

use std::time::{Duration, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

use gmetad_core::model::Readable;

/// Most names of a certificate that are shown.
const SHOWN_NAMES: usize = 4;

/// An error in words. What it means may depend on whether we have a certificate to show.
pub(super) fn of_error(error: &Error, has_certificate: bool) -> String {
    match error {
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::AlertReceived(alert) => of_alert(*alert, has_certificate),
        Error::InvalidMessage(_) => {
            "it does not speak TLS at this port; is its URL http://?".into()
        }
        Error::PeerIncompatible(_) => {
            format!("it offers neither TLS 1.3 nor a safe TLS 1.2: {error}")
        }
        error => error.to_string(),
    }
}

fn of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "its certificate is signed by an authority that is not trusted; name the authority's \
             certificate with ca_file"
                .into()
        }
        CertificateError::Expired => "its certificate has expired".into(),
        CertificateError::ExpiredContext { time, not_after } => {
            format!("its certificate expired {} ago", between(*not_after, *time))
        }
        CertificateError::NotValidYet => "its certificate is not valid yet".into(),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "its certificate is not valid for another {}; is this machine's clock right?",
            between(*time, *not_before)
        ),
        CertificateError::NotValidForName => "its certificate is for another name".into(),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let shown: Vec<&str> = presented
                .iter()
                .take(SHOWN_NAMES)
                .map(|it| bare(it))
                .collect();
            let names = match shown.len() {
                0 => "no name".into(),
                _ => Readable::line(&shown.join(", ")).to_string(),
            };
            let name = expected.to_str();
            format!("its certificate is for {names}, not for {name}; use a name of it in url")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is not one for servers".into()
        }
        error => format!("its certificate cannot be used: {error}"),
    }
}

/// `DnsName("a.b")` → `a.b`
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').map_or(name, |(_, inner)| inner);
    inner.trim_end_matches(')').trim_matches('"')
}

fn of_alert(alert: AlertDescription, has_certificate: bool) -> String {
    use AlertDescription as Alert;
    match (alert, has_certificate) {
        (Alert::CertificateRequired | Alert::BadCertificate | Alert::NoCertificate, false) => {
            "it wants to see a certificate; set client_certificate and client_key".into()
        }
        (
            Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied,
            true,
        ) => format!("it refuses client_certificate: {alert:?}"),
        (Alert::HandshakeFailure, false) => {
            "it ended the handshake; it may want to see a certificate (client_certificate, \
             client_key), or other versions of TLS"
                .into()
        }
        (Alert::UnrecognisedName, _) => "it knows no host of the name in url".into(),
        (alert, _) => format!("it ended TLS: {alert:?}"),
    }
}

/// How long it is from one time to a later one.
fn between(earlier: UnixTime, later: UnixTime) -> String {
    let at = |time: UnixTime| UNIX_EPOCH + Duration::from_secs(time.as_secs());
    let secs = at(later)
        .duration_since(at(earlier))
        .unwrap_or_default()
        .as_secs();
    match secs {
        172_800.. => format!("{} days", secs / 86_400),
        7_200.. => format!("{} hours", secs / 3_600),
        120.. => format!("{} minutes", secs / 60),
        _ => format!("{secs} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::ServerName;

    #[test]
    fn names_of_a_certificate_are_shown_without_what_a_terminal_reads() {
        let of = |presented: &[&str]| {
            let presented = presented.iter().map(|&it| it.into()).collect();
            let expected = ServerName::try_from("h.example").unwrap();
            of_certificate(&CertificateError::NotValidForNameContext {
                expected,
                presented,
            })
        };
        let many = of(&[
            "DnsName(\"a\u{1b}[2J\")",
            "IpAddress(10.0.0.1)",
            "x",
            "y",
            "z",
        ]);
        assert_eq!(
            many,
            "its certificate is for a\\u{1b}[2J, 10.0.0.1, x, y, not for h.example; use a name of \
             it in url"
        );
        assert!(of(&[]).contains("is for no name, not for"));
    }

    #[test]
    fn times_are_told_in_what_they_are_counted_in() {
        let at = |secs| UnixTime::since_unix_epoch(Duration::from_secs(secs));
        for (secs, told) in [
            (5, "5 s"),
            (600, "10 minutes"),
            (7_200, "2 hours"),
            (864_000, "10 days"),
        ] {
            assert_eq!(between(at(100), at(100 + secs)), told);
        }
        assert_eq!(between(at(100), at(50)), "0 s");
    }

    #[test]
    fn what_an_alert_means_depends_on_what_was_shown() {
        for alert in [
            AlertDescription::CertificateRequired,
            AlertDescription::BadCertificate,
        ] {
            assert!(of_alert(alert, false).contains("set client_certificate"));
            assert!(of_alert(alert, true).contains("it refuses client_certificate"));
        }
        assert!(of_alert(AlertDescription::InternalError, true).ends_with("InternalError"));
    }
}
