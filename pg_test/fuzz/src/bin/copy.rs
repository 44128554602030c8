//! COPY data: messages of any size, read in portions of any size.
#![no_main]

use fuzz::core::feed::{Feed, Next, Pieces};
use fuzz::error::{Error, Result};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Event {
    Message(Vec<u8>),
    /// What comes next is not there yet.
    Gap,
    Failure,
}

#[derive(Arbitrary, Debug)]
struct Input {
    events: Vec<Event>,
    /// The sizes of the reader's buffers, and how much of each has to be filled.
    reads: Vec<(u8, u8)>,
}

struct Source {
    events: std::vec::IntoIter<Event>,
    /// What was not yet read of a message.
    rest: Vec<u8>,
    sent: Vec<u8>,
    /// How much had been sent when the reader last waited.
    waited_at: Option<usize>,
    ended: bool,
}

impl Pieces for Source {
    fn next(&mut self, buffer: &mut [u8], wait: bool) -> Result<Next> {
        assert!(!self.ended, "asked again after the end");
        assert!(!buffer.is_empty(), "no room");
        while self.rest.is_empty() {
            match self.events.next() {
                Some(Event::Gap) if wait => self.waited_at = Some(self.sent.len()),
                Some(Event::Gap) => return Ok(Next::Pending),
                Some(Event::Failure) => return Err(Error::internal("no more")),
                Some(Event::Message(bytes)) => self.rest = bytes,
                None => {
                    self.ended = true;
                    return Ok(Next::End);
                }
            }
        }
        let count = self.rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.sent.extend(self.rest.drain(..count));
        Ok(Next::Bytes(count))
    }
}

fuzz_target!(|input: Input| {
    let source =
        Source { events: input.events.into_iter(), rest: Vec::new(), sent: Vec::new(), waited_at: None, ended: false };
    let mut feed = Feed::new(source);
    let mut received = Vec::new();
    for (size, least) in input.reads {
        let size = usize::from(size) + 1;
        let least = usize::from(least) % size + 1;
        let mut buffer = vec![0; size];
        feed.pieces.waited_at = None;
        let Ok(filled) = feed.fill(&mut buffer, least) else { return };
        assert!(filled <= size && (filled >= least || feed.pieces.ended), "{filled} of {least} to {size}");
        if let Some(sent) = feed.pieces.waited_at {
            assert!(sent - received.len() < least, "waited with enough at hand");
        }
        received.extend(&buffer[..filled]);
        assert!(feed.pieces.sent.starts_with(&received));
    }
    if feed.is_read().is_ok_and(|is_read| is_read) {
        assert_eq!(feed.pieces.sent, received);
    }
});
