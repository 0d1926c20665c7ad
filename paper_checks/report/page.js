"use strict";
(() => {
  const form = document.getElementById("filter");
  const count = document.getElementById("count");
  const rows = [...document.querySelectorAll("table.claims tbody tr")];
  const details = new Map([...document.querySelectorAll("details[data-claim]")].map((d) => [d.dataset.claim, d]));
  const texts = new Map(rows.map((r) => [r, `${r.textContent} ${details.get(r.dataset.claim).textContent}`.toLowerCase()]));

  const matches = (row, wanted) =>
    ["paper", "verdict", "kind"].every((key) => !wanted.get(key) || row.dataset[key] === wanted.get(key)) &&
    wanted.get("text").toLowerCase().split(/\s+/).every((word) => texts.get(row).includes(word));

  const apply = () => {
    const wanted = new FormData(form);
    let shown = 0;
    for (const row of rows) {
      const visible = matches(row, wanted);
      row.hidden = details.get(row.dataset.claim).hidden = !visible;
      shown += visible;
    }
    for (const section of document.querySelectorAll("section.paper")) {
      section.hidden = !section.querySelector("details:not([hidden])");
    }
    count.textContent = `${shown} of ${rows.length} claims shown`;
  };

  const open = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const claim = target && target.closest("details");
    if (!claim) return;
    if (claim.hidden) form.reset();
    claim.open = true;
    claim.scrollIntoView();
    claim.querySelector("summary").focus({ preventScroll: true });
  };

  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  addEventListener("hashchange", open);

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...details.values()].filter((d) => !d.open);
    for (const d of closed) d.open = true;
  });
  addEventListener("afterprint", () => closed.forEach((d) => (d.open = false)));

  form.hidden = false;
  apply();
  open();
})();
