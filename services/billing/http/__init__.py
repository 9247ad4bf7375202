"""Billing over HTTP: accounts, payments and refunds, and papers."""
