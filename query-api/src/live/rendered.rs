//! An event's frames as text, encoded once however many sockets they go to.

use std::sync::OnceLock;

use axum::extract::ws::Utf8Bytes;
use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_application::sealing::Keys;
use cocotalk_domain::id::RoomId;
use cocotalk_domain::number::Seq;
use cocotalk_domain::seat::event::ReadAdvanced;
use serde::Serialize;

use crate::frame::{Gone, MemberRead, Sight, Told, frame_of, read_advanced};
use crate::viewer::Viewer;

/// The renderings of one event.
pub(super) struct Rendered {
    told: Told,
    /// For whoever may see all of it.
    pub(super) whole: Utf8Bytes,
    without_answered: OnceLock<Utf8Bytes>,
    version_only: OnceLock<Utf8Bytes>,
    /// For the person's own other sessions, where they are told something of their own.
    pub(super) private: Option<Utf8Bytes>,
    /// Whether the room is small enough to be told who has read how far.
    pub(super) tells_reads: bool,
}

/// Any frame as text.
pub(super) fn text(frame: &impl Serialize) -> Utf8Bytes {
    serde_json::to_string(frame).expect("frames are plain data").into()
}

impl Rendered {
    /// The renderings of an event; none where nobody is told. `gone` is what is known to be deleted.
    pub(super) fn new(event: &RecordedEvent, gone: &Gone, keys: &Keys) -> Option<Self> {
        let told = frame_of(event, gone, keys)?;
        let whole = text(told.whole());
        let (without_answered, version_only) = (OnceLock::new(), OnceLock::new());
        Some(Self {
            told,
            whole,
            without_answered,
            version_only,
            private: None,
            tells_reads: false,
        })
    }

    /// The frame for somebody.
    pub(super) fn for_viewer(&self, viewer: Viewer<'_>) -> Utf8Bytes {
        let render = |sight| text(&self.told.render(sight));
        match self.told.sight(viewer) {
            Sight::Whole => self.whole.clone(),
            Sight::WithoutAnswered => self
                .without_answered
                .get_or_init(|| render(Sight::WithoutAnswered))
                .clone(),
            Sight::Version => self.version_only.get_or_init(|| render(Sight::Version)).clone(),
        }
    }

    /// The whole frame, if that is what somebody sees.
    pub(super) fn whole_for(&self, viewer: Viewer<'_>) -> Option<Utf8Bytes> {
        (self.told.sight(viewer) == Sight::Whole).then(|| self.whole.clone())
    }

    /// The item that it added to the timeline, if it added one.
    pub(super) const fn line_seq(&self) -> Option<Seq> {
        self.told.line_seq()
    }
}

/// Read marks of one room that are told together, as one frame: those of one commit between which nobody came or went.
#[derive(Default)]
pub(super) struct ReadsOfRoom<'a> {
    reads: Vec<MemberRead>,
    newest: Option<(&'a RecordedEvent, cocotalk_domain::time::Instant)>,
}

impl<'a> ReadsOfRoom<'a> {
    pub(super) fn add(&mut self, mark: &ReadAdvanced, event: &'a RecordedEvent) {
        self.newest = Some((event, mark.at));
        match self.reads.iter_mut().find(|read| read.user_id == mark.user_id) {
            Some(read) => read.read_seq = read.read_seq.max(mark.read_seq),
            None => self.reads.push(MemberRead {
                user_id: mark.user_id,
                read_seq: mark.read_seq,
            }),
        }
    }

    pub(super) fn into_frame(self, room: RoomId) -> Option<Utf8Bytes> {
        let (newest, at) = self.newest?;
        Some(text(&read_advanced(newest, room, at, self.reads)))
    }
}
