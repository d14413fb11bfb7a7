// Before anything is drawn: the theme and the language that were chosen the last time.
{
  const kept = (name) => {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // a browser that keeps nothing
    }
  };
  const root = document.documentElement;
  const theme = kept("refrain.theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  const language = kept("refrain.language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
  root.lang = language === "zh" ? "zh" : "en";
}
