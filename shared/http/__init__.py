"""HTTP as all services speak it: callers and their keys, problems, requests, and the routes that every service has."""
