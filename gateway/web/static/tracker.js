// Renews the page every two seconds. The server writes all of it; here only what changed is put in place, so that an open ticket stays open.
"use strict";

const state = document.getElementById("state");
let tag = "";

async function renew() {
  try {
    const answer = await fetch(location.href, { headers: tag ? { "If-None-Match": tag } : {} });
    if (answer.status === 200) {
      putInPlace(new DOMParser().parseFromString(await answer.text(), "text/html"));
      tag = answer.headers.get("ETag") || "";
    }
    state.textContent = answer.ok || answer.status === 304 ? "" : state.dataset.lost;
  } catch {
    state.textContent = state.dataset.lost;
  }
  setTimeout(renew, 2000);
}

function putInPlace(fresh) {
  for (const id of ["figures", "failing"]) document.getElementById(id).replaceWith(fresh.getElementById(id));
  const old = new Map([...document.querySelectorAll("tr[data-number]")].map((row) => [row.dataset.number, row]));
  for (const row of fresh.querySelectorAll("tr[data-number]")) {
    const before = old.get(row.dataset.number);
    if (!before) continue;
    if (before.dataset.events === row.dataset.events) row.replaceWith(before);
    else row.querySelector("details").open = before.querySelector("details").open;
  }
  document.querySelector("main").replaceChildren(...fresh.querySelector("main").childNodes);
}

document.getElementById("fail").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const number = (name) => (form.get(name) ? Number(form.get(name)) : null);
  const asked = { mode: form.get("mode"), times: number("times"), retry_after: number("retry_after") };
  const answer = await fetch("/fail", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(asked) });
  if (!answer.ok) state.textContent = (await answer.json()).detail;
});

setTimeout(renew, 2000);
