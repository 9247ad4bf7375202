"""What a text is: its states, words, segments and hours, and what a clinic wants of it. Pure."""
