"""All of Chairtime on one machine without Docker or accounts: servers, stand-ins, the demo."""
