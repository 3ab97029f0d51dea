"use strict";
(() => {
  const table = document.getElementById("board");
  const body = document.getElementById("models");
  const filters = document.getElementById("filters");
  const shown = document.getElementById("shown");
  if (!table || !body || !filters) return;

  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const opposite = { ascending: "descending", descending: "ascending" };

  // Numbers sort as numbers, what is not known stands last in either direction, and equal rows keep their rank's order.
  const value = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.v !== undefined) return cell.dataset.v === "" ? null : Number(cell.dataset.v);
    if (cell.tagName === "TH") return cell.querySelector(".name").textContent;
    return Number(cell.textContent);
  };
  const compare = (a, b) => typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;

  const sort = (column, order) => {
    const sign = order === "ascending" ? 1 : -1;
    const keyed = rows.map((row, place) => ({ row, place, key: value(row, column) }));
    keyed.sort((a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.place - b.place;
      return sign * compare(a.key, b.key) || a.place - b.place;
    });
    body.append(...keyed.map(each => each.row));
    heads.forEach((head, i) => {
      if (i === column) head.setAttribute("aria-sort", order);
      else head.removeAttribute("aria-sort");
    });
  };

  heads.forEach((head, column) => {
    if (!head.dataset.sort) return;
    const first = head.dataset.sort === "down" ? "descending" : "ascending";
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(column, opposite[head.getAttribute("aria-sort")] ?? first));
    head.append(button);
  });
  heads[0].setAttribute("aria-sort", "ascending");

  const spanning = [...table.querySelectorAll("tr.group > th")].map(cell => ({ cell, span: cell.colSpan }));
  const showScenario = chosen => {
    let gone = 0;
    heads.forEach((head, column) => {
      const scenario = head.dataset.scenario;
      if (scenario === undefined) return;
      const hide = chosen !== "" && scenario !== chosen;
      gone += hide;
      for (const row of table.rows) {
        if (!row.classList.contains("group")) row.cells[column].hidden = hide;
      }
    });
    for (const { cell, span } of spanning) cell.colSpan = span - gone;
    for (const head of heads) {
      if (head.dataset.overall === undefined) continue;
      head.querySelector(".overall")?.remove();
      if (chosen === "") continue;
      const word = document.createElement("span");
      word.className = "overall";
      word.textContent = "overall ";
      (head.querySelector("button") ?? head).prepend(word);
    }
  };

  const filter = () => {
    const wanted = Object.fromEntries(new FormData(filters));
    const name = wanted.name.trim().toLowerCase();
    let count = 0;
    for (const row of rows) {
      const fits = ["kind", "size", "licence"].every(key => !wanted[key] || row.dataset[key] === wanted[key])
        && row.querySelector(".name").textContent.toLowerCase().includes(name);
      row.hidden = !fits;
      count += fits;
    }
    const models = rows.length === 1 ? "model" : "models";
    shown.textContent = count === rows.length ? `${count} ${models}` : `${count} of ${rows.length} ${models}`;
    if (wanted.scenario !== "") shown.textContent += ", by one scenario; rank, accuracy and interval are those of all pairs";
  };

  const scenarios = filters.elements.scenario;
  scenarios.addEventListener("change", () => {
    showScenario(scenarios.value);
    const column = heads.findIndex(head => head.dataset.scenario === scenarios.value);
    if (column < 0) sort(0, "ascending");
    else sort(column, "descending");
  });
  filters.addEventListener("input", filter);
  filters.addEventListener("submit", event => event.preventDefault());
  filters.addEventListener("reset", () => setTimeout(() => {
    showScenario("");
    sort(0, "ascending");
    filter();
  }));
  filters.hidden = false;
  filter();
})();
