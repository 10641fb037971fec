// The guide's page: the chapters come once, the state of the work comes through the hub whenever it changes.

import { t } from "/texts.js"; // what this page says in English, in the reader's language

const memory = {
  get: (name) => { try { return localStorage.getItem(`guide ${name}`); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(`guide ${name}`, value); } catch { /* a private window */ } },
};
const byId = (id) => document.getElementById(id);

// The token comes in the address' fragment, and stays in this tab.
const fragment = new URLSearchParams(location.hash.slice(1));
if (fragment.has("token")) {
  sessionStorage.setItem("token", fragment.get("token"));
  history.replaceState(null, "", location.pathname);
}
const token = sessionStorage.getItem("token") ?? "";

const states = new Map(); // exercise id -> what the server last told
const chapters = new Map(); // exercise id -> rendered chapter
let exercise = fragment.get("exercise") ?? memory.get("exercise");
let page = memory.get("page"); // a task's id, or an exercise's for its introduction
let guidePort; // the server's, which a forwarding proxy may show under another name
let connection;

// Making elements: texts are texts, never HTML, but for a chapter's own.

function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key.includes("-") || ["role", "for"].includes(key)) element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children.filter((each) => each !== null && each !== undefined && each !== false));
  return element;
}

// Speaking with the server.

async function ask(path, document) {
  const options = { headers: { Authorization: `Bearer ${token}` } };
  if (document) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(document);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error(t("The guide does not answer. Has `labkit guide` ended? Start it again, and open its address."));
  }
  if (path.startsWith("/api/evidence")) return response.ok ? response.blob() : null;
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.error.message), answer.error);
  return answer;
}

async function act(action, button) {
  const { exercise: meant, ...rest } = action;
  button?.setAttribute("aria-busy", "true");
  if (action.do === "verify") lookAt("checks-card");
  if (action.do === "run") lookAt("app-card");
  if (action.do === "db-tail") byId("messages").replaceChildren(); // the tool begins with the last messages
  try {
    const answer = await ask(`/api/do/${meant ?? exercise}`, rest);
    if (answer.state) take(answer.state);
    if (answer.asks) return confirm(answer, action);
    if (answer.diff) showDiff(answer, rest.do === "insert");
    else if (answer.columns) showTable(answer);
    else say(answer.message);
    return answer;
  } catch (error) {
    say(error.message + (error.next ? `\n${t("next:")} ${error.next}` : ""), true, error.action);
    return null;
  } finally {
    button?.removeAttribute("aria-busy");
  }
}

let saidUntil;
function say(text, isWrong = false, action = null) {
  const said = byId("said");
  said.replaceChildren(text, ...(action ? [pressed(label(action), action, { className: "small" })] : []));
  said.classList.toggle("wrong", isWrong);
  said.hidden = false;
  clearTimeout(saidUntil);
  saidUntil = setTimeout(() => { said.hidden = true; }, isWrong ? 12000 : 5000);
}

// What this tab has pressed shows at once; what others did comes through the hub.
function take(state) {
  states.set(state.id, { ...states.get(state.id), ...state });
  draw();
}

// On a narrow page the contents and the work are drawers: one of them may be open.

const drawers = ["contents", "bench"];

function openDrawer(wanted) {
  for (const name of drawers) {
    byId(name).classList.toggle("is-open", name === wanted);
    byId(`show-${name}`).setAttribute("aria-expanded", String(name === wanted));
  }
}

for (const name of drawers) {
  byId(`show-${name}`).addEventListener("click", () => {
    const isOpen = byId(name).classList.contains("is-open");
    openDrawer(isOpen ? null : name);
    if (!isOpen) byId(name).focus();
  });
}

// What a press is about is seen, wherever the page has it.
function lookAt(card) {
  openDrawer("bench");
  byId(card).scrollIntoView({ block: "nearest" });
}

// Dialogs.

function show(title, body, ...buttons) {
  byId("dialog-title").textContent = title;
  byId("dialog-body").replaceChildren(body);
  byId("dialog-buttons").replaceChildren(...buttons, make("button", { textContent: t("Close"), value: "close" }));
  if (!byId("dialog").open) byId("dialog").showModal();
}

