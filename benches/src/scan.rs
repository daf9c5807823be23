//! What the driver needs from a frame, found by scanning its bytes: tens of thousands arrive a second on the cores the
//! server needs, so nothing is decoded into a tree.

/// The head of a frame: its own fields, not those inside `data`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    /// `op`, always there.
    pub(crate) op: &'a [u8],
    /// `type`, of events.
    pub(crate) kind: &'a [u8],
    /// `room_id`, of events of rooms.
    pub(crate) room_id: &'a [u8],
    /// `version`, of events of rooms that have one.
    pub(crate) version: Option<u64>,
}

/// Reads the head of a frame. Members may come in any order; what is malformed ends the scan with what was found so far.
pub(crate) fn head(frame: &[u8]) -> Head<'_> {
    let mut head = Head::default();
    let mut scanner = Scanner { bytes: frame, at: 0 };
    scanner.skip_to(b'"');
    while let Some(key) = scanner.string() {
        scanner.skip_to_value();
        let value = scanner.value();
        match key {
            b"op" => head.op = unquoted(value),
            b"type" => head.kind = unquoted(value),
            b"room_id" => head.room_id = unquoted(value),
            b"version" => head.version = number(value),
            _ => {}
        }
        if head.version.is_some() && !head.op.is_empty() && !head.kind.is_empty() && !head.room_id.is_empty() {
            break;
        }
        scanner.skip_to(b'"');
    }
    head
}

/// The digits that follow `marker` in `bytes`.
pub(crate) fn number_after(bytes: &[u8], marker: &[u8]) -> Option<u64> {
    let start = bytes.windows(marker.len()).position(|window| window == marker)? + marker.len();
    number(&bytes[start..])
}

/// The text between `marker` and the next quotation mark, sought from the end of `bytes`.
pub(crate) fn last_string_after<'a>(bytes: &'a [u8], marker: &[u8]) -> Option<&'a [u8]> {
    let start = bytes.windows(marker.len()).rposition(|window| window == marker)? + marker.len();
    let rest = &bytes[start..];
    let length = rest.iter().position(|byte| *byte == b'"')?;
    Some(&rest[..length])
}

fn number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&bytes[..digits]).ok()?.parse().ok()
}

fn unquoted(value: &[u8]) -> &[u8] {
    value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(value)
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn skip_to(&mut self, wanted: u8) {
        while self.bytes.get(self.at).is_some_and(|byte| *byte != wanted) {
            self.at += 1;
        }
    }

    fn skip_to_value(&mut self) {
        while self
            .bytes
            .get(self.at)
            .is_some_and(|byte| *byte == b':' || byte.is_ascii_whitespace())
        {
            self.at += 1;
        }
    }

    /// The string that starts here, without its quotation marks; escapes stay as they are.
    fn string(&mut self) -> Option<&'a [u8]> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return None;
        }
        let start = self.at + 1;
        self.skip_string();
        self.bytes.get(start..self.at.checked_sub(1)?)
    }

    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'"' => return,
                _ => {}
            }
        }
    }

    /// The value that starts here, whole.
    fn value(&mut self) -> &'a [u8] {
        let start = self.at;
        let mut depth = 0_u32;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.skip_string();
                    if depth == 0 {
                        break;
                    }
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' | b',' if depth == 0 => break,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
        self.bytes.get(start..self.at).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_in_the_usual_order() {
        let frame =
            br#"{"op":"event","type":"message.sent","room_id":"r1","version":42,"position":"3:9","at":"x","data":{}}"#;
        assert_eq!(
            head(frame),
            Head {
                op: b"event",
                kind: b"message.sent",
                room_id: b"r1",
                version: Some(42)
            }
        );
    }

    #[test]
    fn fields_inside_data_are_not_the_head() {
        let frame = br#"{ "data": {"type":"no","version":1,"text":"a \" } \\","list":[{"op":"no"},2]},
            "op" : "event", "room_id":"r", "type":"message.sent", "version": 7 }"#;
        assert_eq!(
            head(frame),
            Head {
                op: b"event",
                kind: b"message.sent",
                room_id: b"r",
                version: Some(7)
            }
        );
    }

    #[test]
    fn frames_without_a_room() {
        assert_eq!(
            head(br#"{"op":"heartbeat","cursor":"c"}"#),
            Head {
                op: b"heartbeat",
                ..Head::default()
            }
        );
        assert_eq!(head(br#"{"op":"pong"}"#).op, b"pong");
    }

    #[test]
    fn malformed_frames_end_the_scan() {
        for frame in [
            &b""[..],
            b"{",
            b"\"",
            b"{\"op\"",
            b"{\"op\":",
            b"{\"op\":\"ev",
            b"{\"op\":\"a\\",
        ] {
            let _ = head(frame);
        }
    }

    #[test]
    fn markers() {
        assert_eq!(number_after(br#"{"text":"t=123 more"}"#, b"t="), Some(123));
        assert_eq!(number_after(b"nothing", b"t="), None);
        assert_eq!(
            last_string_after(br#"{"next_cursor":"abc"}"#, b"\"next_cursor\":\""),
            Some(&b"abc"[..])
        );
        assert_eq!(
            last_string_after(br#"{"next_cursor":null}"#, b"\"next_cursor\":\""),
            None
        );
    }
}
