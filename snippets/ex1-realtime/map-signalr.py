app.mount("/signalr", signalr)
