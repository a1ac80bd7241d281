//! Process wiring: settings, telemetry, lifecycle, server, health, database, clock and ids.
