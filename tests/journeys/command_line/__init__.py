"""A package, so that its one Chairtime ends with its last test: others have the same consumer groups at Kafka."""
