"use strict";
// Equations as trees, evaluated entry by entry. A number is a pair [value, slope]: the slope belongs to the entry that a derivative steps in.
const source = JSON.parse(document.getElementById("equations").textContent);
for (const input of Object.values(source.inputs)) input.data = input.data.map(Number);  // infinite ones are strings
const start = Object.entries(source.inputs).map(([name, input]) => [name, [...input.data]]);
let memo = new Map(), changed = false;

const BINARY = {
  max: (a, b) => a[0] >= b[0] ? a : b, min: (a, b) => a[0] <= b[0] ? a : b,
  mod: (a, b) => [a[0] - b[0] * Math.floor(a[0] / b[0]), 0],
};
const UNARY = {  // [value, slope]
  ln: x => [Math.log(x), 1 / x], log: x => [Math.log(x), 1 / x], exp: x => [Math.exp(x), Math.exp(x)], sqrt: x => [Math.sqrt(x), 0.5 / Math.sqrt(x)],
  tanh: x => [Math.tanh(x), 1 - Math.tanh(x) ** 2], sinh: x => [Math.sinh(x), Math.cosh(x)], cosh: x => [Math.cosh(x), Math.sinh(x)],
  sin: x => [Math.sin(x), Math.cos(x)], cos: x => [Math.cos(x), -Math.sin(x)], floor: x => [Math.floor(x), 0], abs: x => [Math.abs(x), x < 0 ? -1 : 1],
  erf: x => [erf(x), 2 / Math.sqrt(Math.PI) * Math.exp(-x * x)],
};
const HOLDS = {
  "=": (a, b) => a === b, "!=": (a, b) => a !== b, "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b,
};

function erf(x) {
  if (Math.abs(x) > 5) return Math.sign(x);
  let term = x, total = x;
  for (let n = 1; n < 120; n++) { term *= -x * x / n; total += term / (2 * n + 1); }
  return 2 / Math.sqrt(Math.PI) * total;
}

function power(a, p) {
  const value = a[0] ** p[0];
  const base = a[1] === 0 ? 0 : p[0] * a[0] ** (p[0] - 1) * a[1];
  return [value, base + (p[1] === 0 ? 0 : value * Math.log(a[0]) * p[1])];
}

// at: the value of each letter, and of each axis that equations leave out; seed: the entry that a derivative steps in
function evaluate(tree, at, seed, parameter) {
  const inner = node => evaluate(node, at, seed, parameter);
  switch (tree.t) {
    case "number": return [tree.value, 0];
    case "letter": return [at[tree.name], 0];
    case "parameter": return parameter;
    case "name": return entry(tree.name, place(tree, at, seed, parameter), seed);
    case "add": return tree.terms.reduce((sum, [sign, term]) => { const x = inner(term); return [sum[0] + sign * x[0], sum[1] + sign * x[1]]; }, [0, 0]);
    case "product": return product(tree.factors, inner);
    case "power": return power(inner(tree.base), inner(tree.exponent));
    case "relation": {
      const sides = tree.sides.map(side => inner(side)[0]);
      return [Number(tree.relations.every((relation, i) => HOLDS[relation](sides[i], sides[i + 1]))), 0];
    }
    case "reduce": return reduced(tree, at, seed, parameter);
    case "partial": {
      const where = place(tree.by, at, null, parameter);
      return [evaluate(tree.body, at, { name: tree.by.name, where: where.join() }, parameter)[1], 0];
    }
    case "call": return call(tree, tree.arguments.map(inner), at, seed);
  }
}

function product(factors, inner) {
  let result = [1, 0];
  for (const [operator, factor] of factors) {
    if (result[0] === 0 && result[1] === 0 && operator === "*") continue;  // what a condition excludes may have no value
    const x = inner(factor);
    result = operator === "/" ? [result[0] / x[0], (result[1] * x[0] - result[0] * x[1]) / (x[0] * x[0])]
      : [result[0] * x[0], result[0] * x[1] + result[1] * x[0]];
  }
  return result;
}

function reduced(tree, at, seed, parameter) {
  let terms = [];
  for (let i = 0; i < tree.size; i++) {
    const here = { ...at, [tree.index]: i };
    if (!tree.condition || evaluate(tree.condition, here, seed, parameter)[0]) terms.push(evaluate(tree.body, here, seed, parameter));
  }
  if (tree.kind === "max" || tree.kind === "min") return terms.reduce(BINARY[tree.kind]);
  if (tree.kind === "prod") return terms.reduce((a, b) => [a[0] * b[0], a[0] * b[1] + a[1] * b[0]], [1, 0]);
  const n = tree.kind === "mean" ? tree.size : 1;
  return terms.reduce((a, b) => [a[0] + b[0] / n, a[1] + b[1] / n], [0, 0]);
}

