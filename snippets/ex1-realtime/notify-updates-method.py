async def notify_updates(self) -> None:
    """Send the new statistics to every open Statistics page."""
    hub = signalr.hub_context(StatisticsHub)
    statistics = await self.generate()
    await hub.clients.all.send("updateStatistics", statistics)
