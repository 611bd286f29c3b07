//! Server-sent events to lines, as the HTML standard reads them (section 9.2.6): the data of an event is a
//! line.
//!
//! CR, LF or both end a line of the protocol. `data` fields of one event are joined by a blank, since a row is
//! a line; `id` says where to go on, `retry` how long to wait before; comments and other fields go. What has
//! come of an event when the connection ends is no event.

use super::lines::MAX_LINE;

const MARK: &[u8] = "\u{feff}".as_bytes();
/// The longest field: data of a line that is seen to be too long.
const MAX_FIELD: usize = MAX_LINE + "data: ".len() + 1;

/// A text of events on its way.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// What has come of a line of the protocol.
    line: Vec<u8>,
    /// The data of the event that is not whole.
    data: Option<Vec<u8>>,
    /// Its id, or that of the event before.
    next_id: String,
    /// The id of the last whole event.
    id: String,
    retry_ms: Option<u64>,
    has_begun: bool,
    is_after_cr: bool,
}

impl Events {
    /// The id of the last event, if one had one.
    pub(super) fn last_id(&self) -> Option<&str> {
        Some(self.id.as_str()).filter(|id| !id.is_empty())
    }

    /// How long the server wants a client to wait before it connects again.
    pub(super) fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Forgets what has come of an event: the next bytes are of another connection.
    pub(super) fn restart(&mut self) {
        let (id, retry_ms) = (std::mem::take(&mut self.id), self.retry_ms);
        *self = Self { next_id: id.clone(), id, retry_ms, ..Self::default() };
    }

    /// Takes bytes as they came, cut anywhere; the lines of the events that are whole, each with an LF.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut lines = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let is_rest_of_end = end == 0 && bytes[0] == b'\n' && self.is_after_cr;
            if !is_rest_of_end {
                self.add(&bytes[..end]);
                self.end_line(&mut lines);
            }
            self.is_after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
        }
        self.is_after_cr &= bytes.is_empty();
        self.add(bytes);
        lines
    }

    fn add(&mut self, bytes: &[u8]) {
        let room = MAX_FIELD - self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_line(&mut self, lines: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        let line = match std::mem::replace(&mut self.has_begun, true) {
            false => line.strip_prefix(MARK).unwrap_or(&line),
            true => &line,
        };
        if line.is_empty() {
            self.id.clone_from(&self.next_id);
            if let Some(data) = self.data.take() {
                lines.extend_from_slice(&data);
                lines.push(b'\n');
            }
            return;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => match &mut self.data {
                None => self.data = Some(value.to_vec()),
                Some(data) => {
                    let room = (MAX_LINE + 1).saturating_sub(data.len() + 1);
                    data.push(b' ');
                    data.extend_from_slice(&value[..value.len().min(room)]);
                }
            },
            // One that no header can hold is not asked for.
            b"id" if !value.iter().any(u8::is_ascii_control) => {
                self.next_id = String::from_utf8_lossy(value).into_owned();
            }
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                self.retry_ms = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "\u{feff}: a comment\r\nretry: 250\r\n\r\ndata: {\"a\": 1}\nid: 7\n\n\
                        data:{\"a\":\ndata: 2}\n\nevent: canary\rdata\r\rid\ndata: {\"a\": 3}\n\n\
                        retry: soon\nid: 9\ndata: {\"a\": 4}\n\ndata: {\"a\": 5}\nid: 10\n";
    const LINES: &str = "{\"a\": 1}\n{\"a\": 2}\n\n{\"a\": 3}\n{\"a\": 4}\n";

    fn read(text: &[u8], sizes: &[usize]) -> (String, Events) {
        let (mut events, mut rest, mut lines) = (Events::default(), text, Vec::new());
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, others) = rest.split_at((*size).min(rest.len()));
            lines.extend(events.push(piece));
            rest = others;
        }
        (String::from_utf8(lines).unwrap(), events)
    }

    #[test]
    fn an_event_is_a_line_wherever_its_bytes_are_cut() {
        for size in 1..=TEXT.len() {
            let (lines, mut events) = read(TEXT.as_bytes(), &[size]);
            assert_eq!(lines, LINES, "cuts of {size}");
            assert_eq!((events.last_id(), events.retry_ms()), (Some("9"), Some(250)));
            events.restart();
            assert_eq!(events.push(b"data: x\n\n"), b"x\n", "the half event is gone");
            assert_eq!((events.last_id(), events.retry_ms()), (Some("9"), Some(250)));
        }
    }

    #[test]
    fn an_id_that_no_header_can_hold_is_left_out() {
        let (lines, events) = read(b"id: 7\ndata: a\n\nid: 8\x01\ndata: b\n\n", &[3]);
        assert_eq!((lines.as_str(), events.last_id()), ("a\nb\n", Some("7")));
    }

    #[test]
    fn a_field_that_is_too_long_takes_no_more_memory_than_is_needed_to_see_that() {
        let mut events = Events::default();
        events.push(b"data: ");
        for _ in 0..20 {
            events.push(&vec![b'x'; 1 << 20]);
        }
        assert_eq!(events.push(b"\n\ndata: y\n\n").len(), MAX_LINE + 1 + 1 + 2);
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            text in "(data|id|x|:| |\r|\n|a){0,40}",
            sizes in prop::collection::vec(1..6usize, 1..5),
        ) {
            let (whole, of_whole) = read(text.as_bytes(), &[usize::MAX]);
            let (cut, of_cut) = read(text.as_bytes(), &sizes);
            prop_assert_eq!(whole, cut);
            prop_assert_eq!(of_whole.last_id(), of_cut.last_id());
        }
    }
}
