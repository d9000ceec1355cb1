// Follow work under way: steps, seconds, log; go on when it is done.
import { $, ask, pause, showSteps } from "./common.js";

const work = $("work").dataset.work;
let offset = 0;
$("cancel").addEventListener("click", async () => {
  $("cancel").disabled = true;
  await ask(`/api/work/${work}/cancel`, { method: "POST" }).catch(() => {});
});

function show(data) {
  showSteps($("steps"), data.steps);
  if (data.log) {
    const log = $("log");
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(data.log);
    if (atEnd) log.scrollTop = log.scrollHeight;
  }
  offset = data.offset;
  const badge = document.createElement("span");
  badge.className = `badge is-${data.state}`;
  badge.textContent = data.state;
  $("state").replaceChildren(badge);
  if (data.error) {
    const [what, hint, code] = $("problem").children;
    what.textContent = data.error.message;
    hint.textContent = data.error.hint;
    code.textContent = data.error.code;
    $("problem").hidden = false;
  }
}

async function follow() {
  for (let silent = 0; ;) {
    try {
      const data = await ask(`/api/work/${work}?offset=${offset}`);
      silent = 0;
      show(data);
      if (data.state === "done") { location.replace(data.leads_to); return; }
      if (data.state !== "running") { $("cancel").hidden = true; return; }
    } catch (error) {
      silent += 1;
      $("state").textContent = error.status === 404 ? "This work ended with the service; see Runs for what was recorded." : "The service does not answer; trying again …";
      if (error.status === 404) return;
    }
    await pause(Math.min(500 * (1 + silent), 5000));
  }
}
follow();
