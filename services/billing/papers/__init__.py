"""Papers that patients need: good-faith estimate, superbill, receipt. Pure values, and pages made for print."""
