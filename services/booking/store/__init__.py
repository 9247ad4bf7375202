"""Booking's SQL."""
