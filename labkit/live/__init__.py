"""labkit's own live pages: apps of the kind that the lab teaches, whose parts are pushed through a SignalR hub.

`gate` lets only the person in who started them, `server` runs them, `guide` is the lab with buttons.
"""
