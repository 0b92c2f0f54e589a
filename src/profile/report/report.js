// The page: fills its places with the profile that it carries.
import { offerBars } from './bars.js';
import { Launches } from './launches.js';
import { Look, element, legend, list } from './look.js';
import { drawRoofline } from './roofline.js';
import { column, fillLaunches, fillTable, launchColumns } from './table.js';
import { TimelineView } from './timeline.js';
import { deviceLine, duration, keyFigures, methodLine, methodWords, roofWords, warning } from './words.js';

const byId = (id) => document.getElementById(id);
const profile = JSON.parse(byId('profile').textContent);
const launches = new Launches(profile);
const look = new Look(launches, document, byId('tip'));

document.title = `Profile of ${profile.network}`;
byId('network').textContent = profile.network;
byId('device').textContent = deviceLine(profile);
byId('method-line').textContent = methodLine(launches);
byId('warning').textContent = warning(profile);
byId('warning').hidden = !warning(profile);
byId('figures').append(...keyFigures(launches).map(([value, name]) => element('div', [element('b', value), element('span', name)])));
byId('legend').append(...legend(launches));

const timeline = new TimelineView(byId('timeline'), launches, look);
byId('zoom-in').onclick = () => timeline.zoom(0.6);
byId('zoom-out').onclick = () => timeline.zoom(1.7);
byId('zoom-all').onclick = () => timeline.all();
const drawBarsAgain = offerBars(byId('views'), byId('bars'), launches, look, 'layer');

const filterLaunches = fillLaunches(byId('table'), launchColumns(launches), launches, look);
byId('filter').oninput = (event) => filterLaunches(event.target.value);
fillTable(byId('pipelines'), [
  column('kernel, entry point, overrides', (one) => one.pipeline), column('made in', (one) => one.nanoseconds, (one) => duration(one.nanoseconds)),
], profile.compilations);
byId('roof').append(profile.roof ? list(roofWords(profile.roof)) : element('p', 'Not measured.'));
byId('method').append(list(methodWords(launches)));

const root = document.documentElement;
const drawAll = () => {
  timeline.draw();
  drawRoofline(byId('roofline'), launches, look);
  drawBarsAgain();
};
root.classList.toggle('dark', matchMedia('(prefers-color-scheme: dark)').matches);
byId('theme').onclick = () => root.classList.toggle('dark');
addEventListener('resize', drawAll);
addEventListener('keydown', (event) => { if (event.key === 'Escape') look.hide(); });
drawAll();