function confirm(answer, action) {
  const sure = make("button", { textContent: t("Do it"), className: "main", value: "do", onclick: () => act({ ...action, do: answer.asks, ...answer.arguments }) });
  show(t("Are you sure?"), make("p", { textContent: answer.message }), sure);
  return answer;
}

function showDiff(answer, wasInserted) {
  const editor = answer.path && opener(answer.path, answer.line);
  const undo = wasInserted && make("button", { textContent: t("Undo"), value: "undo", title: "labkit undo", onclick: () => act({ do: "undo" }) });
  const sides = wasInserted ? [t("before"), t("after")] : [t("yours"), t("the end")];
  const shown = wide.matches ? inTwoColumns(answer.diff, sides) : inOneColumn(answer.diff);
  show(answer.message, shown, ...[editor, undo].filter(Boolean));
}

const wide = matchMedia("(min-width: 46rem)");

function inOneColumn(diff) {
  const lines = diff.replace(/\n$/, "").split("\n").map((line) => {
    const kind = /^[+-]{3} /.test(line) ? "b" : { "+": "ins", "-": "del" }[line[0]];
    return kind ? make(kind, { textContent: `${line}\n` }) : `${line}\n`;
  });
  return make("pre", { tabIndex: 0 }, make("code", {}, ...lines));
}

// A unified diff as a table for each file: what is old on the left, what is new on the right, with the lines' numbers.
function inTwoColumns(diff, sides) {
  const tables = [];
  let rows, old, fresh, unpaired;
  let [oldLeft, freshLeft] = [0, 0]; // lines of the hunk still to come: what looks like a file's name may be one of them
  const side = (number, text, kind) => [make("td", { className: "number", textContent: number ?? "" }), make("td", {}, kind ? make(kind, { textContent: text }) : text)];
  const add = (...cells) => { rows.append(make("tr", {}, ...cells)); return rows.lastChild; };
  for (const line of diff.replace(/\n$/, "").split("\n")) {
    const hunk = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(line);
    const text = line.slice(1);
    if (oldLeft > 0 || freshLeft > 0) {
      if (line[0] === "-") {
        unpaired.push(add(...side(old++, text, "del"), ...side(null, "")));
        oldLeft--;
      } else if (line[0] === "+") {
        const beside = unpaired.shift();
        const cells = side(fresh++, text, "ins");
        if (beside) beside.replaceChildren(...[...beside.children].slice(0, 2), ...cells);
        else add(...side(null, ""), ...cells);
        freshLeft--;
      } else if (line[0] === " ") {
        unpaired = [];
        add(...side(old++, text), ...side(fresh++, text));
        oldLeft--;
        freshLeft--;
      }
    } else if (hunk) {
      [old, oldLeft, fresh, freshLeft] = hunk.slice(1).map((number) => Number(number ?? 1));
      unpaired = [];
      if (rows.childElementCount) add(make("td", { className: "gap", colSpan: 4, textContent: "…" }));
    } else if (line.startsWith("+++ ")) {
      if (line !== "+++ /dev/null") tables.at(-1).caption.textContent = line.replace(/^\+\+\+ \w+\//, "");
    } else if (/^(--- |Binary files |Files )/.test(line)) {
      rows = make("tbody");
      const head = make("tr", {}, ...sides.map((name) => make("th", { textContent: name, scope: "col", colSpan: 2 })));
      tables.push(make("table", { className: "diff" }, make("caption", { textContent: line.replace(/^--- (\w+\/)?/, "") }), make("colgroup", {}, ...sides.flatMap(() => [make("col", { className: "number" }), make("col")])), make("thead", {}, head), rows));
    }
  }
  return make("div", { className: "scrolls", tabIndex: 0, role: "region", "aria-label": t("The differences") }, ...tables);
}

function showTable(answer) {
  const head = make("tr", {}, ...answer.columns.map((column) => make("th", { textContent: column, scope: "col" })));
  const content = (row, column) => (answer.lists && column === "table"
    ? make("button", { className: "small", textContent: row[column], title: `labkit db tables ${answer.lists} ${row[column]}`, onclick: (event) => act({ do: "db-tables", name: answer.lists, table: row[column] }, event.currentTarget) })
    : String(row[column] ?? ""));
  const rows = answer.rows.map((row) => make("tr", {}, ...answer.columns.map((column) => make("td", {}, content(row, column)))));
  show(answer.message, make("div", { className: "scrolls" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))));
}

// Chapters.

