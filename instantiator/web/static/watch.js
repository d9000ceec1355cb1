// Look on: the link's secret stays behind the #, is taken out of the address at once, and buys view-only tickets.
// Whom the session was shared with by name needs no link: logged in, they ask for tickets as they are.
import { $, Problem, ask } from "./common.js";
import { Screen } from "./screen.js";

const { session, ownRight } = $("session").dataset;

async function ownTicket() {
  const seen = await ask(`/api/sessions/${session}`);
  if (seen.kind === "web") throw new Problem(404, { message: "this session is a web application, which opens for who began it alone" });
  if (seen.is_over) throw new Problem(404, { message: "the session has ended" });
  if (!seen.has_screen) throw new Error("the program is being opened");
  return (await ask(`/api/sessions/${session}/ticket`, { method: "POST", body: { view_only: true } })).ticket;
}

const share = location.hash.slice(1) || sessionStorage.getItem(`watch-${session}`) || "";
if (location.hash) {
  sessionStorage.setItem(`watch-${session}`, share);
  history.replaceState(null, "", location.pathname);
}
const screen = new Screen($("screen"), session, async () => {
  if (ownRight === "yes") return ownTicket();
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
