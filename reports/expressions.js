"use strict";
// Vega expressions as closures. The page's policy forbids compiling text to code, and vega-interpreter walks the
// syntax tree at every evaluation, which takes a third of the drawing time. This code turns each tree into
// functions once. Functions, constants and restrictions are the same as in vega-interpreter.
const expressionClosures = (() => {
  const constants = {
    NaN, E: Math.E, LN10: Math.LN10, LN2: Math.LN2, LOG10E: Math.LOG10E, LOG2E: Math.LOG2E, PI: Math.PI,
    SQRT1_2: Math.SQRT1_2, SQRT2: Math.SQRT2, MAX_VALUE: Number.MAX_VALUE, MIN_VALUE: Number.MIN_VALUE,
  };

  const unary = { "+": (a) => +a, "-": (a) => -a, "~": (a) => ~a, "!": (a) => !a };

  const binary = {
    "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b, "%": (a, b) => a % b,
    ">": (a, b) => a > b, "<": (a, b) => a < b, ">=": (a, b) => a >= b, "<=": (a, b) => a <= b,
    "==": (a, b) => a == b, "!=": (a, b) => a != b, "===": (a, b) => a === b, "!==": (a, b) => a !== b,
    "&": (a, b) => a & b, "|": (a, b) => a | b, "^": (a, b) => a ^ b,
    "<<": (a, b) => a << b, ">>": (a, b) => a >> b, ">>>": (a, b) => a >>> b,
  };

  const ofText = (name) => (text, ...rest) => String(text)[name](...rest);
  const ofSequence = (name) => (sequence, ...rest) => {
    if (typeof sequence !== "string" && !Array.isArray(sequence)) throw new Error(`${name} wants an array or text`);
    return sequence[name](...rest);
  };
  const ofDate = (name) => (value) => new Date(value)[name]();

  const functions = {
    isNaN: Number.isNaN, isFinite: Number.isFinite, parseFloat, parseInt,
    clamp: (value, low, high) => Math.max(low, Math.min(high, value)),
    now: Date.now, utc: Date.UTC, datetime: (year, month = 0, ...rest) =>
      typeof year === "string" ? new Date(year) : new Date(year, month, ...rest),
    length: (value) => value.length, reverse: (array) => array.slice().reverse(),
    sort: (array) => array.slice().sort((a, b) => (a < b ? -1 : a > b ? 1 : a === b ? 0 : a == null ? -1 : 1)),
    join: ofSequence("join"), indexof: ofSequence("indexOf"), lastindexof: ofSequence("lastIndexOf"),
    slice: ofSequence("slice"), upper: ofText("toUpperCase"), lower: ofText("toLowerCase"),
    substring: ofText("substring"), split: ofText("split"), replace: ofText("replace"), trim: ofText("trim"),
    btoa: (text) => btoa(text), atob: (text) => atob(text), regexp: RegExp,
    test: (pattern, text) => RegExp(pattern).test(text),
    timezoneoffset: ofDate("getTimezoneOffset"), time: ofDate("getTime"),
  };
  for (const name of ["abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "exp", "floor", "hypot", "log", "max",
    "min", "pow", "random", "round", "sin", "sqrt", "tan"]) functions[name] = Math[name];
  for (const [name, part] of Object.entries({ date: "Date", day: "Day", year: "FullYear", month: "Month",
    hours: "Hours", minutes: "Minutes", seconds: "Seconds", milliseconds: "Milliseconds" })) {
    functions[name] = ofDate(`get${part}`);
    functions[`utc${name}`] = ofDate(`getUTC${part}`);
  }

  const ofEvents = new Set(["view", "item", "group", "xy", "x", "y"]);
  const forbidden = new Set([Function, eval, setTimeout, setInterval]);
  const permit = (value) => {
    if (!forbidden.has(value)) return value;
    console.error("an expression may not reach what runs code");
    return undefined;
  };

  // Each tree becomes a function of (datum, parameters, event, item).
  const make = (node, context) => nodes[node.type](node, (inner) => make(inner, context), context);

  const nodes = {
    Literal: ({ value }) => () => value,
    Identifier: ({ name }) => {
      if (name === "datum") return (datum) => datum;
      if (name === "event") return (datum, params, event) => event;
      if (name === "item") return (datum, params, event, item) => item;
      if (Object.hasOwn(constants, name)) return () => constants[name];
      const key = `$${name}`;
      return (datum, params) => params[key];
    },
    MemberExpression: ({ object, property, computed }, inner) => {
      const of = inner(object);
      if (!computed) return (d, p, e, i) => permit(of(d, p, e, i)[property.name]);
      const key = inner(property);
      return (d, p, e, i) => permit(of(d, p, e, i)[key(d, p, e, i)]);
    },
    CallExpression: ({ callee, arguments: given }, inner, context) => {
      const name = callee.name.replace(/^_/, "");
      const [a, b, c] = given.map(inner);
      if (name === "if") return (d, p, e, i) => (a(d, p, e, i) ? b(d, p, e, i) : c(d, p, e, i));
      const all = given.map(inner);
      if (ofEvents.has(name)) return (d, p, e, i) => e.vega[name](...all.map((one) => one(d, p, e, i)));
      const known = context.functions;
      const called = known[name] ?? functions[name];
      if (!called) throw new Error(`unknown function in an expression: ${name}`);
      if (all.length === 1) return (d, p, e, i) => called.call(known, a(d, p, e, i));
      if (all.length === 2) return (d, p, e, i) => called.call(known, a(d, p, e, i), b(d, p, e, i));
      return (d, p, e, i) => called.apply(known, all.map((one) => one(d, p, e, i)));
    },
    ArrayExpression: ({ elements }, inner) => {
      const all = elements.map(inner);
      return (d, p, e, i) => all.map((one) => one(d, p, e, i));
    },
    ObjectExpression: ({ properties }, inner) => {
      const all = properties.map(({ key, value }) => [key.name ?? key.value, inner(value)]);
      return (d, p, e, i) => {
        const made = {};
        for (const [key, one] of all) made[key] = permit(one(d, p, e, i));
        return made;
      };
    },
    UnaryExpression: ({ operator, argument }, inner) => {
      const apply = unary[operator], a = inner(argument);
      return (d, p, e, i) => apply(a(d, p, e, i));
    },
    BinaryExpression: ({ operator, left, right }, inner) => {
      const apply = binary[operator], a = inner(left), b = inner(right);
      return (d, p, e, i) => apply(a(d, p, e, i), b(d, p, e, i));
    },
    LogicalExpression: ({ operator, left, right }, inner) => {
      const a = inner(left), b = inner(right);
      if (operator === "&&") return (d, p, e, i) => a(d, p, e, i) && b(d, p, e, i);
      return (d, p, e, i) => a(d, p, e, i) || b(d, p, e, i);
    },
    ConditionalExpression: ({ test, consequent, alternate }, inner) => {
      const a = inner(test), b = inner(consequent), c = inner(alternate);
      return (d, p, e, i) => (a(d, p, e, i) ? b(d, p, e, i) : c(d, p, e, i));
    },
  };

  // What is given by two ends, or by its middle, becomes a position and a size.
  const place = (item, channels, swap) => {
    for (const [start, end, middle, size] of [["x", "x2", "xc", "width"], ["y", "y2", "yc", "height"]]) {
      if (channels[end] && channels[start]) {
        if (swap && item[start] > item[end]) [item[start], item[end]] = [item[end], item[start]];
        item[size] = item[end] - item[start];
      } else if (channels[end]) {
        item[start] = item[end] - (item[size] || 0);
      }
      if (channels[middle]) item[start] = item[middle] - (item[size] || 0) / 2;
    }
  };

  return {
    operator: (context, { ast }) => {
      const value = make(ast, context);
      return (params) => value(undefined, params);
    },
    parameter: (context, { ast }) => {
      const value = make(ast, context);
      return (datum, params) => value(datum, params);
    },
    event: (context, { ast }) => {
      const value = make(ast, context);
      return (event) => value(undefined, undefined, event);
    },
    handler: (context, { ast }) => {
      const value = make(ast, context);
      return (params, event) => value(event.item && event.item.datum, params, event, event.item);
    },
    encode: (context, { marktype, channels }) => {
      const made = Object.entries(channels).map(([name, { ast }]) => [name, make(ast, context)]);
      const swap = marktype === "group" || marktype === "image" || marktype === "rect";
      return (item, params) => {
        let changed = 0;
        for (const [name, value] of made) {
          const found = value(item.datum, params, undefined, item);
          if (item[name] === found) continue;
          item[name] = found;
          changed = 1;
        }
        if (marktype !== "rule") place(item, channels, swap);
        return changed;
      };
    },
  };
})();
