'use strict';

// Records hold what file names and labels hold, so they reach the page as text only, never as markup.

/** Every record of the page: what is needed to filter and sort, and the record itself. */
const rows = [];
/** Rows that pass the filters, in the order shown. */
let shown = [];
let run = {};

const $ = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.001 ? 3 : 1)} %`;
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

// ---- Filters --------------------------------------------------------------------------------------------------------

const kFilters = ['q', 'class', 'in', 'min', 'max', 'status', 'sort'];

/** The filters live in the address, so that what is shown can be bookmarked and "back" works. */
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of kFilters) {
    const control = $(name);
    control.value = given.get(name) || (control.options ? control.options[0].value : '');
    if (control.options && control.selectedIndex < 0) control.selectedIndex = 0;
  }
}

function writeAddress() {
  const state = new URLSearchParams();
  for (const name of kFilters) {
    const control = $(name);
    if (control.value && control.selectedIndex !== 0) state.set(name, control.value);
  }
  history.replaceState(null, '', `#${state}`);
}

const kStatuses = {
  '': () => true,
  ok: (row) => row.record.status === 'ok',
  warning: (row) => row.record.warnings !== undefined,
  error: (row) => row.record.status === 'error',
  right: (row) => row.truth !== undefined && isRight(row),
  wrong: (row) => row.truth !== undefined && row.first >= 0 && !isRight(row),
};

const kOrders = {
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
  const anywhere = $('in').value === 'any';
  const min = $('min').value === '' ? -Infinity : Number($('min').value) / 100;
  const max = $('max').value === '' ? Infinity : Number($('max').value) / 100;
  const bounded = !run.scores && (min > -Infinity || max < Infinity);
  const status = $('status').value;
  const hasStatus = kStatuses[status] || ((row) => row.record.error !== undefined && row.record.error.code === status);
  return (row) =>
    hasStatus(row) && row.folded.includes(words) &&
    (index < 0 || row.first === index || (anywhere && (row.record.top || []).some((guess) => guess.index === index))) &&
    (!bounded || (row.confidence >= min && row.confidence <= max && row.first >= 0));
}

function update() {
  shown = rows.filter(passes()).sort((a, b) => kOrders[$('sort').value](a, b) || a.number - b.number);
  $('count').textContent = `${shown.length.toLocaleString('en')} of ${plural(rows.length, 'image')}`;
  $('empty').hidden = shown.length > 0;
  writeAddress();
  drawHistogram();
  for (const button of document.querySelectorAll('.class'))
    button.setAttribute('aria-pressed', button.dataset.index === $('class').value);
  list.reset();
}

function set(changes) {
  for (const [name, value] of Object.entries(changes)) $(name).value = value;
  update();
}

// ---- The run as a whole ---------------------------------------------------------------------------------------------

const kBins = 20;

function histogramOf(some) {
  const bins = new Array(kBins).fill(0);
  for (const row of some)
    if (row.first >= 0) bins[Math.min(kBins - 1, Math.floor(row.confidence * kBins))]++;
  return bins;
}

/** Pale: all images; strong: those shown. Scores have no range to divide. */
function drawHistogram() {
  $('confidence-panel').hidden = $('confidence-filter').hidden = Boolean(run.scores);
  if (run.scores) return;
  const all = histogramOf(rows), now = histogramOf(shown), top = Math.max(1, ...all);
  const height = (count) => `${count === 0 ? 0 : Math.max(1.5, 100 * count / top)}%`;
  const from = (bin) => 100 * bin / kBins;
  $('histogram').replaceChildren(...all.map((count, bin) => {
    const range = `${from(bin)} to ${from(bin + 1)} %`;
    const said = `${range}: ${plural(count, 'image')}${now[bin] === count ? '' : `, ${now[bin]} shown`}`;
    const bars = [element('i'), element('i')];
    bars[0].style.height = height(count);
    bars[1].style.height = height(now[bin]);
    const button = element('button', {type: 'button', title: said, 'aria-label': said}, ...bars);
    button.onclick = () => {
      const again = Number($('min').value) === from(bin) && Number($('max').value) === from(bin + 1);
      set(again ? {min: '', max: ''} : {min: from(bin), max: from(bin + 1)});
      $('histogram').children[bin].focus();
    };
    return button;
  }));
  const confident = shown.filter((row) => row.first >= 0).map((row) => row.confidence).sort((a, b) => a - b);
  $('histogram-text').textContent = confident.length === 0 ? '' :
    `Of those shown, half are at ${percent(confident[Math.floor(confident.length / 2)])} or more.`;
}

