// The files pane: list, upload in pieces that survive a cut connection, download, preview.
import { $, ask, make, pause, sizeText, toast } from "./common.js";
import { preview, setUpPreview } from "./preview.js";

export function setUpFiles(session) {
  const base = `/api/sessions/${session}/files`;
  const at = (path, extra = "") => `?path=${encodeURIComponent(path)}${extra}`;
  let here = "";

  async function list() {
    try {
      const data = await ask(base + at(here));
      const rows = data.entries.map(row);
      $("list").replaceChildren(...(rows.length ? rows : [make("li", { className: "faint", textContent: "No files here yet: what the program saves appears here." })]));
    } catch (error) {
      $("list").replaceChildren(make("li", { className: "problem", textContent: error.message }));
    }
    showPath();
  }

  function showPath() {
    const parts = here ? here.split("/") : [];
    const links = [link("workspace", "")];
    parts.forEach((part, index) => links.push(" / ", link(part, parts.slice(0, index + 1).join("/"))));
    $("files-path").replaceChildren(...links);
    $("all-tar").href = `${base}/archive.tar${at(here)}`;
    $("all-zip").href = `${base}/archive.zip${at(here)}`;
  }

  const go = (path) => { here = path; list(); };
  const link = (text, path) => make("button", { className: "quiet", textContent: text, onclick: () => go(path) });

  function row(entry) {
    const isFolder = entry.kind === "folder";
    const name = isFolder
      ? make("button", { className: "quiet name", textContent: `${entry.shown}/`, onclick: () => go(entry.path) })
      : make("span", { className: "name", textContent: entry.shown });
    const what = make("span", { className: "what" }, make("time", { dateTime: entry.modified, title: "UTC", textContent: entry.modified.slice(0, 16).replace("T", " ") }));
    if (entry.kind === "file") {
      what.append(
        make("button", { className: "quiet", textContent: "Preview", onclick: () => preview(`${base}/preview${at(entry.path)}`, entry.shown) }),
        make("a", { href: `${base}/content${at(entry.path)}`, textContent: "Download", download: "" }));
    } else if (!isFolder) what.append(" – a link or device: not followed");
    what.append(make("button", { className: "quiet", textContent: "Remove", onclick: () => remove(entry) }));
    return make("li", {}, name, make("span", { className: "faint", textContent: isFolder ? "" : sizeText(entry.size) }), what);
  }

  async function remove(entry) {
    if (!confirm(`Remove ${entry.shown}? It cannot be had back.`)) return;
    await ask(base + at(entry.path), { method: "DELETE" }).catch((error) => toast(error.message));
    list();
  }

  async function upload(file) {
    const path = (here ? `${here}/` : "") + file.name;
    const bar = make("progress", { max: file.size || 1, value: 0 }), words = make("span", { textContent: `${file.name}: waiting` });
    const line = make("li", {}, words, bar);
    $("uploads").append(line);
    const place = at(path, `&size=${file.size}&token=${file.lastModified}`);
    try {
      await send(file, place, bar, words, "");
    } catch (error) {
      if (error.code === "file-taken" && confirm(`${file.name} is there already. Replace it?`)) {
        await send(file, place, bar, words, "&replace=true").catch((again) => { words.textContent = `${file.name}: ${again.message}`; });
      } else words.textContent = `${file.name}: ${error.message}`;
    }
    if (bar.value === bar.max) { words.textContent = `${file.name}: there`; setTimeout(() => line.remove(), 4000); }
    list();
  }

  async function send(file, place, bar, words, extra) {
    let { offset, piece } = await ask(`${base}/upload${place}`);
    for (let tries = 0, done = false; !done;) {
      try {
        const raw = file.slice(offset, offset + piece / 4);
        ({ offset, done } = await ask(`${base}/upload${place}&offset=${offset}${extra}`, { method: "PUT", raw }));
        tries = 0;
        bar.value = file.size ? offset : 1;
        words.textContent = `${file.name}: ${sizeText(offset)} of ${sizeText(file.size)}`;
      } catch (error) {
        const isFinal = error.status && error.status < 500 && error.code !== "upload-offset";
        if (isFinal || (tries += 1) > 8) throw error;
        words.textContent = `${file.name}: cut off, going on from ${sizeText(offset)} …`;
        await pause(500 * tries);
        ({ offset } = await ask(`${base}/upload${place}`).catch(() => ({ offset })));
      }
    }
  }

  const take = async (files) => { for (const file of files) await upload(file); };
  $("pick").addEventListener("change", () => { take([...$("pick").files]); $("pick").value = ""; });
  for (const zone of [$("drop"), $("files")]) {
    zone.addEventListener("dragover", (event) => { event.preventDefault(); $("drop").classList.add("is-over"); });
    zone.addEventListener("dragleave", () => $("drop").classList.remove("is-over"));
  }
  $("files").addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").classList.remove("is-over");
    take([...event.dataTransfer.files]);
  });
  $("screen").addEventListener("dragover", (event) => { event.preventDefault(); show(true); });
  $("screen").addEventListener("drop", (event) => event.preventDefault());

  function show(isOpen) {
    $("files").hidden = !isOpen;
    $("files-toggle").setAttribute("aria-expanded", String(isOpen));
    if (isOpen) list();
  }
  $("files-toggle").addEventListener("click", () => show($("files").hidden));
  $("files-close").addEventListener("click", () => { show(false); $("files-toggle").focus(); });
  setInterval(() => { if (!$("files").hidden && !document.hidden) list(); }, 5000);
  setUpPreview();
}
