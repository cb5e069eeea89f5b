"use strict";
// Buttons that copy what stands in another element. Without script they are not there.
for (const button of document.querySelectorAll("[data-copy]")) {
	const source = document.getElementById(button.dataset.copy);
	button.hidden = !source || !navigator.clipboard;
	button.addEventListener("click", async () => {
		await navigator.clipboard.writeText(source.textContent);
		button.textContent = "Copied";
	});
}
