"""`chairtime doctor`: what a deployment needs, looked at one by one; each finding tells how it stands, and a fix."""
