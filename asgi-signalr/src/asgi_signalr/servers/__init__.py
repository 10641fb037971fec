"""ASGI servers that the library can do more with than ASGI says.

uvicorn       asgi_signalr.servers.uvicorn, for `uvicorn --ws`
"""