async function chapterOf(id) {
  if (!chapters.has(id)) chapters.set(id, await ask(`/api/chapter/${id}`));
  return chapters.get(id);
}

// The chapter, page by page; what comes after the last task is the last page; then the pages beside the chapters.
const chapterPages = (chapter) => [
  { id: chapter.id, title: t("Introduction"), html: chapter.introduction },
  ...chapter.tasks,
  ...(chapter.end ? [{ id: `${chapter.id}-end`, title: t("Summary"), html: chapter.end }] : []),
];
const pagesOf = (chapter) => [...chapterPages(chapter), ...chapter.pages];

async function open(id, { focus = true, step = null } = {}) {
  if (focus) openDrawer(null);
  const chapter = await chapterOf(exercise);
  const pages = pagesOf(chapter);
  const at = Math.max(pages.findIndex((each) => each.id === id), 0);
  page = pages[at].id;
  memory.set("exercise", exercise);
  memory.set("page", page);
  const main = byId("chapter");
  const text = make("div", { className: "task" });
  text.innerHTML = pages[at].html; // the lab's own chapter, rendered by the server, which lets no HTML through
  text.querySelectorAll(".command").forEach(enliven);
  text.querySelectorAll(".code").forEach(addCopy);
  text.querySelectorAll("a[data-page]").forEach((link) => link.addEventListener("click", (event) => { event.preventDefault(); follow(link.dataset.page); }));
  text.querySelectorAll("kbd").forEach(offerStop);
  const turn = make("nav", { className: "turn", "aria-label": t("Pages") });
  const order = chapterPages(chapter);
  for (const [way, key] of [[-1, "p"], [1, "n"]]) {
    const other = at < order.length ? order[at + way] ?? (way > 0 && exerciseAfter(exercise)) : way < 0 && order[0];
    const words = way > 0 ? `${other?.title} →` : `← ${other?.title}`;
    turn.append(other ? make("button", { textContent: words, title: t("Key {key}", { key }), "aria-keyshortcuts": key, onclick: () => follow(other.id), className: way > 0 ? "main" : "" }) : make("span"));
  }
  main.replaceChildren(text, turn);
  document.title = `${pages[at].title} · ${chapter.title}`;
  draw();
  if (step) document.getElementById(step)?.scrollIntoView({ block: "center" });
  else if (focus) { main.focus(); scrollTo(0, 0); }
}

// What is read now is where one goes on when the page is opened again.
addEventListener("scrollend", () => {
  const steps = [...document.querySelectorAll("main li[data-step]")];
  memory.set("step", scrollY > 0 ? steps.find((each) => each.getBoundingClientRect().bottom > innerHeight / 3)?.dataset.step ?? "" : "");
});

function follow(target) {
  if (target !== exercise && states.has(target)) choose(target);
  else open(target);
}

// What comes after the last page of a chapter.
function exerciseAfter(id) {
  const ids = [...states.keys()];
  return states.get(ids[ids.indexOf(id) + 1]);
}

function enliven(element) {
  const command = element.dataset.command;
  element.querySelector("code").replaceChildren(...inWords(command));
  if (element.dataset.action) {
    const action = JSON.parse(element.dataset.action);
    element.append(make("button", { className: "main", textContent: label(action), onclick: (event) => act(action, event.currentTarget) }));
  }
  element.append(make("button", { className: "copy", textContent: t("Copy"), "aria-label": t("Copy {command}", { command }), onclick: (event) => copy(command, event.currentTarget) }));
}

// The key that ends the app in a terminal; where the guide runs it, a button does.
function offerStop(key) {
  if (key.textContent === "Ctrl-C") key.after(" ", pressed(t("Stop"), { do: "stop" }, { className: "small", "aria-label": t("Stop the app") }));
}

const labels = { start: t("Start"), run: t("Run"), insert: t("Insert"), verify: t("Verify"), undo: t("Undo"), diff: t("Show"), "db-start": t("Start"), "db-stop": t("Stop"), "db-create": t("Create"), "db-tables": t("Look"), "db-tail": t("Follow") };
const label = (action) => labels[action.do] ?? action.do;

