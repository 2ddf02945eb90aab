/* Small helpers for our pages: no build step, no library, nothing loaded from elsewhere. */
(() => {
  "use strict";

  // Switches: <div class="sw" data-switch="preview-width"><button data-value="phone" …>
  // set data-<name> on the element named by data-target and press the right button.
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".sw[data-switch] button[data-value]");
    if (!button) return;
    const group = button.closest(".sw");
    const target = document.getElementById(group.dataset.target);
    group.querySelectorAll("button").forEach((other) =>
      other.setAttribute("aria-pressed", String(other === button)));
    if (target) target.dataset[group.dataset.switch] = button.dataset.value;
  });

  // Live parts: <div data-poll="URL" data-every="2000"> is replaced by what URL answers
  // until the answer carries no data-poll any more.
  const poll = (part) => {
    const wait = Number(part.dataset.every || 2000);
    window.setTimeout(async () => {
      if (!part.isConnected) return;
      try {
        const answer = await fetch(part.dataset.poll, { headers: { "X-Part": "1" } });
        if (answer.ok) {
          const holder = document.createElement("template");
          holder.innerHTML = (await answer.text()).trim();
          const fresh = holder.content.firstElementChild;
          part.replaceWith(fresh);
          if (fresh.dataset.poll) poll(fresh);
          return;
        }
      } catch { /* the server is away: ask again */ }
      poll(part);
    }, wait);
  };
  document.querySelectorAll("[data-poll]").forEach(poll);
})();
