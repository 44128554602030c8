//! How the data of a COPY, in whatever pieces it comes, gets to a reader that asks for bytes: the server's own COPY
//! FROM. Each byte goes straight into the reader's buffer.

use crate::error::Result;

/// Where the pieces come from.
pub trait Pieces {
    /// Fills the buffer, which has room, or the beginning of it. [`Next::Pending`] only where waiting is not
    /// wanted; not called again after the end.
    fn next(&mut self, buffer: &mut [u8], wait: bool) -> Result<Next>;
}

/// What comes next from a connection.
pub enum Next {
    /// So many bytes, at least one.
    Bytes(usize),
    Pending,
    End,
}

/// COPY data that arrives in pieces, read in whatever portions its reader wants.
pub struct Feed<P: Pieces> {
    pub pieces: P,
    ended: bool,
}

impl<P: Pieces> Feed<P> {
    /// Reads nothing yet.
    pub fn new(pieces: P) -> Self {
        Feed { pieces, ended: false }
    }

    /// Fills the buffer with at least `least` bytes, fewer only at the end of the data, and
    /// waits for no more than those. Returns how many.
    pub fn fill(&mut self, buffer: &mut [u8], least: usize) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() && !self.ended {
            match self.pieces.next(&mut buffer[filled..], filled < least)? {
                Next::Bytes(count) => filled += count,
                Next::Pending => break,
                Next::End => self.ended = true,
            }
        }
        Ok(filled)
    }

    /// Whether nothing is left to be read; waits for it. To be called once, at last.
    pub fn is_read(&mut self) -> Result<bool> {
        Ok(self.fill(&mut [0], 1)? == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// None is a piece that has not come yet.
    struct Script(VecDeque<Option<&'static [u8]>>);

    impl Pieces for Script {
        fn next(&mut self, buffer: &mut [u8], wait: bool) -> Result<Next> {
            Ok(match self.0.pop_front() {
                Some(Some(piece)) => {
                    let count = piece.len().min(buffer.len());
                    buffer[..count].copy_from_slice(&piece[..count]);
                    if count < piece.len() {
                        self.0.push_front(Some(&piece[count..]));
                    }
                    Next::Bytes(count)
                }
                Some(None) if wait => return self.next(buffer, wait),
                Some(None) => Next::Pending,
                None => Next::End,
            })
        }
    }

    fn feed(pieces: &[Option<&'static [u8]>]) -> Feed<Script> {
        Feed::new(Script(pieces.iter().copied().collect()))
    }

    #[test]
    fn fills_across_pieces_and_waits_for_the_least_only() {
        let mut feed = feed(&[Some(b"abc"), Some(b"de"), None, Some(b"fghi"), None]);
        let mut buffer = [0; 4];
        assert_eq!((feed.fill(&mut buffer, 1).unwrap(), &buffer), (4, b"abcd"));
        assert_eq!((feed.fill(&mut buffer, 1).unwrap(), &buffer[..1]), (1, &b"e"[..]));
        assert_eq!((feed.fill(&mut buffer, 3).unwrap(), &buffer), (4, b"fghi"));
        assert_eq!(feed.fill(&mut buffer, 4).unwrap(), 0);
        assert_eq!(feed.fill(&mut buffer, 4).unwrap(), 0);
        assert!(feed.is_read().unwrap());
    }

    #[test]
    fn what_is_left_is_not_read() {
        let mut more = feed(&[Some(b"abc")]);
        more.fill(&mut [0; 2], 1).unwrap();
        assert!(!more.is_read().unwrap());
        let mut all = feed(&[Some(b"abc"), None]);
        all.fill(&mut [0; 3], 1).unwrap();
        assert!(all.is_read().unwrap());
    }
}
