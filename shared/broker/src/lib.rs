//! What surrounds every event: topology, outbox relay, RabbitMQ publisher and consumer with a reconnection of its own.
