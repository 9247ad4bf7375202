"""What a rule is given and answers with. Pure: rules import this, and nothing here reaches a network or a disk."""
