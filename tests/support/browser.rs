//! A real browser: Debian's chromium, driven by its chromedriver over HTTP.
//!
//! Starts nothing of ours. Nothing from outside is asked for: both are switched off from that.

// Each test program uses its own part of this.
#![allow(dead_code)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::peers::program;
use super::{DEADLINE, wait_until};

/// The programs that it takes.
pub const PROGRAMS: [&str; 2] = ["chromium", "chromedriver"];

/// A browser takes a processor for itself.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A browser with one window, ended when dropped.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    // Removed after the browser has ended.
    profile: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Browser {
    /// Starts it, when its turn has come.
    #[track_caller]
    pub fn start() -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut driver = Command::new(program("chromedriver"))
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // The browser, with all its processes, is in the group.
            .process_group(0)
            .spawn()
            .expect("chromedriver starts");
        let lines = BufReader::new(driver.stdout.take().expect("it was asked for")).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| {
                let port = line.rsplit_once("successfully on port ")?.1;
                port.trim_end_matches('.').parse().ok()
            })
            .expect("chromedriver says where it listens");
        let mut browser = Browser {
            driver,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            session: String::new(),
            profile,
            _turn: turn,
        };
        let profile = browser.profile.path().display();
        let arguments = [
            "--headless".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-dev-shm-usage".into(),
            "--disable-quic".into(),
            "--no-first-run".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--disable-sync".into(),
            // Its reporter would leave the group and outlive the test.
            "--disable-crash-reporter".into(),
            "--disable-breakpad".into(),
            "--hide-scrollbars".into(),
            format!("--user-data-dir={profile}"),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let session = browser.call("POST", "/session", &wanted);
        let id = session["sessionId"].as_str().expect("a session");
        browser.session = format!("/session/{id}");
        browser.resize(1280, 900);
        browser
    }

    /// Opens a page and waits until it is loaded.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    /// Where it is.
    #[track_caller]
    pub fn url(&self) -> String {
        let url = self.call("GET", &format!("{}/url", self.session), &Value::Null);
        url.as_str().expect("a URL").to_owned()
    }

    /// Clicks the first element that a selector finds, and waits for what is loaded then.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.post(&format!("/element/{element}/click"), &json!({}));
    }

    /// Writes into a field. A line end sends its form.
    #[track_caller]
    pub fn write(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.post(&format!("/element/{element}/clear"), &json!({}));
        self.post(&format!("/element/{element}/value"), &json!({"text": text}));
    }

    #[track_caller]
    fn find(&self, selector: &str) -> String {
        let body = json!({"using": "css selector", "value": selector});
        let element = self.post("/element", &body);
        let id = element
            .as_object()
            .and_then(|object| object.values().next());
        id.and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{selector}: {element}"))
            .to_owned()
    }

    /// What a function's body returns, evaluated in the page.
    #[track_caller]
    pub fn ask(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Moves the mouse over the page: each step a point, with the button up or down.
    #[track_caller]
    pub fn mouse(&self, kind: &str, x: f64, y: f64, is_down: bool) {
        let event = json!({
            "type": kind, "x": x, "y": y, "clickCount": 1,
            "button": if is_down || kind == "mouseReleased" { "left" } else { "none" },
            "buttons": u8::from(is_down),
        });
        self.cdp("Input.dispatchMouseEvent", &event);
    }

    /// The window's size.
    #[track_caller]
    pub fn resize(&self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.cdp("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Whether dark pages are preferred.
    #[track_caller]
    pub fn prefer_dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let feature = json!({"name": "prefers-color-scheme", "value": value});
        self.cdp(
            "Emulation.setEmulatedMedia",
            &json!({"features": [feature]}),
        );
    }

    /// Pages run no script from now on.
    #[track_caller]
    pub fn disable_scripts(&self) {
        self.cdp(
            "Emulation.setScriptExecutionDisabled",
            &json!({"value": true}),
        );
    }

    /// The time zone, as `America/St_Johns`.
    #[track_caller]
    pub fn be_in(&self, zone: &str) {
        self.cdp(
            "Emulation.setTimezoneOverride",
            &json!({"timezoneId": zone}),
        );
    }

    /// A picture of the window, as PNG.
    #[track_caller]
    pub fn picture(&self, file: &std::path::Path) {
        let picture = self.call("GET", &format!("{}/screenshot", self.session), &Value::Null);
        fs::write(file, base64(picture.as_str().expect("text"))).expect("a place for pictures");
    }

    /// What pages have written to the console since it was last asked.
    #[track_caller]
    pub fn console(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().expect("a list").iter();
        entries.map(|entry| entry["message"].to_string()).collect()
    }

    /// Every URL that was asked for over the network since it was last asked.
    #[track_caller]
    pub fn requests(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({"type": "performance"}));
        let entries = entries.as_array().expect("a list").iter();
        entries
            .filter_map(|entry| {
                let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
                let message = &event["message"];
                let is_request = message["method"] == "Network.requestWillBeSent";
                let url = message["params"]["request"]["url"].as_str()?;
                is_request.then(|| url.to_owned())
            })
            .collect()
    }

    #[track_caller]
    fn cdp(&self, command: &str, parameters: &Value) {
        self.post(
            "/goog/cdp/execute",
            &json!({"cmd": command, "params": parameters}),
        );
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        self.call("POST", &format!("{}{path}", self.session), body)
    }

    #[track_caller]
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let mut stream = TcpStream::connect_timeout(&self.address, DEADLINE).expect("it listens");
        // A page that is loaded is waited for.
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let request = [head.as_bytes(), body.as_bytes()].concat();
        stream.write_all(&request).expect("it reads");
        let (code, answer) = answer(BufReader::new(stream));
        let value = answer["value"].clone();
        assert_eq!(code, 200, "{path} {body}: {value}");
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.call("DELETE", &self.session, &Value::Null);
        }
        // Also after a panic nothing is left: not of the driver, nor of the browser.
        let group = Pid::from_raw(self.driver.id() as i32);
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.driver.wait();
        wait_until("the browser to be gone", || killpg(group, None).is_err());
    }
}

/// The status and the body. The connection stays open, so the length is needed.
#[track_caller]
fn answer(mut stream: BufReader<TcpStream>) -> (u16, Value) {
    let mut line = String::new();
    let mut code = 0;
    let mut length = 0;
    while stream.read_line(&mut line).expect("it answers") > 2 {
        let lower = line.trim_end().to_ascii_lowercase();
        if let Some(rest) = lower.strip_prefix("http/1.1 ") {
            code = rest[..3].parse().expect("a status");
        } else if let Some(rest) = lower.strip_prefix("content-length:") {
            length = rest.trim().parse().expect("a length");
        }
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("it ends its answer");
    (code, serde_json::from_slice(&body).expect("JSON"))
}

fn base64(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}
