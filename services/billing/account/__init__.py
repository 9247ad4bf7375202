"""A course's money as values: shares, ledger entries, terms, prices. Pure."""
