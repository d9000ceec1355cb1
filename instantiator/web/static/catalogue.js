// The search goes as you choose; without this script its button does.
const form = document.getElementById("search");
form.addEventListener("change", (event) => { if (event.target.tagName === "SELECT") form.requestSubmit(); });
form.addEventListener("submit", () => {
  for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
});
