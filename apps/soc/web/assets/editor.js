// The editor: a transparent text area over its own coloured copy, with a gutter of lines and breakpoints.
class Editor {
  constructor(onChange, onGutter) {
    this.source = document.getElementById("source");
    this.colours = document.getElementById("colours");
    this.gutter = document.getElementById("gutter");
    this.rows = [];
    this.source.addEventListener("input", () => { this.plain(); onChange(); });
    this.source.addEventListener("scroll", () => this.follow());
    this.source.addEventListener("keydown", (event) => {
      if (event.key === "Tab" && !event.shiftKey && !event.ctrlKey && !event.altKey) {
        event.preventDefault();
        document.execCommand("insertText", false, "    ");
      }
    });
    this.gutter.addEventListener("click", (event) => {
      const row = event.target.closest("div[data-line]");
      if (row) onGutter(Number(row.dataset.line));
    });
  }

  get text() { return this.source.value; }

  set text(value) {
    this.source.value = value;
    this.plain();
    this.source.scrollTop = 0;
    this.follow();
  }

  follow() {
    this.colours.scrollTop = this.source.scrollTop;
    this.colours.scrollLeft = this.source.scrollLeft;
    this.gutter.scrollTop = this.source.scrollTop;
  }

  // Until the colours of a new text are known it is shown without.
  plain() {
    this.colours.textContent = this.text + "\n";
    this.number();
  }

  number() {
    const wanted = this.text.split("\n").length;
    while (this.rows.length < wanted) {
      const row = document.createElement("div");
      row.dataset.line = String(this.rows.length + 1);
      row.textContent = row.dataset.line;
      this.rows.push(row);
      this.gutter.append(row);
    }
    while (this.rows.length > wanted) this.rows.pop().remove();
    this.follow();
  }

  // Colours and findings of the very text that is shown.
  paint(colours, findings) {
    const text = this.text;
    const edges = new Set([0, text.length]);
    for (const [start, end] of colours) { edges.add(start); edges.add(end); }
    for (const finding of findings) { edges.add(finding.start); edges.add(Math.max(finding.end, finding.start + 1)); }
    const places = [...edges].filter((at) => at <= text.length).sort((a, b) => a - b);
    const fragment = document.createDocumentFragment();
    let colour = 0;
    for (let index = 0; index + 1 < places.length; index++) {
      const [start, end] = [places[index], places[index + 1]];
      while (colour < colours.length && colours[colour][1] <= start) colour++;
      const inside = colour < colours.length && colours[colour][0] <= start ? colours[colour][2] : "";
      const wrong = findings.some((finding) => finding.start <= start && start < Math.max(finding.end, finding.start + 1));
      const piece = text.slice(start, end);
      if (!inside && !wrong) { fragment.append(piece); continue; }
      const span = document.createElement("span");
      span.className = (inside === "text" ? "string" : inside) + (wrong ? " wavy" : "");
      span.textContent = piece;
      fragment.append(span);
    }
    fragment.append("\n");
    this.colours.replaceChildren(fragment);
    const wrong = new Set(findings.map((finding) => finding.line));
    this.rows.forEach((row, index) => row.classList.toggle("wrong", wrong.has(index + 1)));
    this.follow();
  }

  // Which lines have code, a breakpoint, and the next instruction.
  mark(code, points, here) {
    this.rows.forEach((row, index) => {
      row.classList.toggle("code", code.has(index + 1));
      row.classList.toggle("point", points.has(index + 1));
      row.classList.toggle("here", here === index + 1);
    });
  }

  select(start, end) {
    this.source.focus();
    this.source.setSelectionRange(start, Math.max(end, start + 1));
    const line = this.text.slice(0, start).split("\n").length;
    this.source.scrollTop = Math.max(0, (line - 5) * 19);
  }
}
