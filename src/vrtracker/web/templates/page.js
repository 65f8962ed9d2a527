// What a page does more where scripts run: it renews its live parts, listens to keys, and takes
// files that are dropped. Every page works without.
"use strict";

const EVERY_MS = 5000;
let pending = null;
let sent = false;

function say(text) {
  document.getElementById("said").textContent = text;
}

async function renew(part) {
  if (document.hidden && part.dataset.live) return;
  try {
    const answer = await fetch(part.dataset.live || part.dataset.later);
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
    keepState(part, fresh);
    say("");
  } catch (error) {
    say(part.dataset.live
      ? "The server does not answer as it should; trying again."
      : "A part of the page could not be had; load the page again.");
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
  const shifts = [...part.querySelectorAll(".wide")].map((each) => each.scrollLeft);
  part.replaceChildren(...fresh.childNodes);
  part.querySelectorAll(".wide").forEach((each, place) => { each.scrollLeft = shifts[place] ?? 0; });
  if (inside < 0) return;
  const now = focusable(part);
  const same = address && now.find((each) => each.getAttribute("href") === address);
  (same || now[Math.min(inside, now.length - 1)])?.focus({ preventScroll: true });
}

function focusable(part) {
  return [...part.querySelectorAll("a[href], button, summary, input, select, textarea, .wide")];
}

for (const part of document.querySelectorAll("[data-live]")) {
  setInterval(renew, EVERY_MS, part);
}
// The newest weeks are at the right.
for (const each of document.querySelectorAll("[data-end]")) each.scrollLeft = each.scrollWidth;
// What takes long to find comes behind the page.
document.querySelectorAll("[data-later]").forEach(renew);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input:not([type=checkbox]), textarea, select");
  if (pending && event.key === "Escape") {
    pending = null;
    say("");
  }
  if (typing && event.key === "Escape") event.target.blur();
  if (typing && event.key === "Enter" && pending && event.target.form === pending.form) {
    event.preventDefault();
    if (event.target.value.trim()) pending.form.requestSubmit(pending);
  }
  if (typing || sent) return;
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

// What a key has decided is decided once, however often it is pressed until the next page is there.
document.addEventListener("submit", (event) => {
  if (!("keys" in (event.submitter?.dataset ?? {}))) return;
  if (sent) event.preventDefault();
  sent = true;
});
addEventListener("pageshow", () => { sent = false; });

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

// What can come next in a condition: the server knows; arrows choose, Enter or Tab takes.
function complete(field, list) {
  let begin = 0;
  let chosen = -1;
  let asked = 0;
  const options = () => [...list.children];

  function show(words) {
    chosen = -1;
    list.replaceChildren(...words.map((word, place) => {
      const option = document.createElement("span");
      option.id = `word-${place}`;
      option.role = "option";
      option.textContent = word;
      option.ariaSelected = "false";
      option.addEventListener("mousedown", (event) => { event.preventDefault(); take(option); });
      return option;
    }));
    list.hidden = !words.length;
    field.ariaExpanded = String(!list.hidden);
    field.removeAttribute("aria-activedescendant");
  }

  function choose(place) {
    const all = options();
    chosen = (place + all.length) % all.length;
    all.forEach((option, number) => { option.ariaSelected = String(number === chosen); });
    all[chosen].scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", all[chosen].id);
  }

  function take(option) {
    // Where the cursor was moved before the word that was begun, another one is.
    const cursor = field.selectionStart;
    if (cursor >= begin) field.setRangeText(`${option.textContent} `, begin, cursor, "end");
    propose();
  }

  async function propose() {
    const number = ++asked;
    const text = field.value.slice(0, field.selectionStart);
    const answer = await fetch(`${field.dataset.words}?text=${encodeURIComponent(text)}`);
    if (!answer.ok || number !== asked) return;
    const found = await answer.json();
    begin = found.at;
    show(found.words);
  }

  field.removeAttribute("list");
  field.role = "combobox";
  field.ariaAutoComplete = "list";
  field.setAttribute("aria-controls", list.id);
  show([]);
  field.addEventListener("input", propose);
  field.addEventListener("click", () => { if (!list.hidden) propose(); });
  field.addEventListener("keyup", (event) => {
    const moves = ["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key);
    if (moves && !list.hidden) propose();
  });
  field.addEventListener("blur", () => { asked++; show([]); });
  field.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && list.hidden) propose();
    else if (step) choose(chosen < 0 && step < 0 ? -1 : chosen + step);
    else if (event.key === "Escape" && !list.hidden) { asked++; show([]); event.stopPropagation(); }
    else if (["Enter", "Tab"].includes(event.key) && chosen >= 0) take(options()[chosen]);
    else return;
    event.preventDefault();
  });
}

for (const field of document.querySelectorAll("input[data-words]")) {
  complete(field, document.getElementById("words"));
}
