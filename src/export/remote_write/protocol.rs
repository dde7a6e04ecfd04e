//! Remote write over HTTP/1.1: requests, and what their answers mean.
//!
//! No sockets: an answer is read through an [`AnswerReader`].

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::encode::Protocol;
use super::url::Url;
use crate::link::{AnswerReader, Batch, BatchAnswer, Dialect, Frame, LinkError};
use gmetad_core::model::Readable;

/// Longest head of an answer.
const HEAD_BYTES: usize = 16 * 1024;

/// Most headers of an answer.
const HEADERS: usize = 64;

/// Longest body of an answer that is read. Behind a longer one the connection is closed.
const BODY_BYTES: usize = 64 * 1024;

/// As much of an answer is read at most, with what came with its last piece.
pub const LONGEST_ANSWER_BYTES: usize = INTERIM_ANSWERS * HEAD_BYTES + 2 * BODY_BYTES;

/// Longest line with the size of a chunk.
const CHUNK_LINE_BYTES: usize = 256;

/// Characters of a server's words in the log.
const WORDS: usize = 300;

/// Interim answers (1xx) in front of one.
const INTERIM_ANSWERS: usize = 8;

/// Longest pause that a server gets by asking for it.
const LONGEST_PAUSE_SECS: u64 = 300;

/// Longest password or token.
const SECRET_BYTES: usize = 64 * 1024;

/// How a TLS record begins that says why the connection ends.
const TLS_ALERT: &[u8] = b"\x15\x03";

const SPEAKS_TLS: &str = "it speaks TLS; write https:// in url";

/// How we say who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Not at all.
    None,
    /// By a token, which stands in this file.
    Bearer(PathBuf),
    /// By a name, and the password in this file.
    Basic(String, PathBuf),
}

impl Login {
    /// The file with what nobody else may know.
    pub fn secret(&self) -> Option<&PathBuf> {
        match self {
            Login::None => None,
            Login::Bearer(file) | Login::Basic(_, file) => Some(file),
        }
    }
}

/// Requests to one URL.
pub struct Http {
    protocol: Protocol,
    /// Request line and headers, without those that differ between requests.
    head: String,
    login: Login,
    /// Whether this goes over TLS.
    is_secure: bool,
}

impl Http {
    /// To this URL, with further headers.
    pub fn new(protocol: Protocol, url: &Url, headers: &[(String, String)], login: Login) -> Http {
        let mut head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: gmetad/{}\r\n{}",
            url.path,
            url.authority,
            env!("CARGO_PKG_VERSION"),
            protocol.headers()
        );
        for (name, value) in headers {
            // Writing to a string does not fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        Http {
            protocol,
            head,
            login,
            is_secure: url.is_secure,
        }
    }

    /// Whether a server that speaks TLS says that we do not: that is no refusal of values.
    fn wants_tls(&self, status: u16, body: &[u8]) -> bool {
        // As Go's server, nginx and Apache say it.
        const SAID: [&[u8]; 3] = [
            b"to an HTTPS server",
            b"to HTTPS port",
            b"to an SSL-enabled",
        ];
        let is_said = |words: &&[u8]| memchr::memmem::find(body, words).is_some();
        !self.is_secure && status == 400 && SAID.iter().any(is_said)
    }

    fn authorization(&self) -> Result<Option<String>, LinkError> {
        Ok(match &self.login {
            Login::None => None,
            Login::Bearer(file) => Some(format!("Bearer {}", secret(file)?)),
            Login::Basic(name, file) => {
                let both = format!("{name}:{}", secret(file)?);
                Some(format!("Basic {}", base64(both.as_bytes())))
            }
        })
    }
}

impl Dialect for Http {
    fn encode(&self, batch: &Batch, out: &mut Vec<u8>, scratch: &mut Vec<u8>) {
        self.protocol.push_body(out, batch.bytes(), scratch);
    }

    fn head(&self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), LinkError> {
        out.extend_from_slice(self.head.as_bytes());
        if let Some(authorization) = self.authorization()? {
            out.extend_from_slice(format!("Authorization: {authorization}\r\n").as_bytes());
        }
        let length = frame.bytes.len();
        out.extend_from_slice(format!("Content-Length: {length}\r\n\r\n").as_bytes());
        Ok(())
    }

    fn format(&self) -> u8 {
        self.protocol.mark()
    }

    fn answers(&self) -> bool {
        true
    }

