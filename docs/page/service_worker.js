// Keeps every file of the page, so that it works without a network after the first visit.

const FILES = "files.json";

/** Fetch what the server has now, unless it is what is kept already, and forget what was kept before. */
async function renew() {
  const listed = await fetch(FILES, { cache: "no-cache" });
  const { version, files } = await listed.clone().json();
  if (await caches.has(name(version))) return;
  const store = await caches.open(name(version));
  try {
    await store.addAll(["./", ...Object.keys(files)].map((file) => new Request(file, { cache: "no-cache" })));
    await store.put(FILES, listed);
  } catch (error) {
    await caches.delete(name(version)); // half a page is none
    throw error;
  }
  const mine = (await caches.keys()).filter((one) => one.startsWith(self.registration.scope));
  await Promise.all(mine.filter((one) => one !== name(version)).map((one) => caches.delete(one)));
}

function name(version) {
  return `${self.registration.scope} ${version}`;
}

async function answer(request) {
  const kept = await caches.match(request, { ignoreSearch: true });
  return kept ?? fetch(request);
}

self.addEventListener("install", (event) => event.waitUntil(renew().then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  event.respondWith(answer(event.request));
  // A visit shows what is kept, and fetches a newer page for the next one.
  if (event.request.mode === "navigate") event.waitUntil(renew().catch(() => {}));
});
