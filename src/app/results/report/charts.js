// ---- The run as a whole: charts of what is shown, which are filters, too ----------------------------------------------

/** What draws each chart anew when other images are shown. */
const charts = [];
const kBins = 20;

function histogramOf(some) {
  const bins = new Array(kBins).fill(0);
  for (const row of some)
    if (row.first >= 0) bins[Math.min(kBins - 1, Math.floor(row.confidence * kBins))]++;
  return bins;
}

/** Pale: all images; strong: those shown. Scores have no range to divide. */
function setUpHistogram() {
  $('confidence-panel').hidden = $('confidence-filter').hidden = Boolean(run.scores);
  if (run.scores) return;
  if (run.independent) $('confidence-title').textContent = 'Probability of the most probable label';
  const all = histogramOf(rows), top = Math.max(1, ...all);
  const height = (count) => `${count === 0 ? 0 : Math.max(1.5, 100 * count / top)}%`;
  const from = (bin) => 100 * bin / kBins;
  const buttons = all.map((count, bin) => {
    const bars = [element('i'), element('i')];
    bars[0].style.height = height(count);
    const button = element('button', {type: 'button'}, ...bars);
    button.onclick = () => {
      const again = Number($('min').value) === from(bin) && Number($('max').value) === from(bin + 1);
      set(again ? {min: '', max: ''} : {min: from(bin), max: from(bin + 1)});
    };
    return button;
  });
  $('histogram').replaceChildren(...buttons);
  charts.push(() => {
    const now = histogramOf(shown);
    buttons.forEach((button, bin) => {
      const range = `${from(bin)} to ${from(bin + 1)} %`;
      button.title = `${range}: ${plural(all[bin], 'image')}${now[bin] === all[bin] ? '' : `, ${now[bin]} shown`}`;
      button.setAttribute('aria-label', button.title);
      button.lastChild.style.height = height(now[bin]);
    });
    const confident = shown.filter((row) => row.first >= 0).map((row) => row.confidence).sort((a, b) => a - b);
    $('histogram-text').textContent = confident.length === 0 ? 'None is shown.' :
      `Of those shown, half are at ${percent(confident[Math.floor(confident.length / 2)])} or more.`;
  });
}

/** How many rows have each key, most frequent first. */
function tally(some, key) {
  const counts = new Map();
  for (const row of some) counts.set(key(row), (counts.get(key(row)) || 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || compare(a[0], b[0]));
}

/** How many rows have each class: as their first, or of independent labels each that they have. */
function classCounts(some) {
  const counts = new Map();
  for (const row of some)
    for (const index of run.independent ? row.has : row.first >= 0 ? [row.first] : [])
      counts.set(index, (counts.get(index) || 0) + 1);
  return counts;
}

/** A button with a bar for each of `items`, the first 200 at once. `refresh` gets each item and its button. */
function bars(holder, items, make, refresh) {
  const kAtOnce = 200;
  const made = [];
  const draw = (from, to) => items.slice(from, to).map((item) => {
    const button = make(item);
    made.push([item, button]);
    refresh(item, button);
    return button;
  });
  holder.replaceChildren(...draw(0, kAtOnce));
  if (items.length > kAtOnce) {
    const rest = element('button', {type: 'button'}, `${items.length - kAtOnce} more`);
    rest.onclick = () => rest.replaceWith(...draw(kAtOnce, items.length));
    holder.append(rest);
  }
  return () => made.forEach(([item, button]) => refresh(item, button));
}

function setUpClasses(names) {
  if (run.independent) $('classes-title').textContent = 'Labels at 50 % or more';
  const all = [...classCounts(rows)].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  const most = all.length ? all[0][1] : 1;
  let now = new Map();
  const refresh = bars($('classes'), all, ([index]) => {
    const button = element('button', {type: 'button', className: 'class', 'data-index': index}, text(names.get(index)),
                           element('span', {className: 'number'}));
    button.onclick = () => set({class: $('class').value === String(index) ? '' : index});
    return button;
  }, ([index, count], button) => {
    const here = now.get(index) || 0;
    button.lastChild.textContent = here === count ? count.toLocaleString('en') : `${here.toLocaleString('en')} of ${count.toLocaleString('en')}`;
    button.style.setProperty('--share', `${100 * here / most}%`);
    button.style.setProperty('--all', `${100 * count / most}%`);
    button.setAttribute('aria-pressed', String(index) === $('class').value);
  });
  charts.push(() => { now = classCounts(shown); refresh(); });
}

// ---- Of an evaluation -----------------------------------------------------------------------------------------------

/** Images and right ones of each true class. */
function accuracyOf(some) {
  const classes = new Map();
  for (const row of some.filter(isKnown)) {
    const one = classes.get(row.truth) || {images: 0, right: 0};
    one.images++;
    if (isRight(row)) one.right++;
    classes.set(row.truth, one);
  }
  return classes;
}

function setUpAccuracy() {
  $('accuracy-panel').hidden = false;
  const all = [...accuracyOf(rows)].sort(([a, x], [b, y]) => x.right / x.images - y.right / y.images || a - b);
  let now = new Map();
  const refresh = bars($('accuracy'), all, ([index]) => {
    const button = element('button', {type: 'button', className: 'class'}, text(labelOf(index)), element('span', {className: 'number'}));
    button.onclick = () => set({truth: $('truth').value === String(index) ? '' : index, class: ''});
    return button;
  }, ([index], button) => {
    const here = now.get(index) || {images: 0, right: 0};
    button.lastChild.textContent = here.images === 0 ? 'none shown' :
      `${here.right.toLocaleString('en')} of ${here.images.toLocaleString('en')}, ${percent(here.right / here.images)}`;
    button.style.setProperty('--share', `${here.images ? 100 * here.right / here.images : 0}%`);
    button.style.setProperty('--all', '0%');
    button.setAttribute('aria-pressed', String(index) === $('truth').value);
  });
  charts.push(() => { now = accuracyOf(shown); refresh(); });
}

/** Pairs of true and first class, as "truth,first". */
function pairsOf(some) {
  const pairs = new Map();
  for (const row of some.filter(isKnown)) {
    const key = `${row.truth},${row.first}`;
    pairs.set(key, (pairs.get(key) || 0) + 1);
  }
  return pairs;
}

/** The classes that are most often taken for others, or others for them: as many as fit into a matrix. */
function matrixClasses(pairs) {
  const kMost = 16;
  const wrong = new Map();
  for (const [key, count] of pairs) {
    const [truth, first] = key.split(',').map(Number);
    for (const index of [truth, first]) wrong.set(index, (wrong.get(index) || 0) + (truth === first ? 0 : count));
  }
  const most = [...wrong].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, kMost);
  return {indices: most.map(([index]) => index).sort((a, b) => a - b), left: wrong.size - most.length};
}

