// Keeps the wall page up to date, for months: on /events, and each 20 s, it fetches the page's
// part and shows it. Tablets on walls are old: ES5, XMLHttpRequest, EventSource.
(function () {
  'use strict';
  var root = document.documentElement, body = document.body;
  var origin = location.protocol + '//' + location.host;
  var path = location.pathname + location.search, home = path;
  var version = '', wait = 1000, busy = false, soon = 0, turn = 0;
  // The node's local time at its newest answer, and when that came.
  var local = 0, came = 0;

  function get(id) { return document.getElementById(id); }

  function two(number) { return (number < 10 ? '0' : '') + number; }

  function clockText(ms) {
    var date = new Date(ms);
    return two(date.getUTCHours()) + ':' + two(date.getUTCMinutes());
  }

  function tick() {
    var now = Date.now(), clock = get('clock'), note = get('note');
    // A clock of the tablet that was set back.
    if (now < came) came = now;
    if (local && clock) clock.textContent = clockText(local + now - came);
    var lost = now - came > 60000;
    body.className = lost ? 'lost' : '';
    if (lost) note.textContent = '✕ no connection' + (local ? ' since ' + clockText(local) : '');
  }

  // Reads what the node says beside the values.
  function take() {
    var wall = get('wall'), now = wall.getAttribute('data-version');
    local = +wall.getAttribute('data-local');
    came = Date.now();
    root.className = wall.getAttribute('data-theme');
    if (version && version !== now) location.reload();
    version = now;
    var next = wall.getAttribute('data-next');
    if (turn || !next) return;
    turn = setTimeout(function () {
      turn = 0;
      path = next;
      refresh();
    }, wall.getAttribute('data-after') * 1000);
  }

  function refresh() {
    if (busy) return;
    busy = true;
    var asked = path, request = new XMLHttpRequest();
    request.open('GET', origin + asked + (asked.indexOf('?') < 0 ? '?' : '&') + 'fragment=wall');
    request.timeout = 15000;
    request.onloadend = function () {
      busy = false;
      if (asked !== path) { refresh(); return; }
      if (request.status === 200) {
        get('main').innerHTML = request.responseText;
        take();
      } else if (request.status === 404) {
        // The configuration has it no more.
        path = home;
      }
      tick();
    };
    request.send();
  }

  function later() {
    clearTimeout(soon);
    soon = setTimeout(refresh, 300);
  }

  function listen() {
    var events = new EventSource(origin + root.getAttribute('data-base') + '/events');
    events.onopen = function () { wait = 1000; later(); };
    events.addEventListener('snapshot', later);
    events.addEventListener('alert', later);
    events.onerror = function () {
      if (events.readyState !== 2) return;
      setTimeout(listen, wait);
      wait = Math.min(wait * 2, 60000);
    };
  }

  take();
  listen();
  setInterval(refresh, 20000);
  setInterval(tick, 1000);
})();
