//! The schema of the messaging service's database, step by step.
