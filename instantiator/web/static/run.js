// A run's page: previews of outputs; a run under way is followed, and the page made anew when it has ended.
import { $, ask, pause, showSteps } from "./common.js";
import { preview, setUpPreview } from "./preview.js";

const { run, final } = $("run").dataset;
if ($("preview")) setUpPreview();
for (const button of document.querySelectorAll("[data-preview]")) {
  button.addEventListener("click", () => preview(`/api/runs/${run}/outputs/${button.dataset.preview}/preview`, button.dataset.name));
}

function show(data) {
  $("state").textContent = data.state;
  $("state").className = `badge is-${data.state}`;
  $("place").textContent = data.position ? ` waits at place ${data.position} ·` : "";
  showSteps($("steps"), data.steps);
  if (!data.log) return;
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(data.log);
  if (atEnd) log.scrollTop = log.scrollHeight;
}

async function follow() {
  let offset = 0;
  for (let silent = 0; ;) {
    try {
      const data = await ask(`/api/runs/${run}?offset=${offset}`);
      silent = 0;
      offset = data.offset;
      if (data.is_final) { location.reload(); return; }
      show(data);
    } catch {
      silent += 1;
      $("place").textContent = " the service does not answer; trying again … ·";
    }
    await pause(Math.min(400 * (1 + silent), 5000));
  }
}

if (final === "no") {
  $("cancel").addEventListener("click", async () => {
    $("cancel").disabled = true;
    await ask(`/api/runs/${run}/cancel`, { method: "POST" }).catch((error) => { $("place").textContent = ` ${error.message} ·`; });
  });
  follow();
}
