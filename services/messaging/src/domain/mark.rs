//! What a person does to their own side of a conversation: read, unread, archived (I1, I2, I4). Nobody else notices.

/// A participant's side of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// All messages up to this sequence are read.
    pub last_read: i64,
    /// How many later ones are by others.
    pub unread: i64,
    /// Whether it is in the Archived folder.
    pub archived: bool,
}

impl Side {
    /// What it adds to the badge: what is archived does not count (I3).
    #[must_use]
    pub fn counted(self) -> i64 {
        if self.archived { 0 } else { self.unread }
    }
}

/// A change of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Read up to a sequence. Only forward (I4).
    Read {
        /// The last message that the person saw.
        up_to: i64,
    },
    /// Unread from a sequence on. Only back (I4).
    Unread {
        /// The first message that is to be unread.
        from: i64,
    },
    /// To the Archived folder, if nothing came after the last message that the person saw (I1).
    Archive {
        /// That message.
        last_seen: i64,
    },
    /// Back to the Active folder.
    Unarchive,
}

impl Mark {
    /// Whether a conversation that has reached this sequence refuses it: nothing unseen is ever hidden (I1).
    #[must_use]
    pub fn is_refused_at(self, last_sequence: i64) -> bool {
        matches!(self, Self::Archive { last_seen } if last_seen < last_sequence)
    }

    /// Up to where is read after it.
    #[must_use]
    pub fn last_read(self, side: Side) -> i64 {
        match self {
            Self::Read { up_to } => side.last_read.max(up_to),
            Self::Unread { from } => side.last_read.min(from - 1),
            Self::Archive { .. } | Self::Unarchive => side.last_read,
        }
    }

    /// Whether it is archived after it.
    #[must_use]
    pub fn archived(self, side: Side) -> bool {
        match self {
            Self::Archive { .. } => true,
            Self::Unarchive => false,
            Self::Read { .. } | Self::Unread { .. } => side.archived,
        }
    }

    /// The sequence that it names; 0 if none.
    #[must_use]
    pub fn sequence(self) -> i64 {
        match self {
            Self::Read { up_to: sequence }
            | Self::Unread { from: sequence }
            | Self::Archive { last_seen: sequence } => sequence,
            Self::Unarchive => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: Side = Side {
        last_read: 3,
        unread: 2,
        archived: false,
    };

    #[test]
    fn i4_read_moves_forward_and_unread_back() {
        for (mark, last_read) in [
            (Mark::Read { up_to: 5 }, 5),
            (Mark::Read { up_to: 2 }, 3),
            (Mark::Unread { from: 2 }, 1),
            (Mark::Unread { from: 4 }, 3),
            (Mark::Unread { from: 9 }, 3),
            (Mark::Archive { last_seen: 5 }, 3),
            (Mark::Unarchive, 3),
        ] {
            assert_eq!(mark.last_read(SIDE), last_read, "{mark:?}");
        }
    }

    #[test]
    fn i1_only_an_archive_that_has_not_seen_the_newest_is_refused() {
        assert!(Mark::Archive { last_seen: 4 }.is_refused_at(5));
        assert!(!Mark::Archive { last_seen: 5 }.is_refused_at(5));
        assert!(!Mark::Read { up_to: 1 }.is_refused_at(5));
        assert!(!Mark::Unarchive.is_refused_at(5));
    }

    #[test]
    fn i3_what_is_archived_does_not_count() {
        let archived = Mark::Archive { last_seen: 5 }.archived(SIDE);
        assert_eq!((SIDE.counted(), Side { archived, ..SIDE }.counted()), (2, 0));
        let back = Mark::Unarchive.archived(Side { archived, ..SIDE });
        assert_eq!(Side { archived: back, ..SIDE }.counted(), 2);
    }
}
