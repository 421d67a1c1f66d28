"use strict";
// Tables are sorted by a press on a column's head: numbers the largest first, words by the alphabet, what is not known last.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const text = (row, at) => row.cells[at].textContent;
  const number = (row, at) => parseFloat(text(row, at).replaceAll(",", ""));
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const numeric = head.classList.contains("number");
      const before = head.getAttribute("aria-sort");
      const down = before ? before === "ascending" : numeric;
      const rows = [...body.rows];
      const known = rows.filter((row) => !numeric || !Number.isNaN(number(row, at)));
      const unknown = rows.filter((row) => !known.includes(row));
      const order = (a, b) => (numeric ? number(a, at) - number(b, at) : text(a, at).localeCompare(text(b, at)));
      known.sort((a, b) => order(a, b) * (down ? -1 : 1));
      body.append(...known, ...unknown);
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
    });
  });
}
// Points say what they are when pointed at; the arrow keys go to the nearest point that way.
for (const field of document.querySelectorAll(".points")) {
  const status = field.parentElement.querySelector(".pointed");
  const points = [...field.querySelectorAll("title")].map((title) => title.parentElement);
  const places = points.map((point) => [Number(point.getAttribute("x")), Number(point.getAttribute("y"))]);
  let here = -1;
  const go = (to) => {
    if (to < 0 || to === here) return;
    if (here >= 0) points[here].classList.remove("here");
    here = to;
    points[here].classList.add("here");
    status.textContent = points[here].querySelector("title").textContent;
  };
  const next = ([right, down]) => {
    if (here < 0) return 0;
    let best = here;
    let least = Infinity;
    places.forEach(([x, y], at) => {
      const along = (x - places[here][0]) * right + (y - places[here][1]) * down;
      const aside = Math.abs((x - places[here][0]) * down) + Math.abs((y - places[here][1]) * right);
      if (at !== here && along > 0 && along >= aside && along + aside < least) {
        best = at;
        least = along + aside;
      }
    });
    return best;
  };
  const ways = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  field.addEventListener("pointerover", (event) => go(points.indexOf(event.target)));
  field.addEventListener("keydown", (event) => {
    if (!ways[event.key]) return;
    event.preventDefault();
    go(next(ways[event.key]));
  });
}
