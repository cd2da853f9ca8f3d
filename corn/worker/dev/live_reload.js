(() => {
  "use strict";
  const corn = __CORN__;
  const notice = document.getElementById("corn-failure");
  const local = /^(localhost|.+\.localhost|127\.0\.0\.1|\[::1\])$/.test(location.hostname);
  let styles = null;
  let pages = null;
  let streams = local;

  const say = (words) => { if (notice) notice.textContent = words; };
  const after = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
  const shown = () => new Promise((done) => {
    const check = () => { if (!document.hidden) { document.removeEventListener("visibilitychange", check); done(); } };
    document.addEventListener("visibilitychange", check);
    check();
  });

  // Once from here to there: a page that comes back from some cache must not load again and again.
  const isNew = (state) => {
    const step = [corn.asks, corn.revision, state, location.href].join(" ");
    try {
      if (sessionStorage.getItem("corn") === step) return false;
      sessionStorage.setItem("corn", step);
    } catch { /* no storage, no memory of it */ }
    return true;
  };

  const reload = async (state) => {
    if (!corn.repeatable) { say("The code has changed. Send the form again to see what it does now."); return; }
    await shown();
    if (isNew(state)) location.reload();
  };

  const restyle = (paths) => {
    const name = (path) => decodeURIComponent(path.split("/").pop());
    const sheets = [...document.querySelectorAll('link[rel~="stylesheet"][href]')]
      .filter((link) => new URL(link.href).origin === location.origin);
    const changed = sheets.filter((link) => paths.some((path) => name(path) === name(new URL(link.href).pathname)));
    for (const link of changed.length ? changed : sheets) {
      const fresh = link.cloneNode();
      const url = new URL(link.href);
      url.searchParams.set("corn", Date.now());
      fresh.href = url.href;
      fresh.onload = () => link.remove();
      fresh.onerror = () => fresh.remove();
      link.after(fresh);
    }
  };

  const consider = (state) => {
    if (styles !== null && state.styles > styles) restyle(state.paths);
    const missed = pages === null && state.saved > corn.rendered;
    if (missed || pages !== null && state.pages > pages) reload(`${state.revision}/${state.pages}`);
    styles = state.styles;
    pages = state.pages;
    const later = state.revision > corn.revision;
    const turned = state.revision === corn.revision && state.failed !== corn.failed;
    if (notice ? later || turned : later && !state.failed) reload(state.revision);
  };

  const ask = async () => {
    for (;;) {
      await after(1000);
      await shown();
      const answer = await fetch(corn.asks, { cache: "no-store" }).catch(() => null);
      if (answer === null) { say("corn does not answer; this page waits for it."); continue; }
      if (answer.status === 404) { reload("gone"); return; }
      if (!answer.ok) continue;
      consider(await answer.json());
      if (streams) { listen(); return; }
    }
  };

  const listen = () => {
    const stream = new EventSource(corn.listens);
    const leave = () => { clearTimeout(patience); stream.close(); ask(); };
    const patience = setTimeout(() => { streams = false; leave(); }, 4000);
    stream.onmessage = (message) => { clearTimeout(patience); consider(JSON.parse(message.data)); };
    stream.onerror = leave;
  };

  say("Save a fix, and this page comes back by itself.");
  if (local) listen(); else ask();
})();
