from .hubs.statistics import StatisticsHub, signalr
