// Keeps the page up to date: on /events, and now and then for the ages, it fetches the page's
// fragments and swaps those that differ. Without it the page stays as it was loaded.
'use strict';
(() => {
  const note = document.getElementById('offline');
  let busy = false, again = false, soon = 0, source = null, wait = 1000;

  const swap = (fresh) => {
    const old = document.getElementById(fresh.id);
    if (!old || old.isEqualNode(fresh)) return;
    // What is below the pointer stays while it is read.
    if (old.querySelector('.lines:hover')) return;
    const open = [...old.querySelectorAll('details')].map((d) => d.open);
    fresh.querySelectorAll('details').forEach((d, i) => { d.open = open[i]; });
    const focus = old.contains(document.activeElement) && document.activeElement;
    const at = focus && [...old.querySelectorAll('a,summary,[tabindex]')].indexOf(focus);
    const said = old.querySelector('[role=status]');
    const says = fresh.querySelector('[role=status]');
    if (said && says) {
      // The same element stays, so that it is read out only when it changes.
      if (said.textContent !== says.textContent) said.replaceChildren(...says.childNodes);
      old.className = fresh.className;
      while (said.nextSibling) said.nextSibling.remove();
      while (says.nextSibling) old.append(says.nextSibling);
      document.title = fresh.dataset.title;
      document.querySelector('link[rel=icon]').href = fresh.dataset.icon;
    } else {
      old.replaceWith(fresh);
      if (at >= 0 && focus) fresh.querySelectorAll('a,summary,[tabindex]')[at]?.focus();
    }
  };

  const refresh = async () => {
    if (busy) { again = true; return; }
    busy = true;
    again = false;
    try {
      const url = new URL(location.href);
      url.searchParams.set('fragment', 'all');
      const answer = await fetch(url, { cache: 'no-store' });
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      page.querySelectorAll('[data-live]').forEach(swap);
      document.dispatchEvent(new Event('swapped'));
      note.hidden = true;
    } catch {
      note.textContent = 'main-node is not reachable. Showing the last known values.';
      note.hidden = false;
    }
    busy = false;
    if (again) later();
  };

  // Sources that answer together make one refresh.
  const later = () => {
    clearTimeout(soon);
    soon = setTimeout(refresh, 300);
  };

  const listen = () => {
    source = new EventSource(document.documentElement.dataset.base + '/events');
    source.onopen = () => { wait = 1000; later(); };
    source.addEventListener('snapshot', later);
    source.addEventListener('alert', later);
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(listen, wait);
      wait = Math.min(wait * 2, 60000);
    };
  };

  listen();
  setInterval(() => { if (!document.hidden) refresh(); }, 15000);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) later(); });
})();
