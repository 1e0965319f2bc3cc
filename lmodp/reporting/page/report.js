"use strict";
const tables = [...document.querySelectorAll("table.sortable")];

// Sort by a column. Numbers come before texts, so that places without a number stay at the end in both directions.
const key = (row, column) => {
  const cell = row.cells[column];
  return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
};
const compare = (a, b, sign) => {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return sign * (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
};
for (const table of tables) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => compare(key(a, column), key(b, column), sign)));
  }));
}

// Filter: a row stays if every word is in the row, in its table's caption or in the heading above.
const plain = (text) => text.toLowerCase().replace(/\s+/g, " ").replace(/ ?([=×]) ?/g, "$1");
const rows = tables.flatMap((table) => [...table.tBodies[0].rows].map((row) => {
  const above = `${table.closest(".page").dataset.words} ${table.caption ? table.caption.textContent : ""}`;
  const places = [...row.cells].map((cell, column) => {
    const head = table.tHead.rows[0].cells[column].textContent;
    return head.startsWith("target") ? `${head} = ${cell.textContent}` : cell.textContent;
  });
  return { row, text: plain(`${places.join(" ")} ${above}`) };
}));
// "ε = 0.3" is not "ε = 0.35": what ends in a digit ends there.
const has = (text, word) => text.split(word).slice(1).some((rest) => !/\d$/.test(word) || !/^\.?\d/.test(rest));
const box = document.getElementById("filter");
const filter = () => {
  const words = plain(box.value).split(" ").filter(Boolean);
  let shown = 0;
  for (const { row, text } of rows) {
    row.hidden = !words.every((word) => has(text, word));
    shown += row.hidden ? 0 : 1;
  }
  const empty = (part) => words.length > 0 && ![...part.querySelectorAll("tbody tr")].some((row) => !row.hidden);
  for (const part of document.querySelectorAll(".wide.scroll, .page, .part")) part.classList.toggle("empty", empty(part));
  document.body.classList.toggle("filtering", words.length > 0);
  document.getElementById("found").textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  hint();
};
box.form.hidden = false;
box.form.addEventListener("submit", (event) => event.preventDefault());
box.addEventListener("input", filter);

// A hint where a table or figure is cut off at the right.
const wide = [...document.querySelectorAll(".wide")];
const hint = () => wide.forEach((part) => part.classList.toggle(
  "cut", part.scrollWidth - part.clientWidth - part.scrollLeft > 2));
wide.forEach((part) => part.addEventListener("scroll", hint, { passive: true }));
addEventListener("resize", hint);
addEventListener("load", hint);

const openTarget = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
};
addEventListener("hashchange", openTarget);
openTarget();
filter();
