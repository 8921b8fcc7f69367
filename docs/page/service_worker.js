// Keeps every file of the page, so that it works without a network after the first visit.

const FILES = "files.json";

async function keep() {
  const answer = await fetch(FILES, { cache: "no-cache" });
  const { version, files } = await answer.clone().json();
  const store = await caches.open(name(version));
  await store.put(FILES, answer);
  await store.addAll(["./", ...Object.keys(files)]);
}

function name(version) {
  return `${self.registration.scope} ${version}`;
}

/** Forget what an older version of the page has kept. */
async function tidy() {
  const { version } = await (await fetch(FILES, { cache: "no-cache" })).json();
  const mine = (await caches.keys()).filter((one) => one.startsWith(self.registration.scope));
  await Promise.all(mine.filter((one) => one !== name(version)).map((one) => caches.delete(one)));
  await self.clients.claim();
}

/** The kept file at once; whether there is a newer page, the browser asks by itself (files.json). */
async function answer(request) {
  const kept = await caches.match(request, { ignoreSearch: true });
  return kept ?? fetch(request);
}

self.addEventListener("install", (event) => event.waitUntil(keep().then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(tidy()));
self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET") event.respondWith(answer(event.request));
});
