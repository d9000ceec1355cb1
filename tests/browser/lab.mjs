// Opens a web lab from its session's page, as a user does, and prints what the lab's own page could reach.
import { chromium } from "playwright-core";

const [url, session, other] = process.argv.slice(2);
const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
const page = await (await browser.newContext()).newPage();
await page.goto(url);
await page.goto(`${new URL(url).origin}/sessions/${session}`);
const link = page.locator(`#screen a.button`);
await link.evaluate((element, id) => { element.href += `?other=${id}`; }, other);
const [lab] = await Promise.all([page.context().waitForEvent("page"), link.click()]);
await lab.waitForFunction(() => document.title.startsWith("{"), null, { timeout: 30000 });
console.log(await lab.title());
await browser.close();
