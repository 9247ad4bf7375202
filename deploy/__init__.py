"""How Chairtime is run: the embedded and local servers, the command line, the clinics' profiles."""
