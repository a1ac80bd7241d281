//! The notification service: one email for each message to a portal user.
