// What every page's script shares: requests that carry the page's guard, errors in words, small DOM helpers.
const guard = document.querySelector('meta[name="guard"]')?.content ?? "";

export class Problem extends Error {
  constructor(status, error) {
    super(error.hint ? `${error.message}: ${error.hint}` : error.message);
    this.status = status;
    this.code = error.code;
  }
}

export async function ask(path, options = {}) {
  const { method = "GET", body, raw, signal } = options;
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-Guard"] = guard;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const content = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const answer = await fetch(path, { method, headers, body: content, signal, cache: "no-store" });
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw new Problem(answer.status, data.error ?? { code: "no-answer", message: `the service answered ${answer.status}` });
  }
  return data;
}

export const $ = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export function showSteps(list, steps) {
  list.replaceChildren(...steps.map((step) => make("li", { className: `is-${step.state}` },
    make("span", { className: "name", textContent: step.name }),
    make("span", { className: "detail", textContent: step.detail }),
    make("span", { className: "seconds", textContent: step.seconds == null ? "" : `${step.seconds.toFixed(1)} s` }))));
}

export function sizeText(size) {
  if (size < 10000) return `${size.toLocaleString("en")} B`;
  for (const [unit, factor] of [["kB", 1e3], ["MB", 1e6], ["GB", 1e9]]) {
    if (size < factor * 1000) return `${(size / factor).toFixed(1)} ${unit}`;
  }
  return `${(size / 1e12).toFixed(2)} TB`;
}

export function toast(text) {
  const box = $("toast");
  if (!box) return;
  box.textContent = text;
  box.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { box.hidden = true; }, 5000);
}