function total(name, value, bad = false) {
  return element('div', {className: bad ? 'bad' : ''}, element('dt', {}, name), element('dd', {}, value));
}

function drawTotals(counts) {
  const totals = [total('images', rows.length.toLocaleString('en')), total('classified', counts.ok.toLocaleString('en'))];
  if (counts.warning) totals.push(total('with warnings', counts.warning.toLocaleString('en')));
  totals.push(total('errors', counts.error.toLocaleString('en'), counts.error > 0));
  const known = counts.right + counts.wrong;
  if (known) totals.push(total('right at first', percent(counts.right / known)));
  $('totals').replaceChildren(...totals);
  $('about').textContent = `${run.program}, ${run.model}; made ${new Date(document.lastModified).toLocaleString()}`;
  const end = $('end');
  if (end && JSON.parse(end.textContent).complete) return;
  $('notice').textContent = 'The run was cut short: this is what it had done by then.';
  $('notice').hidden = false;
}

/** How many rows have each key, most frequent first. */
function tally(some, key) {
  const counts = new Map();
  for (const row of some) counts.set(key(row), (counts.get(key(row)) || 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || compare(a[0], b[0]));
}

function drawClasses() {
  const classified = rows.filter(kStatuses.ok).filter((row) => row.first >= 0);
  const names = new Map(rows.map((row) => [row.first, row.label]));
  const classes = tally(classified, (row) => row.first);
  const kAtOnce = 200;
  const draw = (from, to) => classes.slice(from, to).map(([index, count]) => {
    const button = element('button', {type: 'button', className: 'class', 'data-index': index},
                           text(names.get(index)), element('span', {className: 'number'}, count.toLocaleString('en')));
    button.style.setProperty('--share', `${100 * count / classes[0][1]}%`);
    button.onclick = () => set({class: $('class').value === String(index) ? '' : index});
    return button;
  });
  $('classes').replaceChildren(...draw(0, kAtOnce));
  if (classes.length > kAtOnce) {
    const rest = element('button', {type: 'button'}, `${classes.length - kAtOnce} more`);
    rest.onclick = () => rest.replaceWith(...draw(kAtOnce, classes.length));
    $('classes').append(rest);
  }
  // The filter also offers what is never first.
  for (const row of rows) for (const guess of row.record.top || []) names.set(guess.index, guess.label);
  names.delete(-1);
  const counts = new Map(classes);
  const options = [...names].sort((a, b) => compare(a[1].toLowerCase(), b[1].toLowerCase()) || a[0] - b[0]);
  $('class').replaceChildren(element('option', {value: ''}, 'all'), ...options.map(
    ([index, label]) => element('option', {value: index}, `${visible(label)} (${counts.get(index) || 0})`)));
}

function drawErrors(counts) {
  const failed = rows.filter(kStatuses.error);
  const codes = tally(failed, (row) => row.record.error.code);
  const options = [['', 'all'], ['ok', `classified (${counts.ok})`]];
  if (counts.warning) options.push(['warning', `with warnings (${counts.warning})`]);
  options.push(['error', `error (${counts.error})`]);
  if (counts.right + counts.wrong) options.push(['right', `right (${counts.right})`], ['wrong', `wrong (${counts.wrong})`]);
  for (const [code, count] of codes) options.push([code, `${code} (${count})`]);
  $('status').replaceChildren(...options.map(([value, name]) => element('option', {value}, name)));
  if (failed.length === 0) return;

  $('errors-panel').hidden = false;
  $('error-codes').replaceChildren(...codes.map(([code, count]) => {
    const button = element('button', {type: 'button'}, `${code} `, element('span', {className: 'number'}, String(count)));
    button.onclick = () => set({status: code});
    return button;
  }));
  const kListed = 100;
  $('errors').replaceChildren(...failed.slice(0, kListed).map((row) => {
    const button = element('button', {type: 'button'}, text(row.record.path), text(row.record.error.message, 'message'));
    button.onclick = () => details.open(row, button);
    return element('li', {}, button);
  }));
  if (failed.length > kListed) {
    const rest = element('button', {type: 'button'}, `${failed.length - kListed} more: show all errors below`);
    rest.onclick = () => set({status: 'error'});
    $('errors').append(element('li', {}, rest));
  }
}

// ---- The list: only what is in view exists --------------------------------------------------------------------------

function guessLine(row, guess) {
  const right = row.truth === guess.index;
  const line = element('span', {className: right ? 'guess right' : 'guess'}, text(guess.label),
                       element('span', {className: 'number'}, shownMeasure(measure(guess))));
  if (!run.scores) line.style.setProperty('--share', `${100 * guess.probability}%`);
  return line;
}

function card(row) {
  const {record} = row;
  const cut = record.path.lastIndexOf('/') + 1;
  const name = element('span', {className: 'line name'}, text(record.path.slice(cut)));
  if (record.warnings) name.prepend(element('span', {className: 'flag', title: visible(record.warnings.join('\n'))}, '⚠ '));
  const body = element('span', {className: 'body'}, name,
                       element('span', {className: 'line folder quiet'}, text(record.path.slice(0, cut))));
  if (record.error) {
    body.append(element('span', {className: 'message'}, `${record.error.code}: `, text(record.error.message)));
  } else {
    body.append(...(record.top || []).slice(0, list.guesses).map((guess) => guessLine(row, guess)));
    if (row.truth !== undefined && !isRight(row))
      body.append(element('span', {className: 'line folder message'}, 'is ', text(labelOf(row.truth))));
  }
  return element('button', {type: 'button', className: record.error ? 'card bad' : 'card', title: visible(record.path)},
                 picture(row), body);
}

const list = {
  guesses: 1,  // in each card
  columns: 1,
  height: 120,  // of a card and the gap below it, pixels
  active: 0,    // the card that has or gets the focus
  cards: new Map(),

  /** Of pixels: browsers do not take much taller elements. Beyond, only filters reach what is left. */
  kTallest: 15e6,

  setUp() {
    this.guesses = Math.min(5, rows.reduce((most, row) => Math.max(most, (row.record.top || []).length), 1));
    const hasTruth = rows.some((row) => row.truth !== undefined);
    this.height = Math.max(134, 20 + 42 + 20 * this.guesses + (hasTruth ? 20 : 0)) + 12;
    addEventListener('scroll', () => this.draw(), {passive: true});
    addEventListener('resize', () => this.reset(false));
    $('list').addEventListener('keydown', (event) => this.onKey(event));
  },

  reset(fromTop = true) {
    if (fromTop) this.active = 0;
    const width = $('list').clientWidth;
    this.columns = Math.max(1, Math.floor((width + 12) / (320 + 12)));
    this.cardWidth = (width - 12 * (this.columns - 1)) / this.columns;
    const wanted = Math.ceil(shown.length / this.columns) * this.height;
    $('list').style.height = `${Math.min(wanted, this.kTallest)}px`;
    for (const holder of this.cards.values()) holder.remove();
    this.cards.clear();
    const above = $('list').getBoundingClientRect().top - $('filters').offsetHeight;
    if (fromTop && above < 0) scrollBy(0, above);  // else the first of them would be out of sight
    this.draw();
  },

  draw() {
    const top = -$('list').getBoundingClientRect().top;
    const lines = Math.ceil(Math.min(shown.length * this.height, this.kTallest) / this.height);
    const first = Math.max(0, Math.floor(top / this.height) - 2);
    const last = Math.min(lines, Math.ceil((top + innerHeight) / this.height) + 2);
    const begin = first * this.columns, end = Math.min(shown.length, last * this.columns);
    for (const [index, holder] of this.cards) {
      const kept = (index >= begin && index < end) || holder.contains(document.activeElement);
      if (!kept && this.cards.delete(index)) holder.remove();
    }
    for (let index = begin; index < end; index++) if (!this.cards.has(index)) this.add(index);
    // Tab leads to one card in sight, arrow keys from there to all others.
    if (!this.cards.has(this.active) && begin < end) this.active = Math.min(end - 1, Math.max(begin, first * this.columns));
    for (const [index, holder] of this.cards) holder.firstChild.tabIndex = index === this.active ? 0 : -1;
  },

  add(index) {
    const button = card(shown[index]);
    button.onclick = () => { this.active = index; details.open(shown[index], button); };
    button.onfocus = () => { this.active = index; };
    const holder = element('div', {role: 'listitem', 'aria-setsize': shown.length, 'aria-posinset': index + 1}, button);
    const column = index % this.columns;
    holder.style.cssText = `top:${Math.floor(index / this.columns) * this.height}px;left:${column * (this.cardWidth + 12)}px;` +
                           `width:${this.cardWidth}px;height:${this.height - 12}px`;
    this.cards.set(index, holder);
    // In the order of the list, for who reads it aloud.
    const after = [...this.cards.keys()].filter((other) => other > index).sort((a, b) => a - b)[0];
    $('list').insertBefore(holder, after === undefined ? null : this.cards.get(after));
  },

  /** Brings a card into view and gives it the focus. */
  go(index) {
    const to = Math.max(0, Math.min(shown.length - 1, index));
    const place = $('list').getBoundingClientRect().top + Math.floor(to / this.columns) * this.height;
    const sticky = getComputedStyle($('filters')).position === 'sticky' ? $('filters').offsetHeight + 12 : 12;
    if (place < sticky) scrollBy(0, place - sticky);
    else if (place + this.height > innerHeight) scrollBy(0, place + this.height - innerHeight);
    this.active = to;
    this.draw();
    if (this.cards.has(to)) this.cards.get(to).firstChild.focus({preventScroll: true});
  },

  onKey(event) {
    const page = this.columns * Math.max(1, Math.floor(innerHeight / this.height) - 1);
    const steps = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns, ArrowUp: -this.columns, PageDown: page, PageUp: -page,
                   Home: -Infinity, End: Infinity};
    if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    this.go(this.active + steps[event.key]);
  },
};

