"""Failures: what crashes, outages, garbage and floods do to the services, and what they must not do."""

from tests.journeys.conftest import home, journey

__all__ = ["home", "journey"]
