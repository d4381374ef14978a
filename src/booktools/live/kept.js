// A service worker, registered when a reader presses Run: what that needs is there without a network.
// Files of _live whose names say what is in them come from the cache; all else from the network first.
const CACHE = "live cells";
const NAMED = /\/_live\/(python-[^/]+\/|[a-z]+-[0-9a-f]{10}\.)|\/_static\/.*\.[0-9a-f]{10}\./;

self.oninstall = () => self.skipWaiting();
self.onactivate = (event) => event.waitUntil(self.clients.claim());

const put = async (request, answer) => {
  if (answer.ok && answer.status === 200) await (await caches.open(CACHE)).put(request, answer.clone());
  return answer;
};

const serve = async (request) => {
  const known = () => caches.match(request.url, { ignoreVary: true });
  if (NAMED.test(request.url)) return (await known()) ?? put(request.url, await fetch(request));
  try {
    return await put(request.url, await fetch(request));
  } catch (error) {
    const found = await known();
    if (found) return found;
    throw error;
  }
};

self.onfetch = (event) => {
  const { method, url } = event.request;
  if (method === "GET" && url.startsWith(self.location.origin)) event.respondWith(serve(event.request));
};

// The page from which Run was pressed, which came before there was a cache.
self.onmessage = (event) => {
  const all = event.data.map(async (url) => (await caches.match(url)) ?? put(url, await fetch(url)));
  event.waitUntil(Promise.allSettled(all));
};
