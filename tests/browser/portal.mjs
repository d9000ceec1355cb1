// Drives the portal as a user does, in a real Chromium. Prints what it saw as JSON; the test judges.
import { chromium } from "playwright-core";
import fs from "node:fs";

const [job, url, folder, recipe] = process.argv.slice(2);
const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true });
const page = await context.newPage();
const seen = { problems: [] };
page.on("pageerror", (error) => seen.problems.push(String(error)));
page.on("console", (message) => { if (/Content Security Policy/.test(message.text())) seen.problems.push(message.text()); });
page.on("dialog", (dialog) => dialog.accept());
const connected = () => page.waitForFunction(() => document.getElementById("connection").textContent === "connected", null, { timeout: 300000 });
const screenHash = () => page.evaluate(async () => {
  const canvas = document.querySelector("#screen canvas");
  return canvas ? new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size : 0;
});

const base = new URL(url).origin;
if (job !== "link") await page.goto(url);
seen.loggedIn = new URL(page.url()).pathname;

if (job === "thread") {
  await page.goto(`${base}/recipes/rosetta-eps/9.3.35/threads/simulate`);
  await page.selectOption("[id='input.scenario']", "eps-rosetta-67p");
  await page.fill("[id='param.time_step']", "fast");
  await page.click("button.main.big");
  seen.mistake = await page.textContent(".wrong");
  await page.fill("[id='param.time_step']", "60");
  await page.click("button.main.big");
  await page.waitForURL(/runs\//, { timeout: 300000 });
  seen.run = page.url().split("/").pop();
  await page.waitForSelector("#run[data-final=yes]", { timeout: 300000 });
  seen.state = await page.textContent("#run .badge");
  await page.click("tr:has-text('power_avg.out') [data-preview]");
  await page.waitForSelector("#preview-body table");
  seen.columns = await page.locator("#preview-body th").count();
  await page.click("#preview-close");
  await page.click("text=Verify");
  await page.waitForURL(/work\//);
  await page.waitForURL(/runs\//, { timeout: 300000 });
  seen.verdict = await page.textContent(".verdict summary .badge");
  await page.goto(`${base}/?verified=never`);
  seen.neverVerified = await page.locator(".card h2").allTextContents();
  await page.selectOption("select[name=verified]", "day");
  await page.waitForURL(/verified=day/);
  seen.verifiedToday = await page.locator(".card h2").allTextContents();
  await page.click(".card h2 a:has-text('Experiment Planning')");
  seen.evidence = await page.textContent("dt:has-text('Last verify') + dd");
} else if (job === "link") {
  // A deep link: asked to log in, and led back; then from another site, whose links come without the cookie.
  await page.goto(`${base}/open/eso-midas/22.02pl1.0?gui=main`);
  seen.asked = await page.textContent("h1");
  await page.fill("#token", url);
  await page.click("button.main");
  await page.waitForURL(/open\/eso-midas/);
  seen.led = page.url().slice(base.length);
  await context.route("http://elsewhere.example/", (route) => route.fulfill({ contentType: "text/html", body: `<a href="${base}/runs?state=failed">runs</a>` }));
  await page.goto("http://elsewhere.example/");
  await page.click("a");
  await page.waitForFunction(() => document.querySelector("h1")?.textContent === "Runs", null, { timeout: 20000 });
  seen.fromElsewhere = page.url().slice(base.length);
} else {
  await page.goto(`${base}/open/${recipe}`);
  await page.click("button.main.big");
  await page.waitForURL(/sessions\//);
  seen.session = page.url().split("/").pop();
  await connected();
  await page.waitForTimeout(1000);
  seen.colours = await screenHash();
  await page.click("#files-toggle");
  const sent = `${folder}/sent.bin`;
  fs.writeFileSync(sent, Buffer.from(Array.from({ length: 9_000_000 }, (_, i) => (i * 31) % 251)));
  await page.setInputFiles("#pick", sent);
  await page.waitForSelector("#list a[download]", { timeout: 60000 });
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("li:has-text('sent.bin') a[download]")]);
  await download.saveAs(`${folder}/back.bin`);
  seen.sameBytes = fs.readFileSync(sent).equals(fs.readFileSync(`${folder}/back.bin`));
  await page.reload();
  await connected();
  seen.backAfterReload = true;
  await page.click("#end");
  await page.waitForFunction(() => document.getElementById("connection").textContent === "ended", null, { timeout: 120000 });
  seen.over = await page.textContent("#over-title");
}
console.log(JSON.stringify(seen));
await browser.close();
