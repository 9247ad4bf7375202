"""What is set from outside: settings, API keys, the clinics' profiles as all services read them."""
