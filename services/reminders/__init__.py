"""Reminders: plans texts by what booking and billing tell, judges and sends each when it is due, and hears replies."""
