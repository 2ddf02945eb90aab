/* The editor of a rule: groups and conditions instead of JSON. The text area stays the
   one thing that is sent; without this file, or with a rule it cannot draw, it is used
   as it is. */
(() => {
  "use strict";

  const form = document.getElementById("rule-form");
  if (!form) return;
  const text = document.getElementById("rule-json");
  const builder = document.getElementById("rule-builder");
  const result = document.getElementById("rule-result");
  const catalogue = JSON.parse(document.getElementById("rule-catalogue").textContent);
  const fields = new Map(catalogue.fields.map((one) => [one.key, one]));
  const HOWS = [["all", "all of these"], ["any", "any of these"], ["none", "none of these"]];
  const WAIT_MS = 500; // after the last change, before it is counted
  const LISTED = ["choice", "words"];

  // Parts of the page are made of nodes, never of markup: names are customers' own.
  const make = (tag, given = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(given)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (typeof value === "boolean") made.toggleAttribute(name, value);
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  };
  const options = (pairs, chosen) => pairs.map(([value, label]) =>
    make("option", { value, selected: value === chosen }, label));

  // What the rule is: the same objects and lists as in the JSON.
  let tree = null;
  const isGroup = (node) => "members" in node;
  const begun = {
    choice: () => [], words: () => [], whole: () => 1, number: () => 0, days: () => 30,
    money: () => ({ amount: "0", currency: "" }),
  };
  const fresh = () => {
    const first = fields.get("orders");
    return { field: first.key, op: first.ops[0][0], value: begun[first.kind]() };
  };

  const drawable = (node, depth) => {
    if (node === null || typeof node !== "object") return false;
    if (Array.isArray(node.members)) {
      return depth <= catalogue.deepest && HOWS.some(([how]) => how === node.how)
        && node.members.every((one) =>
          drawable(one, one !== null && typeof one === "object" && "members" in one ? depth + 1 : depth));
    }
    const about = fields.get(node.field);
    if (!about || !about.ops.some(([op]) => op === node.op)) return false;
    if (LISTED.includes(about.kind)) {
      return Array.isArray(node.value) && node.value.every((one) => typeof one === "string");
    }
    if (about.kind === "money") {
      return node.value !== null && typeof node.value === "object"
        && typeof node.value.currency === "string";
    }
    return typeof node.value === "number";
  };

  const understood = () => {
    let found;
    try { found = JSON.parse(text.value); } catch { return null; }
    return found !== null && typeof found === "object" && Array.isArray(found.members)
      && drawable(found, 1) ? found : null;
  };

  // From the drawing to the text, and on to the count.
  const changed = () => {
    text.value = JSON.stringify(tree, null, 2);
    count();
  };

  let places; // where to put the focus after a part was drawn anew
  const draw = (focus) => {
    places = new Map();
    builder.replaceChildren(drawGroup(tree, null, 1));
    if (focus) places.get(focus)?.focus();
  };
  const rebuilt = (focus) => { draw(focus); changed(); };

  const drawGroup = (node, parent, depth) => {
    const how = make("select", {
      "aria-label": "How the members of this group join",
      onchange: () => { node.how = how.value; changed(); },
    }, ...options(HOWS, node.how));
    const add = (member) => { node.members.push(member); rebuilt(member); };
    const addOne = make("button",
      { type: "button", class: "btn sm", onclick: () => add(fresh()) }, "Add a condition");
    const addGroup = make("button", {
      type: "button", class: "btn sm", disabled: depth >= catalogue.deepest,
      onclick: () => add({ how: "any", members: [fresh()] }),
    }, "Add a group");
    places.set(node, how);
    return make("div", { class: "rule-group", role: "group", "aria-label": "Group of conditions" },
      make("div", { class: "row wrap" }, how, ...(parent ? [removal(node, parent, "group")] : [])),
      make("ol", {}, ...node.members.map((one) => make("li", {},
        isGroup(one) ? drawGroup(one, node, depth + 1) : drawCondition(one, node)))),
      make("div", { class: "row wrap" }, addOne, addGroup));
  };

  const removal = (node, parent, what) => make("button", {
    type: "button", class: "btn sm", "aria-label": `Remove this ${what}`,
    onclick: () => {
      parent.members.splice(parent.members.indexOf(node), 1);
      rebuilt(parent);
    },
  }, "Remove");

  const drawCondition = (node, parent) => {
    const about = fields.get(node.field);
    const sections = new Map();
    for (const one of catalogue.fields) {
      if (!sections.has(one.about)) sections.set(one.about, make("optgroup", { label: one.about }));
      sections.get(one.about).append(...options([[one.key, one.label]], node.field));
    }
    const field = make("select", {
      "aria-label": "Fact",
      onchange: () => {
        const next = fields.get(field.value);
        if (next.kind !== about.kind || LISTED.includes(next.kind)) node.value = begun[next.kind]();
        if (!next.ops.some(([op]) => op === node.op)) node.op = next.ops[0][0];
        node.field = next.key;
        rebuilt(node);
      },
    }, ...sections.values());
    const op = make("select", {
      "aria-label": `${about.label}: how`,
      onchange: () => { node.op = op.value; changed(); },
    }, ...options(about.ops, node.op));
    places.set(node, field);
    return make("div", { class: "rule-line" },
      field, op, ...drawValue[about.kind](node, about), removal(node, parent, "condition"));
  };

  const entry = (given, onchange) => make("input", {
    class: "entry", autocomplete: "off", ...given, oninput: onchange,
  });
  const amount = (node, about, step) => [
    entry({
      type: "number", min: String(about.least), max: String(about.most), step,
      inputmode: "decimal", value: String(node.value), "aria-label": about.label,
    }, (event) => {
      node.value = event.target.value === "" ? null : Number(event.target.value);
      changed();
    }),
    make("span", { class: "small quiet" },
      about.unit === "day" || about.unit === "text" ? `${about.unit}s` : about.unit),
  ];

  const drawValue = {
    whole: (node, about) => amount(node, about, "1"),
    days: (node, about) => amount(node, about, "1"),
    number: (node, about) => amount(node, about, "any"),
    money: (node, about) => [
      entry({
        type: "number", min: "0", max: String(about.most), step: "0.01",
        inputmode: "decimal", value: String(node.value.amount), "aria-label": "Amount",
      }, (event) => { node.value.amount = event.target.value; changed(); }),
      entry({
        type: "text", maxlength: "3", size: "3", placeholder: "EUR",
        value: node.value.currency, "aria-label": "Currency, three letters",
      }, (event) => { node.value.currency = event.target.value.trim(); changed(); }),
    ],
    choice: (node, about) => [make("div",
      { class: "rule-choices", role: "group", "aria-label": about.label },
      ...about.choices.map(([value, label]) => make("label", {},
        make("input", {
          type: "checkbox", value, checked: node.value.includes(value),
          onchange: (event) => {
            const chosen = new Set(node.value);
            if (event.target.checked) chosen.add(value); else chosen.delete(value);
            node.value = about.choices.map(([one]) => one).filter((one) => chosen.has(one));
            changed();
          },
        }), ` ${label}`)))],
    words: (node, about) => {
      const box = make("textarea", {
        class: "entry", rows: "2", "aria-label": `${about.label}, one a line`,
        placeholder: "one a line", title: about.needs,
        oninput: () => {
          node.value = box.value.split("\n").map((one) => one.trim()).filter(Boolean);
          changed();
        },
      });
      box.value = node.value.join("\n");
      return [box];
    },
  };

  // Whom it holds for: asked half a second after the last change; the newest answer wins.
  let timer, asked;
  const tell = (...parts) => result.replaceChildren(...parts);
  const count = () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(ask, WAIT_MS);
  };
  const ask = async () => {
    asked?.abort();
    const mine = asked = new AbortController();
    let answer, found;
    try {
      answer = await fetch(form.dataset.try, {
        method: "POST",
        headers: { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
        body: new URLSearchParams({ rule: text.value }),
        signal: mine.signal,
      });
      found = await answer.json();
    } catch {
      if (!mine.signal.aborted) {
        tell(make("p", { class: "quiet" },
          "It can’t be counted now: the server is away, or you are logged out. What you wrote is still here."));
      }
      return;
    }
    if (mine.signal.aborted) return;
    if (!answer.ok) {
      tell(make("div", { class: "note att" }, make("div", {}, found.problem)));
      return;
    }
    tell(
      make("p", { class: "fig" }, found.count),
      make("p", { class: "small gap" }, found.words),
      make("ul", { class: "list gap" }, ...found.sample.map((one) =>
        make("li", {}, make("a", { href: one.page }, one.name)))));
  };

  // The text moves under a fold; who writes JSON sees the drawing follow.
  const fold = make("details", { class: "tab" }, make("summary", {}, "As JSON"));
  const holder = document.getElementById("rule-text");
  holder.replaceWith(fold);
  fold.append(holder);
  const follow = () => {
    tree = understood();
    builder.hidden = tree === null;
    if (tree === null) fold.open = true; else draw();
  };
  text.addEventListener("input", () => { follow(); count(); });
  follow();
  ask();
})();
