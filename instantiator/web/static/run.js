// A run's page: previews of outputs; reload when a run under way has ended.
import { $, ask, pause } from "./common.js";
import { preview, setUpPreview } from "./preview.js";

const { run, final } = $("run").dataset;
setUpPreview();
for (const button of document.querySelectorAll("[data-preview]")) {
  button.addEventListener("click", () => preview(`/api/runs/${run}/outputs/${button.dataset.preview}/preview`, button.dataset.name));
}
async function follow() {
  for (;;) {
    await pause(2000);
    const data = await ask(`/api/runs/${run}`).catch(() => null);
    if (data?.is_final) { location.reload(); return; }
  }
}
if (final === "no") follow();
