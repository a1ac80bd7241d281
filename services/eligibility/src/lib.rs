//! The eligibility service: the directory, the settings and the rules: who may write to whom.
