// Connect to the hub, and show the statistics that it sends.
const connection = new signalR.HubConnectionBuilder()
  .withUrl("/signalr/statistics")
  .withAutomaticReconnect()
  .build();

connection.on("updateStatistics", (statistics) => {
  showStatistics(statistics);
});

connection.onreconnecting(() => showFreshness("Reconnecting …"));
connection.onreconnected(() => location.reload()); // for what was sent meanwhile

connection.start().then(() => showFreshness("Live", true), console.error);