function addCopy(element) {
  const code = element.querySelector("code");
  // Of code in its surroundings only the new lines are wanted.
  const text = () => [...element.querySelectorAll("ins")].map((line) => line.textContent).join("") || code.textContent;
  const caption = element.querySelector("figcaption");
  if (caption) caption.append(opener(element.dataset.path));
  (caption ?? element).append(make("button", { className: "copy small", textContent: t("Copy"), "aria-label": t("Copy the code"), onclick: (event) => copy(text(), event.currentTarget) }));
}

// Without a path it opens the whole workspace.
const opener = (path, line) => make("button", { className: "small", textContent: t("Open in editor"), "aria-label": path ? t("Open {path} in your editor", { path }) : t("Open your workspace in your editor"), onclick: (event) => act({ do: "open", path, line }, event.currentTarget) });

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    say(t("Your browser does not let this page copy: select the text, and copy it with Ctrl-C."), true);
    return;
  }
  button.textContent = t("Copied");
  setTimeout(() => { button.textContent = t("Copy"); }, 1500);
}

// What is known of the work.

const signs = { done: ["✓", t("done")], going: ["◐", t("begun")], todo: ["○", t("to do")] };

function stateOf(state, taskId) {
  const task = state.tasks.find((each) => each.id === taskId);
  if (!task) return null;
  return task.passed && !task.stale ? "done" : task.begun || task.passed ? "going" : "todo";
}

function draw() {
  const state = states.get(exercise);
  const chapter = chapters.get(exercise);
  if (!state || !chapter) return;
  drawContents(state, chapter);
  drawSteps(state);
  drawWorkspace(state);
  drawApp(state);
  drawMessages(state);
  drawChecks(state);
  byId("show-bench").textContent = workInWords(state);
}

function workInWords({ workspace, app, verify }) {
  if (workspace === null) return t("Your work: not begun");
  if (verify.what !== null) return t("Your work: verifying …");
  const runs = app.instances.length ? t("Your work: app runs") : t("Your work: app stopped");
  const passed = verify.checks.filter((each) => each.passed && !each.stale).length;
  return verify.checks.length ? `${runs}, ${t("{passed} of {total} passed", { passed, total: verify.checks.length })}` : runs;
}

// Parts are drawn anew only when they change: a press in the middle of a change is not lost, and focus stays.
const drawn = new Map();
function put(id, key, build) {
  const text = JSON.stringify(key);
  if (drawn.get(id) === text) return;
  drawn.set(id, text);
  const place = byId(id);
  const focused = place.contains(document.activeElement) ? document.activeElement.textContent : null;
  const opened = new Set([...place.querySelectorAll("details[open]")].map((each) => each.dataset.id));
  place.replaceChildren(...build().filter(Boolean));
  place.querySelectorAll("details").forEach((each) => { if (opened.has(each.dataset.id)) each.open = true; });
  if (focused !== null) [...place.querySelectorAll("button")].find((each) => each.textContent === focused)?.focus();
}

function drawContents(state, chapter) {
  put("exercises", [[...states.values()].map((each) => [each.id, each.title]), exercise], () =>
    [...states.values()].map((each) => make("button", { textContent: each.id, title: each.title, "aria-current": String(each.id === exercise), "aria-label": `${each.id}: ${each.title}`, onclick: () => choose(each.id) })));
  const entries = pagesOf(chapter).map((each) => [each.id, each.title, stateOf(state, each.id)]);
  put("tasks", [entries, page], () => entries.map(([id, title, known]) => {
    const [sign, word] = signs[known] ?? ["", ""];
    const button = make("button", { onclick: () => open(id) }, make("span", { className: `state ${known ?? ""}`, textContent: sign, "aria-hidden": "true" }), make("span", { textContent: title }), word && make("span", { className: "hidden", textContent: `, ${word}` }));
    if (id === page) button.setAttribute("aria-current", "page");
    return make("li", { className: id.startsWith("page-") ? "beside" : "" }, button);
  }));
  const left = entries.filter(([, , known]) => known && known !== "done").length;
  const minutes = Math.round((state.minutes * left) / Math.max(state.tasks.length, 1));
  byId("left-over").textContent = state.finished ? t("Done: well done!") : t("about {minutes} of {all} minutes left", { minutes, all: state.minutes });
}

function drawSteps(state) {
  const known = new Map(state.tasks.flatMap((task) => task.steps.map((step) => [step.id, step])));
  for (const element of document.querySelectorAll("main li[data-step]")) {
    const step = known.get(element.dataset.step);
    element.classList.toggle("done", Boolean(step?.done));
    element.classList.toggle("next", element.dataset.step === state.next);
    if (step?.helps) drawHints(element, step);
  }
}

