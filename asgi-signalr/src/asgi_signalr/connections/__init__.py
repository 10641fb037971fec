"""What every connection has, whatever is said on it: its life, its queue of messages, its turns, and who watches it."""
