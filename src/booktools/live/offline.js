// The second visit starts without the network: a service worker keeps what the first has loaded.
export const CACHE = "live cells";

export const keep = async (folder) => {
  if (!navigator.serviceWorker) return; // an address without encryption: all the same, but not kept
  try {
    if (!(await navigator.serviceWorker.register(new URL("../kept.js", folder)))) return;
    const { active } = await navigator.serviceWorker.ready;
    const here = performance.getEntriesByType("resource").map(({ name }) => name);
    active.postMessage([location.href.replace(/#.*/, ""), ...here.filter((name) => name.startsWith(location.origin))]);
  } catch {
    // a private window may refuse it
  }
};

export const kept = async () => {
  if (!self.caches || !(await caches.has(CACHE))) return 0;
  const cache = await caches.open(CACHE);
  const sizes = (await cache.keys()).map(async (request) => (await (await cache.match(request)).blob()).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
};

export const forget = async () => {
  await caches.delete(CACHE);
  const registration = await navigator.serviceWorker.getRegistration();
  await registration?.unregister();
};
