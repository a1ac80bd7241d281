-- Two roles for each database, as in production: the owner, as whom the migration Job works, and the service's own, which owns nothing.
-- (docs/audit.md, Privileges, narrows the latter further.)
CREATE ROLE eligibility_owner LOGIN PASSWORD 'dev-only';
CREATE ROLE eligibility LOGIN PASSWORD 'dev-only';
CREATE DATABASE eligibility OWNER eligibility_owner;
\connect eligibility
ALTER DEFAULT PRIVILEGES FOR ROLE eligibility_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO eligibility;
CREATE ROLE messaging_owner LOGIN PASSWORD 'dev-only';
CREATE ROLE messaging LOGIN PASSWORD 'dev-only';
CREATE DATABASE messaging OWNER messaging_owner;
\connect messaging
ALTER DEFAULT PRIVILEGES FOR ROLE messaging_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO messaging;
CREATE ROLE notification_owner LOGIN PASSWORD 'dev-only';
CREATE ROLE notification LOGIN PASSWORD 'dev-only';
CREATE DATABASE notification OWNER notification_owner;
\connect notification
ALTER DEFAULT PRIVILEGES FOR ROLE notification_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO notification;
