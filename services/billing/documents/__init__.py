"""Papers that patients need: good-faith estimate, superbill, receipt. Pure values, made for print."""
