// ---- The list: only what is in view exists --------------------------------------------------------------------------

function guessLine(row, guess) {
  const right = row.truth === guess.index;
  const has = run.independent && guess.probability >= 0.5;
  const line = element('span', {className: `guess${right ? ' right' : ''}${has ? ' has' : ''}`}, text(guess.label),
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
  const kind = record.error ? 'card bad' : kStatuses.wrong(row) ? 'card wrong' : 'card';
  return element('button', {type: 'button', className: kind, title: visible(record.path)},
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
    // In the order of the list, for programs that read it aloud.
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

/** The file itself in place of its thumbnail, if this page may open it and it is still there. */
function showOriginal(row, holder) {
  const image = element('img', {alt: '', decoding: 'async'});
  image.onload = () => { if (details.row === row && holder.isConnected) holder.replaceChildren(image); };
  image.src = linkTo(row.record);
}

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
    const holder = picture(row);
    $('details-body').replaceChildren(holder, facts);
    if (!record.error && record.archive === undefined) showOriginal(row, holder);
    $('details').className = record.error ? 'bad' : '';
    const at = shown.indexOf(row);
    $('previous').disabled = at <= 0;
    $('next').disabled = at < 0 || at + 1 >= shown.length;
  },
};
