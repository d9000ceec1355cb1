// Look on: the link's secret stays behind the #, is taken out of the address at once, and buys view-only tickets.
import { $, ask } from "./common.js";
import { Screen } from "./screen.js";

const session = $("session").dataset.session;
const share = location.hash.slice(1) || sessionStorage.getItem(`watch-${session}`) || "";
if (location.hash) {
  sessionStorage.setItem(`watch-${session}`, share);
  history.replaceState(null, "", location.pathname);
}
const screen = new Screen($("screen"), session, async () => {
  const answer = await ask(`/api/watch/${session}/ticket`, { method: "POST", body: { share } });
  $("watch-title").textContent = `${answer.title} (looking on)`;
  return answer.ticket;
}, { viewOnly: true });
screen.addEventListener("state", ({ detail }) => {
  $("connection").textContent = detail.state;
  $("connection").className = `badge is-${detail.state}`;
  $("lost").hidden = detail.state === "connected" || !detail.why;
  $("lost-what").textContent = detail.why;
});
$("again").addEventListener("click", () => { screen.tries = 0; screen.connect(); });
screen.connect();
