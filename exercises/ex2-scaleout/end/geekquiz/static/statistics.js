"use strict";

// Shows the statistics that came with the page: both counters and both charts.

const green = "#15803d";
const red = "#b91c1c";
const indigo = "#4f46e5";
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
const format = (number) => number.toLocaleString("en", { maximumFractionDigits: 1 });

Chart.defaults.font = { family: getComputedStyle(document.body).fontFamily, size: 13 };

function chart(id, type, labels, colors, more) {
  return new Chart(id, {
    type,
    data: { labels, datasets: [{ data: [], backgroundColor: colors, borderRadius: type === "bar" ? 8 : 0 }] },
    options: { maintainAspectRatio: false, animation: calm ? false : { duration: 400 }, ...more },
  });
}

const answersChart = chart("answers-chart", "pie", ["Correct", "Incorrect"], [green, red], {
  plugins: { legend: { position: "bottom", labels: { usePointStyle: true } } },
});
const averageChart = chart("average-chart", "bar", ["Correct", "Incorrect", "Total"], [green, red, indigo], {
  plugins: { legend: { display: false } },
  scales: { x: { grid: { display: false } }, y: { beginAtZero: true, ticks: { maxTicksLimit: 6 } } },
});

// A chart is a picture: whoever cannot see it is told the same numbers.
function draw(chart, title, numbers) {
  chart.data.datasets[0].data = numbers;
  chart.update();
  const parts = numbers.map((number, index) => `${chart.data.labels[index]} ${format(number)}`);
  chart.canvas.setAttribute("aria-label", `${title}: ${parts.join(", ")}`);
}

// Answers are only ever added: statistics that count fewer of them are older, whenever they arrive, and passed over.
let newest = 0;

function showStatistics(statistics) {
  if (statistics.totalAnswers < newest) return;
  newest = statistics.totalAnswers;
  document.getElementById("no-results").hidden = statistics.totalAnswers > 0;
  document.getElementById("results").hidden = statistics.totalAnswers === 0;
  document.getElementById("correct").textContent = statistics.correctAnswers;
  document.getElementById("incorrect").textContent = statistics.incorrectAnswers;
  draw(answersChart, "Correct vs Incorrect", [statistics.correctAnswers, statistics.incorrectAnswers]);
  draw(averageChart, "Average per user", [
    statistics.correctAnswersAverage,
    statistics.incorrectAnswersAverage,
    statistics.totalAnswersAverage,
  ]);
}

function showFreshness(text, isLive = false) {
  const freshness = document.getElementById("freshness");
  freshness.textContent = text;
  freshness.classList.toggle("live", isLive);
}

showFreshness(`As of ${new Date().toLocaleTimeString()}`);
const loaded = document.getElementById("statistics").textContent;
showStatistics(JSON.parse(loaded));

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
