"""A real Kafka from its published jars, without Docker: for `make kafka` and for the tests."""