function setUpMatrix() {
  const all = pairsOf(rows);
  const {indices, left} = matrixClasses(all);
  $('matrix-panel').hidden = false;
  $('matrix-text').textContent = left > 0 ? `The ${indices.length} classes with the most mistakes; ${left} more have fewer.` : '';
  const heads = indices.map((index) => element('th', {scope: 'col'}, element('span', {}, text(labelOf(index)))));
  const cells = [];
  const lines = indices.map((truth) => element('tr', {}, element('th', {scope: 'row'}, text(labelOf(truth))), ...indices.map((first) => {
    const button = element('button', {type: 'button', className: truth === first ? 'hit' : 'miss'});
    const count = all.get(`${truth},${first}`) || 0;
    if (count === 0) button.tabIndex = -1;
    button.onclick = () => {
      const again = $('truth').value === String(truth) && $('class').value === String(first);
      set(again ? {truth: '', class: ''} : {truth, class: first, in: 'first'});
    };
    cells.push({truth, first, button});
    return element('td', {}, button);
  })));
  $('matrix').replaceChildren(element('thead', {}, element('tr', {}, element('th', {scope: 'col', className: 'corner'}, 'is \u2193  taken for \u2192'), ...heads)),
                              element('tbody', {}, ...lines));
  charts.push(() => {
    const now = pairsOf(shown), ofTruth = accuracyOf(shown);
    for (const {truth, first, button} of cells) {
      const count = now.get(`${truth},${first}`) || 0;
      const images = ofTruth.has(truth) ? ofTruth.get(truth).images : 0;
      button.textContent = count || '';
      button.title = `${visible(labelOf(truth))}, taken for ${visible(labelOf(first))}: ${plural(count, 'image')}`;
      button.setAttribute('aria-label', button.title);
      button.style.setProperty('--depth', images ? `${Math.round(25 + 65 * count / images)}%` : '0%');
      button.classList.toggle('none', count === 0);
      button.setAttribute('aria-pressed', $('truth').value === String(truth) && $('class').value === String(first));
    }
  });
}

// ---- Errors ---------------------------------------------------------------------------------------------------------

