// A link from another site comes without our cookie, as it should; asked from here, whoever is logged in goes on.
import { ask } from "./common.js";

const next = document.querySelector("input[name=next]").value, tried = "thaw-went-on";
if (location.pathname !== "/login" && sessionStorage.getItem(tried) !== next) {
  ask("/api/sessions").then(() => {
    sessionStorage.setItem(tried, next);  // once: a page that asks again means it
    location.replace(next);
  }, () => {});
} else sessionStorage.removeItem(tried);
