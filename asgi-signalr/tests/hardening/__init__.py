"""Hostile, careless and unlucky clients: none of them hurts the server, or another client."""