function setUpErrors() {
  const failed = rows.filter(kStatuses.error);
  if (failed.length === 0) return;
  $('errors-panel').hidden = false;
  charts.push(() => {
    const now = shown.filter(kStatuses.error);
    $('error-codes').replaceChildren(...tally(failed, (row) => row.record.error.code).map(([code, count]) => {
      const button = element('button', {type: 'button'}, `${code} `, element('span', {className: 'number'}, String(count)));
      button.setAttribute('aria-pressed', $('status').value === code);
      button.onclick = () => set({status: $('status').value === code ? '' : code});
      return button;
    }));
    const kListed = 100;
    $('errors').replaceChildren(...now.slice(0, kListed).map((row) => {
      const {path, error} = row.record;
      const button = element('button', {type: 'button', title: visible(`${path}: ${error.message}`)}, text(path.slice(folder.length), 'line'),
                             text(error.message, 'line message'));
      button.onclick = () => details.open(row, button);
      return element('li', {}, button);
    }));
    if (now.length === 0) $('errors').append(element('li', {className: 'quiet'}, 'None of those shown.'));
    if (now.length > kListed) {
      const rest = element('button', {type: 'button'}, `${now.length - kListed} more: show all errors below`);
      rest.onclick = () => set({status: 'error'});
      $('errors').append(element('li', {}, rest));
    }
  });
}

// ---- What does not change with the filters --------------------------------------------------------------------------

function total(name, value, kind = '') {
  return element('div', {className: kind}, element('dt', {}, name), element('dd', {}, value));
}

function setUpTotals(counts) {
  const totals = [];
  const known = rows.filter(isKnown);
  if (run.evaluation && known.length) {
    const classes = [...accuracyOf(rows).values()];
    totals.push(total('top-1', percent(counts.right / known.length), 'main'));
    if (run.classes > 5) totals.push(total('top-5', percent(known.filter(isInFive).length / known.length), 'main'));
    totals.push(total('mean over classes', percent(classes.reduce((sum, one) => sum + one.right / one.images, 0) / classes.length)));
    totals.push(total('wrong', counts.wrong.toLocaleString('en')));
  }
  totals.push(total('images', rows.length.toLocaleString('en')));
  if (!run.evaluation) totals.push(total('classified', counts.ok.toLocaleString('en')));
  if (counts.warning) totals.push(total('with warnings', counts.warning.toLocaleString('en')));
  if (counts.error || !run.evaluation) totals.push(total('errors', counts.error.toLocaleString('en'), counts.error > 0 ? 'bad' : ''));
  $('totals').replaceChildren(...totals);
  const made = new Date(document.lastModified).toLocaleString(undefined, {dateStyle: 'medium', timeStyle: 'short'});
  $('about').textContent = `${run.model}, ${run.program}, ${made}`;
  const end = $('end');
  if (end && JSON.parse(end.textContent).complete) return;
  $('notice').textContent = 'The run was cut short. These are the images that it had done by then.';
  $('notice').hidden = false;
}

/** The names of all classes in the records. */
function classNames() {
  const names = new Map();
  for (const row of rows) for (const guess of row.record.top || []) names.set(guess.index, guess.label);
  return names;
}

function setUpFilters(counts) {
  const names = classNames(), firsts = classCounts(rows);
  const options = [...names].sort((a, b) => compare(a[1].toLowerCase(), b[1].toLowerCase()) || a[0] - b[0]);
  $('class').replaceChildren(element('option', {value: ''}, 'all'), ...options.map(
    ([index, label]) => element('option', {value: index}, `${visible(label)} (${firsts.get(index) || 0})`)));
  if (run.independent) {
    $('in').options[0].textContent = 'at 50 % or more';
    $('in').options[1].textContent = 'among the first';
  }
  const statuses = [['', 'all'], ['ok', `classified (${counts.ok})`]];
  if (counts.warning) statuses.push(['warning', `with warnings (${counts.warning})`]);
  statuses.push(['error', `error (${counts.error})`]);
  if (run.evaluation) {
    statuses.push(['right', `right (${counts.right})`], ['wrong', `wrong (${counts.wrong})`]);
    const truths = tally(rows.filter((row) => row.truth !== undefined), (row) => row.truth).map(([index, count]) => [index, labelOf(index), count]);
    truths.sort((a, b) => compare(a[1].toLowerCase(), b[1].toLowerCase()) || a[0] - b[0]);
    $('truth').replaceChildren(element('option', {value: ''}, 'all'), ...truths.map(
      ([index, label, count]) => element('option', {value: index}, `${visible(label)} (${count})`)));
    $('truth').parentElement.hidden = false;
    $('in').parentElement.hidden = true;
    $('class-name').textContent = 'Taken for';
    $('sort').prepend(element('option', {value: 'wrong'}, 'wrong ones first'));
  }
  for (const [code, count] of tally(rows.filter(kStatuses.error), (row) => row.record.error.code)) statuses.push([code, `${code} (${count})`]);
  $('status').replaceChildren(...statuses.map(([value, name]) => element('option', {value}, name)));
}

function setUpCharts() {
  setUpHistogram();
  if (run.evaluation) {
    setUpAccuracy();
    setUpMatrix();
    $('classes-panel').hidden = true;
    $('panels').classList.add('evaluation');
  } else {
    setUpClasses(classNames());
  }
  setUpErrors();
}
