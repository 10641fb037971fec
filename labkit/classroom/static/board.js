// Shows the class. All text is the trainees': it goes in as text, never as HTML.
import { t } from "/texts.js"; // what this page says in English, in the reader's language

const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? sessionStorage.getItem("token") ?? "";
sessionStorage.setItem("token", token);
history.replaceState(null, "", location.pathname);

function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

// A check's id in words: "ex1.2/the-page-connects" is "The page connects".
function words(id) {
  const text = id.slice(id.indexOf("/") + 1).replaceAll("-", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function named(trainee) {
  return trainee.name ?? t("No. {number}", { number: trainee.number });
}

const STATES = { passed: t("passed"), "not done": t("not done") };

function cell(state) {
  const made = element("td", "", (state ?? "").replace(" ", "-"));
  const sign = element("span", { passed: "✓", "not done": "✗" }[state] ?? "·");
  sign.setAttribute("aria-hidden", "true");
  made.append(sign, element("span", STATES[state] ?? t("not verified yet"), "unseen"));
  return made;
}

function row(trainee, tasks) {
  const kinds = { hand: trainee.hand, stuck: trainee.stuck, away: !trainee.here };
  const made = element("tr", "", Object.keys(kinds).filter((each) => kinds[each]).join(" "));
  const head = element("th", named(trainee));
  head.scope = "row";
  const notes = [];
  if (trainee.hand) notes.push(t("hand raised"));
  if (trainee.stuck) notes.push(t("stuck: {check}", { check: words(trainee.stuck) }));
  if (!trainee.here) notes.push(t("is away"));
  if (notes.length) head.append(element("div", notes.join(" · "), "note"));
  const name = named(trainee);
  const sent = {
    failure: [t("see the failure"), t("Open the failure of {name}", { name })],
    work: [t("see the work"), t("Open the work of {name}", { name })],
  };
  for (const what of Object.keys(sent).filter((each) => trainee[each])) {
    const [label, description] = sent[what];
    const button = element("button", label);
    button.type = "button";
    button.setAttribute("aria-label", description);
    button.addEventListener("click", () => open(trainee, what));
    head.append(button);
  }
  made.append(head, ...tasks.map((task) => cell(trainee.tasks[task.id])));
  return made;
}

// How many have passed each check of a task.
function passes(task, checks) {
  const own = checks.filter((check) => check.id.startsWith(`${task.id}/`));
  if (!own.length) return [];
  const list = element("ul");
  for (const check of own) {
    const line = element("li");
    const kind = check.passed === check.tried ? "passed" : "";
    line.append(element("span", `${check.passed} / ${check.tried}`, kind), ` ${words(check.id)}`);
    list.append(line);
  }
  return [element("h3", `${task.id} ${task.title}`), list];
}

// What a trainee has sent is for the instructor: it stands on no projector until it is opened.
async function open(trainee, what) {
  const sent = await connection.invoke("opened", trainee.number);
  const name = named(trainee);
  const titles = { failure: t("Failure of {name}", { name }), work: t("Work of {name}", { name }) };
  document.getElementById("sent-title").textContent = titles[what];
  document.getElementById("sent-text").textContent = sent[what] ?? t("(taken back)");
  document.getElementById("sent").showModal();
}

function show(board) {
  document.title = document.getElementById("title").textContent = board.title;
  const join = document.getElementById("join");
  if (board.code) {
    join.replaceChildren(`${t("Join:")} `, element("code", `labkit class join ${board.address} ${board.code}`));
  } else {
    join.replaceChildren(t("The join code has expired."));
  }
  const heads = board.tasks.map((task) => {
    const head = element("th", task.id, "task");
    head.scope = "col";
    head.append(element("div", task.title, "note"));
    return head;
  });
  const first = element("th", t("Trainee"));
  first.scope = "col";
  document.getElementById("tasks").replaceChildren(first, ...heads);
  // Raised hands first, then who is stuck; else in the order in which they came.
  const weight = (each) => (each.hand ? 0 : each.stuck ? 1 : 2);
  const trainees = [...board.trainees].sort((a, b) => weight(a) - weight(b) || a.number - b.number);
  document.getElementById("trainees").replaceChildren(...trainees.map((each) => row(each, board.tasks)));
  const hands = trainees.filter((each) => each.hand).length;
  const stuck = trainees.filter((each) => each.stuck).length;
  document.getElementById("class").textContent = [
    trainees.length === 1 ? t("1 trainee") : t("{number} trainees", { number: trainees.length }),
    hands === 1 ? t("1 hand raised") : hands ? t("{number} hands raised", { number: hands }) : "",
    stuck ? t("{number} stuck", { number: stuck }) : "",
  ].filter(Boolean).join(" · ");
  document.getElementById("checks").replaceChildren(...board.tasks.flatMap((task) => passes(task, board.checks)));
}

const connection = new signalR.HubConnectionBuilder()
  .withUrl("/signalr/board", { accessTokenFactory: () => token })
  .withAutomaticReconnect({ nextRetryDelayInMilliseconds: () => 1000 })
  .configureLogging(signalR.LogLevel.None)
  .build();
const status = document.getElementById("connection");
async function catchUp() {
  show(await connection.invoke("everything"));
  status.textContent = t("Live");
}
connection.on("state", show);
connection.onreconnecting(() => { status.textContent = t("The board is away …"); });
connection.onreconnected(catchUp);
async function start() {
  try {
    await connection.start();
    await catchUp();
  } catch {
    status.textContent = t("The board is away …");
    setTimeout(start, 1000);
  }
}
start();