// ---- One image ------------------------------------------------------------------------------------------------------

const details = {
  row: null,
  opener: null,

  setUp() {
    $('previous').onclick = () => this.step(-1);
    $('next').onclick = () => this.step(1);
    $('details').addEventListener('keydown', (event) => {
      if (event.key === 'ArrowLeft') this.step(-1);
      if (event.key === 'ArrowRight') this.step(1);
    });
    $('details').addEventListener('close', () => {
      const at = shown.indexOf(this.row);
      if (at >= 0 && $('list').contains(this.opener)) list.go(at);
      else if (this.opener && this.opener.isConnected) this.opener.focus();
    });
  },

  open(row, opener) {
    this.opener = opener;
    this.draw(row);
    $('details').showModal();
    $('close').focus();
  },

  step(by) {
    const next = shown[shown.indexOf(this.row) + by];
    if (next && shown.includes(this.row)) this.draw(next);
  },

  draw(row) {
    const {record} = row;
    this.row = row;
    const facts = element('div', {}, element('h2', {id: 'details-name'}, text(record.path)));
    const line = (...content) => facts.append(element('p', {}, ...content));
    if (record.error) line(element('span', {className: 'message'}, `${record.error.code}: `, text(record.error.message)));
    else line(`${record.width} × ${record.height} pixels` +
              (record.orientation ? `, turned upright from EXIF orientation ${record.orientation}` : ''));
    for (const warning of record.warnings || []) line(element('span', {className: 'flag'}, '⚠ ', text(warning)));
    if (row.truth !== undefined) line('Is ', text(labelOf(row.truth)));
    if (record.timings_ms)
      line(Object.entries(record.timings_ms).map(([name, ms]) => `${name} ${ms.toFixed(2)} ms`).join(', '));
    if (record.archive !== undefined) line('In the archive ', text(record.archive));
    else line(element('a', {href: linkTo(record), target: '_blank', rel: 'noreferrer noopener'}, 'Open the file'));
    facts.append(element('div', {className: 'scroll'}, ...(record.top || []).map((guess) => guessLine(row, guess))));
    $('details-body').replaceChildren(picture(row), facts);
    $('details').className = record.error ? 'bad' : '';
    const at = shown.indexOf(row);
    $('previous').disabled = at <= 0;
    $('next').disabled = at < 0 || at + 1 >= shown.length;
  },
};

// ---- Start ----------------------------------------------------------------------------------------------------------

addEventListener('DOMContentLoaded', () => {
  readRecords();
  const counts = {};
  for (const [name, has] of Object.entries(kStatuses)) counts[name] = rows.filter(has).length;
  drawTotals(counts);
  drawClasses();
  drawErrors(counts);
  $('overview').open = innerWidth > 560 || innerHeight > 1000;
  list.setUp();
  details.setUp();
  readAddress();
  update();

  $('filters').addEventListener('input', update);
  $('filters').addEventListener('submit', (event) => event.preventDefault());
  $('filters').addEventListener('reset', () => setTimeout(update));
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
