//! A proxy before a server that fails as servers and networks do, when a test says so.
//!
//! It understands the framing of messages (PostgreSQL's manual, "Message Formats"), so that a
//! fault can strike at a certain one.

use socket2::SockRef;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::Duration;

/// How often what waits looks at the mode.
const BEAT: Duration = Duration::from_millis(20);
const BEATS_A_SECOND: usize = 50;

/// The codes of a first packet that asks for encryption: SSLRequest and GSSENCRequest.
const ENCRYPTION: [u32; 2] = [80877103, 80877104];

/// How all connections are treated, present and future ones.
#[derive(Clone)]
pub enum Mode {
    Pass,
    /// Each message from the server is shown to a function first.
    Look(Arc<Look>),
    /// Connections are reset, new ones at once.
    Reset,
    /// Nothing moves, and nothing ends.
    Stall,
    /// So many bytes a second in each direction of a connection.
    Trickle(usize),
}

/// None lets the message pass.
pub type Look = dyn Fn(&Message) -> Option<Strike> + Send + Sync;

pub enum Strike {
    /// The client gets these bytes instead; [`frame`] makes them.
    Send(Vec<u8>),
    /// The client gets the first bytes, then the second ones again and again, as long as it stays.
    Flood(Vec<u8>, Vec<u8>),
    /// From this message on, the proxy is in another mode.
    Turn(Mode),
}

/// A message from the server.
pub struct Message<'a> {
    pub kind: u8,
    pub body: &'a [u8],
    /// The simple query that is being answered.
    pub query: &'a str,
    /// How many CopyData messages came before it in this COPY.
    pub copied: usize,
}

/// A message as it is sent: kind, length, body.
pub fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &(body.len() as u32 + 4).to_be_bytes()[..], body].concat()
}

pub struct Proxy {
    pub port: u16,
    mode: Shared,
}

/// None when the proxy is gone.
type Shared = Arc<Mutex<Option<Mode>>>;

impl Proxy {
    /// Before the server at this port of this machine; lets everything pass at first.
    pub fn new(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(Mutex::new(Some(Mode::Pass)));
        let shared = mode.clone();
        spawn(move || {
            for client in listener.incoming() {
                if shared.lock().unwrap().is_none() {
                    break;
                }
                // The server may be down at the moment: the client then finds its connection closed.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", server)) {
                    begin(client.unwrap(), server, &shared);
                }
            }
        });
        Proxy { port, mode }
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = Some(mode);
    }

    pub fn look(&self, look: impl Fn(&Message) -> Option<Strike> + Send + Sync + 'static) {
        self.set(Mode::Look(Arc::new(look)));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        *self.mode.lock().unwrap() = None;
        // For the listener to notice.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn begin(client: TcpStream, server: TcpStream, mode: &Shared) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(BEAT)).unwrap();
        stream.set_write_timeout(Some(BEAT)).unwrap();
    }
    let query = Arc::new(Mutex::new(String::new()));
    let back = Way { from: server.try_clone().unwrap(), to: client.try_clone().unwrap(), mode: mode.clone() };
    let forth = Way { from: client, to: server, mode: mode.clone() };
    let asked = query.clone();
    spawn(move || forth.run(|way| way.ask(&query)));
    spawn(move || back.run(|way| way.answer(&asked)));
}

/// One direction of a connection. Its functions give None at the connection's end.
struct Way {
    from: TcpStream,
    to: TcpStream,
    mode: Shared,
}

impl Way {
    fn run(mut self, all: impl FnOnce(&mut Way) -> Option<()>) {
        all(&mut self);
        if let Some(Mode::Reset) = *self.mode.lock().unwrap() {
            // What is closed without lingering is reset.
            for stream in [&self.from, &self.to] {
                let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
            }
        } else {
            let _ = self.to.shutdown(Shutdown::Write);
        }
    }

    fn ask(&mut self, query: &Mutex<String>) -> Option<()> {
        loop {
            let length = self.read(4)?;
            let rest = self.read(number(&length)? - 4)?;
            if !ENCRYPTION.contains(&(number(&rest[..4])? as u32)) {
                self.send(&[length, rest].concat())?;
                break;
            }
            (&self.from).write_all(b"N").ok()?;
        }
        loop {
            let (kind, body) = self.message()?;
            if kind == b'Q' {
                *query.lock().unwrap() = String::from_utf8_lossy(&body).trim_end_matches('\0').to_owned();
            }
            self.send(&frame(kind, &body))?;
        }
    }

    fn answer(&mut self, query: &Mutex<String>) -> Option<()> {
        let mut copied = 0;
        loop {
            let (kind, body) = self.message()?;
            // CopyOutResponse, CopyData
            copied = if kind == b'H' { 0 } else { copied };
            let strike = match self.mode()? {
                Mode::Look(look) => look(&Message { kind, body: &body, query: &query.lock().unwrap(), copied }),
                _ => None,
            };
            copied += usize::from(kind == b'd');
            match strike {
                Some(Strike::Send(bytes)) => self.send(&bytes)?,
                Some(Strike::Flood(first, again)) => {
                    self.send(&first)?;
                    loop {
                        self.send(&again)?;
                    }
                }
                other => {
                    if let Some(Strike::Turn(mode)) = other {
                        *self.mode.lock().unwrap() = Some(mode);
                    }
                    self.send(&frame(kind, &body))?;
                }
            }
        }
    }

    /// A message's kind and body.
    fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = self.read(5)?;
        let body = self.read(number(&head[1..])? - 4)?;
        Some((head[0], body))
    }

    fn read(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut at = 0;
        while at < length {
            self.mode()?;
            at += moved(self.from.read(&mut bytes[at..]))?;
        }
        Some(bytes)
    }

    fn send(&mut self, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let most = match self.mode()? {
                Mode::Trickle(rate) => {
                    sleep(BEAT);
                    (rate / BEATS_A_SECOND).max(1)
                }
                _ => bytes.len(),
            };
            let sent = moved(self.to.write(&bytes[..most.min(bytes.len())]))?;
            bytes = &bytes[sent..];
        }
        Some(())
    }

    /// The mode, as soon as it is one in which something moves.
    fn mode(&self) -> Option<Mode> {
        loop {
            let mode = self.mode.lock().unwrap().clone()?;
            match mode {
                Mode::Reset => return None,
                Mode::Stall => sleep(BEAT),
                other => return Some(other),
            }
        }
    }
}

/// Bytes read or written; that nothing could be so far is not the end.
fn moved(result: io::Result<usize>) -> Option<usize> {
    match result {
        Ok(0) => None,
        Ok(length) => Some(length),
        Err(error) => {
            let waits = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted];
            waits.contains(&error.kind()).then_some(0)
        }
    }
}

fn number(bytes: &[u8]) -> Option<usize> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?) as usize)
}
