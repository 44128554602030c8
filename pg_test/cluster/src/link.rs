//! A long way to a server: what is sent arrives later, in both directions, and no slower.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::sync_channel;
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// What is under way in one direction of a connection: so many reads of so many bytes.
const READS: usize = 512;
const BYTES: usize = 64 << 10;

/// Ends with the process.
pub struct Link {
    /// Where the server is reached.
    pub port: u16,
}

impl Link {
    /// To the server at this port of this machine; no link at all if the round trip takes no time.
    pub fn new(server: u16, round_trip: Duration) -> Link {
        if round_trip.is_zero() {
            return Link { port: server };
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", server)));
                // The server may be down at the moment: the client then finds its connection closed.
                let Ok(server) = server else { continue };
                for stream in [&client, &server] {
                    stream.set_nodelay(true).unwrap();
                }
                one_way(client.try_clone().unwrap(), server.try_clone().unwrap(), round_trip / 2);
                one_way(server, client, round_trip / 2);
            }
        });
        Link { port }
    }
}

fn one_way(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, receiver) = sync_channel::<(Instant, Vec<u8>)>(READS);
    spawn(move || {
        let mut buffer = vec![0; BYTES];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    });
    spawn(move || {
        for (due, bytes) in receiver {
            sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