    fn answer(
        &self,
        reader: &mut AnswerReader<'_>,
        frame: &Frame,
    ) -> Result<BatchAnswer, LinkError> {
        if reader.begins_with(TLS_ALERT)? {
            return Err(LinkError::Protocol(SPEAKS_TLS.into()));
        }
        let head = final_head(reader)?;
        let (body, stays_open) = body(reader, &head)?;
        let closes = head.closes || !stays_open;
        let told = || told(&head, &body);
        match head.status {
            200..=299 => Ok(BatchAnswer {
                closes,
                ..BatchAnswer::default()
            }),
            429 | 500..=599 => Err(LinkError::Busy {
                told: told(),
                pause: head.pause,
            }),
            300..=399 => {
                let place = Readable::line(&head.location);
                let what = format!("{} to {place}; no redirect is followed", told());
                Err(LinkError::Protocol(what))
            }
            status if self.wants_tls(status, &body) => Err(LinkError::Protocol(SPEAKS_TLS.into())),
            400..=499 => Ok(BatchAnswer {
                refused: (0..frame.values).collect(),
                reason: told(),
                closes,
                ..BatchAnswer::default()
            }),
            _ => Err(LinkError::Protocol(told())),
        }
    }
}

/// The head of an answer.
#[derive(Debug, Default)]
struct Head {
    status: u16,
    reason: String,
    body: Body,
    /// Whether the connection ends behind it.
    closes: bool,
    /// Retry-After.
    pause: Duration,
    location: String,
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Body {
    /// There is none.
    #[default]
    None,
    /// By its length.
    Length(usize),
    /// In chunks, each with its length.
    Chunked,
    /// With the connection's.
    UntilClosed,
}

/// The head of the answer, behind any that say that it will come.
fn final_head(reader: &mut AnswerReader<'_>) -> Result<Head, LinkError> {
    for _ in 0..INTERIM_ANSWERS {
        let bytes = reader.through(b"\r\n\r\n", HEAD_BYTES)?;
        let head = parse(&bytes)?;
        if !(100..200).contains(&head.status) {
            return Ok(head);
        }
    }
    Err(LinkError::Protocol("answers that are not final".into()))
}

fn parse(bytes: &[u8]) -> Result<Head, LinkError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let wrong = |what: &dyn std::fmt::Display| LinkError::Protocol(what.to_string());
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(wrong(&"half a head")),
        Err(error) => return Err(wrong(&error)),
    }
    let status = response.code.unwrap_or_default();
    let mut head = Head {
        status,
        reason: response.reason.unwrap_or_default().into(),
        body: Body::UntilClosed,
        closes: response.version == Some(0),
        ..Head::default()
    };
    let mut length = None;
    for header in response.headers.iter() {
        let value = String::from_utf8_lossy(header.value);
        let value = value.trim();
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("Content-Length") {
            let said = value.parse().map_err(|_| wrong(&"a length that is none"))?;
            if length.is_some_and(|other| other != said) {
                return Err(wrong(&"two lengths"));
            }
            length = Some(said);
        } else if is("Transfer-Encoding") && value.eq_ignore_ascii_case("chunked") {
            head.body = Body::Chunked;
        } else if is("Connection") {
            let mut words = value.split(',').map(str::trim);
            head.closes |= words.any(|word| word.eq_ignore_ascii_case("close"));
        } else if is("Retry-After") {
            let secs: u64 = value.parse().unwrap_or_default();
            head.pause = Duration::from_secs(secs.min(LONGEST_PAUSE_SECS));
        } else if is("Location") {
            head.location = value.into();
        }
    }
    if matches!(status, 100..=199 | 204 | 304) {
        head.body = Body::None;
    } else if let (Body::UntilClosed, Some(length)) = (head.body, length) {
        head.body = Body::Length(length);
    }
    Ok(head)
}

/// Reads the body, and whether the connection may be used behind it.
fn body(reader: &mut AnswerReader<'_>, head: &Head) -> Result<(Vec<u8>, bool), LinkError> {
    match head.body {
        Body::None => Ok((Vec::new(), true)),
        Body::Length(length) => {
            let bytes = reader.exactly(length.min(BODY_BYTES))?;
            Ok((bytes, length <= BODY_BYTES))
        }
        Body::UntilClosed => Ok((reader.rest(BODY_BYTES)?, false)),
        Body::Chunked => chunks(reader),
    }
}

fn chunks(reader: &mut AnswerReader<'_>) -> Result<(Vec<u8>, bool), LinkError> {
    let mut body = Vec::new();
    loop {
        let line = reader.line(CHUNK_LINE_BYTES)?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let length = usize::from_str_radix(digits, 16)
            .map_err(|_| LinkError::Protocol(format!("a chunk of {digits}")))?;
        if length == 0 {
            // What may follow is of no interest, and the connection is as good as a new one.
            let ends = reader.line(CHUNK_LINE_BYTES)?.is_empty();
            return Ok((body, ends));
        }
        if length > BODY_BYTES - body.len() {
            return Ok((body, false));
        }
        body.extend(reader.exactly(length)?);
        reader.line(CHUNK_LINE_BYTES)?;
    }
}

