await StatisticsService(session).notify_updates()
