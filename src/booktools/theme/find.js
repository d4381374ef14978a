// Finds the sections of the book that answer a query. Runs in the reader's browser, and in Node.
import MiniSearch from "minisearch";
import { stemmer } from "stemmer";
import { SCRIPTS } from "./scripts.js";

const FIELDS = { title: 3, above: 1, terms: 1.5, text: 1, lead: 0.4, aside: 0.3 };
const SAME = 0.7; // what another name of a thing counts
const WHOLE = 4; // by how much it counts more that a text has a question of several words as it is
const LEAST = 0.2; // what counts less than this part of the first is not shown
const SHOWN = 180; // characters of a snippet
const SIGN = "(?:(?![⁰¹²³⁴⁵⁶⁷⁸⁹])[\\p{L}\\p{N}])"; // of a word; a power is none of its own
const WORD = new RegExp(`${SIGN}+(?:_${SIGN}+)*`, "gu");
const NUMBER = /^([a-z]*)\.? ?(\d+\.\d+)$/; // 12.7, eq. 12.7, fig 12.2: of what has a number
const SHORT = { eqn: "equation", formula: "equation", thm: "theorem", def: "definition" };
const SUBSCRIPT = /(?<![\p{L}\p{N}])(\p{L})_\{?([\p{L}\p{N}])/gu; // h_0, h_{t-1}

const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
const spelt = (word) => word.replace(/(?<=\w{3})iz(?=(?:e|ed|er|es|ing|ations?|ers)$)/, "is");
const stem = (word) => (/^[a-z]{3,}$/.test(word) ? stemmer(spelt(word)) : word);

// The words of a text as they are compared, each with its place in the text.
const wordsOf = (text) => {
  const marked = text.replace(SUBSCRIPT, (whole, letter, index) => letter + index.padEnd(whole.length - 1, " "));
  const found = [];
  for (const { 0: written, index } of marked.matchAll(WORD)) {
    const word = folded(written);
    found.push({ word: stem(word), written: word, from: index, to: index + written.length });
    if (!word.includes("_")) continue;
    for (const part of word.split("_")) found.push({ ...found.at(-1), word: stem(part) });
  }
  return found;
};

// The sections of the book in one list, each with its weight, and where it stands.
const listed = (book, weights) =>
  book.flatMap(({ page, number, lead, sections }) =>
    sections.map((section) => {
      const [name, folder] = page.split("/").reverse();
      const chapter = [number, sections[0].title].filter(Boolean).join(" ");
      const inner = section.above.slice(1);
      const depth = 0.93 ** Math.max(0, inner.length);
      const parts = [section.title, ...inner].map((title) => weights.sections[title] ?? 1);
      return {
        ...section,
        page,
        lead,
        path: section.id ? [chapter, ...inner] : [],
        shown: section.id ? section.title : chapter,
        weight: depth * (weights.pages[name] ?? weights.pages[folder] ?? 1) * Math.min(...parts),
      };
    }),
  );

export const finder = ({ book, words }) => {
  const sections = listed(book, words.weights);
  const index = new MiniSearch({
    fields: Object.keys(FIELDS),
    idField: "key",
    extractField: (section, field) =>
      Array.isArray(section[field]) ? section[field].join(" / ") : section[field],
    tokenize: (text) => wordsOf(text).map(({ word }) => word),
    processTerm: (word) => word,
  });
  index.addAll(sections.map((section, key) => ({ ...section, key })));

  // All words of a section, in their order: a phrase is found where they follow one another.
  const streams = sections.map((section) =>
    Object.keys(FIELDS)
      .map((field) => ` ${wordsOf([section[field]].flat().join(" / ")).map(({ word }) => word).join(" ")} `)
      .join("/"),
  );
  const holds = (key, terms) => streams[key].includes(` ${terms.join(" ")} `);

  const names = new Map(); // of the package: with and without their class
  const places = new Map(); // labels and numbers
  sections.forEach((section, key) => {
    if (!section.name) return;
    names.set(folded(section.name), key);
    names.set(`bptt.${folded(section.name)}`, key);
  });
  for (const { page, number, places: found } of book) {
    if (number) places.set(`chapter ${number}`, { page, id: "", name: `chapter ${number}` });
    for (const [name, id] of Object.entries(found)) {
      const label = id.replace(/^equation-/, "");
      const place = { page, id, name };
      for (const key of [name, label]) places.set(folded(key), place);
    }
  }

  const idle = new Set(words.idle.split(/\s+/).map(stem));
  const phrases = new Map(); // the first word of each phrase: what it is another name of
  for (const group of words.same) {
    const alike = group.map((phrase) => wordsOf(phrase).map(({ word }) => word));
    for (const phrase of alike) {
      const others = alike.filter((other) => other !== phrase);
      const known = phrases.get(phrase[0]) ?? [];
      phrases.set(phrase[0], [...known, { phrase, others }]);
    }
  }

  const cache = new Map();
  const lookUp = (terms, { prefix = false, near = false } = {}) => {
    const key = `${terms.join(" ")}${prefix ? "*" : ""}${near ? "~" : ""}`;
    if (!cache.has(key)) {
      const options = { boost: FIELDS, combineWith: "AND", tokenize: (text) => text.split(" ") };
      const text = terms.join(" ");
      let found = index.search(text, { ...options, prefix });
      for (const slips of near ? [1, 2, 3] : []) {
        if (found.length) break;
        const fuzzy = (term) => Math.min(slips, Math.floor((term.length - 1) / 3)) || false;
        found = index.search(text, { ...options, fuzzy, prefix: (term) => term.length > 3 });
      }
      cache.set(key, found);
    }
    return cache.get(key);
  };

  // A query as units: a word, or a phrase with others of the same meaning.
  const unitsOf = (query) => {
    const given = wordsOf(query).filter(({ from }, k, all) => k === 0 || from !== all[k - 1].from);
    const units = [];
    for (let k = 0; k < given.length; ) {
      const rest = given.slice(k).map(({ word }) => word);
      const fitting = (phrases.get(rest[0]) ?? [])
        .filter(({ phrase }) => phrase.every((word, j) => word === rest[j]))
        .sort((one, other) => other.phrase.length - one.phrase.length);
      const size = fitting[0]?.phrase.length ?? 1;
      const same = fitting.filter(({ phrase }) => phrase.length === size);
      units.push({
        terms: rest.slice(0, size),
        others: same.flatMap(({ others }) => others),
        idle: !same.length && idle.has(rest[0]),
      });
      k += size;
    }
    const telling = units.filter((unit) => !unit.idle);
    return telling.length ? telling : units;
  };

  // What a unit finds: of each section a score, which part of the unit it has, and by what words.
  const foundBy = ({ terms, others }, typed) => {
    const best = new Map();
    const note = (id, score, part, matched) => {
      const known = best.get(id) ?? { score: 0, part: 0, matched: [] };
      known.score = Math.max(known.score, score);
      known.part = Math.max(known.part, part);
      known.matched.push(...matched);
      best.set(id, known);
    };
    const own = new Map(); // word by word
    terms.forEach((term, k) => {
      const prefix = typed && k === terms.length - 1 && term.length > 2;
      for (const { id, score, terms: matched } of lookUp([term], { prefix, near: true })) {
        const known = own.get(id) ?? { score: 0, part: 0, matched: [] };
        known.score += score;
        known.part += 1 / terms.length;
        known.matched.push(...matched);
        own.set(id, known);
      }
    });
    for (const [id, { score, part, matched }] of own) {
      const together = terms.length === 1 || holds(id, terms) ? 1 : 0.5;
      note(id, score * together, part, matched);
    }
    for (const other of others)
      for (const { id, score, terms: matched } of lookUp(other))
        if (holds(id, other)) note(id, (SAME * score * terms.length) / other.length, 1, matched);
    return best;
  };

  const ranked = (query) => {
    const units = unitsOf(query);
    const asked = wordsOf(query).map(({ word }) => word);
    const typing = !/\s$/.test(query);
    const total = units.reduce((sum, { terms }) => sum + terms.length, 0);
    const scores = new Map();
    units.forEach((unit, k) => {
      for (const [id, { score, part, matched }] of foundBy(unit, typing && k === units.length - 1)) {
        const known = scores.get(id) ?? { score: 0, matched: [], covered: 0 };
        known.score += score;
        known.covered += (part * unit.terms.length) / total;
        known.matched.push(...matched);
        scores.set(id, known);
      }
    });
    return [...scores]
      .map(([key, { score, covered, matched }]) => {
        const plain = score * covered * sections[key].weight;
        const whole = asked.length > 1 && holds(key, asked) ? WHOLE : 1;
        return {
          key,
          matched: new Set(matched.filter((word) => !idle.has(word) || units[0].idle)),
          plain, // by which the others are measured
          score: plain * whole,
        };
      })
      .sort((one, other) => other.score - one.score || one.key - other.key)
      .filter(({ plain }, _, all) => plain >= LEAST * Math.max(...all.map((one) => one.plain)));
  };

  // A name of the package comes first, or second where it is a word of the text as well.
  const withName = (query, results) => {
    const asked = folded(query).trim().replace(/\(.*\)$/, "");
    const key = names.get(asked);
    if (key === undefined) return results;
    const entry = results.find((result) => result.key === key) ?? { key, matched: new Set() };
    const others = results.filter((result) => result.key !== key);
    const isWord = others.length && !/[_.]/.test(asked);
    others.splice(isWord ? 1 : 0, 0, entry);
    return others;
  };

  // A text in pieces, those that were found marked; a letter and what stands below or above it stay one.
  const marked = (text, matched, from = 0, to = text.length) => {
    const pieces = [];
    const scripts = [...text.matchAll(SCRIPTS)].map(({ 0: { length }, index }) => [index - 1, index + length]);
    let at = from;
    for (const { word, ...place } of wordsOf(text)) {
      if (!matched.has(word) || place.from < at || place.to > to) continue;
      for (const [start, end] of scripts) {
        if (start >= place.to || end <= place.from) continue;
        place.from = Math.max(at, Math.min(start, place.from));
        place.to = Math.min(to, Math.max(end, place.to));
      }
      if (place.from > at) pieces.push({ text: text.slice(at, place.from) });
      at = place.to;
      pieces.push({ text: text.slice(place.from, at), found: true });
    }
    if (at < to) pieces.push({ text: text.slice(at, to) });
    return pieces;
  };

  // The part of a section's text that has most of what was found.
  const snippet = ({ text, aside = "" }, matched) => {
    const has = (body) => wordsOf(body).some(({ word }) => matched.has(word));
    const body = has(text) || !has(aside) ? text : aside;
    const places = wordsOf(body).filter(({ word }) => matched.has(word));
    let from = 0;
    let most = 0;
    for (const { from: start } of places) {
      const inside = places.filter((place) => place.from >= start && place.to <= start + SHOWN);
      const count = new Set(inside.map(({ word }) => word)).size + inside.length / 100;
      if (count > most) [from, most] = [start, count];
    }
    from = Math.max(0, from - 40);
    if (from) from = body.indexOf(" ", from) + 1;
    let to = Math.min(body.length, from + SHOWN);
    if (to < body.length) to = Math.max(body.lastIndexOf(" ", to), from);
    const pieces = marked(body, matched, from, to);
    if (from) pieces.unshift({ text: "… " });
    if (to < body.length) pieces.push({ text: " …" });
    return pieces;
  };

  const addressOf = ({ page, id }) => `${page}.html${id ? `#${id}` : ""}`;

  // What has the label or the number that is asked for.
  const placesOf = (query) => {
    const asked = folded(query).trim().replace(/[()]/g, "");
    const [, kind, number] = asked.match(NUMBER) ?? [];
    const one = places.get(asked);
    const found = one ? [one] : !number ? [] : [...new Set(places.values())].filter(
      ({ name }) => name.startsWith(SHORT[kind] ?? kind) && name.endsWith(` ${number}`));
    return found.map((place) => {
      const [chapter] = sections.filter(({ page }) => page === place.page);
      const title = [{ text: place.name[0].toUpperCase() + place.name.slice(1), found: true }];
      return { address: addressOf(place), title, path: [chapter.shown], snippet: [] };
    });
  };

  return (query, limit = 50) => {
    const found = withName(query, ranked(query)).map(({ key, matched }) => {
      const section = sections[key];
      return {
        address: addressOf(section),
        title: marked(section.shown, matched),
        path: section.path,
        get snippet() {
          return snippet(section, matched);
        },
      };
    });
    return [...placesOf(query), ...found].slice(0, limit);
  };
};
