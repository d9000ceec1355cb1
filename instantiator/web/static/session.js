// The session page: follow the launch, show the screen when it is ready, say what happens, offer what is next.
import { $, ask, make, pause, showSteps, toast } from "./common.js";
import { setUpClipboard } from "./clipboard.js";
import { setUpFiles } from "./files.js";
import { holdAltGr, sendKeys } from "./keys.js";
import { IDLE, Screen } from "./screen.js";

const { session, kind } = $("session").dataset;
const api = `/api/sessions/${session}`;
const post = (what) => ask(`${api}/${what}`, { method: "POST" });
const screen = new Screen($("screen"), session, async () =>
  (await ask(`${api}/ticket`, { method: "POST", body: { view_only: false } })).ticket);
let data = null, endsAt = 0, altGr = false, shown = false, lostWhy = "", dismissed = "";

screen.addEventListener("state", ({ detail }) => {
  $("connection").textContent = detail.state;
  $("connection").className = `badge is-${detail.state}`;
  const isLost = detail.state !== "connected" && (detail.tries > 1 || detail.why && !detail.again) && data?.has_screen;
  $("lost").hidden = !isLost;
  if (detail.why) lostWhy = detail.why;
  if (isLost && detail.state === "disconnected") {
    $("lost-title").textContent = detail.code === IDLE ? "Are you still there?" : "Connection lost";
    $("reconnect").textContent = detail.code === IDLE ? "Go on" : "Connect now";
  }
  if (isLost) $("lost-what").textContent = `${lostWhy || "The screen does not answer"}. Your program goes on${detail.again ? `; connecting again by itself (try ${detail.tries})` : ""}.`;
  if (detail.state === "connected") lostWhy = "";
});

function show(next) {
  data = next;
  endsAt = Date.now() + next.left_s * 1000;
  $("launch").hidden = next.has_screen || next.is_over;
  if (!next.has_screen && !next.is_over) {
    showSteps($("steps"), next.steps);
    $("waited").textContent = `${next.waited_s.toFixed(0)} s so far. ${kind === "web" ? "The way to its pages" : "The window"} appears here by itself.`;
  }
  tellNotice(next);
  const isAppOver = next.state === "application-ended";
  $("ended-app").hidden = !isAppOver;
  if (isAppOver) {
    $("app-what").textContent = next.message || `It ended with exit status ${next.exit_status ?? "unknown"}. The screen and your files are still there.`;
    $("app-log").textContent = next.log_tail.join("\n") || "It printed nothing.";
  }
  $("tools").hidden = !next.has_screen || kind === "web";
  $("countdown").hidden = !next.has_screen || next.is_over;
  if (next.is_over) return over(next);
  if (next.has_screen && !shown) { shown = true; open(); }
}

// What is told of a session that is ready all the same: a declared window that has not come.
function tellNotice(next) {
  const text = next.state === "ready" ? next.message : "";
  $("notice").hidden = !text || text === dismissed;
  if ($("notice-what").textContent !== text) $("notice-what").textContent = text;
  $("notice-said").hidden = !next.log_tail.length;
  setLog($("notice-log"), next.log_tail);
}

function setLog(box, lines) {
  const text = lines.join("\n");
  if (box.textContent === text) return;  // a text somebody has marked stays marked
  const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  box.textContent = text;
  if (isAtEnd) box.scrollTop = box.scrollHeight;
}

async function followLog() {
  const { lines } = await ask(`${api}/log`);
  $("launch-log").hidden = !lines.length;
  setLog($("launch-log"), lines.filter(({ text }) => text.trim()).map(({ from, text }) => `${from === "display" ? "display" : "program"} │ ${text}`));
}

function open() {
  if (kind === "web") {
    // In a tab of its own: a lab runs what its user likes, so it is kept apart from the portal's pages.
    const link = make("a", { className: "button main big", href: `/lab/${session}/`, target: "_blank", rel: "noopener", textContent: `Open ${data.title} in its own tab` });
    $("screen").replaceChildren(make("div", { className: "overlay" }, make("div", { className: "panel" }, make("h2", { textContent: "Ready" }), make("p", { textContent: "It runs in a tab of its own. This page keeps its files, its time and its end." }), make("p", {}, link))));
    $("connection").textContent = "ready";
    $("connection").className = "badge is-ready";
  } else screen.connect();
}

function over(next) {
  screen.disconnect();
  for (const id of ["files", "files-toggle", "end", "lost", "launch", "ended-app", "notice"]) $(id).hidden = true;
  $("connection").textContent = next.state;
  $("connection").className = `badge is-${next.state}`;
  $("over").hidden = false;
  $("over-title").textContent = next.state === "failed" ? "This session failed" : next.state === "ending" ? "Ending: your files and the record are being kept …" : "This session has ended";
  $("over-what").textContent = next.end_reason || next.message;
  $("over-log").hidden = !next.log_tail.length;
  $("over-log").textContent = next.log_tail.join("\n");
  $("record-link").hidden = !next.record;
}

