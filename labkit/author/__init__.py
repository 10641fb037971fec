"""What `labkit author` does for the people who write labs, a module for each of its commands."""
