// The page: tabs, and the choice of language and theme.
import { keep, put, speak, translate } from "./language.js";
import { showTabs } from "./tablist.js";
import { TABS } from "./tabs/index.js";

const root = document.documentElement;
const systemIsDark = window.matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : systemIsDark.matches;
}

function offerTheme(button) {
  const update = () => {
    put(button, isDark() ? "page.light" : "page.dark");
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    keep("refrain.theme", root.dataset.theme);
    update();
  });
  systemIsDark.addEventListener("change", update);
  update();
}

function offerLanguage(button) {
  const update = () => {
    const other = root.lang === "zh" ? "en" : "zh";
    button.textContent = other === "zh" ? "中文" : "English";
    button.lang = other;
  };
  button.addEventListener("click", () => {
    speak(root.lang === "zh" ? "en" : "zh");
    update();
  });
  update();
}

translate(document);
offerTheme(document.getElementById("theme"));
offerLanguage(document.getElementById("language"));
showTabs(TABS, document.getElementById("tabs"), document.getElementById("panels"));
