//! The schema of the eligibility service's database, step by step.
