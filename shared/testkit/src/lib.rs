//! Private PostgreSQL and RabbitMQ, an SMTP server that follows a script, a clock to set, tokens.