function call(tree, values, at, seed) {
  const derived = tree.function.endsWith("'"), name = derived ? tree.function.slice(0, -1) : tree.function;
  const own = source.functions[name];
  if (own && derived) return [evaluate(own.tree, at, null, [values[0][0], 1])[1], 0];
  if (own) return evaluate(own.tree, at, seed, values[0]);
  if (values.length === 2) return BINARY[name](...values);
  const [value, slope] = UNARY[name](values[0][0]);
  return [value, values[0][1] === 0 ? 0 : slope * values[0][1]];
}

// The indices of a name's array, in the order of its axes: those that are written, and those of the axes that equations leave out.
function place(tree, at, seed, parameter) {
  const axes = (source.definitions[tree.name] || source.inputs[tree.name]).axes, indices = [...tree.at];
  return axes.map(axis => /^\d+$/.test(axis) || axis.length === 1 ? evaluate(indices.shift(), at, seed, parameter)[0] : at[axis]);
}

function entry(name, where, seed) {
  const slope = seed && seed.name === name && seed.where === where.join() ? 1 : 0;
  const input = source.inputs[name];
  if (input) return [input.data[where.reduce((offset, index, n) => offset * input.shape[n] + index, 0)], slope];
  const key = `${name} ${where} ${seed ? seed.name + seed.where : ""}`;
  if (!memo.has(key)) {
    const definition = source.definitions[name];
    const value = evaluate(definition.tree, Object.fromEntries(definition.axes.map((axis, n) => [axis, where[n]])), seed, null);
    memo.set(key, seed && seed.name === name ? [value[0], slope] : value);
  }
  return memo.get(key);
}

function computed(shown) {
  const walk = (n, at) => n === shown.axes.length ? evaluate(shown.tree, at, null, null)[0]
    : Array.from({ length: shown.shape[n] }, (_, i) => walk(n + 1, { ...at, [shown.axes[n]]: i }));
  return walk(0, {});
}

function rounded(x) {
  if (!Number.isFinite(x)) return String(x).replace("Infinity", "inf").replace("NaN", "nan");
  return (Math.abs(x) < 5e-5 ? 0 : x).toFixed(4);
}

function written(label, axes, shape, value) {
  const kept = axes.filter((axis, n) => shape[n] > 1 || axis.length <= 2);  // as the page was written: without the others of length 1
  const lengths = shape.filter((length, n) => length > 1 || axes[n].length <= 2);
  const flat = [value].flat(Infinity), fold = (n, first, size) => n === lengths.length ? flat[first]
    : Array.from({ length: lengths[n] }, (_, i) => fold(n + 1, first + i * size / lengths[n], size / lengths[n]));
  if (flat.length > 24) return `${label}: ${lengths.join(" x ")} numbers`;
  [axes, value] = [kept, fold(0, 0, flat.length)];
  const cells = [], collect = v => Array.isArray(v) ? v.forEach(collect) : cells.push(rounded(v).length);
  collect(value);
  const width = Math.max(...cells), letters = axes.filter(axis => !axis.startsWith("-"));
  const head = `${label}${letters.length ? ` (${letters.join(", ")})` : ""} = `;
  const text = (v, indent) => !Array.isArray(v) ? rounded(v).padStart(width)
    : !Array.isArray(v[0]) ? `[${v.map(x => text(x)).join(" ")}]`
    : `[${v.map(x => text(x, indent + 1)).join("\n" + " ".repeat(indent + 1))}]`;
  return head + text(value, head.length);
}

function show() {
  memo = new Map();
  for (const box of document.querySelectorAll("pre[data-lines]")) {
    const entries = box.dataset.lines.split(" ").flatMap(line => source.shown[line] || []);
    const seen = new Set();
    box.textContent = entries.filter(e => !seen.has(e.label) && seen.add(e.label)).map(e => written(e.label, e.axes, e.shape, computed(e))).join("\n");
  }
  for (const note of document.querySelectorAll(".changed")) note.hidden = !changed;
}

for (const field of document.querySelectorAll("input[data-input]")) {
  field.addEventListener("input", () => {
    const value = field.value.trim() === "" ? NaN : Number(field.value);
    field.setAttribute("aria-invalid", String(!Number.isFinite(value)));
    if (!Number.isFinite(value)) return;
    source.inputs[field.dataset.input].data[Number(field.dataset.place)] = value;
    changed = true;
    show();
  });
}
const back = document.getElementById("back");
if (back) back.addEventListener("click", () => {
  for (const [name, data] of start) source.inputs[name].data = [...data];
  for (const field of document.querySelectorAll("input[data-input]:enabled")) {
    field.value = source.inputs[field.dataset.input].data[Number(field.dataset.place)];
    field.setAttribute("aria-invalid", "false");
  }
  changed = false;
  show();
});
document.documentElement.dataset.live = "ready";
