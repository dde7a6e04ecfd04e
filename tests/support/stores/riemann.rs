//! A receiver of Riemann's messages.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};

use prost::Message;

use crate::support::DEADLINE;
use crate::support::peers::program;

/// A message of Riemann's, as its own protocol file has it.
#[derive(Clone, PartialEq, Message)]
pub struct Msg {
    /// Of an answer.
    #[prost(bool, optional, tag = "2")]
    pub ok: Option<bool>,
    /// Of an answer.
    #[prost(string, optional, tag = "3")]
    pub error: Option<String>,
    /// What is sent.
    #[prost(message, repeated, tag = "6")]
    pub events: Vec<Event>,
}

/// One event; the names are Riemann's own.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    #[prost(int64, optional, tag = "1")]
    pub time: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub state: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub service: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub host: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub description: Option<String>,
    #[prost(string, repeated, tag = "7")]
    pub tags: Vec<String>,
    #[prost(float, optional, tag = "8")]
    pub ttl: Option<f32>,
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<Attribute>,
    #[prost(sint64, optional, tag = "13")]
    pub metric_sint64: Option<i64>,
    #[prost(double, optional, tag = "14")]
    pub metric_d: Option<f64>,
}

/// Something more about an event; the names are Riemann's own.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Attribute {
    #[prost(string, required, tag = "1")]
    pub key: String,
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// What a fake Riemann does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Takes it.
    Takes,
    /// Says that it does not.
    Refuses,
    /// Closes the connection without a word.
    HangsUp,
}

#[derive(Default)]
struct Heard {
    events: Vec<Event>,
    messages: usize,
    refusals: usize,
}

/// A receiver of Riemann's messages.
pub struct Riemann {
    port: u16,
    heard: Arc<Mutex<Heard>>,
    mood: Arc<Mutex<Mood>>,
}

impl Riemann {
    /// One that takes datagrams; it ends with the test program.
    pub fn udp() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let riemann = Self::on(socket.local_addr().expect("it is bound").port());
        let heard = Arc::clone(&riemann.heard);
        std::thread::spawn(move || {
            let mut bytes = vec![0; 65_536];
            while let Ok(length) = socket.recv(&mut bytes) {
                assert!(length <= 1400, "a datagram of {length} bytes");
                hear(&heard, &bytes[..length]);
            }
        });
        riemann
    }

    /// One that takes connections; it ends with the test program.
    pub fn tcp() -> Self {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let riemann = Self::on(listener.local_addr().expect("it is bound").port());
        let heard = Arc::clone(&riemann.heard);
        let mood = Arc::clone(&riemann.mood);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // It ends when the other end does.
                let _ = serve(stream, &heard, &mood);
            }
        });
        riemann
    }

    fn on(port: u16) -> Self {
        Self {
            port,
            heard: Arc::default(),
            mood: Arc::new(Mutex::new(Mood::Takes)),
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on it does this.
    pub fn set_mood(&self, mood: Mood) {
        *self.mood.lock().expect("nobody panicked") = mood;
    }

    /// All events it has taken.
    pub fn events(&self) -> Vec<Event> {
        self.heard.lock().expect("nobody panicked").events.clone()
    }

    /// How many events it has taken.
    pub fn event_count(&self) -> usize {
        self.heard.lock().expect("nobody panicked").events.len()
    }

    /// Messages it has taken, and those it has not.
    pub fn messages(&self) -> (usize, usize) {
        let heard = self.heard.lock().expect("nobody panicked");
        (heard.messages, heard.refusals)
    }
}

fn hear(heard: &Mutex<Heard>, bytes: &[u8]) {
    let msg = Msg::decode(bytes).expect("a message of Riemann's");
    let mut heard = heard.lock().expect("nobody panicked");
    heard.messages += 1;
    heard.events.extend(msg.events);
}

fn serve(mut stream: TcpStream, heard: &Mutex<Heard>, mood: &Mutex<Mood>) -> std::io::Result<()> {
    // A test that has failed leaves its connection open.
    stream.set_read_timeout(Some(4 * DEADLINE))?;
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut bytes)?;
        let mood = *mood.lock().expect("nobody panicked");
        let mut answer = Msg::default();
        if mood == Mood::Takes {
            hear(heard, &bytes);
            answer.ok = Some(true);
        } else {
            heard.lock().expect("nobody panicked").refusals += 1;
            answer.ok = Some(false);
            answer.error = Some("not today".into());
        }
        if mood == Mood::HangsUp {
            return stream.shutdown(Shutdown::Both);
        }
        let answer = answer.encode_to_vec();
        stream.write_all(&(answer.len() as u32).to_be_bytes())?;
        stream.write_all(&answer)?;
    }
}
