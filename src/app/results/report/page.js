'use strict';

// Records hold what file names and labels hold, so they reach the page as text only, never as markup.

/** Every record of the page: what is needed to filter and sort, and the record itself. */
const rows = [];
/** Rows that pass the filters, in the order shown. */
let shown = [];
let run = {};
/** The folder that all images are in, or ''. */
let folder = '';

const $ = (id) => document.getElementById(id);
/** One digit after the point; what would be rounded to nothing or to all is said to be near it. */
function percent(share) {
  if (share === 0 || share === 1) return `${100 * share} %`;
  if (share < 0.0005) return '< 0.1 %';
  return share > 0.9995 ? '> 99.9 %' : `${(100 * share).toFixed(1)} %`;
}
const kNone = -1e300;  // less than any score, and their differences are numbers
/** The number of a prediction: a probability, or of some models a score. */
const measure = (guess) => (run.scores ? guess.score : guess.probability);
const shownMeasure = (value) => (run.scores ? String(Number(value.toPrecision(4))) : percent(value));
const plural = (count, word) => `${count.toLocaleString('en')} ${word}${count === 1 ? '' : 's'}`;
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** An element with properties, attributes (data-, aria- and the like) and children, strings among them as text. */
function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes('-') || key === 'role') made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

/** Text of unknown origin: what cannot be seen, or turns the direction of writing, is spelled out. */
function visible(text) {
  const hidden = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
  return text.replace(hidden, (c) => {
    const code = c.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

const text = (content, kind = '') => element('span', {className: `text ${kind}`}, visible(content));

// ---- Records and thumbnails -----------------------------------------------------------------------------------------

function readRecords() {
  run = JSON.parse($('run').textContent);
  const thumbnails = [...document.querySelectorAll('script.thumbnails')];
  document.querySelectorAll('script.records').forEach((block, number) => {
    const {records, truths} = JSON.parse(block.textContent);
    records.forEach((record, line) => {
      const [first, second] = record.top || [];
      rows.push({
        record,
        number: rows.length,
        folded: visible(record.path).toLowerCase(),
        first: first ? first.index : -1,
        label: first ? first.label : '',
        confidence: first ? measure(first) : kNone,
        margin: first ? measure(first) - (second ? measure(second) : 0) : -kNone,
        truth: truths && truths[line] !== null ? truths[line] : undefined,
        // With a model of independent labels: those that the image has.
        has: run.independent ? (record.top || []).filter((guess) => guess.probability >= 0.5).map((guess) => guess.index) : [],
        thumbnails: thumbnails[number],
        line,
      });
    });
    block.remove();  // its text is not needed twice
  });
}

/** Blocks of thumbnails cut into lines, those used last; the others stay one text. */
const openBlocks = new Map();

function thumbnailOf(row) {
  const block = row.thumbnails;
  if (!block) return '';
  const lines = openBlocks.get(block) || block.textContent.split('\n');
  openBlocks.delete(block);
  openBlocks.set(block, lines);
  if (openBlocks.size > 12) openBlocks.delete(openBlocks.keys().next().value);
  return lines[row.line + 1] || '';  // the first line is empty
}

function picture(row) {
  const data = thumbnailOf(row);
  const holder = element('span', {className: 'picture', 'aria-hidden': 'true'});
  if (data) holder.append(element('img', {src: `data:image/jpeg;base64,${data}`, alt: '', decoding: 'async'}));
  else holder.append(row.record.status === 'error' ? '!' : '?');
  return holder;
}

/** The file's place as seen from this page, with the very bytes of its name. */
function linkTo(record) {
  const bytes = record.path_base64
    ? Uint8Array.from(atob(record.path_base64), (c) => c.charCodeAt(0))
    : new TextEncoder().encode(record.path);
  let path = '';
  for (const byte of bytes) {
    const c = String.fromCharCode(byte);
    path += /[\w.\-\/]/.test(c) ? c : `%${byte.toString(16).padStart(2, '0')}`;
  }
  return path.startsWith('/') ? path.replace(/^\/+/, '/') : run.base + path;  // "//" would name a host
}

const labelOf = (index) => (run.labels && run.labels[index] !== undefined ? run.labels[index] : `class ${index}`);
const isRight = (row) => row.first === row.truth;
const isInFive = (row) => (row.record.top || []).slice(0, 5).some((guess) => guess.index === row.truth);
/** Whether it counts in an evaluation. */
const isKnown = (row) => row.truth !== undefined && row.first >= 0;

/** The folder that all images are in, or nothing. */
function commonFolder() {
  let common = rows.length ? rows[0].record.path : '';
  common = common.slice(0, common.lastIndexOf('/') + 1);
  for (const {record} of rows)
    while (!record.path.startsWith(common)) common = common.slice(0, common.lastIndexOf('/', common.length - 2) + 1);
  return common;
}

// ---- Filters --------------------------------------------------------------------------------------------------------

const kFilters = ['q', 'truth', 'class', 'in', 'min', 'max', 'status', 'sort'];

/** The filters live in the address, so that what is shown can be bookmarked and "back" works. */
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of kFilters) {
    const control = $(name);
    control.value = given.get(name) || (control.options ? control.options[0].value : '');
    if (control.options && control.selectedIndex < 0) control.selectedIndex = 0;
  }
}

const isSet = (control) => control.value !== '' && control.selectedIndex !== 0;

function writeAddress() {
  const state = new URLSearchParams();
  for (const name of kFilters) if (isSet($(name))) state.set(name, $(name).value);
  history.replaceState(null, '', `#${state}`);
}

const kStatuses = {
  '': () => true,
  ok: (row) => row.record.status === 'ok',
  warning: (row) => row.record.warnings !== undefined,
  error: (row) => row.record.status === 'error',
  right: (row) => row.truth !== undefined && isRight(row),
  wrong: (row) => isKnown(row) && !isRight(row),
};

/** Wrong ones, what failed, right ones. */
const rank = (row) => (kStatuses.wrong(row) ? 0 : row.record.error ? 1 : 2);

const kOrders = {
  wrong: (a, b) => rank(a) - rank(b) || (rank(a) === 2 ? a.confidence - b.confidence : b.confidence - a.confidence),
  input: (a, b) => a.number - b.number,
  path: (a, b) => compare(a.record.path, b.record.path),
  class: (a, b) => compare(a.label === '', b.label === '') || compare(a.label, b.label) || b.confidence - a.confidence,
  highest: (a, b) => b.confidence - a.confidence,
  lowest: (a, b) => (a.first < 0) - (b.first < 0) || a.confidence - b.confidence,
  margin: (a, b) => a.margin - b.margin,
};

function passes() {
  const words = $('q').value.toLowerCase();
  const index = $('class').value === '' ? -1 : Number($('class').value);
  const truth = $('truth').value === '' ? -1 : Number($('truth').value);
  const anywhere = $('in').value === 'any';
  const min = $('min').value === '' ? -Infinity : Number($('min').value) / 100;
  const max = $('max').value === '' ? Infinity : Number($('max').value) / 100;
  const bounded = !run.scores && (min > -Infinity || max < Infinity);
  const status = $('status').value;
  const hasStatus = kStatuses[status] || ((row) => row.record.error !== undefined && row.record.error.code === status);
  return (row) =>
    hasStatus(row) && row.folded.includes(words) && (truth < 0 || row.truth === truth) &&
    (index < 0 || (run.independent ? row.has.includes(index) : row.first === index) || (anywhere && (row.record.top || []).some((guess) => guess.index === index))) &&
    (!bounded || (row.confidence >= min && row.confidence <= max && row.first >= 0));
}

function update() {
  shown = rows.filter(passes()).sort((a, b) => kOrders[$('sort').value](a, b) || a.number - b.number);
  $('count').textContent = `${shown.length.toLocaleString('en')} of ${plural(rows.length, 'image')}`;
  $('empty').hidden = shown.length > 0;
  writeAddress();
  $('fold').textContent = `Filters${kFilters.some((name) => name !== 'sort' && isSet($(name))) ? ' (set)' : ''}`;
  for (const chart of charts) chart();
  list.reset();
}

function set(changes) {
  for (const [name, value] of Object.entries(changes)) $(name).value = value;
  update();
}

// ---- Start ----------------------------------------------------------------------------------------------------------

addEventListener('DOMContentLoaded', () => {
  readRecords();
  const counts = {};
  for (const [name, has] of Object.entries(kStatuses)) counts[name] = rows.filter(has).length;
  folder = commonFolder();
  document.title = run.evaluation ? `How right: ${visible(folder) || run.model}` : visible(folder) || 'Images and their classes';
  $('title').replaceChildren(run.evaluation ? 'How often the model is right' : 'Images and their classes',
                             ...(folder ? [' in ', text(folder.replace(/(?<=.)\/$/, ''), 'place')] : []));
  setUpTotals(counts);
  setUpFilters(counts);
  setUpCharts();
  $('overview').open = innerWidth > 560 || innerHeight > 1000;
  list.setUp();
  details.setUp();
  readAddress();
  update();

  $('filters').addEventListener('input', update);
  $('filters').addEventListener('submit', (event) => event.preventDefault());
  $('filters').addEventListener('reset', () => setTimeout(update));
  $('fold').onclick = () => {
    const open = $('filters').classList.toggle('open');
    $('fold').setAttribute('aria-expanded', open);
  };
  addEventListener('hashchange', () => { readAddress(); update(); });
  $('overview').addEventListener('toggle', () => list.draw());
  addEventListener('keydown', (event) => {
    const typing = ['INPUT', 'SELECT', 'TEXTAREA'].includes(document.activeElement.tagName);
    if (event.key !== '/' || typing || $('details').open) return;
    event.preventDefault();
    $('q').focus();
  });
  document.documentElement.dataset.ready = 'yes';
});
