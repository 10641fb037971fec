"""One server among others: its hubs, their members, and what the servers tell each other through a backplane."""