// Three presses: a question, a direction, the code; a hint that was given, here or at the terminal, stays.
function drawHints(element, step) {
  let place = element.querySelector(":scope > .hints");
  if (place?.dataset.told === String(step.told.length)) return;
  const focused = place?.contains(document.activeElement);
  place ??= element.appendChild(make("div", { className: "hints" }));
  place.dataset.told = step.told.length;
  place.replaceChildren(...step.told.map((text, at) => (at === 2 ? make("pre", { textContent: text, tabIndex: 0 }) : make("p", { textContent: text }))));
  if (step.told.length === 3) return;
  const ask = withCommand(pressed([t("Hint"), t("One more hint"), t("Show the code")][step.told.length], { do: "hint", step: step.id }, { className: "small" }), `labkit hint ${step.id}`);
  place.append(ask);
  if (focused) ask.querySelector("button").focus();
}

function pressed(text, action, more = {}) {
  return make("button", { textContent: text, onclick: (event) => act(action, event.currentTarget), ...more });
}

// A button, and beside it what does the same in a terminal.
const withCommand = (button, command) => make("div", { className: "deed" }, button, make("code", { className: "typed" }, ...inWords(command.startsWith("labkit ") ? `$ ${command}` : command)));
const inWords = (command) => command.split(" ").flatMap((word, at) => [at ? " " : "", make("span", { className: "word", textContent: word })]);

function drawWorkspace(state) {
  put("workspace", [state.id, state.workspace, state.undo], () => state.workspace === null
    ? [make("p", { textContent: t("Your copy of the app is not made yet.") }), withCommand(pressed(t("Start"), { do: "start" }, { className: "main" }), `labkit start ${state.id}`)]
    : [make("div", { className: "row" }, make("span", { className: "path", textContent: state.workspace }), opener()),
       state.undo && withCommand(pressed(t("Undo"), { do: "undo" }, { title: state.undo, "aria-label": t("Undo: {what}", { what: state.undo }) }), "labkit undo"),
       withCommand(pressed(t("Compare"), { do: "diff" }, { title: t("with the exercise's end") }), `labkit diff ${state.id}`),
       withCommand(pressed(t("Reset"), { do: "reset" }), `labkit reset ${state.id}`)]);
}

function appInWords(app) {
  if (app.state === "elsewhere") {
    if (!app.instances.length) return t("It is being started in another window, or waits there.");
    return app.stale.length ? t("Running in another window, but not your latest.") : t("Running in another window.");
  }
  if (app.state === "stopped") return t("It does not run.");
  if (app.state === "starting") return t("Starting …");
  if (app.state === "ended") return t("It has ended.");
  if (app.silent.length) return app.instances.length > 1 ? t("Running, but instance {numbers} does not answer.", { numbers: app.silent.join(", ") }) : t("Running, but it does not answer.");
  return app.stale.length ? t("Running, but not your latest.") : t("Running, healthy.");
}

function drawApp(state) {
  const { app } = state;
  put("app", [state.id, app, state.workspace], () => {
    if (state.workspace === null) return [make("p", { textContent: t("Start the workspace first.") })];
    const going = app.state === "running";
    const shown = going || (app.state === "elsewhere" && app.instances.length > 0);
    const several = app.instances.length > 1;
    return [
      make("p", { textContent: appInWords(app), "data-app": app.state }),
      ...app.instances.map((each) => make("p", {}, several && `${each.number} `, make("a", { href: reachable(each.url), target: `instance-${each.number}`, rel: "noreferrer", textContent: reachable(each.url) }))),
      app.stale.length > 0 && make("p", { className: "stale", textContent: t("Changed since it started: {files}", { files: app.stale.join(", ") }) }),
      app.error && make("p", { className: "wrong", textContent: app.error.message + (app.error.next ? `\n${t("next:")} ${app.error.next}` : "") }),
      !shown && withCommand(pressed(t("Run"), { do: "run" }, { className: "main" }), `labkit run ${state.id}`),
      shown && withCommand(make("button", { textContent: t("Open side by side"), onclick: () => openSideBySide(app.pages.map(reachable)) }), `labkit run ${state.id} --open`),
      going && withCommand(pressed(t("Restart"), { do: "restart" }, { className: app.stale.length || app.silent.length ? "main" : "" }), t("r, where labkit run runs")),
      going && withCommand(pressed(t("Stop"), { do: "stop" }), t("Ctrl-C there")),
      app.state === "elsewhere" && make("p", { className: "aside", textContent: t("There r restarts it, and Ctrl-C stops it.") }),
    ];
  });
}

