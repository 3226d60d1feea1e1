"use strict";
// Before anything is drawn: plots instead of pictures, and the theme that was chosen last.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const theme = localStorage.getItem("hybridqies-theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  } catch {
    // Some browsers keep nothing for files.
  }
})();
