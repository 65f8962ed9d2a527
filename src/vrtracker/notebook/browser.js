// The table of tracker.browse(): words that a row must have, sorting by a click, ticks that select.

function render({ model, el }) {
  const columns = model.get("_columns");
  const rows = model.get("_rows");
  let order = null; // [column, descending]

  const words = make("input", { type: "search", placeholder: "words that a row must have" });
  const told = make("span", { style: "margin-left: 1em" });
  const all = make("input", { type: "checkbox", title: "all that are shown" });
  const head = make("tr", {}, make("th", {}, all));
  const body = make("tbody");
  const scrolled = make("div", { style: "max-height: 24em; overflow: auto; margin-top: .5em" });
  scrolled.append(make("table", {}, make("thead", {}, head), body));
  el.append(words, told, scrolled);

  columns.forEach((name, at) => {
    const title = make("th", { textContent: name, style: "cursor: pointer" });
    title.addEventListener("click", () => {
      order = [at, order !== null && order[0] === at && !order[1]];
      draw();
    });
    head.append(title);
  });

  function shown() {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (row) => row.map((cell) => cell ?? "").join(" ").toLowerCase();
    const found = rows.filter((row) => wanted.every((word) => text(row).includes(word)));
    if (order !== null) {
      const [at, down] = order;
      found.sort((one, other) => compare(one[at], other[at]) * (down ? -1 : 1));
    }
    return found;
  }

  function draw() {
    const selected = new Set(model.get("_ticked"));
    const visible = shown();
    body.replaceChildren(
      ...visible.map((row) => {
        const tick = make("input", { type: "checkbox", checked: selected.has(row[0]) });
        tick.addEventListener("change", () => select([row[0]], tick.checked));
        const cells = row.map((cell) => make("td", { textContent: cell ?? "" }));
        return make("tr", {}, make("td", {}, tick), ...cells);
      }),
    );
    all.checked = visible.length > 0 && visible.every((row) => selected.has(row[0]));
    told.textContent = `${visible.length} of ${rows.length}, ${selected.size} selected`;
  }

  function select(keys, on) {
    const selected = new Set(model.get("_ticked"));
    keys.forEach((key) => (on ? selected.add(key) : selected.delete(key)));
    model.set("_ticked", [...selected]);
    model.save_changes();
  }

  all.addEventListener("change", () => select(shown().map((row) => row[0]), all.checked));
  words.addEventListener("input", draw);
  model.on("change:_ticked", draw);
  draw();
  return () => model.off("change:_ticked", draw);
}

function make(name, properties = {}, ...inside) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...inside);
  return made;
}

function compare(one, other) {
  if (one === null || other === null) return Number(one === null) - Number(other === null);
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other));
}

export default { render };