// What the instances tell one another through the database.
function drawMessages(state) {
  byId("database-card").hidden = !state.database || state.workspace === null;
  put("database", [state.id, state.follows], () => [
    withCommand(pressed(t("Tables"), { do: "db-tables" }), "labkit db tables"),
    state.follows ? withCommand(pressed(t("Stop following"), { do: "db-tail-stop" }), "Ctrl-C") : withCommand(pressed(t("Follow messages"), { do: "db-tail" }), "labkit db tail"),
    state.follows && make("p", { textContent: t("The messages in {database}, as they come:", { database: state.follows }) })]);
  byId("messages").hidden = !state.follows && !byId("messages").textContent;
}

// Behind a proxy that forwards ports, each port has a name made like the guide's own.
function reachable(url) {
  const { port, pathname } = new URL(url);
  const own = `-${guidePort}.`;
  return location.hostname.includes(own) ? `https://${location.hostname.replace(own, `-${port}.`)}${pathname}` : url;
}

// Two windows next to each other. Most browsers open one for a press, and ask whether this page may open more.
function openSideBySide(pages) {
  const width = Math.floor(screen.availWidth / 2);
  const opened = pages.map((url, at) => window.open(url, `side-${at}`, `popup,left=${at * width},top=0,width=${width},height=${screen.availHeight}`));
  if (opened.includes(null)) {
    const links = pages.map((url) => make("p", {}, make("a", { href: url, target: "_blank", rel: "noreferrer", textContent: url })));
    show(t("Your browser has kept a window from opening"), make("div", {}, make("p", { textContent: t("Let this page open windows (the sign is at the end of the address line) and press again; or open them one by one, and place them yourself:") }), ...links));
  }
}

function passedInWords(passed, checks) {
  const fields = { passed, total: checks.length };
  return checks.some((each) => each.stale) ? t("{passed} of {total} passed; what is grey is from before your last save", fields) : t("{passed} of {total} passed", fields);
}

function drawChecks(state) {
  const { verify } = state;
  const task = state.tasks.some((each) => each.id === page) ? page : null;
  put("checks", [state.id, verify, state.workspace, state.watches, task], () => {
    if (state.workspace === null) return [make("p", { textContent: t("Start the workspace first.") })];
    const busy = { "aria-busy": String(verify.what !== null) };
    const passed = verify.checks.filter((each) => each.passed).length;
    return [
      task && withCommand(pressed(t("Verify this task"), { do: "verify", task }, { className: "main", ...busy }), `labkit verify ${state.id} --task ${task.split(".")[1]}`),
      withCommand(pressed(t("Verify all"), { do: "verify" }, busy), `labkit verify ${state.id}`),
      withCommand(pressed(state.watches ? t("Stop watching") : t("Watch saves"), { do: "watch", on: !state.watches }), state.watches ? "Ctrl-C" : `labkit verify ${state.id} --watch`),
      verify.what !== null ? make("p", { role: "status", textContent: `${verify.what} …` })
        : verify.checks.length > 0 && make("p", { textContent: passedInWords(passed, verify.checks) }),
      verify.error && make("p", { className: "wrong", textContent: verify.error.message + (verify.error.next ? `\n${t("next:")} ${verify.error.next}` : "") }),
      make("ul", { className: "checks" }, ...verify.checks.map((check) => drawCheck(check, check === verify.checks.find((each) => each.verdict && !each.passed)))),
    ];
  });
}

const partNames = { expected: t("expected"), seen: t("seen"), where: t("where"), cause: t("cause"), next: t("next") };

