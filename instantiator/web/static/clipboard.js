// The clipboard both ways: by itself where the browser allows it, with a panel where it does not.
import { $ } from "./common.js";

export function setUpClipboard(screen) {
  const box = $("clip-text"), state = $("clip-state");
  let last = "", taking = Promise.resolve();  // `taking`: the browser takes what the program copied
  const can = Boolean(navigator.clipboard?.writeText);
  state.textContent = can ? "Your browser shares its clipboard when this page may." : "Your browser keeps its clipboard to itself here: use this box.";

  async function take(text) {
    try {
      await navigator.clipboard.writeText(text);
      state.textContent = "Copied to your clipboard too.";
    } catch {
      state.textContent = "Your browser did not take it: copy it from here.";
    }
  }
  screen.addEventListener("copied", (event) => {
    last = event.detail;
    box.value = last;
    taking = take(last);
  });

  async function give() {
    if (!screen.rfb || !navigator.clipboard?.readText) return;
    await taking;  // what the browser still has is older than what the program has just copied
    const before = last;
    try {
      const text = await navigator.clipboard.readText();
      if (text && text !== last && last === before) { last = text; box.value = text; screen.rfb.clipboardPasteFrom(text); }
    } catch {
      state.textContent = "Your browser does not let this page read its clipboard: write here and give it.";
    }
  }
  addEventListener("focus", give);
  $("screen").addEventListener("pointerenter", () => { if (document.hasFocus()) give(); });
  document.addEventListener("paste", (event) => {
    if (event.target === box || !screen.rfb) return;
    const text = event.clipboardData.getData("text/plain");
    if (text) { last = text; screen.rfb.clipboardPasteFrom(text); }
  });
  $("clip-send").addEventListener("click", () => {
    last = box.value;
    screen.rfb?.clipboardPasteFrom(box.value);
    state.textContent = "The program can paste it now.";
    $("clipboard").open = false;
    screen.rfb?.focus();
  });
}
