//! Stories, refusals, crashes and outages, told to the whole suite from outside.
