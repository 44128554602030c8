//! What may stand before a server: a load balancer, or a pooler. Only as much of each as a
//! client can tell it by.

use std::io::{Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

pub struct Front;

/// A message of the protocol: its type, and its length and contents.
struct Message(u8, Vec<u8>);

impl Front {
    /// Connections go to the servers in turn. Returns the port that it listens on.
    pub fn balance(ports: [u16; 2]) -> u16 {
        let mut turn = 0;
        listen(move |client| {
            turn += 1;
            let port = ports[(turn - 1) % 2];
            thread::spawn(move || pass_on(client, connect(port)));
        })
    }

    /// As in a pool of one session, lent for a statement: clients after the first are let in
    /// without the server, and what any of them asks goes to that one session.
    pub fn share_one_session(port: u16) -> u16 {
        let session = Arc::new(Mutex::new(None::<(TcpStream, Vec<Message>)>));
        listen(move |mut client| {
            let session = session.clone();
            thread::spawn(move || -> Result<()> {
                let startup = read_startup(&mut client)?;
                {
                    let mut session = session.lock().unwrap();
                    match &*session {
                        None => {
                            let mut server = connect(port);
                            let greeting = log_in(&startup, &mut client, &mut server)?;
                            *session = Some((server, greeting));
                        }
                        Some((_, greeting)) => greeting.iter().try_for_each(|message| write(&mut client, message))?,
                    }
                }
                loop {
                    let question = read(&mut client)?;
                    if question.0 == b'X' {
                        return Ok(());
                    }
                    let mut session = session.lock().unwrap();
                    let (server, _) = session.as_mut().unwrap();
                    write(server, &question)?;
                    while {
                        let answer = read(server)?;
                        write(&mut client, &answer)?;
                        answer.0 != b'Z'
                    } {}
                }
            });
        })
    }

    /// Each client has a session of its own, but is told a key of the pooler's.
    pub fn keep_sessions_apart(port: u16) -> u16 {
        listen(move |mut client| {
            thread::spawn(move || -> Result<()> {
                let startup = read_startup(&mut client)?;
                let mut server = connect(port);
                log_in(&startup, &mut client, &mut server)?;
                pass_on(client, server);
                Ok(())
            });
        })
    }
}

fn listen(mut accept: impl FnMut(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Lives until the tests end.
    thread::spawn(move || listener.incoming().flatten().for_each(&mut accept));
    port
}

fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).unwrap()
}

fn pass_on(client: TcpStream, server: TcpStream) {
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
    };
    let (client_too, server_too) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || copy(server_too, client_too));
    copy(client, server);
}

/// The length, with which it begins, and what follows.
fn read_body(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut body = vec![0; 4];
    stream.read_exact(&mut body)?;
    let length = u32::from_be_bytes([body[0], body[1], body[2], body[3]]) as usize;
    body.resize(length, 0);
    stream.read_exact(&mut body[4..])?;
    Ok(body)
}

fn read(stream: &mut TcpStream) -> Result<Message> {
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    Ok(Message(kind[0], read_body(stream)?))
}

fn write(stream: &mut TcpStream, message: &Message) -> Result<()> {
    stream.write_all(&[&[message.0], message.1.as_slice()].concat())
}

/// The startup message; requests for encryption before it are declined.
fn read_startup(client: &mut TcpStream) -> Result<Vec<u8>> {
    loop {
        let body = read_body(client)?;
        // SSLRequest and GSSENCRequest have codes of their own in the version's place.
        match body[4..6] {
            [4, 210] => client.write_all(b"N")?,
            _ => return Ok(body),
        }
    }
}

/// Lets the server and the client agree on who that is; returns what the server says from then
/// on until it is ready, with another process id.
fn log_in(startup: &[u8], client: &mut TcpStream, server: &mut TcpStream) -> Result<Vec<Message>> {
    server.write_all(startup)?;
    let mut greeting = Vec::new();
    loop {
        let mut message = read(server)?;
        if message.0 == b'K' {
            message.1[4..8].copy_from_slice(&[0, 0, 0, 42]);
        }
        write(client, &message)?;
        match (message.0, message.1[4..].first_chunk::<4>().map(|code| u32::from_be_bytes(*code))) {
            (b'E', _) => return Err(std::io::ErrorKind::PermissionDenied.into()),
            // SASL and its continuation, which the client answers.
            (b'R', Some(10 | 11)) => write(server, &read(client)?)?,
            (b'R', Some(12)) => {}
            (b'Z', _) => {
                greeting.push(message);
                return Ok(greeting);
            }
            _ => greeting.push(message),
        }
    }
}
