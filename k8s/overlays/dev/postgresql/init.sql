CREATE ROLE eligibility LOGIN PASSWORD 'dev-only';
CREATE DATABASE eligibility OWNER eligibility;
CREATE ROLE messaging LOGIN PASSWORD 'dev-only';
CREATE DATABASE messaging OWNER messaging;
CREATE ROLE notification LOGIN PASSWORD 'dev-only';
CREATE DATABASE notification OWNER notification;