/// The answer in words: `400 Bad Request: out of order sample`.
fn told(head: &Head, body: &[u8]) -> String {
    let mut told = format!("{} {}", head.status, head.reason);
    let body = String::from_utf8_lossy(body);
    let line = body.lines().map(str::trim).find(|line| !line.is_empty());
    if let Some(line) = line {
        told.push_str(": ");
        told.extend(line.chars().take(WORDS));
    }
    Readable::line(told.trim()).to_string()
}

/// What stands in a file, for a header. It may be another one at the next request.
fn secret(file: &Path) -> Result<String, LinkError> {
    let error = |reason: String| LinkError::File {
        path: file.into(),
        reason,
    };
    let mut text = String::new();
    File::open(file)
        .and_then(|file| file.take(SECRET_BYTES as u64).read_to_string(&mut text))
        .map_err(|cause| error(cause.to_string()))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(error("it is empty".into()));
    }
    if text.contains(|c: char| c.is_control()) {
        return Err(error("it has more than one line".into()));
    }
    Ok(text.into())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| {
            bits << 8 | usize::from(group.get(at).copied().unwrap_or_default())
        });
        for at in 0..4 {
            if at <= group.len() {
                out.push(char::from(DIGITS[bits >> (18 - 6 * at) & 63]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{encoded, read_slowly};

    fn http(headers: &[(&str, &str)], login: Login) -> Http {
        let url = Url::parse("http://h:1/api/v1/write?x=y").unwrap();
        let headers: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        Http::new(Protocol::Prometheus, &url, &headers, login)
    }

    fn answer(text: &str) -> Result<BatchAnswer, LinkError> {
        let frame = Frame {
            bytes: Vec::new(),
            values: 3,
        };
        read_slowly(text.as_bytes(), |reader| {
            http(&[], Login::None).answer(reader, &frame)
        })
    }

    #[test]
    fn a_request_is_a_head_and_the_compressed_samples() {
        let http = http(&[("X-Scope-OrgID", "t 1")], Login::None);
        let mut batch = Batch::default();
        batch.push(b"samples");
        let frame = encoded(&batch, &http);
        let body = snap::raw::Decoder::new().decompress_vec(&frame.bytes);
        assert_eq!(body.unwrap(), b"samples");
        let mut head = Vec::new();
        http.head(&frame, &mut head).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            String::from_utf8(head).unwrap(),
            format!(
                "POST /api/v1/write?x=y HTTP/1.1\r\nHost: h:1\r\nUser-Agent: gmetad/{version}\r\n\
                 Content-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\n\
                 X-Prometheus-Remote-Write-Version: 0.1.0\r\nX-Scope-OrgID: t 1\r\n\
                 Content-Length: {}\r\n\r\n",
                frame.bytes.len()
            )
        );
    }

    #[test]
    fn secrets_are_read_at_each_request_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let line = |login: Login| {
            let mut head = Vec::new();
            let result = http(&[], login).head(&Frame::default(), &mut head);
            result.map_err(|error| error.to_string()).map(|()| {
                let head = String::from_utf8(head).unwrap();
                let mut lines = head.lines();
                lines
                    .find(|it| it.starts_with("Authorization"))
                    .map(String::from)
            })
        };
        std::fs::write(&file, "open sesame\n").unwrap();
        let basic = || Login::Basic("Aladdin".into(), file.clone());
        let expected = "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        assert_eq!(line(basic()).unwrap().as_deref(), Some(expected));
        std::fs::write(&file, "abc").unwrap();
        let expected = "Authorization: Bearer abc";
        let bearer = line(Login::Bearer(file.clone())).unwrap();
        assert_eq!(bearer.as_deref(), Some(expected));
        assert_eq!(line(Login::None).unwrap(), None);
        for (text, told) in [("two\nlines", "more than one line"), (" \n", "is empty")] {
            std::fs::write(&file, text).unwrap();
            let error = line(basic()).unwrap_err();
            assert!(error.contains(told) && error.contains("secret"), "{error}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(line(basic()).unwrap_err().contains("No such file"));
    }

    #[test]
    fn base64_is_padded() {
        let encoded = ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes()));
        assert_eq!(encoded, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
    }

    #[test]
    fn what_is_taken_is_taken_and_the_connection_stays_open_unless_it_is_said() {
        for (text, closes) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", false),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n",
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n",
                true,
            ),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\n\r\nuntil it ends", true),
        ] {
            let expected = BatchAnswer {
                closes,
                ..BatchAnswer::default()
            };
            assert_eq!(answer(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_refused_is_refused_for_good_in_the_stores_words() {
        let text =
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 21\r\n\r\nout of\x07order\nand more.";
        let refused = answer(text).unwrap();
        assert_eq!(refused.refused, [0, 1, 2]);
        assert_eq!(refused.reason, "400 Bad Request: out of\\u{7}order");
        let long = "x".repeat(BODY_BYTES + 1);
        let text = format!(
            "HTTP/1.1 413 Big\r\nContent-Length: {}\r\n\r\n{long}",
            long.len()
        );
        let refused = answer(&text).unwrap();
        assert!(refused.closes && refused.reason.len() < 400, "{refused:?}");
    }

    #[test]
    fn who_is_busy_is_asked_again_and_later_if_it_says_so() {
        for (text, secs) in [
            (
                "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
                0,
            ),
            ("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 0),
            (
                "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
                7,
            ),
            (
                "HTTP/1.1 429 Slow\r\nRetry-After: 99999\r\nContent-Length: 0\r\n\r\n",
                300,
            ),
        ] {
            let error = answer(text).unwrap_err();
            let LinkError::Busy { pause, .. } = error else {
                panic!("{text}: {error}");
            };
            assert_eq!(pause.as_secs(), secs, "{text}");
        }
    }

    #[test]
    fn a_server_that_speaks_tls_refuses_no_values() {
        let told = "Client sent an HTTP request to an HTTPS server.\n";
        let nginx = "<html>\n<center>The plain HTTP request was sent to HTTPS port</center>";
        for text in [
            format!("HTTP/1.0 400 Bad Request\r\n\r\n{told}"),
            format!(
                "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n45\r\n{nginx}\r\n0\r\n\r\n"
            ),
            "\x15\x03\x03\x00\x02\x02\x46".into(),
        ] {
            let error = answer(&text).unwrap_err().to_string();
            assert!(
                error.ends_with("it speaks TLS; write https:// in url"),
                "{error}"
            );
        }
        let refused = answer("HTTP/1.1 400 Bad Request\r\n\r\nto an HTTP server").unwrap();
        assert_eq!(refused.refused.len(), 3);
    }

    #[test]
    fn redirects_and_nonsense_are_failures() {
        let redirect = "HTTP/1.1 301 Moved\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n";
        let error = answer(redirect).unwrap_err().to_string();
        assert!(
            error.ends_with("301 Moved to http://x/; no redirect is followed"),
            "{error}"
        );
        for text in [
            "SSH-2.0-OpenSSH\r\n\r\n",
            "HTTP/1.1 2xx Fine\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "HTTP/1.1 700 What\r\nContent-Length: 0\r\n\r\n",
            &"HTTP/1.1 100 Continue\r\n\r\n".repeat(20),
            &format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(HEAD_BYTES)),
            &format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(HEADERS + 1)),
        ] {
            let result = answer(text);
            assert!(
                matches!(result, Err(LinkError::Protocol(_))),
                "{text}: {result:?}"
            );
        }
        let cut = answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc");
        assert!(matches!(cut, Err(LinkError::Closed)), "{cut:?}");
    }

    #[test]
    fn whatever_comes_is_an_answer_or_an_error_and_no_more_is_read_than_the_limits_say() {
        const PARTS: [&str; 16] = [
            "HTTP/1.1 ",
            "HTTP/1.0 ",
            "200 OK",
            "204 No Content",
            "400 Bad",
            "503 Busy",
            "\r\n",
            "\r\n\r\n",
            "Content-Length: 5",
            "Content-Length: 99999999999999999999",
            "Transfer-Encoding: chunked",
            "Retry-After: 18446744073709551616",
            "ffffffffffffffff\r\n",
            "5\r\nabcde\r\n",
            "Connection: close",
            "\u{0}\u{7f}\u{e9}",
        ];
        let most = LONGEST_ANSWER_BYTES;
        let http = http(&[], Login::None);
        for seed in 0..1_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut left: Vec<u8> = (0..random.usize(..40))
                .flat_map(|_| PARTS[random.usize(..PARTS.len())].bytes())
                .collect();
            if random.u8(..4) == 0 {
                left.extend(std::iter::repeat_n(b'x', 2 * most));
            }
            let length = left.len();
            let mut more = |received: &mut Vec<u8>| {
                let count = random.usize(1..4096).min(left.len());
                received.extend(left.drain(..count));
                (count > 0).then_some(()).ok_or(LinkError::Closed)
            };
            let frame = Frame {
                bytes: Vec::new(),
                values: 1,
            };
            let mut received = Vec::new();
            let mut reader = AnswerReader::new(&mut received, &mut more);
            // Either is fine.
            let _ = http.answer(&mut reader, &frame);
            assert!(length - left.len() <= most, "seed {seed}");
        }
    }
}
