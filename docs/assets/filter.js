"use strict";
// A box above the board of claims: a row stays if every word is in it.
addEventListener("load", () => {
  const table = /\/claims\.html$/.test(location.pathname) && document.querySelector("article table");
  if (!table) return;
  const box = Object.assign(document.createElement("input"), { type: "search", placeholder: "paper, verdict, ε" });
  const label = Object.assign(document.createElement("label"), { textContent: "Show rows with " });
  label.append(box);
  table.closest(".md-typeset__scrollwrap, table").before(label);
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of table.tBodies[0].rows) {
      row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    }
  });
});
