"""Kafka: which cluster and topics, and records as they come and go."""
