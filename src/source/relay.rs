//! A session on the source that a client program uses as if it had connected itself. So no
//! secret leaves this process, every way to authenticate serves the program too, what the source
//! answers is waited for as in any other session, and its errors are known by their SQLSTATE.
//!
//! The program finds it as a server on a socket in Linux's abstract namespace, which leaves
//! nothing behind in the file system; nobody else is let in.

use crate::error::{Error, Result, Side, SqlState};
use crate::libpq::{Connection, Params};
use crate::pg::child::Child;
use crate::pg::session;
use crate::pg::wait::{self, Event, Interest};
use std::ffi::CString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::Duration;

/// How often a wait comes back by itself.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// libpq makes the socket's name of the host and this port.
const PORT: u16 = 5432;

/// Of all answers to one program. A schema's text of some hundred MB is a large one.
const LARGEST: usize = 512 << 20;

fn too_large() -> Error {
    let message = format!("the source sent more than {} MB in answer to the queries of pg_dump", LARGEST >> 20);
    Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message).on(Side::Source)
}

/// A socket that pg_dump connects to, behind which a session of this process is.
pub struct Relay {
    listener: UnixListener,
    host: String,
}

fn broken(what: &str, error: io::Error) -> Error {
    Error::internal(format!("{what}: {error}"))
}

impl Relay {
    /// Listens on an abstract socket whose name nobody can guess.
    pub fn open() -> Result<Relay> {
        // Nobody can take a name beforehand that he cannot guess.
        let host = format!("timescale_migrate.{:032x}", session::random()?);
        let listener = SocketAddr::from_abstract_name(format!("{host}/.s.PGSQL.{PORT}"))
            .and_then(|address| UnixListener::bind_addr(&address))
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|error| broken("could not listen on a socket", error))?;
        Ok(Relay { listener, host: format!("@{host}") })
    }

    /// How the program connects.
    pub fn conninfo(&self, database: &str) -> String {
        let mut params = Params::default();
        for (name, value) in
            [("host", &*self.host), ("port", &PORT.to_string()), ("user", "relay"), ("dbname", database)]
        {
            params.set(name, value);
        }
        params.public_conninfo()
    }

    /// Serves the program until it is done, which keeps what it is answered: of that, so much and no more. Each
    /// query is sent as `translate` has it, and `between` is called before it. Its many SETs are answered at
    /// once, and sent together with the next query. Returns the last error of the source.
    pub fn serve(
        &self,
        child: &mut Child,
        source: &mut Connection,
        translate: impl Fn(Vec<u8>) -> Vec<u8>,
        between: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Option<Error>> {
        let Some(stream) = self.accept(child)? else { return Ok(None) };
        let mut client = Client(stream);
        // The start-up packet; on such a socket libpq asks for no encryption before.
        client.packet()?;
        client.write(&source.greeting())?;
        let (mut last, mut sent, mut settings) = (None, 0, Vec::new());
        while let Some((kind, mut body)) = client.message()? {
            match kind {
                b'Q' => {
                    between()?;
                    body.pop();
                    if body.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"set ")) {
                        settings.push(body);
                        client.write(&source.set())?;
                        continue;
                    }
                    let answered = settings.len();
                    settings.push(translate(body));
                    let text = std::mem::take(&mut settings).join(&b";\n"[..]);
                    let query = CString::new(text).map_err(|e| Error::internal(e.to_string()))?;
                    let error = source.relay(&query, answered, |messages| {
                        sent += messages.len();
                        if sent > LARGEST {
                            return Err(too_large());
                        }
                        client.write(messages)?;
                        messages.clear();
                        Ok(())
                    })?;
                    last = error.or(last);
                }
                b'X' => break,
                other => return Err(Error::internal(format!("unexpected message '{}' of a client", other as char))),
            }
        }
        Ok(last)
    }

    /// The program's connection; none if it ended without one.
    fn accept(&self, child: &mut Child) -> Result<Option<UnixStream>> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) if child.is_peer(&stream) => {
                    stream.set_nonblocking(true).map_err(|e| broken("could not set up a socket", e))?;
                    return Ok(Some(stream));
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if child.ended()?.is_some() {
                        return Ok(None);
                    }
                    wait::on_socket(self.listener.as_raw_fd(), Interest::Read, HEARTBEAT, Event::SchemaDump);
                }
                Err(error) => return Err(broken("could not accept a connection", error)),
            }
        }
    }
}

struct Client(UnixStream);

impl Client {
    fn wait(&self, interest: Interest) {
        wait::on_socket(self.0.as_raw_fd(), interest, HEARTBEAT, Event::SchemaDump);
    }

    /// So many bytes; `None` if the program has closed its end.
    fn read(&mut self, size: usize) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).map_err(|e| broken("could not read from a client program", e.into()))?;
        bytes.resize(size, 0);
        let mut done = 0;
        while done < size {
            match self.0.read(&mut bytes[done..]) {
                Ok(0) => return Ok(None),
                Ok(n) => done += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.wait(Interest::Read),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(e) => return Err(broken("could not read from a client program", e)),
            }
        }
        Ok(Some(bytes))
    }

    /// What comes after a length, which counts itself.
    fn packet(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(length) = self.read(4)? else { return Ok(None) };
        let length = length.try_into().map_or(0, u32::from_be_bytes);
        self.read(length.saturating_sub(4) as usize)
    }

    fn message(&mut self) -> Result<Option<(u8, Vec<u8>)>> {
        let Some(kind) = self.read(1)? else { return Ok(None) };
        Ok(self.packet()?.map(|body| (kind[0], body)))
    }

    /// A program that is gone shows at the next reading.
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.0.write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.wait(Interest::Write),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => return Ok(()),
                Err(e) => return Err(broken("could not write to a client program", e)),
            }
        }
        Ok(())
    }
}
