"""Who is texted and what they write back: contacts, consent, conversations and their meaning. Pure."""
