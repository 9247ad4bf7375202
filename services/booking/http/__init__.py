"""Booking over HTTP: courses and sessions, the day's board, calendar links, refusals."""
