"""Booking holds chairs for whole courses, confirms what is paid, and follows each session to its completion."""
