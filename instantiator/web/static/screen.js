// The screen of a session: noVNC, its tickets, and connecting again by itself.
import { pause } from "./common.js";

const WAITS = [0, 500, 1000, 2000, 4000, 8000];
const DEFECT = "the gateway refused what this page sent. That is a defect of Thaw: please report it";
// Close codes of the gateway (docs/gateway.md) after which trying again by itself would not help, in words.
const FINAL = { 1003: DEFECT, 1009: DEFECT, 4400: DEFECT, 4408: "nothing moved here for a long time, so the screen was let go" };
export const IDLE = 4408;

// Why a connection ended: our own words for what its user has to decide, the gateway's for the rest.
export function explainClose(closed, isClean) {
  const words = FINAL[closed?.code];
  if (words === DEFECT) return `${words} (code ${closed.code}${closed.reason ? `: ${closed.reason}` : ""})`;
  return words ?? (closed?.reason || (isClean ? "the service closed the connection" : "the connection was cut"));
}

export class Screen extends EventTarget {
  // `ticket` is asked for each connection anew: it is good for one, for a minute, and never part of an address.
  constructor(target, session, ticket, { viewOnly = false } = {}) {
    super();
    Object.assign(this, { target, session, ticket, viewOnly, rfb: null, tries: 0, wanted: false, fit: "resize", state: "disconnected" });
  }

  async connect() {
    this.wanted = true;
    if (this.busy) return;
    this.busy = true;
    try {
      while (this.wanted && this.state !== "connected") {
        this.#become("connecting");
        await pause(WAITS[Math.min(this.tries, WAITS.length - 1)]);
        if (!this.wanted) break;
        this.tries += 1;
        try {
          await this.#open();
        } catch (error) {
          if (error.status === 403 || error.status === 404 || error.status === 401) {
            this.wanted = false;
            this.#become("disconnected", error.message);
            break;
          }
          this.#become("disconnected", error.message ?? String(error));
        }
      }
    } finally {
      this.busy = false;
    }
  }

  disconnect() {
    this.wanted = false;
    this.rfb?.disconnect();
  }

  async #open() {
    const { default: RFB } = await import("/novnc/core/rfb.js");
    const ticket = await this.ticket();
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.target.replaceChildren();
    // A channel of our own: noVNC would keep the gateway's reason for closing it to itself.
    const channel = new WebSocket(`${scheme}://${location.host}/ws/${this.session}`, ["binary", `thaw.ticket.${ticket}`]);
    let closed = null;
    channel.addEventListener("close", (event) => { closed = event; });
    const rfb = new RFB(this.target, channel, { shared: true });
    rfb.viewOnly = this.viewOnly;
    rfb.background = "#10181c";
    rfb.showDotCursor = false;
    rfb.focusOnClick = true;
    this.rfb = rfb;
    this.apply(this.fit);
    rfb.addEventListener("clipboard", (event) => this.dispatchEvent(new CustomEvent("copied", { detail: event.detail.text })));
    await new Promise((done, fail) => {
      rfb.addEventListener("connect", () => {
        this.tries = 0;
        this.#become("connected");
        rfb.focus();
        done();
      }, { once: true });
      rfb.addEventListener("disconnect", (event) => {
        if (this.rfb === rfb) this.rfb = null;
        const was = this.state;
        const why = explainClose(closed, event.detail.clean);
        if (closed?.code in FINAL) this.wanted = false;
        this.#become("disconnected", why, closed?.code);
        if (was === "connected") { if (this.wanted) this.connect(); } else fail(new Error(why));
      }, { once: true });
    });
  }

  apply(fit) {
    this.fit = fit;
    if (!this.rfb) return;
    this.rfb.scaleViewport = fit === "scale" || this.viewOnly;
    this.rfb.resizeSession = fit === "resize" && !this.viewOnly;
    this.rfb.clipViewport = fit === "none";
    this.rfb.dragViewport = false;
  }

  #become(state, why = "", code = 0) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, why, code, tries: this.tries, again: this.wanted } }));
  }
}
