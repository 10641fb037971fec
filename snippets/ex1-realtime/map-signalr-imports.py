# the SignalR application, with the hubs that it serves
from .hubs.statistics import signalr
