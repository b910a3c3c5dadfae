// Charts: a readout below the pointer or by the arrow keys, and drag to zoom. Listeners are on the
// document, because live.js replaces the charts.
'use strict';
(() => {
  // The chart in use, by its place on the page, and the point that is read out.
  let used = -1, at = -1, begin = null;

  const charts = () => [...document.querySelectorAll('[data-v]')];
  const plotOf = (event) => event.target.closest?.('[data-v] svg.lines');
  const shareOf = (plot, event) => {
    const box = plot.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };

  const pointsOf = (chart) => {
    let day = '';
    return chart.dataset.v.split('\n').filter(Boolean).map((line) => {
      let [x, label, ...values] = line.split('\t');
      const comma = label.lastIndexOf(', ');
      // Of a day's times only the first says the day.
      if (comma > 0) day = label.slice(0, comma + 2);
      else if (label.includes(':')) label = day + label;
      return { x: x / 1000, label, values };
    });
  };

  const clear = () => {
    charts().forEach((chart) => {
      chart.querySelector('output').textContent = '';
      chart.querySelectorAll('.cross').forEach((line) => line.classList.remove('on'));
    });
  };

  const show = (chart, index) => {
    const points = pointsOf(chart);
    if (!points.length) return;
    clear();
    used = charts().indexOf(chart);
    at = Math.max(0, Math.min(points.length - 1, index));
    const { x, label, values } = points[at];
    const names = chart.dataset.n?.split('\t');
    const texts = values.map((v, i) => (v && names ? names[i] + ' ' : '') + v).filter(Boolean);
    chart.querySelector('output').textContent = [label, ...texts].join(' · ');
    chart.querySelectorAll('.cross').forEach((line) => {
      line.setAttribute('x1', x * 100 + '%');
      line.setAttribute('x2', x * 100 + '%');
      line.classList.add('on');
    });
  };

  const nearest = (chart, share) => {
    const off = pointsOf(chart).map((p) => Math.abs(p.x - share));
    return off.indexOf(Math.min(...off));
  };

  const zoomBoxes = (chart, from, to) => {
    chart.querySelectorAll('.zoom').forEach((box) => {
      box.setAttribute('x', Math.min(from, to) * 100 + '%');
      box.setAttribute('width', Math.abs(to - from) * 100 + '%');
    });
  };

  document.addEventListener('pointermove', (event) => {
    const plot = begin?.plot ?? plotOf(event);
    if (!plot) {
      if (at >= 0 && !document.activeElement.closest?.('[data-v]')) { at = -1; clear(); }
      return;
    }
    const chart = plot.closest('[data-v]'), share = shareOf(plot, event);
    show(chart, nearest(chart, share));
    if (begin) zoomBoxes(chart, begin.share, share);
  });

  document.addEventListener('pointerdown', (event) => {
    const plot = plotOf(event);
    if (!plot) return;
    const chart = plot.closest('[data-v]'), share = shareOf(plot, event);
    show(chart, nearest(chart, share));
    // A finger reads; it scrolls the page and zooms by the links.
    if (event.pointerType === 'mouse' && !event.button && chart.dataset.from) begin = { plot, share };
  });

  document.addEventListener('pointerup', (event) => {
    if (!begin) return;
    const { plot, share } = begin, chart = plot.closest('[data-v]');
    begin = null;
    zoomBoxes(chart, 0, 0);
    const shares = [share, shareOf(plot, event)].sort((a, b) => a - b);
    if ((shares[1] - shares[0]) * plot.getBoundingClientRect().width < 8) return;
    const [from, to] = [chart.dataset.from, chart.dataset.to].map((time) => Date.parse(time));
    const time = (share) => new Date(from + share * (to - from)).toISOString().slice(0, 19) + 'Z';
    if ((shares[1] - shares[0]) * (to - from) < 61000) return;
    const url = new URL(location.href);
    ['span', 'at'].forEach((name) => url.searchParams.delete(name));
    url.searchParams.set('from', time(shares[0]));
    url.searchParams.set('to', time(shares[1]));
    location.assign(url);
  });

  document.addEventListener('keydown', (event) => {
    const plot = plotOf(event);
    if (!plot || event.ctrlKey || event.altKey || event.metaKey) return;
    const chart = plot.closest('[data-v]'), last = pointsOf(chart).length - 1;
    const now = used === charts().indexOf(chart) && at >= 0 ? at : last + 1;
    const step = event.shiftKey ? 10 : 1;
    const to = { ArrowLeft: now - step, ArrowRight: now + step, Home: 0, End: last }[event.key];
    if (event.key === 'Escape') { at = -1; clear(); }
    if (to === undefined) return;
    event.preventDefault();
    show(chart, to);
  });

  // live.js has replaced a part of the page.
  document.addEventListener('swapped', () => {
    const chart = charts()[used];
    if (chart && at >= 0) show(chart, at);
  });
})();
