"""What all three services share: the contract, and the road every message takes. It knows no service."""
