signalr.use_backplane(f"{settings.database_server}/${1:signalr}")
