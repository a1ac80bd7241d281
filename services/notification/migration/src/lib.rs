//! The schema of the notification service's database, step by step.
