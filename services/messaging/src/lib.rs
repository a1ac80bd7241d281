//! The messaging service: conversations and mailboxes.