async function follow() {
  for (let silent = 0; ;) {
    try {
      show(await ask(api));
      silent = 0;
      if (data.is_over && data.state !== "ending") return;
      if (data.state === "launching") await followLog().catch(() => {});  // the steps go on without it
    } catch (error) {
      silent += 1;
      if (error.status === 401 || error.status === 404) { location.reload(); return; }
      if (silent === 3) toast("The service does not answer; trying again by itself.");
    }
    await pause(data?.state === "launching" ? 400 : Math.min(3000 + silent * 1000, 10000));
  }
}

function countDown() {
  if (!data || data.is_over) return;
  const left = Math.max(0, Math.round((endsAt - Date.now()) / 1000));
  const hours = Math.floor(left / 3600), minutes = Math.floor(left / 60) % 60, seconds = left % 60;
  $("left").textContent = left > 3600 ? `${hours} h ${minutes} min left` : `${minutes}:${String(seconds).padStart(2, "0")} left`;
  const isSoon = left <= data.warn_s;
  if (isSoon && !$("countdown").classList.contains("is-soon")) toast("This session ends soon. Save your work, or press Extend.");
  $("countdown").classList.toggle("is-soon", isSoon);
}

function screenshot() {
  screen.rfb?.toBlob((blob) => {  // the whole screen, also where only a part is in sight
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${data.title.replace(/[^\w.-]+/g, "-")}-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

const act = (what) => async () => {
  try { show(await post(what)); } catch (error) { toast(error.message); }
};
async function end() {
  if (!confirm("End this session? Its files are kept in the workspace; the program is stopped.")) return;
  $("end").disabled = true;
  screen.wanted = false;
  await act("end")();
  $("end").disabled = false;
}

$("extend").addEventListener("click", async () => { await act("extend")(); countDown(); });
$("restart").addEventListener("click", act("restart"));
$("end").addEventListener("click", end);
$("end-too").addEventListener("click", end);
$("reconnect").addEventListener("click", () => { screen.tries = 0; screen.connect(); });
$("shot").addEventListener("click", screenshot);
$("notice-close").addEventListener("click", () => { dismissed = data.message; $("notice").hidden = true; screen.rfb?.focus(); });
// All of the session goes fullscreen, the bar too: it slides away, and comes at the upper edge.
$("full").addEventListener("click", () => document.fullscreenElement ? document.exitFullscreen() : $("session").requestFullscreen().then(
  () => { screen.rfb?.focus(); toast("The tools are at the upper edge. Esc, F11 or their button leave fullscreen."); },
  () => toast("Your browser refuses fullscreen.")));
document.addEventListener("fullscreenchange", () => {
  const isFull = Boolean(document.fullscreenElement);
  $("full").textContent = isFull ? "Leave fullscreen" : "Fullscreen";
  $("full").setAttribute("aria-pressed", String(isFull));
});
addEventListener("keydown", (event) => {
  if (event.key !== "F11" || !document.fullscreenElement) return;
  event.preventDefault();
  event.stopImmediatePropagation();  // the program on the screen would get it too
  document.exitFullscreen();
}, true);
// Beside the files the screen is shown smaller, and not made smaller: that would push the program's windows about.
const fitNow = () => $("fit").value === "resize" && !$("files").hidden ? "scale" : $("fit").value;
new MutationObserver(() => screen.apply(fitNow())).observe($("files"), { attributeFilter: ["hidden"] });
$("fit").addEventListener("change", () => { screen.apply(fitNow()); localStorage.setItem("thaw-fit", $("fit").value); });
$("keys").addEventListener("click", (event) => {
  const name = event.target.dataset?.keys;
  if (!name || !screen.rfb) return;
  if (name === "altgr") {
    altGr = !altGr;
    holdAltGr(screen.rfb, altGr);
    event.target.setAttribute("aria-pressed", String(altGr));
  } else sendKeys(screen.rfb, name);
  $("keys").open = false;
  screen.rfb.focus();
});
$("share-make").addEventListener("click", async () => {
  try {
    const { path } = await post("share");
    const box = $("share-link");
    box.hidden = false;
    box.value = location.origin + path;
    box.select();
    await navigator.clipboard?.writeText(box.value).then(() => toast("The link is in your clipboard."), () => {});
  } catch (error) { toast(error.message); }
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
});
addEventListener("online", () => { if (data?.has_screen) { screen.tries = 0; screen.connect(); } });

const isNarrow = innerWidth < 760;  // a telephone looks at the whole screen, and does not shrink it for others
$("fit").value = isNarrow ? "scale" : localStorage.getItem("thaw-fit") ?? "resize";
screen.fit = $("fit").value || "resize";
setUpClipboard(screen);
setUpFiles(session);
setInterval(countDown, 1000);
follow();