function drawCheck(check, isFirst) {
  const kind = check.passed ? "passed" : check.verdict === null ? "waiting" : ["not done", "timed out"].includes(check.verdict) ? "failed" : "other";
  const sign = { passed: "✓", waiting: check.running ? "…" : "·", failed: "✗", other: "!" }[kind];
  const line = make("span", { className: "check-line", "data-stale": t("earlier") }, make("span", { className: "sign", textContent: sign, "aria-hidden": "true" }), make("span", {}, check.title, make("span", { className: "hidden", textContent: `: ${check.said ?? (check.running ? t("running") : t("not run"))}${check.stale ? `, ${t("before your last save")}` : ""}` })));
  const item = make("li", { className: `${kind}${check.stale ? " is-stale" : ""}`, "data-check": check.id });
  const parts = Object.keys(partNames).filter((name) => check[name]);
  if (kind === "passed" || kind === "waiting" || !parts.length) {
    item.append(line);
    return item;
  }
  const details = make("details", { "data-id": check.id, open: isFirst }, make("summary", {}, line),
    make("dl", {}, ...parts.flatMap((name) => [make("dt", { textContent: partNames[name] }), make("dd", { textContent: check[name] })])));
  const place = /^([\w./-]+\.\w+):(\d+)/.exec(check.where ?? "") ?? /([\w./-]+\.\w+):(\d+)/.exec(check.cause ?? "");
  if (check.action || place) details.append(make("div", { className: "row inner" }, check.action && pressed(label(check.action), check.action, { className: "main small", title: check.next }), place && opener(place[1], Number(place[2]))));
  const shots = check.evidence.filter((path) => /\.(png|webp)$/.test(path));
  if (shots.length) details.append(pictures(shots));
  item.append(details);
  return item;
}

// The pages as they were when a check failed, side by side; each is fetched once, when it is seen.
const fetched = new Map(); // path -> the promise of an object URL
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    pictureOf(target.dataset.path).then((source) => { if (source) target.src = source; else target.closest("button").remove(); });
  }
});

function pictureOf(path) {
  if (!fetched.has(path)) fetched.set(path, ask(`/api/evidence?path=${encodeURIComponent(path)}`).then((blob) => blob && URL.createObjectURL(blob), () => null));
  return fetched.get(path);
}

function pictures(paths) {
  return make("div", { className: "shots" }, ...paths.map((path) => {
    const name = path.split(/[\\/]/).pop().replace(/\.\w+$/, "");
    const image = make("img", { alt: t("The page when the check failed: {name}", { name }), "data-path": path });
    seen.observe(image);
    return make("button", { "aria-label": t("Enlarge {name}", { name }), title: name, onclick: async () => show(name, make("img", { src: await pictureOf(path), alt: name })) }, image);
  }));
}

// The log.

