"""The hubs: what the server tells open pages."""
