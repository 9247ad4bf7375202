"""A package, so that its one Chairtime ends with its last test: other journeys have the same consumer groups at Kafka."""
