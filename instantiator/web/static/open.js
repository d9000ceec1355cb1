// Ask for a screen as large as the window will show it, and say at once that the form was taken.
const bar = 110;
const even = (size, least) => Math.max(least, Math.floor(size / 8) * 8);
document.getElementById("geometry").value = `${even(innerWidth, 1024)}x${even(innerHeight - bar, 720)}`;
const form = document.getElementById("open");
form.addEventListener("submit", () => { form.querySelector("button.main").disabled = true; });
