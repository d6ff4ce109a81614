// Opens a page in headless Chromium and lets it send tweets: `node browser.cjs PAGE GATEWAY` reads one JSON array of
// arguments of the page's `send` a line, and prints what became of each, a line for a line.

const { chromium } = require("playwright-core");
const readline = require("node:readline");

const [page_url, gateway] = process.argv.slice(2);

async function main() {
  // A profile of its own each time, and no connection but those that the page asks for.
  const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  try {
    const page = await browser.newPage();
    page.on("console", (message) => console.error(message.text()));
    await page.goto(page_url);
    await page.waitForFunction(() => "send" in window);
    for await (const line of readline.createInterface({ input: process.stdin })) {
      const outcome = await page.evaluate(([gateway, args]) => window.send(gateway, ...args), [
        gateway,
        JSON.parse(line),
      ]);
      console.log(JSON.stringify(outcome));
    }
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
