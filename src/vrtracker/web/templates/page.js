// What a page does more where scripts run: it renews its live parts, listens to keys, and takes
// files that are dropped. Every page works without.
"use strict";

const EVERY_MS = 5000;
let pending = null;

function say(text) {
  document.getElementById("said").textContent = text;
}

async function renew(part) {
  if (document.hidden) return;
  try {
    const answer = await fetch(part.dataset.live);
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
    keepState(part, fresh);
    say("");
  } catch (error) {
    say("The server does not answer as it should; trying again.");
  }
}

// Put fresh content in place of the old, with the same details open and the focus where it was.
function keepState(part, fresh) {
  const focused = document.activeElement;
  const inside = part.contains(focused) ? focusable(part).indexOf(focused) : -1;
  if (inside >= 0 && focused.matches("input, textarea, select")) return;
  for (const each of part.querySelectorAll("details[data-id]")) {
    const same = fresh.querySelector(`details[data-id="${CSS.escape(each.dataset.id)}"]`);
    if (same) same.open = each.open;
  }
  const address = inside >= 0 ? focused.getAttribute("href") : null;
  part.replaceChildren(...fresh.childNodes);
  if (inside < 0) return;
  const now = focusable(part);
  const same = address && now.find((each) => each.getAttribute("href") === address);
  (same || now[Math.min(inside, now.length - 1)])?.focus({ preventScroll: true });
}

function focusable(part) {
  return [...part.querySelectorAll("a[href], button, summary, input, select, textarea")];
}

for (const part of document.querySelectorAll("[data-live]")) {
  setInterval(renew, EVERY_MS, part);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input:not([type=checkbox]), textarea, select");
  if (typing && event.key === "Escape") event.target.blur();
  if (typing && event.key === "Enter" && pending && event.target.form === pending.form) {
    event.preventDefault();
    if (event.target.value.trim()) pending.form.requestSubmit(pending);
  }
  if (typing) return;
  const keyed = [...document.querySelectorAll("[data-keys]")];
  const found = keyed.find((each) => each.dataset.keys.split(" ").includes(event.key.toLowerCase()));
  if (!found) return;
  event.preventDefault();
  const reason = found.form?.elements.reason;
  if ("reason" in found.dataset && !reason.value.trim()) {
    pending = found;
    say(`Why ${found.value}? Enter decides, Escape does not.`);
    reason.focus();
    return;
  }
  found.click();
});

async function take(file, field) {
  field.value = await file.text();
}

for (const field of document.querySelectorAll("textarea[data-drop]")) {
  field.addEventListener("dragover", (event) => event.preventDefault());
  field.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0], field);
  });
}

for (const chooser of document.querySelectorAll("input[data-into]")) {
  chooser.addEventListener("change", () => {
    if (chooser.files.length) take(chooser.files[0], document.getElementById(chooser.dataset.into));
  });
}
