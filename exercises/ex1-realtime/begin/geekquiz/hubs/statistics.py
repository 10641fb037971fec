"""The hub of the Statistics page."""

# TODO statistics-hub-class: add the hub class StatisticsHub, and the SignalR application that serves it
