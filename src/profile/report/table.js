// Tables that sort by each column, and the columns of launches.
import { colour } from './launches.js';
import { element } from './look.js';
import { amount, duration, percent, three } from './words.js';

/** A column: its title, the value to sort by, the text to show. Numbers stand to the right. */
export const column = (title, value, text = value) => ({ title, value, text });

/** All columns of launches: what was measured, then what it was measured of. */
export const launchColumns = ({ median, share, resolved, bound }) => [
  column('#', (l) => l.index), column('layer', (l) => l.layer), column('kernel', (l) => `${l.kernel} ${l.entry}`),
  column('median', median, (l) => resolved(median(l))), column('p10', (l) => l.time?.p10, (l) => resolved(l.time?.p10)),
  column('p90', (l) => l.time?.p90, (l) => resolved(l.time?.p90)), column('of all', share, (l) => percent(share(l))),
  column('GFLOP/s', (l) => l.flops_rate, (l) => l.flops_rate == null ? '–' : three(l.flops_rate / 1e9)),
  column('GB/s', (l) => l.bytes_rate, (l) => l.bytes_rate == null ? '–' : three(l.bytes_rate / 1e9)),
  column('of roof', (l) => l.roof_share, (l) => percent(l.roof_share)), column('flop/byte', (l) => l.intensity, (l) => three(l.intensity)),
  column('predicted', (l) => l.predicted, (l) => l.predicted == null ? '–' : duration(l.predicted)),
  column('bound by', bound, (l) => bound(l) ?? '–'),
  column('operations', (l) => l.flops, (l) => amount(l.flops, '')), column('bytes', (l) => l.bytes_read + l.bytes_written, (l) => amount(l.bytes_read + l.bytes_written, 'B')),
  column('workgroups', (l) => l.workgroups.reduce((a, b) => a * b), (l) => l.workgroups.join('×')), column('size', (l) => l.workgroup_size),
  column('part', (l) => l.part), column('sizes', (l) => l.shape), column('variant', (l) => l.variant || '–'),
];

/** Fills a table, whose rows `build` makes of their cells; gives a function that shows only the rows with a text. */
export const fillTable = (table, columns, rows, build = (_, cells) => element('tr', cells)) => {
  let [sorted, way, filter] = [0, 1, ''];
  const [head, body] = [table.tHead, table.tBodies[0]];
  const isText = ({ value }) => typeof value(rows[0] ?? {}) === 'string';
  const fill = () => {
    const { value } = columns[sorted];
    const shown = rows.filter((row) => columns.some((c) => String(c.text(row)).toLowerCase().includes(filter)));
    shown.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x == null || y == null) return (x == null) - (y == null);
      return way * (typeof x === 'string' ? x.localeCompare(y, 'en', { numeric: true }) : x - y);
    });
    body.replaceChildren(...shown.map((row) => build(row, columns.map((c) =>
      element('td', [c.title === 'layer' ? element('i', null, { style: `background:${colour(row)}` }) : null, c.text(row)], isText(c) ? {} : { class: 'number' })))));
    // The keyboard needs a row to come in by.
    const stops = [...body.rows].filter((row) => row.hasAttribute('tabindex'));
    if (stops.length > 0 && stops.every((row) => row.tabIndex !== 0)) stops[0].tabIndex = 0;
    [...head.rows[0].cells].forEach((cell, index) => {
      if (index === sorted) cell.setAttribute('aria-sort', way > 0 ? 'ascending' : 'descending');
      else cell.removeAttribute('aria-sort');
    });
  };
  head.replaceChildren(element('tr', columns.map((c, index) => {
    const button = element('button', c.title, { type: 'button' });
    button.onclick = () => {
      // Of numbers the largest come first.
      way = sorted === index ? -way : isText(c) || index === 0 ? 1 : -1;
      sorted = index;
      fill();
    };
    return element('th', button, { scope: 'col', class: isText(c) ? '' : 'number' });
  })));
  fill();
  return (text) => { filter = text.toLowerCase(); fill(); };
};

/** The same of launches: one stop of the keyboard, arrow keys walk through the rows, Enter shows what is known of one. */
export const fillLaunches = (table, columns, launches, look) => fillTable(table, columns, launches.all, (launch, cells) => {
  const row = element('tr', cells, { tabindex: launch.index === (look.selected ?? 0) ? 0 : -1, 'data-launch': launch.index });
  const open = () => {
    look.select(launch.index, 'table');
    const box = row.getBoundingClientRect();
    look.show(launch.index, Math.min(box.right, innerWidth) - 520, box.bottom - 10);
  };
  const go = (other) => {
    if (!other) return;
    [row.tabIndex, other.tabIndex] = [-1, 0];
    other.focus();
  };
  row.onclick = open;
  row.onkeydown = (event) => {
    const ways = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling };
    if (event.key === 'Enter') open();
    else if (event.key === 'Escape') look.select(null);
    else if (event.key in ways) {
      event.preventDefault();
      go(ways[event.key]);
    }
  };
  row.onblur = () => look.hide();
  row.onmouseleave = () => look.hide();
  return row;
});
