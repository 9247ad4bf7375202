"""Billing: prices courses, keeps the ledger, and says when a session may be confirmed."""
