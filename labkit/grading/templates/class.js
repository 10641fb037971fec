// The table can be read without this; with it, it can be filtered and sorted.
"use strict";
const rows = [...document.querySelectorAll("tbody tr")];
const form = document.querySelector(".filter");
const shown = document.getElementById("shown");

function filter() {
  const name = document.getElementById("name").value.trim().toLowerCase();
  const state = document.getElementById("state").value;
  for (const row of rows) {
    const fits = row.querySelector("th").textContent.toLowerCase().includes(name);
    row.hidden = !fits || (state !== "" && row.dataset.state !== state);
  }
  const count = rows.filter((row) => !row.hidden).length;
  shown.textContent = count === rows.length ? "" : `${count} / ${rows.length}`;
}

function valueOf(row, column) {
  const cell = row.cells[column];
  return cell.dataset.value ?? cell.textContent.trim();
}

function sort(header) {
  const column = header.cellIndex;
  const down = header.getAttribute("aria-sort") === "ascending";
  for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = header.closest("table").tBodies[0];
  const ordered = [...body.rows].sort((a, b) => {
    const [one, two] = [valueOf(a, column), valueOf(b, column)];
    return one.localeCompare(two, undefined, { numeric: true }) * (down ? -1 : 1);
  });
  body.append(...ordered);
}

for (const header of document.querySelectorAll("thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...header.childNodes);
  header.append(button);
  button.addEventListener("click", () => sort(header));
}
form.hidden = false;
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
