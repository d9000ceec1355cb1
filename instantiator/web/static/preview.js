// A dialog that shows what a file looks like.
import { $, ask, make } from "./common.js";

export async function preview(address, name) {
  const dialog = $("preview"), body = $("preview-body");
  $("preview-name").textContent = name;
  body.replaceChildren(make("p", { className: "faint", textContent: "Looking …" }));
  if (!dialog.open) dialog.showModal();
  try {
    body.replaceChildren(...render(await ask(address)));
  } catch (error) {
    body.replaceChildren(make("p", { className: "problem", textContent: error.message }));
  }
}

function render(data) {
  const caption = make("p", { className: "faint", textContent: data.caption });
  if (data.kind === "image") {
    return [make("img", { src: `data:image/png;base64,${data.png}`, alt: data.caption }), caption];
  }
  if (data.kind === "table") {
    const head = make("tr", {}, ...data.header.map((text) => make("th", { textContent: text })));
    const rows = data.rows.map((row) => make("tr", {}, ...row.map((text) => make("td", { textContent: text }))));
    return [caption, make("div", { className: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)))];
  }
  return [caption, make("pre", { className: "log", textContent: data.text, tabIndex: 0 })];
}

export function setUpPreview() {
  $("preview-close")?.addEventListener("click", () => $("preview").close());
}
