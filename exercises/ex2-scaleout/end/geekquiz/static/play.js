"use strict";

// Asks one question after the other. The card's front has the question, its back says whether the answer was right.

const card = document.getElementById("card");
const front = document.getElementById("front");
const back = document.getElementById("back");
const options = document.getElementById("options");
const trouble = document.getElementById("trouble");
const retry = document.getElementById("retry");

function show(id, text) {
  document.getElementById(id).textContent = text;
}

// Only the side that can be seen can be read and clicked, and the focus moves to what is new on it.
function turnTo(side, focusOn) {
  card.classList.toggle("flipped", side === back);
  front.inert = side !== front;
  back.inert = side !== back;
  document.getElementById(focusOn).focus({ preventScroll: true });
  side.scrollIntoView({ block: "nearest" });
}

async function api(body) {
  const request = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch("/api/trivia", request);
  if (response.status === 401) location.assign("/account/login");
  if (response.status === 409) location.reload(); // it has been answered in another tab
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  return response.json();
}

// Does the work; if it fails, says so and offers to try again.
async function attempt(work) {
  trouble.textContent = "";
  retry.hidden = true;
  card.ariaBusy = "true";
  try {
    await work();
  } catch (error) {
    console.error(error);
    trouble.textContent = "Sorry, something went wrong.";
    retry.hidden = false;
    retry.onclick = () => attempt(work);
    if (front.inert) turnTo(front, "retry");
  } finally {
    card.ariaBusy = "false";
  }
}

async function ask(isFirst) {
  const question = await api();
  show("question", question.title);
  options.replaceChildren(...question.options.map((option) => optionButton(question, option)));
  if (!isFirst) turnTo(front, "question");
}

function optionButton(question, option) {
  const button = document.createElement("button");
  button.className = "option";
  button.dataset.testid = "option";
  button.textContent = option.title;
  button.addEventListener("click", () => {
    for (const each of options.children) each.disabled = true;
    button.classList.add("chosen");
    attempt(() => answer(question, option));
  });
  return button;
}

async function answer(question, option) {
  const isRight = await api({ questionId: question.id, optionId: option.id });
  show("answer", isRight ? "correct" : "incorrect");
  show("chosen", `You said: ${option.title}`);
  show("sign", isRight ? "✓" : "✗");
  back.classList.toggle("correct", isRight);
  back.classList.toggle("incorrect", !isRight);
  turnTo(back, "answer");
}

document.getElementById("next").addEventListener("click", () => attempt(() => ask(false)));
attempt(() => ask(true));
