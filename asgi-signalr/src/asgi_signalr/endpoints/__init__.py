"""What a request meets: which path it is for, who may connect, the negotiation, and the scripts of the client."""
