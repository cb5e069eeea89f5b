"use strict";
// Forms that are sent with what an authenticator answers.

function bytes(text) {
	const raw = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
	return Uint8Array.from(raw, (c) => c.charCodeAt(0));
}

function text(buffer) {
	const raw = String.fromCharCode(...new Uint8Array(buffer));
	return btoa(raw).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function decoded(options) {
	const o = JSON.parse(options).publicKey;
	o.challenge = bytes(o.challenge);
	if (o.user) o.user.id = bytes(o.user.id);
	for (const list of [o.allowCredentials, o.excludeCredentials]) {
		for (const one of list || []) one.id = bytes(one.id);
	}
	return o;
}

function encoded(credential) {
	const r = credential.response;
	const response = { clientDataJSON: text(r.clientDataJSON) };
	if (r.attestationObject) {
		response.attestationObject = text(r.attestationObject);
		response.transports = r.getTransports ? r.getTransports() : [];
	} else {
		response.authenticatorData = text(r.authenticatorData);
		response.signature = text(r.signature);
		if (r.userHandle) response.userHandle = text(r.userHandle);
	}
	return JSON.stringify({
		id: credential.id, rawId: text(credential.rawId), type: credential.type, response,
		authenticatorAttachment: credential.authenticatorAttachment || undefined,
		clientExtensionResults: credential.getClientExtensionResults(),
	});
}

const reasons = {
	NotAllowedError: "The passkey was not used: it was cancelled, took too long, or there is none here. Try again.",
	InvalidStateError: "This device has a passkey of yours already.",
	SecurityError: "Passkeys of this site do not work under this address. Open the page under its name.",
};

for (const form of document.querySelectorAll("form[data-passkey]")) {
	form.addEventListener("submit", async (event) => {
		event.preventDefault();
		const failure = form.querySelector("[data-passkey-failure]");
		failure.hidden = true;
		try {
			const publicKey = decoded(form.dataset.options);
			const credential = form.dataset.passkey === "create"
				? await navigator.credentials.create({ publicKey })
				: await navigator.credentials.get({ publicKey });
			form.elements.passkey.value = encoded(credential);
			form.submit(); // which does not come here again
		} catch (e) {
			failure.textContent = reasons[e.name] || "Passkeys do not work in this browser.";
			failure.hidden = false;
			failure.focus();
		}
	});
	form.querySelector("button").disabled = false; // who was faster would have sent nothing
}
