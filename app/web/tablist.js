// Tabs by the ARIA pattern: one stop of the Tab key, arrows between them; the address's hash keeps the chosen one.
import { element } from "./dom.js";

/** Show tabs in a list and their panels in a container; a tab is built when it is first chosen, and kept. */
export function showTabs(tabs, list, panels) {
  const built = tabs.map((tab) => makeTab(tab, list, panels));
  const byName = (name) => built.find((each) => each.tab.name === name);

  const choose = (chosen) => {
    for (const each of built) {
      const isChosen = each === chosen;
      each.button.setAttribute("aria-selected", isChosen);
      each.button.tabIndex = isChosen ? 0 : -1;
      if (each.panel.hidden === !isChosen) continue;
      each.panel.hidden = !isChosen;
      if (isChosen) show(each);
      else each.tab.hide?.();
    }
  };
  const go = (chosen) => {
    choose(chosen);
    if (location.hash !== `#${chosen.tab.name}`) location.hash = chosen.tab.name;
  };
  for (const each of built) each.button.addEventListener("click", () => go(each));
  list.addEventListener("keydown", (event) => {
    const index = built.findIndex((each) => each.button === event.target);
    const next = indexAfter(event.key, index, built.length);
    if (next === null) return;
    event.preventDefault();
    go(built[next]);
    built[next].button.focus();
  });
  const followHash = () => choose(byName(location.hash.slice(1)) ?? built[0]);
  window.addEventListener("hashchange", followHash);
  followHash();
}

function show(each) {
  if (!each.isBuilt) {
    each.isBuilt = true;
    each.tab.build(each.panel);
  }
  each.tab.show?.();
}

function indexAfter(key, index, count) {
  if (key === "ArrowRight") return (index + 1) % count;
  if (key === "ArrowLeft") return (index + count - 1) % count;
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  return null;
}

function makeTab(tab, list, panels) {
  const ids = { button: `tab-${tab.name}`, panel: `panel-${tab.name}` };
  const button = element("button", {
    type: "button",
    role: "tab",
    id: ids.button,
    "aria-controls": ids.panel,
    words: `tab.${tab.name}`,
  });
  const panel = element("section", {
    role: "tabpanel",
    id: ids.panel,
    tabindex: 0,
    hidden: true,
    "aria-labelledby": ids.button,
  });
  list.append(button);
  panels.append(panel);
  return { tab, button, panel, isBuilt: false };
}
