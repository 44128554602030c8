//! How the messages of a COPY, of whatever size they come, are cut up for a reader that asks
//! for bytes: the server's own COPY FROM.

use crate::error::Result;

/// Where the messages come from.
pub trait Messages {
    type Message: AsRef<[u8]>;

    /// The next message. [`Next::Pending`] only where waiting is not wanted; not called again
    /// after the end.
    fn next(&mut self, wait: bool) -> Result<Next<Self::Message>>;
}

/// What comes next from a connection.
pub enum Next<M> {
    Message(M),
    Pending,
    End,
}

/// COPY data that arrives in messages, read in whatever portions its reader wants.
pub struct Feed<M: Messages> {
    pub messages: M,
    current: Option<M::Message>,
    /// Bytes taken of the current message.
    taken: usize,
    ended: bool,
}

impl<M: Messages> Feed<M> {
    /// Reads nothing yet.
    pub fn new(messages: M) -> Self {
        Feed { messages, current: None, taken: 0, ended: false }
    }

    /// Fills the buffer with at least `least` bytes, fewer only at the end of the data, and
    /// waits for no more than those. Returns how many.
    pub fn fill(&mut self, buffer: &mut [u8], least: usize) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() && self.has_more(filled < least)? {
            let rest = self.rest();
            let n = rest.len().min(buffer.len() - filled);
            buffer[filled..filled + n].copy_from_slice(&rest[..n]);
            self.taken += n;
            filled += n;
        }
        Ok(filled)
    }

    /// Whether nothing is left to be read; waits for it.
    pub fn is_read(&mut self) -> Result<bool> {
        Ok(!self.has_more(true)?)
    }

    /// Makes a message with bytes to take the current one; without `wait`, if it is there.
    fn has_more(&mut self, wait: bool) -> Result<bool> {
        while self.rest().is_empty() && !self.ended {
            match self.messages.next(wait)? {
                Next::Message(message) => (self.current, self.taken) = (Some(message), 0),
                Next::Pending => return Ok(false),
                Next::End => self.ended = true,
            }
        }
        Ok(!self.rest().is_empty())
    }

    fn rest(&self) -> &[u8] {
        self.current.as_ref().map_or(&[], |message| &message.as_ref()[self.taken..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::IntoIter;

    /// None is a message that has not come yet.
    struct Script(IntoIter<Option<&'static [u8]>>);

    impl Messages for Script {
        type Message = &'static [u8];

        fn next(&mut self, wait: bool) -> Result<Next<&'static [u8]>> {
            Ok(match self.0.next() {
                Some(Some(message)) => Next::Message(message),
                Some(None) if wait => return self.next(wait),
                Some(None) => Next::Pending,
                None => Next::End,
            })
        }
    }

    fn feed(messages: &[Option<&'static [u8]>]) -> Feed<Script> {
        Feed::new(Script(Vec::from(messages).into_iter()))
    }

    #[test]
    fn fills_across_messages_and_waits_for_the_least_only() {
        let mut feed = feed(&[Some(b"abc"), Some(b""), Some(b"de"), None, Some(b"fghi"), None]);
        let mut buffer = [0; 4];
        assert_eq!((feed.fill(&mut buffer, 1).unwrap(), &buffer), (4, b"abcd"));
        assert_eq!((feed.fill(&mut buffer, 1).unwrap(), &buffer[..1]), (1, &b"e"[..]));
        assert_eq!((feed.fill(&mut buffer, 3).unwrap(), &buffer), (4, b"fghi"));
        assert_eq!(feed.fill(&mut buffer, 4).unwrap(), 0);
        assert_eq!(feed.fill(&mut buffer, 4).unwrap(), 0);
        assert!(feed.is_read().unwrap());
    }

    #[test]
    fn what_is_left_of_a_message_is_not_read() {
        let mut feed = feed(&[Some(b"abc")]);
        feed.fill(&mut [0; 2], 1).unwrap();
        assert!(!feed.is_read().unwrap());
        feed.fill(&mut [0; 2], 1).unwrap();
        assert!(feed.is_read().unwrap());
    }
}