function addLines(lines, leftOut = 0, id = "log") {
  const log = byId(id);
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  if (leftOut) log.append(`${t("… {number} lines left out …", { number: leftOut })}\n`);
  for (const [number, line] of lines) log.append(...(number ? [make("span", { className: `n${number}`, textContent: `${number} | ` })] : []), `${line}\n`);
  while (log.childNodes.length > 2000) log.firstChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function showLines() {
  byId("log").replaceChildren();
  byId("messages").replaceChildren();
  addLines(states.get(exercise)?.log ?? []);
  addLines(states.get(exercise)?.messages.map((line) => [0, line]) ?? [], 0, "messages");
}

// Searching: the steps, and what stands between them, of all chapters; the pages beside them once.

function placesOf(each) {
  const apart = each.html.replace(/<(?:p|pre|div|li|h\d|t[dh]|figcaption|summary)\b/g, " $&");
  const text = new DOMParser().parseFromString(apart, "text/html");
  const steps = [...text.querySelectorAll("li[data-step]")].map((place) => [place.dataset.step, place.textContent]);
  text.querySelectorAll("li[data-step]").forEach((place) => place.remove());
  return [[null, text.body.textContent], ...steps].map(([step, content]) => ({ step, content: content.replace(/\s+/g, " ").trim() }));
}

// Some words around the first one that was searched for, which is marked.
function excerpt(content, word) {
  const at = content.toLowerCase().indexOf(word);
  const from = Math.max(content.lastIndexOf(" ", Math.max(at - 30, 0)), 0);
  const to = at + word.length;
  const end = content.indexOf(" ", to + 50);
  const rest = end < 0 ? [content.slice(to)] : [content.slice(to, end), " …"];
  return make("span", { className: "excerpt" }, from ? "… " : "", content.slice(from, at).trimStart(), make("mark", { textContent: content.slice(at, to) }), ...rest);
}

async function search() {
  const asked = byId("search").value;
  const words = asked.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const hits = [];
  for (const id of words.length ? states.keys() : []) {
    const chapter = await chapterOf(id);
    for (const each of id === exercise ? pagesOf(chapter) : chapterPages(chapter)) {
      for (const { step, content } of placesOf(each)) {
        if (words.every((word) => content.toLowerCase().includes(word))) hits.push({ id, page: each, step, content });
      }
    }
  }
  if (byId("search").value !== asked) return; // there is a newer question
  if (words.length) openDrawer("contents");
  byId("found").hidden = !words.length;
  byId("tasks").hidden = words.length > 0;
  const where = ({ id, page: each, step }) => `${each.id.startsWith("page-") ? "" : `${id} · `}${each.title}${step ? `, ${t("step {number}", { number: step.split(".").pop() })}` : ""}`;
  byId("found").replaceChildren(...hits.slice(0, 30).map((hit) => make("li", {}, make("button", { onclick: () => goTo(hit) }, make("span", {}, where(hit), make("br"), excerpt(hit.content, words[0]))))));
  if (!hits.length) byId("found").replaceChildren(make("li", { textContent: t("Nothing found.") }));
}

const goTo = ({ id, page: each, step }) => choose(id, each.id, { step });

byId("search").addEventListener("input", search);
byId("search").addEventListener("keydown", (event) => {
  if (event.key === "Enter") byId("found").querySelector("button")?.click();
  if (event.key !== "Escape") return;
  event.target.value = "";
  search();
});

document.addEventListener("keydown", (event) => {
  const opened = drawers.find((name) => byId(name).classList.contains("is-open"));
  if (event.key === "Escape" && opened && !byId("dialog").open) {
    openDrawer(null);
    byId(`show-${opened}`).focus();
  }
  if (event.target.closest("input, textarea, dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") { event.preventDefault(); byId("search").focus(); }
  const buttons = document.querySelectorAll(".turn > *");
  if (event.key === "n") buttons[1]?.click();
  if (event.key === "p") buttons[0]?.click();
});

// Beginning, and coming back.

// The exercise changes once its chapter is there: until then what is shown, and pressed, is the other one's.
let chosen;
async function choose(id, first = id, options = {}) {
  chosen = id;
  await chapterOf(id);
  if (chosen !== id) return; // another one was chosen meanwhile
  exercise = id;
  showLines();
  await open(first, options);
}

function showConnection(state, text) {
  byId("connection").dataset.state = state;
  byId("connection").textContent = text;
}

async function catchUp() {
  const all = await connection.invoke("everything");
  byId("lab-title").textContent = all.title;
  guidePort = all.port;
  for (const each of all.exercises) states.set(each.id, each);
  if (!states.has(exercise)) exercise = states.keys().next().value;
  showLines();
  showConnection("live", t("Live"));
}

async function begin() {
  if (!token) {
    byId("chapter").replaceChildren(make("p", { className: "wrong", textContent: t("Open the address that `labkit guide` printed: it carries the key to your work.") }));
    showConnection("away", t("Not connected"));
    return;
  }
  connection = new signalR.HubConnectionBuilder()
    .withUrl("/signalr/guide", { accessTokenFactory: () => token })
    .withAutomaticReconnect({ nextRetryDelayInMilliseconds: () => 1000 })
    .configureLogging(signalR.LogLevel.None)
    .build();
  connection.on("state", take);
  connection.on("log", (id, lines, leftOut) => { if (id === exercise) addLines(lines, leftOut); });
  connection.on("message", (id, lines, leftOut) => { if (id === exercise) addLines(lines.map((line) => [0, line]), leftOut, "messages"); });
  connection.onreconnecting(() => showConnection("away", t("The guide has ended, or is starting again …")));
  connection.onreconnected(async () => { chapters.clear(); await catchUp(); await open(page, { focus: false }); say(t("The guide is back.")); });
  try {
    await connection.start();
  } catch {
    byId("chapter").replaceChildren(make("p", { className: "wrong", textContent: t("The guide does not know this tab's key: it was started anew. Open the address that it printed.") }));
    showConnection("away", t("Not connected"));
    return;
  }
  await catchUp();
  await open(page, { focus: false, step: memory.get("step") });
}

begin();
